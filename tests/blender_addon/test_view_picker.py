"""Generated views: seen as thumbnails, put into slots by clicks, made anew, and still picked after a kill -9."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.answers import asking, drafts, thumbnails
from blender_addon.answers.questions import Question
from blender_addon.ground import folders
from blender_addon.ground.messages import SetDresserError
from blender_addon.work import questions, results
from tests.addon_without_blender.test_views import document
from tests.backend.waiting import is_gone, until
from tests.blender_addon.processes import listen, start
from tests.blender_addon.recorder import Drawn, Recorder
from tests.blender_addon.test_asking import answers, shown
from tests.blender_addon.test_panels import draw, record
from tests.blender_addon.test_session import PATIENCE, pump_until

DEFAULT = (0, 1, 2, 3, 4, 5)


@pytest.fixture(autouse=True)
def plugins(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline,asking_pipeline,views_pipeline")
    session.current.desk.set_up_problem = None


@pytest.fixture
def question(addon: Any) -> Question:
    """A job asks for views of two photos; nothing is fetched, and there is no server."""
    made = record(state="needs_input", question=Question("abc", document(), shown=True))
    questions.show(session.current.line)
    return made.question


def click(*indices: int) -> None:
    for index in indices:
        bpy.ops.set_dresser.pick_view(job="abc", index=index)


def buttons(layout: Recorder, name: str) -> list[Drawn]:
    return [drawn for drawn in layout.drawn if getattr(drawn, "operator", "") == f"set_dresser.{name}"]


def ask(addon: Any, picture: Path, **parameters: Any) -> Any:
    """A job that waits for views."""
    return addon.generate(source=picture, pipeline="test-views", parameters=parameters, seed=4)


def begin_anew(addon: Any) -> None:
    """As Blender ended and started does, within this process."""
    addon.unregister()
    addon.register()
    addon.start_server()


def asks_again(addon: Any, identifier: str) -> Any:
    """The job of a former Blender, when its question and all its pictures are here."""
    job = next(each for each in addon.jobs() if each.id == identifier)
    pump_until(lambda: job.question, "the question")
    shown(job)
    return job


# clicks


def test_it_begins_with_what_is_proposed(question: Question) -> None:
    assert asking.picks(question) == DEFAULT
    assert asking.answer(question) == {"chosen": [0, 1, 2, 3, 4, 5]}


def test_clicks_fill_the_slots_in_order_and_take_back(question: Question) -> None:
    bpy.ops.set_dresser.clear_slots(job="abc")
    assert asking.picks(question) == (None,) * 6
    click(7, 2, 11)
    assert asking.picks(question) == (7, 2, 11, None, None, None)
    click(2)
    assert asking.picks(question) == (7, None, 11, None, None, None)
    click(0, 1, 3, 4)
    assert asking.picks(question) == (7, 0, 11, 1, 3, 4)
    click(5)
    assert asking.picks(question) == (7, 0, 11, 1, 3, 4), "all slots are filled"
    bpy.ops.set_dresser.begin_again(job="abc")
    assert asking.picks(question) == DEFAULT


def test_slots_are_moved_and_cleared(question: Question) -> None:
    bpy.ops.set_dresser.move_view(job="abc", slot=0, steps=1)
    bpy.ops.set_dresser.move_view(job="abc", slot=1, steps=1)
    assert asking.picks(question) == (1, 2, 0, 3, 4, 5)
    bpy.ops.set_dresser.move_view(job="abc", slot=0, steps=-1)
    bpy.ops.set_dresser.move_view(job="abc", slot=5, steps=1)
    assert asking.picks(question) == (1, 2, 0, 3, 4, 5), "the ends are the ends"
    bpy.ops.set_dresser.clear_slot(job="abc", slot=2)
    bpy.ops.set_dresser.move_view(job="abc", slot=2, steps=1)
    assert asking.picks(question) == (1, 2, 3, None, 4, 5), "an empty slot moves as well"


def test_nothing_but_the_slots_changes(question: Question) -> None:
    """No undo step, no change of the file."""
    from blender_addon.ui.operators import views as operators
    from tests.blender_addon.snapshots import everything

    assert not [each for each in operators.CLASSES if "UNDO" in each.bl_options]
    before = everything()
    click(3, 9)
    bpy.ops.set_dresser.move_view(job="abc", slot=1, steps=1)
    assert everything() == before


@pytest.mark.parametrize(
    "act",
    [
        lambda: bpy.ops.set_dresser.pick_view(job="abc", index=12),
        lambda: bpy.ops.set_dresser.pick_view(job="abc", index=-1),
        lambda: bpy.ops.set_dresser.clear_slot(job="abc", slot=6),
        lambda: bpy.ops.set_dresser.regenerate_views(job="abc", photo=2),
    ],
)
def test_what_is_not_there_is_a_sentence(question: Question, act: Any) -> None:
    with pytest.raises(RuntimeError, match=r"There is no|no views like that"):
        act()
    assert session.current.desk.problem.code == "answer-invalid"
    assert asking.picks(question) == DEFAULT


def test_buttons_for_views_say_so_where_another_thing_is_asked(addon: Any) -> None:
    record(state="needs_input", question=Question("abc", {"kind": "riddle"}, shown=True))
    for name in ("pick_view", "move_view", "clear_slot", "clear_slots"):
        with pytest.raises(RuntimeError, match="no views like that"):
            getattr(bpy.ops.set_dresser, name)(job="abc")
    with pytest.raises(RuntimeError, match="does not ask for views"):
        bpy.ops.set_dresser.regenerate_views(job="abc")
    for call in (lambda: addon.pick_views("abc", []), lambda: addon.regenerate_views("abc", 0)):
        with pytest.raises(SetDresserError) as caught:
            call()
        assert caught.value.code == "input-not-expected"


# the panel


def test_every_view_has_a_picture_and_a_button_that_tells_its_slot(question: Question) -> None:
    bpy.ops.set_dresser.clear_slots(job="abc")
    click(6, 1)
    layout = draw()
    found = buttons(layout, "pick_view")
    assert [(button.given.index, button.text) for button in found if button.depress] == [(1, "2: 90°"), (6, "1: 70°")]
    assert [button.text for button in found[:3]] == ["30°", "2: 90°", "150°"]
    assert len([drawn for drawn in layout.drawn if drawn.function == "template_icon"]) == 2 + 12 + 6
    assert "P0" in layout.texts and "40°" in layout.texts
    assert [button.given.photo for button in buttons(layout, "regenerate_views")] == [0, 1]
    for place in ("1:  30° · +20°", "2:  90° · −10°", "6:  330° · −10°"):
        assert place in layout.texts
    assert len(buttons(layout, "move_view")) == 12 and len(buttons(layout, "clear_slot")) == 6


def test_reconstruct_is_grey_with_a_reason_until_all_slots_are_filled(question: Question) -> None:
    layout = draw()
    assert [button.text for button in buttons(layout, "answer")] == ["Reconstruct"]
    assert "more view" not in layout.texts
    click(3, 4)
    assert "Choose 2 more views" in draw().texts
    assert asking.hindrance(question) == "Choose 2 more views"
    with pytest.raises(RuntimeError, match="Choose 2 more views"):
        bpy.ops.set_dresser.answer(job="abc")


def test_what_is_wrong_with_the_picks_is_said_at_once(question: Question) -> None:
    assert "show" not in draw().texts.replace("Show Views", "")
    click(3, 4)
    assert "Nothing shows the side from 150° to 330°" in draw().texts.replace("\n", " ")
    assert {button.text for button in buttons(draw(), "begin_again")} == {"Use Defaults"}


def test_the_azimuth_of_a_photo_that_is_not_known_is_called_assumed(addon: Any) -> None:
    told = document()
    told["photos"][1]["known"] = False
    record(state="needs_input", question=Question("abc", told, shown=True))
    questions.show(session.current.line)
    assert "40° assumed" in draw().texts and "0° assumed" not in draw().texts.replace("40° assumed", "")


def test_the_views_of_a_photo_are_folded_away(question: Question) -> None:
    asking.draft(question).photos[0].unfolded = False
    layout = draw()
    assert [button.given.index for button in buttons(layout, "pick_view")] == [6, 7, 8, 9, 10, 11]
    assert len(buttons(layout, "regenerate_views")) == 2


@pytest.mark.parametrize(("width", "columns"), [(160, 1), (280, 3), (420, 3), (700, 6)])
def test_views_fit_the_width_of_the_panel(question: Question, width: int, columns: int) -> None:
    from blender_addon.ui.panels.question import draw_question

    preferences = bpy.context.preferences
    layout = Recorder()
    draw_question(layout, SimpleNamespace(region=SimpleNamespace(width=width), preferences=preferences), question)
    grids = [drawn.columns for drawn in layout.drawn if drawn.function == "grid_flow"]
    assert grids == [columns, columns, 2]
    pictures = [drawn.scale * 20 for drawn in layout.drawn if drawn.function == "template_icon"]
    assert max(pictures[1:7]) * columns <= width
    assert max(pictures[-6:]) * 2 <= width


def test_a_tooltip_tells_which_view_it_is(question: Question) -> None:
    describe = bpy.types.SET_DRESSER_OT_pick_view.description
    said = describe(bpy.context, SimpleNamespace(job="abc", index=7))
    assert said.startswith("P1 1 · 130° · −10°.\nPut this view") and not said.endswith(".")
    assert describe(bpy.context, SimpleNamespace(job="gone", index=7)).startswith("Put this view")


# with the real backend


def test_thumbnails_come_and_the_picks_are_answered(addon: Any, picture: Path) -> None:
    job = ask(addon, picture)
    question = shown(job)
    assert len(question.files) == 14
    assert tuple(thumbnails._previews[f"{question.key}/view-1-4-5.png"].image_size) == (64, 64)
    bpy.ops.set_dresser.pick_view(job=job.id, index=2)
    bpy.ops.set_dresser.pick_view(job=job.id, index=7)
    bpy.ops.set_dresser.answer(job=job.id)
    job.wait(PATIENCE)
    assert answers(job) == [{"chosen": [0, 1, 7, 3, 4, 5]}]
    assert (thumbnails.count(), len(job.objects)) == (0, 1)


def test_the_calls_take_pairs_and_make_views_anew(addon: Any, picture: Path) -> None:
    job = ask(addon, picture)
    addon.regenerate_views(job, 1, seed=9)
    assert job.wait(PATIENCE).question["photos"][1]["seed"] == 9
    addon.regenerate_views(job.id, 1)
    assert job.wait(PATIENCE).question["photos"][1]["seed"] == 10
    with pytest.raises(SetDresserError, match="no view 0:6") as caught:
        addon.pick_views(job, [(0, 6)])
    assert "0:0, 0:1" in caught.value.hint
    with pytest.raises(SetDresserError, match="asked for"):
        addon.pick_views(job, [(0, 0), (0, 1)])
    addon.pick_views(job, [(1, 5), (0, 1), (0, 2), (1, 3), (0, 4), (0, 0)])
    job.wait(PATIENCE)
    assert answers(job)[-1] == {"chosen": [11, 1, 2, 9, 4, 0]}


@pytest.mark.parametrize("same_names", [False, True])
def test_views_made_anew_are_new_pictures_and_the_other_picks_stay(addon: Any, picture: Path, same_names: bool) -> None:
    job = ask(addon, picture, same_names=same_names)
    before = shown(job)
    for index in (1, 4, 8, 10):
        bpy.ops.set_dresser.pick_view(job=job.id, index=index)
    assert asking.picks(before) == (0, 8, 2, 3, 10, 5)
    pixels = [bytes_of(before, photo) for photo in (0, 1)]
    bpy.ops.set_dresser.regenerate_views(job=job.id, photo=0)
    job.wait(PATIENCE)
    after = shown(job)
    assert ([photo.seed for photo in after.photos], after.key != before.key) == ([5, 4], True)
    assert [bytes_of(after, photo) != pixels[photo] for photo in (0, 1)] == [True, False]
    assert asking.picks(after) == (None, 8, None, None, 10, None)
    bpy.ops.set_dresser.pick_view(job=job.id, index=0)
    assert asking.picks(after)[0] == 0


def bytes_of(question: Question, photo: int) -> list[bytes]:
    files = [view.file for view in question.views if view.photo == photo]
    return [results.picture_path(question, file).read_bytes() for file in files]


# drafts


def test_a_killed_blender_finds_its_question_and_its_picks_again(
    addon: Any, picture: Path, python_with_plugin: Path
) -> None:
    """kill -9 in the middle of picking; this Blender, of the same user, goes on."""
    user = Path(os.environ["BLENDER_USER_RESOURCES"])
    with start("pick_and_wait_to_be_killed", picture, python=python_with_plugin, user=user) as blender:
        try:
            told = listen(blender)
        finally:
            blender.kill()
        blender.wait(10)
    until(lambda: is_gone(told["pid"]), "the end of its server", 10.0)
    begin_anew(addon)
    job = asks_again(addon, told["id"])
    question = session.current.desk.jobs[job.id].question
    assert asking.picks(question) == tuple(told["picks"]) == (0, 7, 2, 3, None, 5)
    assert "Choose 1 more view" in draw().texts
    bpy.ops.set_dresser.pick_view(job=job.id, index=11)
    bpy.ops.set_dresser.answer(job=job.id)
    pump_until(lambda: job.state == "done", "the end")
    assert answers(job)[-1] == {"chosen": [0, 7, 2, 3, 11, 5]}
    assert list((folders.user() / "drafts").iterdir()) == []


def test_drafts_of_the_other_kinds_survive_too(addon: Any, picture: Path) -> None:
    chooses = addon.generate(source=picture, pipeline="test-asking", parameters={"candidates": 4})
    bpy.ops.set_dresser.choose(job=chooses.id, index=3)
    session.pump()
    begin_anew(addon)
    chooses = asks_again(addon, chooses.id)
    assert asking.answer(session.current.desk.jobs[chooses.id].question) == {"chosen": [3]}
    chooses.cancel()
    pump_until(lambda: chooses.state == "cancelled", "the cancellation")
    finds = addon.generate(source=picture, pipeline="test-asking", parameters={"asks": "instances", "found": 4})
    made = asking.draft(shown(finds))
    made.found[1].ticked = made.found[3].ticked = True
    bpy.ops.set_dresser.merge_found(job=finds.id)
    made.found[0].keep, made.found[1].name = False, "Sofa"
    session.pump()
    rows = [(row.name, row.ids, row.keep, row.pixels, row.score) for row in made.found]
    begin_anew(addon)
    finds = asks_again(addon, finds.id)
    again = asking.draft(session.current.desk.jobs[finds.id].question)
    assert [(row.name, row.ids, row.keep, row.pixels, row.score) for row in again.found] == rows


def test_another_file_opened_keeps_the_picks(question: Question) -> None:
    click(2, 8)
    session.pump()
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert asking.picks(question) == (0, 1, 8, 3, 4, 5)


def test_only_what_was_changed_is_written_and_it_is_whole(question: Question) -> None:
    folder = folders.user() / "drafts"
    session.pump()
    assert not folder.exists(), "the proposal is not written"
    click(2)
    session.pump()
    (path,) = folder.iterdir()
    written = json.loads(path.read_text())
    assert (path.name, written["question"], written["draft"]["slots"][2]) == ("abc.json", question.digest, None)
    path.unlink()
    session.pump()
    assert not path.exists(), "what has not changed is not written again"


def test_a_draft_goes_when_the_job_ends(question: Question) -> None:
    click(2)
    session.pump()
    path = folders.user() / "drafts" / "abc.json"
    session.current.desk.jobs["abc"].put_back()
    session.current.desk.changed()
    session.pump()
    assert path.exists(), "its server has left; it will ask again"
    session.current.desk.jobs["abc"].state = "failed"
    session.current.desk.changed()
    session.pump()
    assert not path.exists()


def test_an_old_draft_goes_and_a_spoilt_one_is_left_aside(addon: Any) -> None:
    folder = folders.user() / "drafts"
    folder.mkdir()
    named = Question("abc", document())
    values = {"format": 1, "question": named.digest, "kind": "views"}
    spoilt = [b"", b"{", b"[]", b'{"format": 2}', b"\xff"]
    spoilt += [json.dumps({**values, "draft": draft}).encode() for draft in ({}, [], {"slots": 3}, {"slots": [1]})]
    for data in spoilt:
        (folder / "abc.json").write_bytes(data)
        drafts.register()
        asking.keep({named.key: named})
        assert asking.picks(named) == DEFAULT, data
        asking.keep({})
    old = time.time() - drafts.LONGEST_SECONDS - 60
    for name in ("old.json", ".old.json.77.part"):
        (folder / name).write_bytes(b"{}")
        os.utime(folder / name, (old, old))
    drafts.register()
    assert [path.name for path in folder.iterdir()] == ["abc.json"]


def test_a_disk_that_is_full_is_told_and_the_picks_stay(question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drafts, "write_whole", full)
    click(2)
    session.pump()
    assert "No space left" in session.current.desk.problem.message
    assert asking.picks(question)[2] is None
    session.current.desk.problem = None
    session.pump()
    assert session.current.desk.problem is None, "it is told once"


def test_a_tick_with_many_views_stays_short(addon: Any, current: Any) -> None:
    """Sixty views: comparing the draft with what was written is all that a tick does of it."""
    asked = record(state="needs_input", question=Question("abc", document((4,) * 10), shown=True)).question
    questions.show(current.line)
    began = time.process_time()
    for _ in range(20):
        asking.save(current.desk.report)
    assert (time.process_time() - began) / 20 < 0.002
    assert len(asking.draft(asked).choices) == 60
