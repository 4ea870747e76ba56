"""Results as they are fetched, brought in and placed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from blender_addon.ground.references import Place, Reference
from blender_addon.props import arrival as arriving
from blender_addon.props.importer import import_result
from blender_addon.state.job import JobRecord
from blender_addon.work import results
from tests.blender_addon import glb
from tests.blender_addon.glb import Node

CHAIR = Node(1, "Chair", (1.0, 2.0, 0.0), 0.7, (0.5, 0.6, 1.0))


def fetched(folder: Path, block_out: Any = None, **values: Any) -> JobRecord:
    """A job made now, in what is shown now, whose result lies here."""
    folder.mkdir(exist_ok=True)
    glb.write(folder / "scene.glb", [CHAIR])
    (folder / "result.json").write_text(json.dumps(glb.result([CHAIR])))
    if block_out is not None:
        values["block_outs"] = {1: Reference.of(block_out)}
    place = Place.of(bpy.context.scene, bpy.context.view_layer)
    return JobRecord("0123456789abcdef", folder=folder, place=place, **values)


def placed(record: JobRecord) -> list[Any]:
    """The props of a fetched result, which come in now."""
    return arriving.place_result(bpy.context, record, results.read(record))


def linked(folder: Path, kind: str, name: str, count: int = 2) -> list[Any]:
    """Objects called the same in as many libraries, linked into the scene, each further along X."""
    found = []
    for number in range(count):
        made = bpy.data.objects[kind].copy()
        made.name, made.location = name, (number * 4.0, 0.0, 0.0)
        path = folder / f"library {number}.blend"
        bpy.data.libraries.write(str(path), {made}, fake_user=True)
        written = made.name
        bpy.data.objects.remove(made)
        with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
            wanted.objects = [written]
        bpy.context.scene.collection.objects.link(wanted.objects[0])
        found += wanted.objects
    bpy.context.view_layer.update()
    assert len({each.name for each in found}) == 1
    return found


def bring(tmp_path, nodes, references=None, **options):
    """Write nodes to a file and import it; the props in the order of their ids."""
    fields = options.pop("fields", {})
    detail, wrapped = options.pop("detail", 0), options.pop("wrapped", True)
    path = glb.write(tmp_path / "scene.glb", nodes, detail=detail, wrapped=wrapped)
    names = import_result(bpy.context, path, glb.result(nodes, **fields), references or {}, **options)
    return [bpy.data.objects[name] for name in names]
