"""What the 2D prior of Magic123 is told: texts with names or tokens in their place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.errors import Problem  # noqa: E402
from backend.pipelines.magic123 import Magic123Parameters  # noqa: E402
from backend.pipelines.magic123.wording import learned_words, texts, wording  # noqa: E402
from backend.shot import Word  # noqa: E402
from tests.backend.instantmesh_shots import ONE  # noqa: E402
from tests.backend.magic123_shots import FAST, made  # noqa: E402


@pytest.mark.parametrize(
    ("prompt", "name", "token", "said"),
    [
        ("A photo of <name>", "SM_OfficeChair.002", False, "A photo of office chair"),
        ("A photo of  <token>,\n oil", "Vase", False, "A photo of Vase, oil".replace("Vase", "vase")),
        ("a teapot of blue glass", "Cube.003", False, "a teapot of blue glass"),
        ("A photo of <name>", "Cube.003", False, None),
        ("A photo of <name>", "Cube.003", True, "A photo of <token>"),
        ("A photo of <token>", "Vase", True, "A photo of <token>"),
        ("oil paint", "Vase", True, "<token>, oil paint"),
        ("", "Vase", True, "<token>"),
    ],
)  # fmt: skip
def test_a_name_or_a_token_comes_into_its_place(prompt: str, name: str, token: bool, said: str | None) -> None:
    assert wording(prompt, name, token) == said


def test_objects_whose_names_say_nothing_are_named_at_once() -> None:
    names = {3: "Vase", 4: "Cube.003", 9: ""}
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        texts(names, Magic123Parameters())
    assert "'Cube.003', 'object 9' say nothing" in caught.value.detail and "choose no 2D prior" in caught.value.hint
    assert texts({3: "Vase"}, Magic123Parameters()) == {3: "A high-resolution DSLR image of vase"}
    assert texts(names, Magic123Parameters(text_prior="none")) == {}
    known = {number: {"<this>": torch.zeros(3)} for number in names}
    assert set(texts(names, Magic123Parameters(), known).values()) == {"A high-resolution DSLR image of <token>"}


def test_a_word_of_the_picture_is_taken_and_a_token_before_it(magic123_models: Path) -> None:
    shot = replace(ONE, words={1: Word("<this>", np.ones(32, np.float32))})
    (mine,) = learned_words(shot, Magic123Parameters())[1]
    assert mine == "<this>" and learned_words(ONE, Magic123Parameters()) == {}
    assert list(learned_words(shot, Magic123Parameters(token="mine"))[1]) == ["<prop>"]
    assert learned_words(shot, Magic123Parameters(text_prior="none")) == {}
    scene, _ = made(shot, FAST.model_copy(update={"steps": 1, "view_prior": "none", "refine": "off"}))
    assert scene.props[0].quality["text"] == "A high-resolution DSLR image of <token>"
    clash = replace(ONE, words={1: Word("a", np.ones(32, np.float32))})
    with pytest.raises(Problem, match="is a word that CLIP knows already"):
        made(clash, FAST.model_copy(update={"steps": 1}))
