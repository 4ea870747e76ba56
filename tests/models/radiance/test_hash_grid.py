"""Features of points: the same as written out plainly, and so are their gradients."""

from __future__ import annotations

from itertools import product

import pytest

torch = pytest.importorskip("torch")

from models.radiance import hash_grid  # noqa: E402
from models.radiance.hash_grid import PRIMES, GridSettings, HashGrid  # noqa: E402

SMALL = GridSettings(levels=3, base=4, finest=20, log2_entries=9)


def plain(grid, points):  # type: ignore[no-untyped-def]
    """One point, one level, one corner after the other, from the sentence in the module's docstring."""
    rows = []
    for point in points:
        row = []
        for resolution, begin, end in grid.levels:
            place = (point * resolution - 0.5).clamp(0, resolution - 1)
            low = place.floor()
            share = (place - low) ** 2 * (3 - 2 * (place - low))
            total = torch.zeros(2)
            for corner in product((0, 1), repeat=3):
                index = [min(int(low[axis]) + corner[axis], resolution - 1) for axis in range(3)]
                if resolution**3 <= end - begin:
                    entry = index[0] + index[1] * resolution + index[2] * resolution**2
                else:
                    entry = 0
                    for each, prime in zip(index, PRIMES, strict=True):
                        entry ^= (each * prime) % 2**32
                    entry %= end - begin
                weight = torch.ones(())
                for axis in range(3):
                    weight = weight * (share[axis] if corner[axis] else 1 - share[axis])
                total = total + weight * grid.table[begin + entry]
            row.append(total if bool(((point >= 0) & (point <= 1)).all()) else total * 0)
        rows.append(torch.cat(row))
    return torch.stack(rows)


@pytest.fixture
def grid():  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    made = HashGrid(SMALL)
    torch.nn.init.normal_(made.table)
    assert {level.dense for level in made.levels} == {True, False}
    return made


def test_it_does_what_it_says(grid, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    points = torch.rand(30, 3) * 1.2 - 0.1
    assert bool(((points < 0) | (points > 1)).any())
    expected, given = plain(grid, points), torch.randn(30, 6)
    (gradient,) = torch.autograd.grad((expected * given).sum(), grid.table)
    for size in (7, 1 << 15):  # in chunks or at once
        monkeypatch.setitem(hash_grid.CHUNKS, "cpu", size)
        found = grid(points)
        assert torch.allclose(found, expected, atol=1e-5)
        (mine,) = torch.autograd.grad((found * given).sum(), grid.table)
        assert torch.allclose(mine, gradient, atol=1e-5)


def test_gradients_at_points(grid) -> None:  # type: ignore[no-untyped-def]
    points = (torch.rand(20, 3) * 0.9 + 0.05).requires_grad_()
    given = torch.randn(20, 6)
    (found,) = torch.autograd.grad((grid(points) * given).sum(), points)
    (expected,) = torch.autograd.grad((plain(grid, points) * given).sum(), points)
    assert torch.allclose(found, expected, atol=1e-3)


def test_levels_that_do_not_count_are_zeros_and_get_no_gradients(grid) -> None:  # type: ignore[no-untyped-def]
    points = torch.rand(10, 3)
    whole = grid(points)
    grid.active = 2
    part = grid(points)
    assert torch.equal(part[:, :4], whole[:, :4]) and not part[:, 4:].any() and part.shape == whole.shape
    part.sum().backward()
    assert grid.table.grad is not None
    assert grid.table.grad[: grid.levels[1].end].any() and not grid.table.grad[grid.levels[1].end :].any()


def test_what_is_no_grid_is_told() -> None:
    for wrong in ({"levels": 0}, {"base": 1}, {"base": 9, "finest": 8}, {"log2_entries": 2}):
        with pytest.raises(ValueError, match="no grid"):
            GridSettings(**wrong)
