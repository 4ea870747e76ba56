"""Makes `room-0.1.blend` and `room-0.1.zip`: what the add-on of 0.1 left in a file, before its files stood in rooms.

`room-0.1.blend` has three block-outs with their props, one of which was moved and has a hidden variant; the settings of
a panel that was used; and the recipes. `room-0.1.zip` is the backend's data folder of that time: its list of jobs, and
the folders of the jobs, the last of which is done and was never imported.

They are inputs of `test_old_file.py` and are not made anew: the code that wrote them is commit 95858d1. To look how it
was done, check that commit out somewhere, and run this file from there with a Python that has bpy 4.5:

    HOME=/tmp PYTHONPATH=. SET_DRESSER_PYTHON=<the backend's Python> python make_room_of_0_1.py /tmp/room

The folder, the home folder and the place of bpy are the paths that are in the file.
"""

from __future__ import annotations

import sqlite3
import sys
import zipfile
from pathlib import Path

import bpy

import blender_addon
from blender_addon import parameters, session, setting_up
from tests.blender_addon.driven import render_quickly
from tests.blender_addon.small_room import make_room

SMALL = {"resolution": 32, "texture_size": 64}
LEFT_OUT = ("log.txt", "log.jsonl")


def main(folder: Path) -> None:
    blender_addon.register()
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    render_quickly(bpy.context.scene)
    box, ball, cone = make_room()
    settings = bpy.context.scene.set_dresser
    settings.pipeline_id, settings.seed, settings.height, settings.place_at = "inflate", 7, 1.5, "CURSOR"
    settings.picture_quality, settings.keep_moves = "SCENE", True
    blender_addon.start_server(wait=True)
    session.pump()
    parameters.pipelines.put(bpy.context.scene, "inflate", {"texture_size": 512})
    set_of_three = blender_addon.generate(objects=[box, ball, cone], parameters=SMALL, name="Room")
    props = {prop.name: prop for prop in set_of_three.objects}
    props["Ball_prop"].location.x += 0.5
    blender_addon.again(props["Ball_prop"], parameters={**SMALL, "resolution": 40})
    blender_addon.generate(objects=[cone], parameters=SMALL, name="Cone alone", import_result=False)
    path = folder / "room-0.1.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True, relative_remap=False)
    data = setting_up.server_environment(session.current.installation).data
    blender_addon.shutdown()
    pack(data, folder / "room-0.1.zip")
    for prop in sorted(bpy.data.objects, key=lambda each: each.name):
        print(prop.name, tuple(prop.location), prop.hide_render, "set_dresser" in prop)
    blender_addon.unregister()


def pack(data: Path, path: Path) -> None:
    """The list of jobs as one file, and the jobs' folders."""
    plain = data / "plain.sqlite3"
    with sqlite3.connect(data / "jobs.sqlite3") as source, sqlite3.connect(plain) as target:
        source.backup(target)
    target.execute("PRAGMA journal_mode = DELETE")
    target.execute("DELETE FROM owners")
    target.commit()
    target.execute("VACUUM")
    target.close()
    source.close()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(plain, "jobs.sqlite3")
        for file in sorted((data / "jobs").rglob("*")):
            if file.is_file() and file.name not in LEFT_OUT:
                archive.write(file, file.relative_to(data))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
