"""The network that takes away of a visual hull: what it is told, and that nothing is ever added."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.loading import CheckpointError
from models.multiview import Prior, Views, orbit, read_prior
from models.multiview.known import ASKED, BLOCK, CHANNELS, VIEWED, Sights, known, lattice_over
from models.multiview.prior import AIR, CLIPPED, likely, thick
from models.multiview.silhouettes import object_box, outline_distances
from models.multiview.votes import Votes
from models.writing import write_safetensors
from tests.models.multiview.shapes import BOX, CHAIR, distance_to, mesh_of, shot
from training.surface.examples import turned


@pytest.fixture(scope="module")
def box() -> Views:
    return shot(*mesh_of(BOX), orbit(16, 10.0, size=96))


def test_what_is_known_is_of_the_lattice_and_finite(box: Views) -> None:
    apart = outline_distances(box.alpha)
    lattice = lattice_over(*object_box(apart, box), cells=24)
    values, hull, sights = known(apart, box, lattice)
    assert values.shape == (CHANNELS, *lattice.shape) and hull.shape == lattice.shape
    assert not any(side % BLOCK for side in lattice.shape)
    assert bool(values.isfinite().all()) and float(values.abs().max()) < 10
    inside = (distance_to(BOX, lattice.points()) < 0).reshape(lattice.shape)
    assert bool((hull[inside] < 1).all()), "the hull is never too small"
    assert torch.equal(sights.places, (hull.flatten() < ASKED).nonzero()[:, 0]), "views are asked about the hull alone"
    assert sights.grid.shape == (16, len(sights.places), 2) and float(sights.grid.abs().max()) < 1.1
    assert float(sights.behind.min()) == 0 and float(sights.signs.abs().max()) <= 1
    front = sights.behind < 0.5
    relief = sights.pictures[:, 4][sights.pictures[:, 3] > 0.99]
    assert bool(front.any(1).all()) and 0 < float(relief.mean()) < 1, "what is seen is nearer than the middle"


def test_turned_objects_are_known_as_the_same_turned(box: Views) -> None:
    """An orbit of sixteen views is the same after a quarter turn: what is known of it turns with the object."""
    views = shot(*mesh_of(CHAIR), orbit(16, 10.0, size=96))
    apart = outline_distances(views.alpha)
    lattice = lattice_over(*object_box(apart, views), cells=24)
    values = known(apart, views, lattice)[0]
    order = [(number - 4) % 16 for number in range(16)]
    moved = Views(views.pictures[order], views.alpha[order], views.cameras)
    other = lattice_over(*object_box(apart[order], moved), cells=24)
    again = known(apart[order], moved, other)[0]
    assert other.shape == (lattice.shape[1], lattice.shape[0], lattice.shape[2])
    assert float((turned(values, 1, False) - again).abs().mean()) < 0.01


def test_a_network_says_distances_of_all_but_thin_parts_and_of_those_what_is_air(
    box: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr("models.multiview.known.CELLS", 32)
    prior = Prior(8, (16, 16, 16))
    torch.nn.init.normal_(prior.leave[-1].weight, std=0.1)  # type: ignore[arg-type, union-attr]
    low, high = object_box(outline_distances(box.alpha), box)
    points = lattice_over(low, high, 16).points()
    cell = lattice_over(low, high).spacing
    with torch.no_grad():
        found = likely(prior, box, low, high, points)
    assert found.shape == (len(points),) and float(found.abs().max()) <= CLIPPED * cell * 1.001
    monkeypatch.setattr("models.multiview.prior.thick", torch.zeros_like)
    with torch.no_grad():
        found = likely(prior, box, low, high, points)
    assert torch.allclose(found, torch.full_like(found, -CLIPPED * cell)), "nothing is said of what is thin"
    torch.nn.init.zeros_(prior.leave[-1].weight)  # type: ignore[arg-type, union-attr]
    for said, believed in ((AIR - 0.1, -CLIPPED), (AIR + 0.1, AIR + 0.1)):
        torch.nn.init.constant_(prior.leave[-1].bias, said)  # type: ignore[arg-type, union-attr]
        with torch.no_grad():
            found = likely(prior, box, low, high, points)
        assert torch.allclose(found, torch.full_like(found, believed * cell)), "but for what is surely air"


def test_what_views_say_does_not_depend_on_their_order(box: Views) -> None:
    torch.manual_seed(0)
    apart = outline_distances(box.alpha)
    sights = known(apart, box, lattice_over(*object_box(apart, box), cells=24))[2]
    other = Sights(*(each if each is sights.places else each.flip(0) for each in (
        sights.pictures, sights.places, sights.grid, sights.behind, sights.outside
    )))  # fmt: skip
    votes = Votes(8, 4, 3)
    with torch.no_grad():
        said, again = votes(sights), votes(other)
    assert said.shape == (votes.channels, len(sights.places))
    assert torch.allclose(said, again, atol=1e-5) and float(said.std(1).min()) > 0


def test_large_pictures_are_made_as_small_as_the_network_knows(box: Views) -> None:
    assert box.at_most(VIEWED) is box
    large = shot(*mesh_of(BOX), orbit(2, 10.0, size=2 * VIEWED))
    less = large.at_most(VIEWED)
    assert less.cameras.width == VIEWED and less.pictures.shape == (2, VIEWED, VIEWED, 3)
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
