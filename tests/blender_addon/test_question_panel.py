"""What the artist sees of a question, in every state of it; and the values behind it."""

from __future__ import annotations

from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.answers import asking
from blender_addon.answers.questions import Question
from blender_addon.ground.messages import SetDresserError
from blender_addon.work import questions
from tests.blender_addon.recorder import Drawn, Recorder
from tests.blender_addon.test_panels import draw, record, refuse

CHOOSE: dict[str, Any] = {
    "kind": "choose",
    "title": "Choose a picture",
    "text": "It is used for the props.",
    "choices": [{"file": f"{name}.png", "label": name.title(), "note": f"Note {name}"} for name in ("a", "b", "c")],
    "least": 1,
    "most": 1,
    "default": [1],
}
INSTANCES: dict[str, Any] = {
    "kind": "instances",
    "title": "Look through",
    "picture": "picture.png",
    "overlay": "overlay.png",
    "instances": [
        {"id": 3, "name": "chair", "score": 0.5, "pixels": 120, "box": [0, 0, 9, 9], "color": [255, 0, 0]},
        {"id": 7, "name": "table", "score": None, "pixels": 40_000, "box": [0, 0, 9, 9], "color": [0, 255, 0]},
    ],
}


@pytest.fixture(autouse=True)
def registered(addon: Any) -> None:
    """The add-on; its server is never started here."""
    session.current.desk.set_up_problem = None


def ask(document: dict[str, Any]) -> Question:
    """A job that asks; nothing is fetched."""
    made = record(state="needs_input", question=Question("abc", document, shown=True))
    questions.show(session.current.line)
    return made.question


def buttons(layout: Recorder, operator: str) -> list[Drawn]:
    return [drawn for drawn in layout.drawn if getattr(drawn, "operator", "") == operator]


def test_pictures_have_a_button_each_and_the_chosen_ones_their_order() -> None:
    question = ask({**CHOOSE, "most": 2})
    layout = draw()
    found = buttons(layout, "set_dresser.choose")
    assert [(button.text, button.depress, button.given.index) for button in found] == [
        ("A", False, 0),
        ("1: B", True, 1),
        ("C", False, 2),
    ]
    assert "Note a" in layout.texts
    assert [drawn.icon_value for drawn in layout.drawn if drawn.function == "template_icon"] == [0, 0, 0]
    bpy.ops.set_dresser.choose(job="abc", index=0)
    assert asking.chosen(asking.draft(question)) == [1, 0]
    assert [button.text for button in buttons(draw(), "set_dresser.choose")] == ["2: A", "1: B", "C"]


def test_the_button_says_why_it_is_grey() -> None:
    ask({**CHOOSE, "least": 2, "most": 3})
    assert "Choose 1 more" in draw().texts
    bpy.ops.set_dresser.choose(job="abc", index=2)
    layout = draw()
    assert "more" not in layout.texts
    (button,) = buttons(layout, "set_dresser.answer")
    assert (button.text, button.given.job) == ("Use Chosen", "abc")


def test_found_objects_are_listed_and_their_picture_is_shown() -> None:
    question = ask(INSTANCES)
    layout = draw()
    assert [drawn.listtype_name for drawn in layout.drawn if drawn.function == "template_list"] == [
        "SET_DRESSER_UL_found"
    ]
    assert "2 of 2 objects kept" in layout.texts
    assert [button.given.file for button in buttons(layout, "set_dresser.open_picture")] == [
        "overlay.png",
        "picture.png",
    ]
    draft = asking.draft(question)
    for row in draft.found:
        row.keep = False
    assert "Keep at least one object" in draw().texts.replace("\n", " ")
    assert [button.text for button in buttons(layout, "set_dresser.answer")] == ["Go On"]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("index", [0, 1])
def test_a_row_shows_colour_name_pixels_and_score(index: int, keep: bool) -> None:
    draft = asking.draft(ask(INSTANCES))
    item = draft.found[index]
    item.keep = keep
    layout = Recorder()
    lists = bpy.types.SET_DRESSER_UL_found
    lists.draw_item(None, bpy.context, layout, draft, item, 0, draft, "index")
    assert layout.controls == ["ticked", "name", "keep"]
    assert ["120  0.50", "40k"][index] in layout.texts


def test_a_box_of_the_list_shows_name_and_size() -> None:
    item = bpy.context.scene.set_dresser.boxes.add()
    item.left, item.top, item.right, item.bottom = 1, 2, 31, 42
    layout = Recorder()
    bpy.types.SET_DRESSER_UL_boxes.draw_item(None, bpy.context, layout, None, item, 0, None, "box_index")
    assert (layout.controls, layout.texts) == (["name"], "30 × 40")


BROKEN = [
    {"kind": "riddle"},
    {},
    {**CHOOSE, "choices": []},
    {**CHOOSE, "choices": [{"file": "../../../etc/passwd", "label": "x"}]},
    {**CHOOSE, "default": [9]},
    {**CHOOSE, "default": None},
    {**INSTANCES, "overlay": "a/b.png"},
    {**INSTANCES, "instances": [{"id": 1}]},
]


@pytest.mark.parametrize("document", BROKEN)
def test_a_question_that_is_not_understood_is_a_sentence_and_cancel(document: dict) -> None:
    question = ask(document)
    layout = draw()
    assert "does not know this kind of question" in layout.texts.replace("\n", " ")
    assert (len(buttons(layout, "set_dresser.answer")), question.files) == (0, [])
    assert "Cancel" in [button.text for button in buttons(layout, "set_dresser.cancel")]


def test_what_the_server_has_against_an_answer_is_shown() -> None:
    ask(CHOOSE).problem = SetDresserError("Two were chosen.", "Choose one.", "answer-invalid")
    layout = draw()
    assert "Two were chosen. Choose one." in layout.texts.replace("\n", " ")
    assert "No picture" in layout.texts
    assert len(buttons(layout, "set_dresser.answer")) == 1


def test_an_answer_is_not_sent_twice() -> None:
    ask(CHOOSE).sending = True
    assert "The answer is on its way" in draw().texts
    with pytest.raises(RuntimeError, match="on its way"):
        bpy.ops.set_dresser.answer(job="abc")


def test_the_buttons_of_a_job_that_asks_nothing_say_so() -> None:
    record(state="running")
    for operator in ("choose", "merge_found", "begin_again", "answer", "open_picture"):
        with pytest.raises(RuntimeError, match="asks nothing"):
            getattr(bpy.ops.set_dresser, operator)(job="abc")


def test_drawing_a_question_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`draw` refuses files and sockets; here, that loading of thumbnails does not happen either."""
    ask(CHOOSE)
    monkeypatch.setattr("blender_addon.answers.thumbnails.load", refuse)
    draw()
