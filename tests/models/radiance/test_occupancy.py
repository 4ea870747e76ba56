"""What is remembered of space."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.radiance.occupancy import Occupancy, OccupancySettings  # noqa: E402


def chance(turn: int):  # type: ignore[no-untyped-def]
    return torch.Generator().manual_seed(turn)


def ball(radius: float, density: float = 100.0):  # type: ignore[no-untyped-def]
    return lambda points: (points.norm(dim=1) < radius).float() * density


@pytest.mark.parametrize("turns", [1, 4])
def test_cells_that_fill_are_noticed_and_cells_that_empty_are_forgotten(turns: int) -> None:
    occupancy = Occupancy(OccupancySettings(resolution=16, turns=turns, decay=0.5))
    places = torch.linspace(-1 + 1 / 16, 1 - 1 / 16, 16)
    middles = torch.cartesian_prod(places, places, places)
    assert torch.equal(occupancy.cells(middles), torch.arange(16**3))
    assert not occupancy.occupied().any()
    assert occupancy.update(ball(0.3), 0, chance(0)) == 16**3
    near, far = middles.norm(dim=1) < 0.15, middles.norm(dim=1) > 0.5
    assert bool(occupancy.occupied()[near].all()) and not occupancy.occupied()[far].any()
    asked = [occupancy.update(ball(0.7), turn, chance(turn)) for turn in range(1, turns + 1)]
    assert bool(occupancy.occupied()[middles.norm(dim=1) < 0.55].all())
    assert not occupancy.occupied()[middles.norm(dim=1) > 0.9].any()
    assert turns == 1 or sum(asked) < 0.6 * turns * 16**3
    for turn in range(turns + 1, 12 * turns):
        occupancy.update(ball(0.3), turn, chance(turn))
    assert bool(occupancy.occupied()[near].all()) and not occupancy.occupied()[far].any()


def test_each_cell_has_its_turn() -> None:
    occupancy = Occupancy(OccupancySettings(resolution=8, turns=4))
    occupancy.densities.zero_()
    seen = torch.zeros(8**3, dtype=torch.long)

    def density(points):  # type: ignore[no-untyped-def]
        seen[occupancy.cells(points)] += 1
        return torch.zeros(len(points))

    for turn in range(1, 5):
        occupancy.update(density, turn, chance(turn))
    assert bool((seen == 1).all())


def test_a_thin_field_counts_from_its_mean() -> None:
    occupancy = Occupancy(OccupancySettings(resolution=8))
    occupancy.update(ball(0.5, density=2.0), 0, chance(0))
    assert 0 < float(occupancy.threshold) < 2 and occupancy.occupied().any()
    occupancy.update(ball(2.0, density=1e4), 1, chance(1))
    assert float(occupancy.threshold) == 10


def test_it_goes_on_from_its_state() -> None:
    one, other = (Occupancy(OccupancySettings(resolution=8, turns=3)) for _ in range(2))
    for turn in range(4):
        one.update(ball(0.6), turn, chance(turn))
    other.load_state_dict(one.state_dict())
    for turn in range(4, 9):
        one.update(ball(0.4), turn, chance(turn))
        other.update(ball(0.4), turn, chance(turn))
    assert torch.equal(one.densities, other.densities)
