"""Plates thinner than the prior can tell, as fields from formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.multiview.plates import plates

SIDE, HIGH = 40, 30
X, Y, Z = torch.meshgrid(torch.arange(SIDE) - 19.5, torch.arange(SIDE) - 19.5, torch.arange(HIGH) - 12.0, indexing="ij")
RADIUS = torch.hypot(X, Y)
HULL = torch.maximum(RADIUS - 18, Z.abs() - 10)


def plate(middle: Tensor, inner: float) -> Tensor:
    """A plate three cells thick of which nothing is left within a radius but a valley."""
    return (Z - middle).abs() + torch.where(inner > RADIUS, 0.8, -1.5)


def test_a_hole_is_filled_with_the_plate_that_is_around_it() -> None:
    middle = 0.3 + 0.1 * X
    holed = torch.maximum(plate(middle, 9.0), HULL)
    assert bool((holed.amin(2)[(RADIUS < 8)[..., 0]] > 0).all()), "there is a hole"
    found = plates(holed, HULL, 1.0, 2.0)
    true = torch.maximum((Z - middle).abs() - 1.5, HULL)
    inside = (RADIUS < 16) & ((Z - middle).abs() < 3)
    assert float((found - true)[inside].abs().max()) < 0.35, "as thick and as steep as the rim"
    assert bool((found <= holed).all()) and bool((found >= HULL).all())


def test_lengths_are_those_of_the_world() -> None:
    holed = torch.maximum(plate(torch.tensor(0.3), 9.0), HULL)
    assert torch.allclose(
        plates(holed * 0.02, HULL * 0.02, 0.02, 0.04), plates(holed, HULL, 1.0, 2.0) * 0.02, atol=1e-5
    )


@pytest.mark.parametrize("outer", [5.0, 30.0])
def test_a_valley_in_the_air_stays_air(outer: float) -> None:
    """One by itself, and one as wide as the hull."""
    air = torch.where(outer > RADIUS, (Z - 4).abs() + 0.8, 6.0)
    lower = torch.maximum((Z + 6).abs() - 1.5, HULL)
    field = torch.maximum(torch.minimum(lower, air), HULL)
    assert torch.equal(plates(field, HULL, 1.0, 2.0), field)


def test_what_is_whole_stays_as_it_is() -> None:
    whole = torch.maximum(Z.abs() - 1.5, HULL)
    assert torch.equal(plates(whole, HULL, 1.0, 2.0), whole)
    assert torch.equal(plates(HULL, HULL, 1.0, 2.0), HULL)
    empty = HULL.abs() + 1
    assert torch.equal(plates(empty, HULL, 1.0, 2.0), empty)


def test_no_crevice_is_left_between_plate_and_rim() -> None:
    """A quarter of the rim is parted from the hole by what is no valley."""
    parted = (RADIUS > 9) & (RADIUS < 11.5) & (X.abs() > Y.abs()) & (X > 0)
    holed = torch.maximum(torch.where(parted, 4.0, plate(torch.tensor(0.3), 9.0)), HULL)
    found = plates(holed, HULL, 1.0, 2.0)
    assert bool((found.amin(2)[(RADIUS < 16)[..., 0]] < 0).all())
    assert float((found < 0).sum((0, 1)).count_nonzero()) <= 4, "as thin as the rim"
    assert bool((found <= holed).all()) and bool((found >= HULL).all())
