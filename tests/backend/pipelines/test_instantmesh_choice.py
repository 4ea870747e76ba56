"""Who chooses the views, and that a choice leads to the same prop whatever way it came."""

from __future__ import annotations

import gc
import json
import shutil
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.contract import Result, Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.png import from_png  # noqa: E402
from backend.jobs.answers import add_answer  # noqa: E402
from backend.pipelines.instantmesh.choosing import CAPTION, THUMBNAIL  # noqa: E402
from backend.questions import read_question  # noqa: E402
from backend.residency import residency  # noqa: E402
from models.zero123plus.pipeline import Zero123Plus  # noqa: E402
from tests.backend.instantmesh_shots import (  # noqa: E402
    COLOURS,
    ONE,
    PLAIN,
    THREE,
    Kept,
    attempt,
    job_folder,
    made,
    photo,
    request_of,
    shot_of,
    stages,
    warnings,
)

pytestmark = pytest.mark.usefixtures("instantmesh_models")

SIDES = (0, 120, 240)
PICTURES = [photo(colour) for colour in COLOURS]


class Died(Exception):
    """The worker is gone."""


def dies(question: dict[str, Any]) -> dict[str, Any]:
    raise Died


@pytest.fixture
def sheets_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each sheet that is made from now on."""
    made, denoise = [], Zero123Plus.denoise

    def counted(self: Zero123Plus, *args: Any) -> Any:
        made.append(1)
        return denoise(self, *args)

    monkeypatch.setattr(Zero123Plus, "denoise", counted)
    return made


def asked(kept: Kept, answers: list[dict[str, Any]] | None = None, **options: Any) -> list[dict[str, Any]]:
    """The questions of a run that is answered so and dies at the next one, if there is one."""
    questions: list[dict[str, Any]] = []
    waiting = list(answers or [])

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        questions.append(question)
        if not waiting:
            raise Died
        read_question(question).check(waiting[0])  # type: ignore[union-attr]
        return waiting.pop(0)

    with suppress(Died):
        made(options.pop("shot", THREE), options.pop("parameters", PLAIN), kept=kept, answer=answer, **options)
    return questions


def same_mesh(one: Path, other: Path) -> bool:
    """Whether two jobs have come to the same file, byte for byte."""
    first, second = ((folder / "output" / "scene.glb").read_bytes() for folder in (one, other))
    return first == second


@pytest.mark.parametrize(
    ("choose", "several", "asks"),
    [("several", False, False), ("several", True, True), ("always", False, True), ("never", True, False)],
)
def test_it_is_asked_where_there_is_something_to_choose_or_where_the_user_wants_it(
    choose: str, several: bool, asks: bool, views: Kept
) -> None:
    parameters = PLAIN.model_copy(update={"choose": choose})
    assert len(asked(views, shot=THREE if several else ONE, parameters=parameters)) == int(asks)


def test_the_question_shows_all_views_and_proposes_those_next_to_each_photo(views: Kept) -> None:
    (question,) = asked(views)
    read = read_question(question)
    assert read is not None and read.kind == "views" and read.title == "Choose 6 views" and "'Vase'" in read.text
    assert len(question["choices"]) == 18 and question["true_cameras"]
    assert sorted(question["default"]) == [0, 5, 6, 11, 12, 17]
    assert [(each["azimuth"], each["known"], each["seed"]) for each in question["photos"]] == [
        (0, True, 1),
        (120, True, 2),
        (240, True, 3),
    ]
    for choice in question["choices"]:
        assert from_png(views[choice["file"]]).shape == (320, 320, 3)
    for index, row in enumerate(question["photos"]):
        cut = from_png(views[row["file"]])
        assert cut.shape == (320, 320, 4) and cut[0, 0, 3] == 0
        assert np.abs(cut[160, 160, :3].astype(int) - COLOURS[index]).max() < 4
    contact = from_png(views["contact-1.png"])
    assert contact.shape == (3 * (THUMBNAIL + CAPTION), 6 * THUMBNAIL, 3)
    row, column = THUMBNAIL + CAPTION, 2 * THUMBNAIL
    there = contact[row : row + THUMBNAIL, column : column + THUMBNAIL]
    assert np.array_equal(there, from_png(views[question["choices"][8]["file"]])), "view 3 of photo 2 in its place"
    assert contact[THUMBNAIL : THUMBNAIL + CAPTION].min() < 100, "every view has its caption"


def test_of_unknown_sides_it_is_said_that_they_are_assumed(views: Kept) -> None:
    (question,) = asked(views, shot=shot_of(0, None, None))
    assert "not known" in question["text"] and not question["true_cameras"]
    assert [each["known"] for each in question["photos"]] == [True, False, False]
    (question,) = asked(views)
    assert "not known" not in question["text"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"chosen": [0, 1, 2, 3, 4]}, "5 views were chosen; 6"),
        ({"chosen": [0, 1, 2, 3, 4, 5, 6]}, "7 views were chosen; 6"),
        ({"chosen": [0, 1, 2, 3, 4, 4]}, "View 5 of photo 1 was chosen twice"),
        ({"chosen": [0, 1, 2, 3, 4, 18]}, "no view 18; there are 0 to 17"),
        ({"chosen": [0, 1, 2, 3, 4, -1]}, "chosen.5"),
        ({"chosen": ["a"] * 6}, "chosen.0"),
        ({"regenerate": {"photo": 3}}, "no photo 3; there are 0 to 2"),
        ({"regenerate": {"photo": 0, "seed": -1}}, "regenerate.seed"),
        ({"chosen": [0, 1, 2, 3, 4, 5], "regenerate": {"photo": 0}}, "either"),
        ({}, "either"),
        ({"picked": []}, "picked"),
    ],
)
def test_a_choice_that_does_not_fit_gets_a_sentence(answer: dict[str, Any], words: str, views: Kept) -> None:
    (question,) = asked(views)
    read = read_question(question)
    assert read is not None
    with pytest.raises(Problem) as caught:
        read.check(answer)
    assert caught.value.code == "answer-invalid" and words in caught.value.detail and caught.value.hint
    read.check(read.default_answer())


def test_views_of_another_seed_are_those_of_that_photo_only(views: Kept, sheets_made: list[int]) -> None:
    kept = dict(views)
    questions = asked(kept, [{"regenerate": {"photo": 1, "seed": 77}}, {"regenerate": {"photo": 1}}])
    assert len(sheets_made) == 2 and len(questions) == 3
    files = [[choice["file"] for choice in question["choices"]] for question in questions]
    for before, after in pairwise(files):
        assert before[:6] == after[:6] and before[12:] == after[12:], "the others keep their files"
        assert all(kept[one] != kept[other] for one, other in zip(before[6:12], after[6:12], strict=True))
    assert [question["photos"][1]["seed"] for question in questions] == [2, 77, 77 + 12]
    assert all(kept[name] == data for name, data in views.items() if name.startswith("view-")), "nothing is overwritten"
    assert len(asked(kept, [{"regenerate": {"photo": 1, "seed": 77}}])) == 2 and len(sheets_made) == 2, "and back again"


def test_where_views_of_another_seed_cannot_be_used_the_former_stay(
    views: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Zero123Plus, latents: Any) -> Any:
        raise FloatingPointError

    monkeypatch.setattr(Zero123Plus, "decode", broken)
    kept, said = dict(views), []
    questions = asked(kept, [{"regenerate": {"photo": 1, "seed": 78}}], report=said.append)
    assert questions[0] == questions[1]
    assert {name for name in kept if name.startswith("view-")} == views.keys(), "nothing is kept of them"
    (warning,) = [each for each in said if isinstance(each, Warning) and each.code == "geometry-failed"]
    assert "photo 2" in warning.message and "no numbers" in warning.message and "former" in warning.message


def test_networks_that_are_held_while_the_user_thinks_can_go_to_the_last_one(
    views: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    residency.clear()
    opened: list[Zero123Plus] = []
    original = Zero123Plus.from_pretrained

    def spied(*args: Any, **options: Any) -> Zero123Plus:
        opened.append(original(*args, **options))
        return opened[-1]

    monkeypatch.setattr(Zero123Plus, "from_pretrained", spied)

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        (pipeline,) = opened
        assert residency.bytes_on("cpu") >= pipeline.loaded_bytes > 0
        residency.clear()
        assert pipeline.loaded_bytes == 0
        gc.collect()
        held = {type(each).__name__ for each in gc.get_objects()}
        assert not held & {"UNet2DConditionModel", "AutoencoderKL", "LargeReconstructionModel"}
        return {"chosen": question["default"]}

    made(ONE, PLAIN.model_copy(update={"choose": "always"}), seed=21, answer=answer)


def test_the_default_the_answer_and_the_resumed_job_come_to_the_same_mesh(
    tmp_path: Path, sheets_made: list[int]
) -> None:
    """The job dies when it asks, is answered while nobody runs it, and goes on where it was."""
    folders = {name: tmp_path / name for name in ("default", "answered", "resumed", "other")}
    waiting = job_folder(folders["resumed"], request_of(PLAIN, *SIDES), *PICTURES)
    with pytest.raises(Died):
        attempt(waiting, dies)
    assert len(sheets_made) == 3
    for name in ("default", "answered", "other"):
        shutil.copytree(waiting, folders[name])
    never = request_of(PLAIN.model_copy(update={"choose": "never"}), *SIDES)
    (folders["default"] / "request.json").write_text(never.model_dump_json())
    default = attempt(folders["default"])
    questions: list[dict[str, Any]] = []

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        questions.append(question)
        return {"chosen": default_picks}

    with pytest.raises(Died):
        attempt(waiting, lambda question: questions.append(question) or dies(question))  # type: ignore[func-returns-value]
    default_picks = questions[0]["default"]
    assert picks(default) == [[index // 6, index % 6] for index in default_picks]
    attempt(folders["answered"], answer)
    assert questions[0] == questions[1], "it asks the very same again"
    add_answer(folders["resumed"], questions[0], {"chosen": default_picks})
    resumed = attempt(folders["resumed"])
    other = attempt(folders["other"], lambda question: {"chosen": [0, 1, 2, 3, 4, 5]})
    assert len(sheets_made) == 3, "no view was made anew"
    assert same_mesh(folders["default"], folders["answered"]) and same_mesh(folders["default"], folders["resumed"])
    assert not same_mesh(folders["default"], folders["other"])
    assert picks(other) == [[0, view] for view in range(6)] and picks(resumed) == picks(default)
    assert {"contact-1.png", "sheet-1.png", "photo-1-2.png"} <= {path.name for path in (waiting / "kept").iterdir()}


def test_a_resumed_job_goes_through_new_seeds_too(tmp_path: Path, sheets_made: list[int]) -> None:
    folder = job_folder(tmp_path / "job", request_of(PLAIN, 0, 180), *PICTURES[:2])
    questions: list[dict[str, Any]] = []

    def new_seed_then_dies(question: dict[str, Any]) -> dict[str, Any]:
        questions.append(question)
        if len(questions) == 2:
            raise Died
        add_answer(folder, question, {"regenerate": {"photo": 0, "seed": 5}})
        return {"regenerate": {"photo": 0, "seed": 5}}

    with pytest.raises(Died):
        attempt(folder, new_seed_then_dies)
    assert len(sheets_made) == 3
    result = attempt(folder, lambda question: questions.append(question) or {"chosen": question["default"]})  # type: ignore[func-returns-value]
    assert len(questions) == 3 and questions[1] == questions[2], "the first answer counts still"
    assert len(sheets_made) == 3
    assert result.props[0].quality["seeds"] == [5, 2]


def test_what_a_choice_lacks_is_told_and_the_job_goes_on(views: Kept) -> None:
    chosen = {"chosen": [0, 1, 2, 3, 6, 10]}  # 30, 90, 150, 210, 150 and 30 degrees
    _, said = made(THREE, PLAIN.model_copy(update={"cameras": "slots"}), kept=views, answer=lambda question: chosen)
    assert Counter(warnings(said)) == {("views-alike", 1): 2, ("views-gap", 1): 1, ("view-off-slot", 1): 2}
    assert stages(said)[-1] == "place"


def picks(result: Result) -> list[list[int]]:
    found: list[list[int]] = json.loads(json.dumps(result.props[0].quality["picks"]))
    return found
