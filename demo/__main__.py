"""`python -m demo`: block out a room in a headless Blender, make the props, look at them.

Writes build/demo: before.png (the picture as it went to the server), after.png (the same camera), around.png (from
the side), set.blend, scene.glb, result.json. Ends with code 1 if a prop misses its block-out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from demo.console import chatter_into

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "demo"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--images", action="store_true", help="also every picture of SET_DRESSER_DATA")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="set-dresser-demo-") as user:
        os.environ["BLENDER_USER_RESOURCES"] = user  # before bpy is imported: the user's own settings stay out of it
        os.environ.setdefault("SET_DRESSER_PYTHON", str(ROOT / ".venv" / _INSIDE))
        print("Blocking out a room, making props, rendering: about a minute …", flush=True)
        with chatter_into(OUT / "blender.log") as say:
            import blender_addon

            blender_addon.register()
            try:
                good = dress_the_room(say)
                if arguments.images:
                    from demo import images

                    good = images.run(OUT / "images", say) and good
            finally:
                blender_addon.unregister()
    return 0 if good else 1


_INSIDE = Path("Scripts/python.exe") if sys.platform == "win32" else Path("bin/python")


def dress_the_room(say: Callable[[str], None]) -> bool:
    """Block-out to set. Returns whether every prop stands where its block-out stood."""
    import bpy

    import blender_addon
    from blender_addon import session
    from blender_addon.backend_process import setting_up
    from blender_addon.capture import block_outs
    from demo import blockout, measure

    began = time.monotonic()
    pieces = blockout.build()
    before = measure.stands(pieces)
    job = blender_addon.generate(objects=pieces, pipeline="inflate", name="Living room", wait=True)
    assert job.glb is not None
    inputs = setting_up.server_environment(session.current.desk.installation).data / "jobs" / job.id / "inputs"
    shutil.copyfile(inputs / "image-0.bin", OUT / "before.png")
    for name in ("scene.glb", "result.json"):
        shutil.copyfile(job.glb.parent / name, OUT / name)

    props = {made_of.name: prop for prop in job.objects if (made_of := block_outs.block_out_of(prop)) is not None}
    stands = measure.stands(list(props.values()))
    fits = measure.compare(before, {name: stands[prop.name] for name, prop in props.items()})

    camera = bpy.context.scene.camera
    place = camera.matrix_world.copy()
    render(OUT / "after.png")
    blockout.look_from(camera, *blockout.FROM_THE_SIDE)
    render(OUT / "around.png")
    camera.matrix_world = place
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "set.blend"), compress=True, copy=True)

    say(f"\n{'object':<14}{'mask IoU':>10}{'position error':>16}")
    for fit in fits:
        say(f"{fit.name:<14}{fit.mask_iou:>10.3f}{fit.position_error:>15.1%}  {'' if fit.good else 'MISSED'}")
    result = job.result
    stages = ", ".join(f"{timing['stage']} {timing['seconds']:.1f} s" for timing in result["timings"])
    say(f"\n{len(fits)} props in {result['seconds']:.1f} s ({stages}); the demo in {time.monotonic() - began:.0f} s.")
    say(f"Pictures, set.blend, scene.glb and result.json are in {OUT.relative_to(ROOT)}.")
    return all(fit.good for fit in fits)


def render(path: Path) -> None:
    """What the active camera sees, as the scene is set up to render."""
    import bpy

    from blender_addon.capture import render_settings, rendering

    scene = bpy.context.scene
    with render_settings.Overrides() as overrides:
        overrides.callback(setattr, scene.render, "filepath", scene.render.filepath)
        rendering.render_now(scene, path)


if __name__ == "__main__":
    sys.exit(main())
