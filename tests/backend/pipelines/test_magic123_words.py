"""What the 2D prior of Magic123 is told: texts with names or tokens in their place."""

from __future__ import annotations

import pytest

from backend.errors import Problem
from backend.pipelines.magic123 import Magic123Parameters
from backend.pipelines.magic123.wording import texts, wording


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
    assert "'Cube.003', 'object 9' says nothing" in caught.value.detail and "choose no 2D prior" in caught.value.hint
    assert texts({3: "Vase"}, Magic123Parameters()) == {3: "A high-resolution DSLR image of vase"}
    assert texts(names, Magic123Parameters(text_prior="none")) == {}
    assert len(texts(names, Magic123Parameters(token="mine"))) == 3
