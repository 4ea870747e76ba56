"""Weights that act as published, and the slider between the priors."""

from __future__ import annotations

from itertools import pairwise

import pytest

from models.guidance.balance import SCALE, THREESTUDIO, WRITTEN, Balance, leaning, published


def test_the_published_weights_have_the_loss_scaler_in_them() -> None:
    found = published("coarse")
    assert (found.text, found.view) == pytest.approx((1.52587890625e-5, 40 / 65536))
    assert (found.colour, found.mask) == (5.0, 0.5)
    assert published("coarse", 1.0) == WRITTEN["coarse"]
    for stage in ("coarse", "fine"):
        assert published(stage).view / published(stage).text == pytest.approx(  # type: ignore[arg-type]
            THREESTUDIO[stage].view / THREESTUDIO[stage].text  # type: ignore[index]
        )
    assert published("fine", 2 * SCALE).text == pytest.approx(published("fine").text / 2)
    with pytest.raises(ValueError, match="above 0"):
        published("fine", 0.0)


def test_the_ratios_that_the_module_tells() -> None:
    for balance in THREESTUDIO.values():
        assert balance.colour / balance.text == pytest.approx(1e4)
    assert published("coarse").colour / published("coarse").text == pytest.approx(3.3e5, rel=0.01)


def test_the_slider_has_the_published_pair_in_its_middle_and_one_prior_alone_at_its_ends() -> None:
    pair = published("coarse")
    assert leaning(pair, 0.5) == pair
    assert (leaning(pair, 0.0).text, leaning(pair, 0.0).view) == (pair.text, 0.0)
    assert (leaning(pair, 1.0).text, leaning(pair, 1.0).view) == (0.0, pair.view)


def test_the_slider_is_monotone() -> None:
    found = [leaning(Balance(1.0, 40.0, 5.0, 0.5), number / 40) for number in range(41)]
    for before, after in pairwise(found):
        assert after.text <= before.text and after.view >= before.view
        assert after.view * before.text > before.view * after.text, "and at every place it changes something"
        assert (after.colour, after.mask) == (5.0, 0.5)


@pytest.mark.parametrize("likeness", [-0.01, 1.01, float("nan")])
def test_a_slider_out_of_its_range(likeness: float) -> None:
    with pytest.raises(ValueError, match="imagination"):
        leaning(WRITTEN["coarse"], likeness)


def test_weights_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="view"):
        Balance(1.0, -1.0, 1.0, 1.0)
