"""`exporting.py FOLDER`, run by Blender's Python: the same object in every format that this Blender writes.

A slab of 2 × 1 × 0.5 with a post on its front left corner, so that no two turns of it look alike.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy


def main(folder: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for name, place, size in (("Slab", (0, 0, 0.25), (2, 1, 0.5)), ("Post", (-0.9, -0.4, 0.75), (0.2, 0.2, 0.5))):
        bpy.ops.mesh.primitive_cube_add(size=1, location=place)
        made = bpy.context.object
        made.name, made.scale = name, size
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        made.data.materials.append(material)
    hidden = bpy.data.objects.new("Hidden", bpy.data.objects["Slab"].data)
    hidden.location, hidden.hide_render = (0, 0, 50), True
    bpy.context.scene.collection.objects.link(hidden)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "blend.blend"))
    bpy.data.objects.remove(hidden)
    turned = {"forward_axis": "Y", "up_axis": "Z"}
    writers = {
        "glb.glb": lambda file: bpy.ops.export_scene.gltf(filepath=file, export_format="GLB"),
        "gltf.gltf": lambda file: bpy.ops.export_scene.gltf(filepath=file, export_format="GLTF_SEPARATE"),
        "fbx.fbx": lambda file: bpy.ops.export_scene.fbx(filepath=file),
        "obj.obj": lambda file: bpy.ops.wm.obj_export(filepath=file),
        "ply.ply": lambda file: bpy.ops.wm.ply_export(filepath=file, **turned),
        "stl.stl": lambda file: bpy.ops.wm.stl_export(filepath=file, **turned),
        "usdc.usdc": lambda file: bpy.ops.wm.usd_export(filepath=file),
        "usda.usda": lambda file: bpy.ops.wm.usd_export(filepath=file),
        "usdz.usdz": lambda file: bpy.ops.wm.usd_export(filepath=file),
        "abc.abc": lambda file: bpy.ops.wm.alembic_export(filepath=file, as_background_job=False),
    }
    for name, write in writers.items():
        write(str(folder / name))
    (folder / "written.json").write_text(json.dumps(sorted([*writers, "blend.blend"])))


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
