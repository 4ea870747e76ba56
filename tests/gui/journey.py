"""An artist's first ten minutes, as steps that follow one another. Each asserts what it has reached."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.gui.batch import dress_a_shot_on_a_studios_server
from tests.gui.blender import NEXT_TO_RIGHT, RIGHT
from tests.gui.long_job import finish_early_and_continue
from tests.gui.machine import STAGE, until
from tests.gui.optimising import optimise_a_prop
from tests.gui.trip import FRAME_MOST, FRAME_USUAL, Trip, in_sight

NETWORK_CODES = ("no-network", "index-down", "certificate", "no-wheel", "no-python", "too-slow")
GONE_SECONDS = 5.0


def open_blender(trip: Trip) -> None:
    trip.start(plugins=False)
    assert trip.blender.ask("len(bpy.data.objects)") == 3, "not a fresh user's start-up file"


def install_the_zip(trip: Trip) -> None:
    archive = STAGE / trip.archive.name
    shutil.copyfile(trip.archive, trip.machine.stage / trip.archive.name)
    trip.blender.ask(
        "bpy.ops.extensions.package_install_files("
        f"repo='user_default', filepath={str(archive)!r}, enable_on_install=True)"
    )
    assert trip.blender.ask("addon() is not None")
    trip.show_panel()
    trip.blender.wait("desk().installation.plan is not None and not desk().installation.busy", "the plan", 30.0)
    assert trip.blender.ask("desk().set_up_problem is not None"), "a fresh user has no backend yet"
    trip.blender.rest()


def set_up_the_backend(trip: Trip) -> None:
    """By the button; where no package index can be reached, with the environment of this checkout."""
    blender = trip.blender
    blender.ask("bpy.context.preferences.system.use_online_access = True")
    trip.shot("offer")
    blender.click('bpy.ops.set_dresser.install(build="none"')
    blender.wait("desk().installation.installing or desk().installation.problem is not None", "a start", 20.0)
    shown: set[str] = set()

    def ended() -> bool:
        told = blender.ask("addon().installation()")
        if told["step"] and told["written"] > 1e6 and told["step"] not in shown:
            shown.add(told["step"])
            trip.shot(f"progress {told['step']}")
        return bool(told["state"] != "installing")

    until(ended, "the installation", 600.0, 0.2)
    told = blender.ask("addon().installation()")
    code = blender.ask("desk().installation.problem.code if desk().installation.problem else ''")
    if told["state"] == "complete":
        trip.facts["backend"] = "installed by the add-on"
        trip.known["python"] = told["python"]
        assert blender.ask("desk().set_up_problem is None")
    else:
        trip.shot("refused")
        assert code in NETWORK_CODES, f"{code}: {told['message']}"
        trip.facts["backend"] = f"this checkout's; the add-on's own could not be fetched ({code}: {told['message']})"
        trip.offer_here()
    blender.rest()


def block_out_a_room(trip: Trip) -> None:
    shutil.copyfile(Path(__file__).with_name("room.py"), trip.machine.stage / "room.py")
    trip.build_room()
    assert trip.blender.ask("len(bpy.context.selected_objects)") == 3


def generate_by_a_click(trip: Trip) -> None:
    """The server is not running yet: the press starts it."""
    blender = trip.blender
    trip.known["before"] = blender.ask("objects()")
    blender.click("bpy.ops.set_dresser.generate(")
    trip.shot("pressed")
    blender.wait("any(job['id'][:4] != 'new-' for job in jobs())", "the server has the job", 60.0)
    identifier = trip.jobs()[0]["id"]
    until(lambda: trip.job(identifier)["fraction"] > 0, "progress", 60.0, 0.0)
    trip.shot("progress")
    trip.wait_for(identifier, 90.0, state="done", arrival="imported")
    trip.known["after"] = blender.ask("objects()")
    made = set(trip.known["after"]) - set(trip.known["before"])
    props = [name for name in made if trip.known["after"][name]["vertices"]]
    assert len(props) == 3, f"three props were wanted, {made} came"
    for name in ("Sofa", "Table", "Lamp"):
        assert any(trip.known["after"][name]["hidden"]), f"the block-out {name} is still to be seen"
    trip.facts["first prop, click to scene"] = f"{_seconds(trip, identifier):.1f} s, with the start of the backend"
    trip.show_panel()
    blender.rest()


def undo_and_redo_the_import(trip: Trip) -> None:
    blender = trip.blender
    blender.press("ctrl+z")
    blender.wait(f"len(bpy.data.objects) == {len(trip.known['before'])}", "one step back", 20.0)
    trip.shot("back")
    assert _differences(trip.known["before"], blender.ask("objects()")) == []
    blender.press("ctrl+shift+z")
    blender.wait(f"len(bpy.data.objects) == {len(trip.known['after'])}", "one step forward", 20.0)
    assert _differences(trip.known["after"], blender.ask("objects()")) == []
    blender.rest()


def flip_variants(trip: Trip) -> None:
    """Another one of the table, then the first again: name, place and the number of objects to be seen stay."""
    blender = trip.blender
    select = "made.select_set(True); bpy.context.view_layer.objects.active = made"
    made = next(name for name in trip.known["after"] if name.startswith("Table") and name != "Table")
    blender.ask(f"bpy.ops.object.select_all(action='DESELECT'); made = bpy.data.objects[{made!r}]; {select}")
    before = blender.ask("objects()")
    assert not blender.ask("bpy.ops.set_dresser.new_variant.poll()"), "chance has no part in inflate"
    blender.ask("bpy.context.scene.set_dresser_inflate.thickness = 0.8")
    blender.click("bpy.ops.set_dresser.again(")
    blender.wait(f"len(bpy.data.objects) == {len(before) + 1}", "the variant", 60.0)
    trip.shot("second")
    second = blender.ask("objects()")
    assert second[made]["data"] != before[made]["data"], "the same mesh is seen"
    for _ in range(2):
        blender.click("bpy.ops.set_dresser.show_variant(", RIGHT)
    blender.click("bpy.ops.set_dresser.show_variant(", RIGHT)
    first = blender.ask("objects()")
    assert first[made] == before[made], "the first one is not as it was"
    assert in_sight(first) == in_sight(second) == in_sight(before)


def read_the_preferences(trip: Trip) -> None:
    blender = trip.blender
    blender.ask(
        "bpy.context.preferences.active_section = 'ADDONS'; bpy.context.window_manager.addon_search = 'Set Dresser'\n"
        "with override(): bpy.ops.screen.userpref_show()"
    )
    blender.wait("len(bpy.context.window_manager.windows) == 2", "a window of preferences", 20.0)
    blender.ask("bpy.ops.preferences.addon_expand(module=ADDON)")
    trip.display.place("Preferences", 200, 30, 860, 740)
    blender.wait(
        "[bpy.context.window_manager.windows[-1].width, bpy.context.window_manager.windows[-1].height] == [860, 740]",
        "the larger window",
        20.0,
    )
    trip.display.move(1240, 20)  # no tooltip in the picture
    trip.shot("expanded")
    blender.ask("with override(window=-1): bpy.ops.wm.window_close()")
    blender.wait("len(bpy.context.window_manager.windows) == 1", "the end of that window", 20.0)


def quit_and_start_again(trip: Trip) -> None:
    """From here on the backend has the tests' slow and asking pipelines too."""
    blender = trip.blender
    blender.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(STAGE / 'set.blend')!r})")
    if "python" in trip.known:
        trip.use_python(f'exec "{trip.known["python"]}"')
    blender.ask("bpy.ops.wm.save_userpref()")
    quit_blender(trip)
    trip.facts["processes gone after quitting"] = f"{blender.nobody_left(GONE_SECONDS):.1f} s"
    trip.start(str(STAGE / "set.blend"))
    trip.show_panel()
    trip.blender.click("bpy.ops.set_dresser.refresh(", RIGHT)
    trip.blender.wait("{'test-box', 'test-asking'} <= {view['id'] for view in desk().pipelines}", "the list", 60.0)
    trip.build_room()
    trip.blender.rest()


def quit_blender(trip: Trip) -> None:
    """Ctrl Q; a question about unsaved changes is answered by the key of Don't Save."""
    trip.blender.press("ctrl+q")
    until(trip.blender.ended, "the end of Blender", 20.0)


def cancel_a_job(trip: Trip) -> None:
    before = trip.blender.ask("objects()")
    identifier = trip.generate("test-box", seconds=120.0)
    trip.wait_for(identifier, 30.0, state="running", stage="surface")
    trip.shot("running")
    trip.blender.click("bpy.ops.set_dresser.cancel(", RIGHT)
    trip.wait_for(identifier, 10.0, state="cancelled")
    assert _differences(before, trip.blender.ask("objects()")) == []
    assert trip.blender.ask("desk().server.state.name") == "READY"


def work_while_a_job_runs(trip: Trip) -> None:
    """The view is turned by the mouse wheel all the while; what counts is what the add-on adds to a frame."""
    blender = trip.blender
    identifier = trip.generate("test-box", seconds=20.0)
    trip.wait_for(identifier, 30.0, state="running", stage="surface")
    blender.ask("frames.watch()")
    x, y, width, height = blender.ask("region('WINDOW')")
    while trip.job(identifier)["state"] == "running":
        trip.display.scroll(x + width / 2, y + height / 2, 2)
        trip.display.scroll(x + width / 2, y + height / 2, -2)
    trip.wait_for(identifier, 30.0, state="done", arrival="imported")
    fractions = [event["fraction"] for event in trip.events(identifier) if event["state"] == "running"]
    assert fractions == sorted(fractions), f"progress runs backwards: {fractions}"
    assert len(set(fractions)) > 10, f"hardly any progress was seen: {fractions}"
    seen = blender.ask("frames.seen()")
    held = sorted(seen["slices"] + seen["panels"])
    assert len(seen["slices"]) > 30 and len(seen["panels"]) > 20, "too little was seen to say anything"
    usual, most = held[int(len(held) * 0.95)], held[-1]
    between = sorted(b - a for a, b in zip(seen["redraws"], seen["redraws"][1:], strict=False))
    trip.facts["the add-on's part of a frame"] = (
        f"{len(seen['slices'])} ticks and {len(seen['panels'])} panels: 95 % under {usual * 1000:.1f} ms, "
        f"longest {most * 1000:.1f} ms; ticks alone {max(seen['slices']) * 1000:.1f} ms"
    )
    trip.facts["view drawn"] = f"{len(between) + 1} times, every {between[len(between) // 2] * 1000:.0f} ms"
    trip.facts["import"] = f"{max(seen['imports']) * 1000:.0f} ms"
    assert usual < FRAME_USUAL, f"95 % of the frames: {usual * 1000:.1f} ms"
    assert most < FRAME_MOST, f"the longest frame: {most * 1000:.1f} ms"
    blender.rest()


def answer_a_question(trip: Trip) -> None:
    blender = trip.blender
    identifier = trip.generate("test-asking", candidates=4)
    trip.wait_for(identifier, 30.0, state="needs_input")
    loaded = "all(thumbnails.icon(question.key, choice.file) for choice in question.asked.choices)"
    lookup = f"question = desk().jobs[{identifier!r}].question; thumbnails = sys.modules[ADDON + '.answers.thumbnails']"
    blender.wait(f"{lookup}; {loaded}", "four thumbnails", 20.0)
    blender.rest()
    trip.shot("asked")
    blender.click(f'bpy.ops.set_dresser.choose(job="{identifier}", index=1', NEXT_TO_RIGHT)
    trip.shot("chosen")
    blender.click("bpy.ops.set_dresser.answer(", 0.3)
    trip.wait_for(identifier, 30.0, state="done", arrival="imported")
    warnings = blender.ask(f"[w['message'] for w in desk().jobs[{identifier!r}].warnings]")
    assert any('"chosen": [1]' in message for message in warnings), f"another answer arrived: {warnings}"


def pick_views(trip: Trip) -> None:
    """Views as thumbnails, put into slots by clicks; after a kill -9 the picks are there again, and are used."""
    blender = trip.blender
    identifier = trip.generate("test-views", photos=3, side=256)
    trip.wait_for(identifier, 30.0, state="needs_input")
    _wait_for_views(trip, identifier)
    blender.rest()
    trip.shot("asked")
    for index in (4, 8):
        blender.click(f'bpy.ops.set_dresser.pick_view(job="{identifier}", index={index}', _COLUMN[index % 3])
    blender.click(f'bpy.ops.set_dresser.move_view(job="{identifier}", slot=0, steps=1', MOVERS)
    assert blender.ask(f"{_PICKS.format(identifier)}") == [1, 0, 2, 3, 8, 5]
    trip.shot("picked")
    blender.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(STAGE / 'picking.blend')!r})")
    blender.kill()
    blender.nobody_left(GONE_SECONDS)
    trip.start(str(STAGE / "picking.blend"))
    trip.show_panel()
    blender = trip.blender
    blender.click("bpy.ops.set_dresser.refresh(", RIGHT)
    trip.wait_for(identifier, 60.0, state="needs_input")
    _wait_for_views(trip, identifier)
    blender.rest()
    trip.shot("after a kill")
    assert blender.ask(f"{_PICKS.format(identifier)}") == [1, 0, 2, 3, 8, 5]
    blender.ask(f"question = desk().jobs[{identifier!r}].question; asking = sys.modules[ADDON + '.answers.asking']")
    blender.ask("for photo in asking.draft(question).photos: photo.unfolded = False")
    blender.rest()
    trip.shot("folded")
    blender.click("bpy.ops.set_dresser.answer(", 0.3)
    trip.wait_for(identifier, 30.0, state="done")
    warnings = blender.ask(f"[w['message'] for w in desk().jobs[{identifier!r}].warnings]")
    assert any('"chosen": [1, 0, 2, 3, 8, 5]' in message for message in warnings), f"another answer: {warnings}"


_COLUMN = (0.2, 0.45, 0.7)
MOVERS = 0.4
_PICKS = (
    "(lambda question: list(question.asked.picks(sys.modules[ADDON + '.answers.asking'].draft(question))))"
    "(desk().jobs[{!r}].question)"
)


def _wait_for_views(trip: Trip, identifier: str) -> None:
    thumbnails = "thumbnails = sys.modules[ADDON + '.answers.thumbnails']"
    question = f"question = desk().jobs[{identifier!r}].question; {thumbnails}"
    loaded = "question and all(thumbnails.icon(question.key, file) for file in question.files)"
    trip.blender.wait(f"{question}; {loaded}", "the thumbnails of the views", 30.0)


def photograph_from_cameras(trip: Trip) -> None:
    """Three cameras put on the list by a click, photographed by the timer with EEVEE: pictures show the table alone,
    and the set is as it was."""
    blender, settings = trip.blender, "bpy.context.scene.set_dresser"
    trip.build_room()
    blender.ask("import room; room.photograph()")
    blender.ask(f"{settings}.pipeline = 'test-photos'; {settings}.source = 'PHOTOS'")
    blender.click("bpy.ops.set_dresser.add_photo_cameras(", 0.8)
    assert blender.ask(f"len({settings}.photos)") == 3
    trip.shot("listed")
    engine, before = blender.ask("bpy.context.scene.render.engine"), blender.ask("objects()")
    identifier = trip.generate("test-photos")
    trip.wait_for(identifier, 180.0, state="done", arrival="imported")
    told = blender.ask(f"[w['message'] for w in desk().jobs[{identifier!r}].warnings if w['code'] == 'photos']")
    came = json.loads(told[0])
    assert came["sizes"] == [[160, 100]] * 3 and came["instance_source"] == "map" and came["depth"], came
    assert [round(photo["azimuth"]) for photo in came["photos"]] == [0, 90, 180], came
    assert all(0 < opaque < 6000 for opaque in came["opaque"][1:]), f"the others show more than the table: {came}"
    after = blender.ask("objects()")
    prop = [name for name in after if name not in before and after[name]["vertices"]]
    assert len(prop) == 1 and any(after["Table"]["hidden"])
    changed = [each for each in _differences(before, after) if "Table" not in each and not each.endswith("is new")]
    assert changed == [] and blender.ask("bpy.context.scene.render.engine") == engine, changed
    blender.ask(f"{settings}.source = 'CAMERA'; {settings}.photos.clear()")
    blender.rest()


def save_and_reopen_in_a_job(trip: Trip) -> None:
    """The job goes on, and its props come into the same file, opened again; one press of Import brings others."""
    blender = trip.blender
    trip.build_room()
    identifier = trip.generate("test-box", seconds=10.0)
    trip.wait_for(identifier, 30.0, state="running", stage="surface")
    path = str(STAGE / "reopened.blend")
    blender.ask(f"bpy.ops.wm.save_as_mainfile(filepath={path!r})")
    blender.ask(f"bpy.ops.wm.open_mainfile(filepath={path!r})")
    before = blender.ask("objects()")
    trip.show_panel()
    assert trip.job(identifier)["state"] == "running", "the job has ended with the file"
    trip.shot("reopened")
    trip.wait_for(identifier, 40.0, state="done", arrival="imported")
    _stand_on_their_block_outs(before, blender.ask("objects()"))
    import_from_the_list(trip, identifier)


def _stand_on_their_block_outs(before: dict[str, Any], after: dict[str, Any]) -> None:
    props = [name for name in set(after) - set(before) if after[name]["vertices"]]
    assert len(props) == 3, f"three props were wanted, {props} came"
    for name in ("Sofa", "Table", "Lamp"):
        assert any(after[name]["hidden"]), f"the block-out {name} is still to be seen"


def import_from_the_list(trip: Trip, identifier: str) -> None:
    blender = trip.blender
    count = blender.ask("len(bpy.data.objects)")
    rows = "bpy.context.window_manager.set_dresser_jobs"
    blender.wait(f"{identifier!r} in [row.name for row in {rows}]", "a row for the job", 10.0)
    index = f"[row.name for row in {rows}].index({identifier!r})"
    blender.ask(f"bpy.context.window_manager.set_dresser_job_index = {index}")
    blender.click(f'bpy.ops.set_dresser.import_job(job="{identifier}"', 0.3)
    trip.wait_for(identifier, 30.0, arrival="imported")
    assert blender.ask("len(bpy.data.objects)") > count, "nothing was imported"
    blender.rest()


def quit_in_a_job(trip: Trip) -> None:
    blender = trip.blender
    trip.build_room()
    identifier = trip.generate("test-box", seconds=300.0)
    trip.wait_for(identifier, 30.0, state="running", stage="surface")
    trip.shot("running")
    blender.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(STAGE / 'quit.blend')!r})")
    family = len(blender.family())
    assert family >= 3, "Blender, server and worker were to be seen"
    quit_blender(trip)
    gone = blender.nobody_left(GONE_SECONDS)
    trip.facts["quit in a job"] = f"{family} processes, all gone {gone:.1f} s after the end of Blender"
    trip.start(str(STAGE / "quit.blend"))
    trip.show_panel()
    trip.blender.click("bpy.ops.set_dresser.refresh(", RIGHT)
    trip.wait_for(identifier, 60.0, state="running", stage="surface")
    trip.shot("goes on")
    trip.blender.click("bpy.ops.set_dresser.cancel(", RIGHT)
    trip.wait_for(identifier, 10.0, state="cancelled")


def kill_in_a_job(trip: Trip) -> None:
    """kill -9, and the saved file opened again: the props take their places by themselves."""
    blender = trip.blender
    trip.build_room()
    blender.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(STAGE / 'killed.blend')!r})")
    identifier = trip.generate("test-box", seconds=8.0)
    trip.wait_for(identifier, 30.0, state="running", stage="surface")
    family = len(blender.family())
    assert family >= 3, "Blender, server and worker were to be seen"
    blender.kill()
    gone = blender.nobody_left(GONE_SECONDS)
    trip.facts["kill -9 in a job"] = f"{family} processes, all gone {gone:.1f} s later"
    trip.start(str(STAGE / "killed.blend"))
    blender = trip.blender
    before = blender.ask("objects()")
    trip.show_panel()
    blender.click("bpy.ops.set_dresser.refresh(", RIGHT)
    trip.wait_for(identifier, 60.0, state="done", arrival="imported")
    trip.show_panel()
    blender.rest()
    trip.shot("came by themselves")
    _stand_on_their_block_outs(before, blender.ask("objects()"))
    import_from_the_list(trip, identifier)


def read_it_in_german(trip: Trip) -> None:
    """The words that the add-on has in another language, where this Blender has any."""
    blender = trip.blender
    if "de_DE" not in blender.ask("bpy.app.translations.locales"):
        trip.facts["german"] = "this Blender was built without languages"
        return
    blender.ask("view = bpy.context.preferences.view; view.language = 'de_DE'; view.use_translate_interface = True")
    assert blender.ask("bpy.app.translations.pgettext_iface('Generate', 'Operator')") == "Erzeugen"
    assert blender.ask("bpy.app.translations.pgettext_iface('Block-Out')") == "Block-out"
    trip.shot("panel")
    blender.ask("bpy.context.preferences.view.language = 'en_US'")


def leave(trip: Trip) -> None:
    trip.blender.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(STAGE / 'left.blend')!r})")
    quit_blender(trip)
    trip.blender.nobody_left(GONE_SECONDS)


STEPS: tuple[Callable[[Trip], None], ...] = (
    open_blender,
    install_the_zip,
    set_up_the_backend,
    block_out_a_room,
    generate_by_a_click,
    undo_and_redo_the_import,
    flip_variants,
    read_the_preferences,
    quit_and_start_again,
    cancel_a_job,
    work_while_a_job_runs,
    finish_early_and_continue,
    optimise_a_prop,
    answer_a_question,
    pick_views,
    photograph_from_cameras,
    save_and_reopen_in_a_job,
    quit_in_a_job,
    kill_in_a_job,
    dress_a_shot_on_a_studios_server,
    read_it_in_german,
    leave,
)


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is not as it was, in words."""
    found = [f"{name} is gone" for name in before if name not in after]
    found += [f"{name} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        found += [f"{name}.{key}" for key, value in before[name].items() if after[name][key] != value]
    return sorted(found)


def _seconds(trip: Trip, identifier: str) -> float:
    """From the press to the props."""
    lines = [json.loads(line) for line in (trip.machine.stage / "events.jsonl").read_text().splitlines()]
    began = next(line["time"] for line in lines if line["jobs"])
    ended = next(
        line["time"]
        for line in lines
        if any(job["id"] == identifier and job["arrival"] == "imported" for job in line["jobs"])
    )
    return float(ended - began)
