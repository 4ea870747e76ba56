"""What Magic123 cannot use gets a sentence, before anything is computed where that can be known."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import Problem
from backend.pipelines.magic123 import MAGIC123, NAME, Magic123Parameters


def refused(wrong: dict[str, Any]) -> Problem:
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        MAGIC123.check(wrong)
    return caught.value


@pytest.mark.parametrize(
    "wrong",
    [{"elevation": 81}, {"elevation": "high"}, {"likeness": 1.1}, {"side": 8}, {"fine_side": 31}, {"resolution": 16},
     {"levels": 17}, {"table": 4}, {"resolution": 257}, {"lambda_rgb": -1}, {"lambda_mask": float("nan")},
     {"t_range": [0.2]}, {"t_range": [0.2, 1.2]}, {"fine_t_range": "much"}, {"steps": 20001},
     {"known_view_interval": 0}, {"text_prior": "sdxl"}, {"checkpoint": "../run"}, {"token": "a/b"},
     {"prompt": "x" * 1001}],
)  # fmt: skip
def test_parameters_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    assert next(iter(wrong)) in refused(wrong).detail


@pytest.mark.parametrize("name", ["t_range", "fine_t_range"])
@pytest.mark.parametrize(("given", "says"), [([0.6, 0.2], "from 0.6 to 0.2"), ([0.3, 0.3], "from 0.3 to 0.3")])
def test_a_range_that_is_reversed_is_told_how_it_goes(name: str, given: list[float], says: str) -> None:
    detail = refused({name: given}).detail
    assert f"{name}: it goes {says}; give the smaller one first" in detail


@pytest.mark.parametrize("text", ["", "  \n"])
def test_the_2d_prior_wants_a_text_or_a_token(text: str) -> None:
    assert "no text and no token; write what the object is" in refused({"prompt": text}).detail
    MAGIC123.check({"prompt": text, "token": "my-vase"})
    MAGIC123.check({"prompt": text, "text_prior": "none"})


def test_one_prior_at_least_is_wanted() -> None:
    assert "choose one at least" in refused({"text_prior": "none", "view_prior": "none"}).detail


def test_an_elevation_along_the_vertical_is_told_with_those_that_can_be() -> None:
    assert "-80 to 80 degrees, or -90 for that of the camera" in refused({"elevation": -85}).detail


def test_what_is_needed_follows_from_the_priors() -> None:
    def needed(**chosen: Any) -> tuple[str, ...]:
        return Magic123Parameters.model_validate(chosen).needed_weights()

    assert needed() == ("sd15", "zero123-105000")
    assert needed(view_prior="xl") == ("sd15", "zero123-xl")
    assert needed(text_prior="none") == ("zero123-105000",) and needed(view_prior="none") == ("sd15",)
    assert needed(token="vase", checkpoint="run")[2:] == ("own/vase", "own/run")
    assert needed(token="vase", text_prior="none") == ("zero123-105000",), "nothing would be told the word"


def test_stages_follow_the_parameters() -> None:
    def stages(**chosen: Any) -> list[str]:
        return [stage.name for stage in MAGIC123.stages_of(MAGIC123.check(chosen))]

    assert stages() == ["preprocess", "coarse", "fine", "clean", "texture", "place", "export"]
    assert stages(refine="off", colour="none") == ["preprocess", "coarse", "clean", "place", "export"]
    assert stages(checkpoint="run") == ["preprocess", "fine", "clean", "texture", "place", "export"]


def test_a_draft_is_a_tenth_of_the_published_steps_and_a_number_of_ones_own_counts_more() -> None:
    steps = [
        Magic123Parameters.model_validate({"quality": each}).chosen_steps for each in ("draft", "standard", "final")
    ]
    assert steps[0] * 10 == steps[2] == 5000 and steps == sorted(steps)
    assert Magic123Parameters(quality="final", steps=7).chosen_steps == 7
    assert NAME in Magic123Parameters().prompt
