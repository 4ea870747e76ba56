"""Level tops that no view sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.multiview import orbit
from models.multiview.edges import Body
from models.multiview.silhouettes import Lattice
from models.multiview.tops import level_tops
from tests.models.multiview.shapes import BOX, distance_to, mesh_of

TOP, SPACING, CELL = 0.15, 0.01, 0.02
LATTICE = Lattice.over(torch.tensor([-0.36, -0.26, -0.21]), torch.tensor([0.36, 0.26, 0.21]), SPACING)
POINTS = LATTICE.points()
SPANNED = Body.of(mesh_of(BOX)[0].repeat(3, 1))
assert SPANNED is not None
HULL = distance_to(BOX, POINTS) - 0.02


def hollow(cells: float, wide: float = 0.12) -> Tensor:
    """`[X, Y, Z]`: the box, whose top is so many of the prior's cells deeper around the middle."""
    sag = cells * CELL * (POINTS[:, :2].abs().amax(1) < wide)
    return torch.maximum(distance_to(BOX, POINTS), POINTS[:, 2] - TOP + sag).reshape(LATTICE.shape)


def flattened(field: Tensor, elevation: float = 0.0, hull: Tensor = HULL) -> Tensor:
    assert SPANNED is not None
    outside = SPANNED.outside(POINTS)
    cameras = orbit(16, elevation, size=64)
    of_lattice = (hull.reshape(LATTICE.shape), SPANNED, outside.reshape(LATTICE.shape))
    return level_tops(field, *of_lattice, cameras, LATTICE, CELL)


def heights(field: Tensor) -> Tensor:
    """`[X, Y]`: where the highest solid is above each place of the box's middle, less the top's height."""
    places = POINTS.reshape(*LATTICE.shape, 3)
    middle = places[:, :, 0, :2].abs().amax(2) < 0.1
    return torch.where(field < 0, places[..., 2], -1.0).amax(2)[middle] - TOP


def test_a_top_that_sags_a_little_is_flat_where_no_camera_sees_it() -> None:
    sagging = hollow(1.5)
    assert float(heights(sagging).max()) < -0.02
    flat = flattened(sagging)
    assert float(heights(flat).min()) >= -SPACING and float(heights(flat).max()) <= 0
    assert bool((flat <= sagging).all())
    outside = (distance_to(BOX, POINTS) > 0).reshape(LATTICE.shape)
    assert torch.equal(flat[outside] < 0, sagging[outside] < 0), "nothing is put beside the box"


@pytest.mark.parametrize(("cells", "wide", "elevation"), [(8.0, 0.19, 0.0), (1.5, 0.12, 40.0)])
def test_a_hollow_that_is_deep_or_that_cameras_see_stays(cells: float, wide: float, elevation: float) -> None:
    field = hollow(cells, wide)
    assert torch.equal(flattened(field, elevation), field)


def test_a_small_well_in_a_top_is_filled_only_if_it_is_shallow() -> None:
    deep, shallow = flattened(hollow(8.0, 0.05)), flattened(hollow(4.0, 0.05))
    middle = tuple(each // 2 for each in LATTICE.shape[:2])
    solid_deep, solid_shallow = ((each[middle] < 0).nonzero().max() for each in (deep, shallow))
    assert int(solid_shallow) - int(solid_deep) > 10


def test_nothing_is_put_where_outlines_forbid_it() -> None:
    cut = torch.maximum(HULL, 0.05 - POINTS[:, 0].abs())
    field = torch.maximum(hollow(1.5), cut.reshape(LATTICE.shape))
    assert bool((flattened(field, hull=cut) >= cut.reshape(LATTICE.shape) - 1e-6).all())
