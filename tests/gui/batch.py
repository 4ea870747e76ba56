"""A step of the journey: twelve block-outs before five cameras as a batch, made by a studio's server, with TLS and
users, while Blender is killed twice."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from tests.backend.server.certificates import OPENSSL
from tests.blender_addon.studio import StudioServer
from tests.gui.blender import NEXT_TO_RIGHT
from tests.gui.machine import STAGE, clear
from tests.gui.trip import Trip

FILE = str(STAGE / "shots.blend")
LEFT = 0.1
"""Where the sidebar has the triangles that unfold."""

SETTLED = 0.03
"""Metres between the sides of a prop's box and those of its block-out's."""


def dress_a_shot_on_a_studios_server(trip: Trip) -> None:
    """Killed between the pictures, and when props have come that were not saved; in the end there is one of each."""
    if OPENSSL is None:
        trip.facts["batch"] = "left out: the program openssl, which makes the certificates, is missing"
        return
    server = StudioServer(clear(trip.folder / "studio"))
    try:
        _connect(trip, server)
        _batch(trip, server)
        trip.set_preference("backend", "THIS_COMPUTER")
        trip.blender.ask("bpy.ops.wm.save_userpref()")
    finally:
        server.stop()
        shutil.rmtree(server.folder)


def _connect(trip: Trip, server: StudioServer) -> None:
    shutil.copyfile(server.certificate, trip.machine.stage / "authority.pem")
    trip.set_preference("backend", "SERVER")
    trip.set_preference("server_address", server.address)
    trip.set_preference("server_token", server.tokens["anna"])
    trip.set_preference("server_certificate", str(STAGE / "authority.pem"))
    trip.blender.ask("bpy.ops.wm.save_userpref()")
    trip.blender.wait("desk().server.remote and desk().server.state.name == 'READY'", "the connection", 60.0)
    assert trip.blender.ask("desk().server.user") == "anna"


def _batch(trip: Trip, server: StudioServer) -> None:
    shutil.copyfile(Path(__file__).with_name("room.py"), trip.machine.stage / "room.py")
    blender = trip.blender
    blender.ask(f"sys.path.insert(0, {str(STAGE)!r}); import room; room.furnish(); room.look(view_3d())")
    blender.ask("bpy.context.scene.set_dresser_inflate.thickness = 1.0")  # a step before has made something thinner
    blender.ask(f"bpy.context.scene.set_dresser.pipeline = 'inflate'; bpy.ops.wm.save_as_mainfile(filepath={FILE!r})")
    blender.ask("with override(): bpy.ops.set_dresser.all_cameras()")
    blender.wait(f"{BATCH}; len(batch.shots) - len(batch.untaken) == 2", "two pictures", 300.0)
    trip.shot("two pictures")
    _killed_and_started_anew(trip)
    trip.shot("after the first kill")
    trip.blender.click("bpy.ops.set_dresser.continue_batch(", NEXT_TO_RIGHT)
    trip.blender.wait(f"{BATCH}; {PROPS}; any({NOTED}) and len(props) > 0", "the first props", 400.0)
    _killed_and_started_anew(trip)
    blender = trip.blender
    blender.wait(f"{BATCH}; {STATES} == {{'done'}} and not any({AWAITED})", "the end of all jobs", 120.0)
    blender.draw()
    trip.shot("after the second kill")
    if blender.ask(f"{PROPS}; len(props) < 12"):  # where entries were still to be sent, it goes on by itself
        blender.click("bpy.ops.set_dresser.continue_batch(", NEXT_TO_RIGHT)
    blender.wait(f"{PROPS}; len(props) >= 12", "all props", 120.0)
    blender.wait(f"{BATCH}; batch.task is None and not any({AWAITED})", "the end of the batch", 30.0)
    _one_of_each(trip)
    assert len(list((server.folder / "data" / "jobs").iterdir())) == blender.ask(f"{BATCH}; len(batch.entries)")
    blender.click("bpy.ops.set_dresser.unfold_batch(", LEFT)
    trip.shot("unfolded")
    _contact_sheet(trip)


BATCH = "batch = next(iter(desk().batches.values()))"
PROPS = "props = [each for each in bpy.context.scene.objects if 'set_dresser' in each]"
STATES = "{sys.modules[ADDON + '.state.listing'].entry_state(desk(), each) for each in batch.entries}"
NOTED = "each.outcome == 'done' for each in batch.entries"
"""Written down: what has been imported by then does not come again by itself."""

AWAITED = "record.awaited or record.busy for record in desk().jobs.values()"


def _killed_and_started_anew(trip: Trip) -> None:
    """Nothing has been saved since the batch began."""
    trip.blender.kill()
    trip.blender.nobody_left()
    trip.start(FILE)
    trip.show_panel()
    trip.blender.wait("desk().server.state.name == 'READY'", "the connection", 60.0)
    trip.blender.rest()


def _one_of_each(trip: Trip) -> None:
    """Each block-out has one prop, which stands where it stands."""
    told: list[dict[str, Any]] = trip.blender.ask(f"{PROPS}\n{_PLACES}")
    names = trip.blender.ask("sorted(each.name for each in bpy.data.collections['Block-Out'].objects)")
    assert len(names) == 12 and Counter(each["of"] for each in told) == Counter(names), told
    apart = {each["of"]: max(abs(a - b) for a, b in zip(each["prop"], each["block_out"], strict=True)) for each in told}
    trip.facts["batch, props from their block-outs"] = f"{max(apart.values()) * 1000:.0f} mm at most"
    assert all(distance < SETTLED for distance in apart.values()), apart


_PLACES = """
from mathutils import Vector


def box(each):
    corners = [each.matrix_world @ Vector(corner) for corner in each.bound_box]
    return [edge(point[axis] for point in corners) for axis in range(3) for edge in (min, max)]


[{'of': each.set_dresser_block_out.name, 'prop': box(each), 'block_out': box(each.set_dresser_block_out)}
 for each in props]
"""


def _contact_sheet(trip: Trip) -> None:
    trip.blender.click("bpy.ops.set_dresser.open_contact_sheet(")
    folder = trip.blender.ask(f"{BATCH}; str(batch.folder)")
    sheet = trip.machine.stage / Path(folder).relative_to(STAGE) / "contact sheet"
    trip.blender.wait(f"import os; os.path.isfile({folder + '/contact sheet/contact-sheet.html'!r})", "the sheet", 30.0)
    shutil.copyfile(sheet / "contact-sheet.png", trip.folder / "contact-sheet.png")
    assert "12 objects" in (sheet / "contact-sheet.html").read_text(encoding="utf-8")
