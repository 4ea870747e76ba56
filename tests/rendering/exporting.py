"""`exporting.py FOLDER`, run by Blender's Python: the same object in every format that this Blender writes.

A slab of 2 × 1 × 0.5 with a post on its front left corner, so that no two turns of it look alike. In `broken` there is
one with a coordinate that is no number.
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
        "glb.glb": ("export_scene", "gltf", {"export_format": "GLB"}),
        "gltf.gltf": ("export_scene", "gltf", {"export_format": "GLTF_SEPARATE"}),
        "fbx.fbx": ("export_scene", "fbx", {}),
        "obj.obj": ("wm", "obj_export", {}),
        "ply.ply": ("wm", "ply_export", turned),
        "stl.stl": ("wm", "stl_export", turned),
        "usdc.usdc": ("wm", "usd_export", {}),
        "usda.usda": ("wm", "usd_export", {}),
        "usdz.usdz": ("wm", "usd_export", {}),
        "abc.abc": ("wm", "alembic_export", {"as_background_job": False}),
    }
    written, unknown = ["blend.blend"], []
    for name, (module, operator, settings) in writers.items():
        if operator in dir(getattr(bpy.ops, module)):
            getattr(getattr(bpy.ops, module), operator)(filepath=str(folder / name), **settings)
            written.append(name)
        else:
            unknown.append(name)  # Debian builds Blender without USD and Alembic
    (folder / "written.json").write_text(json.dumps({"written": written, "unknown": unknown}))
    bpy.data.objects["Post"].data.vertices[0].co.x = float("nan")
    (folder / "broken").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "broken" / "nan.blend"))


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
