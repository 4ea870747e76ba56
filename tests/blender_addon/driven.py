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
    picks = asking.picks(session.current.desk.jobs[job.id].question)
    tell(pid=session.current.desk.server.pid, id=job.id, picks=picks)
    while True:
        time.sleep(min(session.pump(), 0.01))


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
