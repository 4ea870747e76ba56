"""The network that takes away of a visual hull: what it is told, and that nothing is ever added."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.loading import CheckpointError
from models.multiview import Prior, Views, orbit, read_prior
from models.multiview.prior import BLOCK, CHANNELS, SIDE, excess, known, lattice_over, small, thick
from models.multiview.silhouettes import object_box, outline_distances
from models.writing import write_safetensors
from tests.models.multiview.shapes import BOX, CHAIR, distance_to, mesh_of, shot
from training.surface.examples import turned


@pytest.fixture(scope="module")
def box() -> Views:
    return shot(*mesh_of(BOX), orbit(16, 10.0, size=96))


def test_what_is_known_is_of_the_lattice_and_finite(box: Views) -> None:
    apart = outline_distances(box.alpha)
    lattice = lattice_over(*object_box(apart, box), cells=24)
    values, hull = known(apart, box, lattice)
    assert values.shape == (CHANNELS, *lattice.shape) and hull.shape == lattice.shape
    assert not any(side % BLOCK for side in lattice.shape)
    assert bool(values.isfinite().all()) and float(values.abs().max()) < 10
    inside = (distance_to(BOX, lattice.points()) < 0).reshape(lattice.shape)
    assert bool((hull[inside] < 1).all()), "the hull is never too small"


def test_turned_objects_are_known_as_the_same_turned(box: Views) -> None:
    """An orbit of sixteen views is the same after a quarter turn: what is known of it turns with the object."""
    views = shot(*mesh_of(CHAIR), orbit(16, 10.0, size=96))
    apart = outline_distances(views.alpha)
    lattice = lattice_over(*object_box(apart, views), cells=24)
    values, _ = known(apart, views, lattice)
    order = [(number - 4) % 16 for number in range(16)]
    moved = Views(views.pictures[order], views.alpha[order], views.cameras)
    other = lattice_over(*object_box(apart[order], moved), cells=24)
    again, _ = known(apart[order], moved, other)
    assert other.shape == (lattice.shape[1], lattice.shape[0], lattice.shape[2])
    assert float((turned(values, 1, False) - again).abs().mean()) < 0.01


def test_a_network_adds_nothing(box: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr("models.multiview.prior.CELLS", 32)
    prior = Prior(8, (16, 16, 16))
    torch.nn.init.normal_(prior.leave[-1].weight, std=0.1)  # type: ignore[arg-type, union-attr]
    low, high = object_box(outline_distances(box.alpha), box)
    points = lattice_over(low, high, 16).points()
    with torch.no_grad():
        found = excess(prior, box, low, high, points)
    assert found.shape == (len(points),) and float(found.min()) >= 0 and bool(found.isfinite().all())


def test_large_pictures_are_made_as_small_as_the_network_knows(box: Views) -> None:
    assert small(box) is box
    large = shot(*mesh_of(BOX), orbit(2, 10.0, size=2 * SIDE))
    less = small(large)
    assert less.cameras.width == SIDE and less.pictures.shape == (2, SIDE, SIDE, 3)
    assert float(less.alpha.mean()) == pytest.approx(float(large.alpha.mean()), abs=1e-4)


def test_weights_are_read_or_refused(tmp_path: Path) -> None:
    prior = Prior()
    write_safetensors(tmp_path / "model.safetensors", {name: each.half() for name, each in prior.state_dict().items()})
    again = read_prior(tmp_path)
    assert all(torch.equal(each, prior.state_dict()[name].half().float()) for name, each in again.state_dict().items())
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError):
        read_prior(tmp_path)


def test_thin_parts_of_a_hull_are_told_from_thick_ones() -> None:
    axis = torch.arange(24.0) - 12
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    box = torch.maximum(torch.maximum((x + 6).abs(), y.abs()), z.abs()) - 4
    tube = torch.maximum(y.abs(), z.abs()) - 0.9
    found = thick(torch.minimum(box, tube))
    assert bool((found[(box < 0)] == 1).all()) and bool((found[20:] == 0).all())
