"""Samples along rays: where something is, all of them, and never more than the cap."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from models.radiance import marching  # noqa: E402
from models.radiance.marching import DIAGONAL, MarchSettings, march  # noqa: E402


def some_rays(count: int, seed: int = 0):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1) * 1.8
    targets = torch.rand(count, 3, generator=generator) * 2.4 - 1.2
    return origins, torch.nn.functional.normalize(targets - origins, dim=1)


@pytest.mark.parametrize("looked_at", [200, marching.LOOKED_AT])
def test_every_place_of_an_occupied_cell_is_found(monkeypatch, looked_at: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(marching, "LOOKED_AT", looked_at)
    generator = torch.Generator().manual_seed(3)
    occupied = torch.rand(8, 8, 8, generator=generator) < 0.1
    origins, directions = some_rays(60)
    jitter = torch.rand(60, generator=generator)
    settings = MarchSettings(steps=50)
    found = march(origins, directions, occupied, settings, jitter)
    expected = []
    for ray in range(60):
        walls = torch.stack([(side - origins[ray]) / directions[ray] for side in (-1, 1)])
        enter, leave = float(walls.amin(0).max()), float(walls.amax(0).min())
        step = DIAGONAL / 50
        for number in range(60):
            depth = max(enter, settings.near) + (number + float(jitter[ray])) * step
            point = origins[ray] + depth * directions[ray]
            if enter < leave and bool((point.abs() < 1).all()):
                cell = ((point + 1) * 4).long()
                if occupied[tuple(cell.tolist())]:
                    expected.append((ray, depth))
    assert len(expected) > 100 and found.widened == 1
    # A place on the wall of a cell may be rounded to either side of it.
    mine = {(int(ray), round(float(depth), 3)) for ray, depth in zip(found.ray, found.depth, strict=True)}
    theirs = {(ray, round(depth, 3)) for ray, depth in expected}
    assert len(mine ^ theirs) <= 2
    assert bool((found.ray.diff() >= 0).all())
    assert bool((found.depth.diff() > 0)[found.ray.diff() == 0].all())


@pytest.mark.parametrize("fill", [0.0, 0.02, 0.3, 1.0])
def test_there_are_never_more_than_the_cap(fill: float) -> None:
    occupied = torch.rand(16, 16, 16, generator=torch.Generator().manual_seed(1)) < fill
    origins, directions = some_rays(100)
    free = march(origins, directions, occupied, MarchSettings(steps=512))
    for cap in (100, 137, 1000, 5000):
        found = march(origins, directions, occupied, MarchSettings(steps=512, cap=cap))
        assert len(found) <= cap
        assert found.length == DIAGONAL / 512 * found.widened
        assert (found.widened > 1) == (len(free) > cap)
        if found.widened > 1 and cap >= 1000:
            # No wider than is needed, as far as one can tell beforehand, and all rays are still there.
            assert len(found) > cap / 3
            assert set(found.ray.tolist()) > set(range(0))
    with pytest.raises(ValueError, match="too low"):
        march(origins, directions, occupied, MarchSettings(cap=99))


def test_every_ray_through_fog_keeps_samples() -> None:
    origins, directions = some_rays(200, seed=5)
    towards = torch.nn.functional.normalize(-origins + 0.3 * directions, dim=1)  # well through the box
    found = march(origins, towards, torch.ones(8, 8, 8, dtype=torch.bool), MarchSettings(cap=1000))
    assert len(found) <= 1000 and len(found.ray.unique()) == 200


def test_the_lattice_begins_where_the_box_does_and_not_before_near() -> None:
    origins = torch.tensor([[0.0, 0.0, 1.8], [0.0, 0.0, 0.9]])
    directions = torch.tensor([[0.0, 0.0, -1.0]]).expand(2, 3)
    found = march(origins, directions, torch.ones(4, 4, 4, dtype=torch.bool), MarchSettings(steps=100))
    first = [float(found.depth[found.ray == ray].min()) for ray in range(2)]
    assert first == pytest.approx([0.8, 0.2])
    assert len(found) == sum(math.floor((end - begin) / found.length) + 1 for begin, end in ((0.8, 2.8), (0.2, 1.9)))


def test_nothing_is_found_where_nothing_is() -> None:
    found = march(*some_rays(5), torch.zeros(4, 4, 4, dtype=torch.bool), MarchSettings())
    assert len(found) == 0 and found.points.shape == (0, 3) and found.rays == 5
