"""Fields over a picture: a broad Gaussian over blocks is that over pixels, and what is not known is continued."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from backend.imaging.background.fields import nearby, spread_out

HEIGHT, WIDTH = 130, 171


@pytest.mark.parametrize("sigma", [3.0, 9.6, 32.0])
def test_the_mean_around_a_pixel_is_that_of_a_gaussian(sigma: float) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    values = np.stack([rows / HEIGHT, columns / WIDTH, columns > WIDTH // 2], axis=-1)
    known = (rows // 12 + columns // 16) % 3 > 0
    weight = ndimage.gaussian_filter(known.astype(float), sigma, mode="nearest")[..., None]
    exact = ndimage.gaussian_filter(values * known[..., None], (sigma, sigma, 0), mode="nearest") / weight
    seen = weight[..., 0] > 0.01
    assert abs(nearby(values, known, sigma) - exact)[seen].max() < 0.03, "of values from 0 to 1"


def test_where_nothing_known_is_near_a_pixel_keeps_its_own_value() -> None:
    values, known = np.full((HEIGHT, WIDTH, 1), 5.0), np.zeros((HEIGHT, WIDTH), bool)
    values[:, :10], known[:, :10] = 1, True
    near = nearby(values, known, 9.0)
    assert near[:, 12] == pytest.approx(1) and near[:, 120] == pytest.approx(5)


def test_a_gradient_is_continued_across_what_is_not_known() -> None:
    ramp = np.linspace(0, 100, WIDTH)[None, :, None] * np.ones((HEIGHT, 1, 3))
    known = np.ones((HEIGHT, WIDTH), bool)
    known[40:80, 60:100] = False
    spread = spread_out(np.where(known[..., None], ramp, 1000), known)
    assert spread.shape == ramp.shape and abs(spread - ramp).max() < 9, "a hundred across"
    assert abs(spread - ramp)[60, 80].max() < 2
