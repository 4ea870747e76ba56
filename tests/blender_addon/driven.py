"""Programs for a Blender process of their own. `python driven.py PROGRAM ARGUMENTS…`; each prints one JSON line."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def tell(**values: Any) -> None:
    print("\n@" + json.dumps(values), flush=True)


def render_quickly(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 96, 64, 100


def install_and_use(archive: str, picture: str) -> None:
    """Install the zip, make a prop with it, take it off again; twice in a row."""
    import bpy

    for _ in range(2):
        bpy.ops.extensions.package_install_files(
            repo="user_default", filepath=archive, enable_on_install=True, overwrite=True
        )
        name = "bl_ext.user_default.set_dresser"
        assert name in bpy.context.preferences.addons
        addon = importlib.import_module(name)
        folder = Path(addon.__file__).parent
        installed = sorted(folder.rglob("*.*"))
        render_quickly(bpy.context.scene)
        block_out = bpy.data.objects["Cube"]
        placed = addon.generate(
            objects=[block_out], pipeline="inflate", parameters={"resolution": 32, "texture_size": 64}
        )
        job = addon.generate(source=picture, pipeline="test-box", wait=True)
        status = addon.server_status()
        written = sorted(set(folder.rglob("*.*")) - set(installed))
        # Blender itself compiles the add-on where it lies; the backend must not.
        tell(
            state=job.state,
            props=len(job.objects) + len(placed.objects),
            hidden=block_out.hide_render,
            module=addon.__name__,
            pid=status["pid"],
            log=status["log"],
            written=[str(path) for path in written if "bundle" in path.parts],
        )
        bpy.ops.wm.read_homefile(use_factory_startup=True)
        bpy.ops.extensions.package_uninstall(repo_index=_user_repository(), pkg_id="set_dresser")
        tell(
            left=folder.exists(),
            panel=hasattr(bpy.types, "SET_DRESSER_PT_main"),
            settings=hasattr(bpy.types.Scene, "set_dresser"),
            enabled=name in bpy.context.preferences.addons,
        )
        for module in [module for module in sys.modules if module.startswith(name)]:
            del sys.modules[module]


def _user_repository() -> int:
    import bpy

    repositories = bpy.context.preferences.extensions.repos
    return [repository.module for repository in repositories].index("user_default")


def wait_to_be_killed(stage: str, picture: str) -> None:
    """Be in the given stage of a job, say who the server is, and go on until killed."""
    import time

    import bpy  # noqa: F401

    import blender_addon

    blender_addon.register()
    from blender_addon import session

    if stage != "starting":
        blender_addon.start_server()
    job = blender_addon.generate(source=picture, pipeline="test-box", parameters={"seconds": 600}, wait=False)
    while job.state != stage and stage != "starting":
        time.sleep(min(session.pump(), 0.01))
    tell(pid=session.current.desk.server.pid, id=job.id)
    while True:
        time.sleep(min(session.pump(), 0.01))


def pick_and_wait_to_be_killed(picture: str) -> None:
    """Pick some of the views that a job asks for, say which, and go on until killed."""
    import time

    import bpy

    os.environ["SET_DRESSER_PLUGINS"] = "box_pipeline,views_pipeline"
    import blender_addon

    blender_addon.register()
    from blender_addon import session
    from blender_addon.answers import asking

    job = blender_addon.generate(source=picture, pipeline="test-views", wait=True)
    session.pump()
    for index in (1, 4, 7):
        bpy.ops.set_dresser.pick_view(job=job.id, index=index)
    session.pump()
    question = session.current.desk.jobs[job.id].question
    picks = question.asked.picks(asking.draft(question))
    tell(pid=session.current.desk.server.pid, id=job.id, picks=picks)
    while True:
        time.sleep(min(session.pump(), 0.01))


def generate_and_wait_to_be_killed(path: str) -> None:
    """Have a job of three block-outs run in a file that is saved meanwhile, say so, and sit there until killed."""
    import time

    import bpy

    addon = _with_placed_boxes()
    job = addon.generate(
        objects=_room_saved_as(path), pipeline="test-placed", parameters={"seconds": 3}, name="Room", wait=False
    )
    while job.state != "running":
        time.sleep(min(addon.session.pump(), 0.01))
    bpy.ops.wm.save_mainfile()
    tell(id=job.id, pid=addon.session.current.desk.server.pid, objects=len(job.objects))
    time.sleep(600)


def open_and_let_come_in(path: str, other: str) -> None:
    """Open the file and wait for what comes in by itself; then do the same as in an unbroken session."""
    import time

    import bpy

    addon = _with_placed_boxes()
    bpy.ops.wm.open_mainfile(filepath=path)
    (job,) = addon.jobs()
    state = job.state
    while not job.objects:
        time.sleep(min(addon.session.pump(), 0.01))
    tell(id=job.id, state=state, warnings=job.warnings, pressed=addon.session.current.desk.pressed.id)
    tell(stands=_all_that_stands())
    job = addon.generate(objects=_room_saved_as(other), pipeline="test-placed", name="Room")
    tell(stands=_all_that_stands())


def make_shots(path: str) -> None:
    """A file with a shot of twelve block-outs in a collection, and five cameras round them."""
    import bpy

    from tests.blender_addon.small_room import make_shots

    bpy.ops.wm.read_homefile(use_factory_startup=True)
    render_quickly(bpy.context.scene)
    make_shots()
    bpy.ops.wm.save_as_mainfile(filepath=path)
    tell(saved=path)


def batch_and_wait_to_be_killed(path: str, when: str) -> None:
    """Begin a batch of all cameras in the file, or go on with it, until two pictures are taken or the first props are
    there; say so, and sit there until killed."""
    import time

    addon = _with_the_file(path)
    known = addon.batches()
    if known:
        batch = known[0].go_on(wait=False)
    else:
        batch = addon.generate_batch(cameras="all", objects="Block-Out", name="Shots", wait=False, **QUICK)
    kept = batch._batch
    reached = {
        "pictures": lambda: len(kept.untaken) == 3,
        "props": lambda: len(batch.objects) > 0,
    }[when]
    while not reached():
        time.sleep(min(addon.session.pump(), 0.01))
    tell(
        pid=addon.session.current.desk.server.pid,
        taken=sum(shot.state == "taken" for shot in kept.shots),
        sent=sorted(entry.key for entry in kept.entries if entry.job),
        props=len(batch.objects),
    )
    time.sleep(600)


def go_on_with_the_batch(path: str, out: str) -> None:
    """Give the same call again, to its end, and tell of everything there is; then once more."""
    import bpy

    addon = _with_the_file(path)
    for _ in range(2):
        batch = addon.generate_batch(cameras="all", objects="Block-Out", name="Shots", out=out, save=True, **QUICK)
        addon.jobs()
        tell(
            id=batch.id,
            batches=len(addon.batches()),
            states=batch.states,
            problems=[problem.message for problem in batch.problems.values()],
            reasons=batch.reasons,
            of=_made_of(),
            hidden=sorted(each.name for each in bpy.data.collections["Block-Out"].objects if each.hide_render),
            items=sorted(record.batch["item"] for record in addon.session.current.desk.jobs.values() if record.batch),
            only={record.batch["item"]: len(record.block_outs) for record in addon.session.current.desk.jobs.values()},
            camera=bpy.context.scene.camera.name,
            frame=bpy.context.scene.frame_current,
        )
    addon.shutdown()
    bpy.ops.wm.open_mainfile(filepath=path)
    tell(of=_made_of())


def _made_of() -> list[str]:
    """The block-outs of all props in the scene."""
    import bpy

    props = (each for each in bpy.context.scene.objects if "set_dresser" in each)
    return sorted(prop.set_dresser_block_out.name for prop in props)


QUICK = {"pipeline": "inflate", "parameters": {"resolution": 32, "texture_size": 64}}


def _with_the_file(path: str) -> Any:
    import bpy

    import blender_addon

    blender_addon.register()
    bpy.ops.wm.open_mainfile(filepath=path)
    return blender_addon


def _with_placed_boxes() -> Any:
    os.environ["SET_DRESSER_PLUGINS"] = "box_pipeline,placed_pipeline"
    import blender_addon

    blender_addon.register()
    blender_addon.start_server()
    return blender_addon


def _room_saved_as(path: str) -> list[Any]:
    """A new file with three block-outs and a view layer beside the one that is worked in."""
    import bpy

    from tests.blender_addon.small_room import make_room

    bpy.ops.wm.read_homefile(use_factory_startup=True)
    render_quickly(bpy.context.scene)
    room = make_room()
    bpy.context.window.view_layer = bpy.context.scene.view_layers.new("Work")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return room


def _all_that_stands() -> dict[str, Any]:
    """Of every object of the scene what an artist sees of it, and whose prop it is."""
    import bpy

    bpy.context.view_layer.update()
    return {
        each.name: {
            "block_out": each.set_dresser_block_out and each.set_dresser_block_out.name,
            "hidden": [each.hide_render, *(each.hide_get(view_layer=layer) for layer in bpy.context.scene.view_layers)],
            "place": [round(number, 4) for row in each.matrix_world for number in row],
            "size": [round(number, 4) for number in each.dimensions],
            "parent": each.parent and each.parent.name,
            "collections": sorted(collection.name for collection in each.users_collection),
            "selected": each.select_get(),
            "active": each == bpy.context.view_layer.objects.active,
            "recipe": [each["set_dresser"][name] for name in ("name", "instance_id", "label", "seed", "pipeline")]
            if "set_dresser" in each
            else [],
        }
        for each in bpy.context.scene.objects
    }


def leave_without_a_word(picture: str) -> None:
    """End as a script ends that does not care: a job running, the add-on registered, a timer set."""
    import bpy

    import blender_addon
    from blender_addon import session
    from blender_addon.ground import tick

    tick.timers_fire = lambda: True
    blender_addon.register()
    blender_addon.start_server(wait=True)
    blender_addon.generate(source=picture, pipeline="test-box", parameters={"seconds": 600}, wait=False)
    assert bpy.app.timers.is_registered(tick._tick)
    tell(pid=session.current.desk.server.pid)


if __name__ == "__main__":
    sys.path.insert(0, os.environ["SET_DRESSER_ROOT"])
    globals()[sys.argv[1]](*sys.argv[2:])
