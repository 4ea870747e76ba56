"""A step of the journey: a prop is optimised by Magic123 with tiny priors, looked at, and ended when it will do."""

from __future__ import annotations

import subprocess
import sys

from tests.gui.blender import RIGHT
from tests.gui.long_job import FINISH, tell_of_pictures
from tests.gui.machine import STAGE
from tests.gui.root import PROJECT
from tests.gui.trip import Trip

PRIORS = "import sys; from pathlib import Path; from backend.pipelines.magic123.tiny import *; "
PRIORS += "write_tiny_magic123_checkpoints(Path(sys.argv[1]))"
SMALL = {"steps": 20_000, "side": 48, "fine_side": 64, "levels": 6, "table": 12, "encoding": "quarter"}
QUICK = {"resolution": 48, "faces": 2000, "texture_size": 128}
"""Networks and a grid so small that a step takes a fraction of a second; more of them than anybody waits for."""


def optimise_a_prop(trip: Trip) -> None:
    """Both kinds of pictures come beside the bar while the view is turned; *Finish Now* brings the prop."""
    blender = trip.blender
    models = trip.machine.stage / "models"
    subprocess.run([sys.executable, "-c", PRIORS, models], cwd=PROJECT, check=True, timeout=120)
    trip.offer_here()  # the environment that the add-on has made need not have PyTorch
    trip.set_preference("models_folder", str(STAGE / "models"))
    trip.build_room()
    table = (
        "bpy.context.view_layer.objects.active = bpy.data.objects['Table']; bpy.data.objects['Table'].select_set(True)"
    )
    blender.ask(f"bpy.ops.object.select_all(action='DESELECT'); {table}")
    before = blender.ask("objects()")
    identifier = trip.generate("magic123", **SMALL, **QUICK)
    trip.wait_for(identifier, 120.0, state="running", stage="coarse")
    shown = f"sys.modules[ADDON + '.work.preview_images'].icon(({identifier!r}, 'view')) is not None"
    blender.wait(shown, "its picture", 60.0)
    blender.ask("frames.watch()")
    x, y, width, height = blender.ask("region('WINDOW')")
    while len(blender.ask("frames.seen()")["previews"]) < 4:
        trip.display.scroll(x + width / 2, y + height / 2, 2)
        trip.display.scroll(x + width / 2, y + height / 2, -2)
        assert trip.job(identifier)["state"] == "running"
    trip.shot("optimised")
    tell_of_pictures(trip, blender.ask("frames.seen()"), "the add-on's part of a frame, while a prop is optimised")
    blender.click("bpy.ops.set_dresser.finish(", FINISH)
    trip.wait_for(identifier, 120.0, state="done", arrival="imported")
    after = blender.ask("objects()")
    props = [name for name in set(after) - set(before) if after[name]["vertices"]]
    assert len(props) == 1 and any(after["Table"]["hidden"]), f"one prop in the place of the table was wanted: {props}"
    blender.wait(f"desk().jobs[{identifier!r}].can_continue", "what can be asked of it", 10.0)
    trip.show_panel()
    blender.rest()
    trip.shot("finished early")
    blender.click("bpy.ops.set_dresser.continue_job(", 0.3)
    trip.wait_for(identifier, 60.0, state="running", stage="coarse")
    blender.click("bpy.ops.set_dresser.cancel(", RIGHT)
    trip.wait_for(identifier, 20.0, state="cancelled")
