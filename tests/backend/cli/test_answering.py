"""What the command line answers to a question: picks given beforehand, picks typed in, or what is proposed."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.cli.answering import answer, read_picks
from backend.errors import Problem
from backend.questions import Choice, ChooseQuestion, ViewChoice, ViewPhoto, ViewSlot, ViewsQuestion

VIEWS = ViewsQuestion(
    title="Choose 6 views",
    choices=[
        ViewChoice(
            file=f"v{photo}{view}.png",
            label=f"{photo}:{view}",
            photo=photo,
            view=view,
            azimuth=60.0 * view,
            elevation=0,
        )
        for photo in range(2)
        for view in range(6)
    ],
    photos=[ViewPhoto(name=f"{photo}", file="p.png", seed=photo, azimuth=0, known=True) for photo in range(2)],
    slots=[ViewSlot(azimuth=60.0 * slot, elevation=0) for slot in range(6)],
    default=[0, 1, 2, 3, 4, 5],
    true_cameras=True,
    contact_sheet="contact.png",
).model_dump(mode="json")
PICTURES = ChooseQuestion(
    title="Which?", choices=[Choice(file=f"{index}.png", label="x") for index in range(3)], most=2, default=[1]
).model_dump(mode="json")


def given(question: dict[str, Any], picks: str | None, ask: bool = False) -> dict[str, Any]:
    return answer(question, None if picks is None else read_picks(picks), ask, lambda name: Path("kept") / name)


def test_pairs_and_numbers_mean_the_same_views_in_the_order_given() -> None:
    pairs = given(VIEWS, "1:5, 0:0,0:1,0:2,0:3,1:0")
    assert pairs == {"chosen": [11, 0, 1, 2, 3, 6]} == given(VIEWS, "11,0,1,2,3,6")
    assert given(VIEWS, None) == {"chosen": [0, 1, 2, 3, 4, 5]}
    assert given(PICTURES, "2,0") == {"chosen": [2, 0]}


@pytest.mark.parametrize(
    ("question", "picks", "sentence"),
    [
        (VIEWS, "0:0,0:1,0:2,0:3,0:4", "5 views were chosen; 6 are asked for"),
        (VIEWS, "0:0,0:1,0:2,0:3,0:4,0:6", "There is no view 6 of photo 0"),
        (VIEWS, "0:0,0:1,0:2,0:3,0:4,2:0", "There is no view 0 of photo 2"),
        (VIEWS, "0,1,2,3,4,12", "There is no view 12; there are 0 to 11"),
        (VIEWS, "0:0,0:1,0:2,0:3,0:4,0:0", "0:0 was chosen twice"),
        (VIEWS, "0:0,left", "--pick takes numbers"),
        (VIEWS, "", "--pick takes numbers"),
        (VIEWS, "-1,0,1,2,3,4", "--pick takes numbers"),
        (PICTURES, "0:1", "no photos to choose from"),
        (PICTURES, "0,1,2", "3 were chosen"),
    ],
)
def test_picks_that_do_not_fit_get_a_sentence(question: dict[str, Any], picks: str, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        given(question, picks)


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Types lines, one for each prompt."""

    def lines(*typed: str) -> None:
        waiting = iter(typed)
        monkeypatch.setattr("builtins.input", lambda prompt: next(waiting))

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    yield lines


def test_the_terminal_shows_the_contact_sheet_and_asks_until_the_picks_fit(
    typing: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    typing("0:0", "0:0,0:1,0:2,0:3,0:4,1:5")
    assert given(VIEWS, None, ask=True) == {"chosen": [0, 1, 2, 3, 4, 11]}
    said = capsys.readouterr()
    assert str(Path("kept") / "contact.png") in said.out and "1 views were chosen" in said.err


def test_the_terminal_takes_the_proposal_and_can_have_views_made_anew(typing: Callable[..., None]) -> None:
    typing("", "again 1", "again 0 42", "again 5", "")
    assert given(VIEWS, None, ask=True) == {"chosen": [0, 1, 2, 3, 4, 5]}
    assert given(VIEWS, None, ask=True) == {"regenerate": {"photo": 1, "seed": None}}
    assert given(VIEWS, None, ask=True) == {"regenerate": {"photo": 0, "seed": 42}}
    assert given(VIEWS, None, ask=True) == {"chosen": [0, 1, 2, 3, 4, 5]}, "there is no photo 5, so it asked once more"


def test_without_a_terminal_nobody_is_asked() -> None:
    with pytest.raises(Problem, match="no terminal"):
        given(VIEWS, None, ask=True)


def test_a_question_of_a_plug_in_is_not_guessed_at() -> None:
    with pytest.raises(Problem, match="input-not-expected"):
        given({"title": "Which views?"}, "1")
