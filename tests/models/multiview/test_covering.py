"""A surface from which too much was taken covers the outlines again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.multiview import Views, orbit
from models.multiview.covering import Rays, covering
from models.multiview.silhouettes import Lattice, hull_field, object_box, outline_distances
from models.multiview.surface import closed_triangles
from tests.models.multiview.shapes import BOX, distance_to, mesh_of, shot


class Scene:
    """The box's views, and fields on a lattice: true, hull, and of a surface that is `short` cells inside of it."""

    def __init__(self) -> None:
        self.views: Views = shot(*mesh_of(BOX), orbit(16, 10.0, size=96))
        apart = outline_distances(self.views.alpha)
        low, high = object_box(apart, self.views)
        self.lattice = Lattice.over(low, high, float((high - low).max()) / 64)
        self.points = self.lattice.points()
        self.hull = hull_field(apart, self.views.cameras, self.points)
        self.true = distance_to(BOX, self.points)

    def short(self, cells: float) -> Tensor:
        return torch.maximum(self.hull, self.true + cells * self.lattice.spacing)

    def bare(self, field: Tensor) -> int:
        """Rays that meet nothing, and have to."""
        inside = self.hull < 0
        rays = Rays.of(self.views, self.points[inside], self.lattice.spacing)
        return int((rays.lack(field[inside], self.lattice.spacing) > 0).sum())

    def covered(self, field: Tensor) -> Tensor:
        return covering(field, self.hull, self.views, self.lattice)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("cells", [0.7, 1.5, 3.0])
def test_what_is_too_small_swells_in_one_smooth_piece(scene: Scene, cells: float) -> None:
    short = scene.short(cells)
    assert scene.bare(short) > 50
    found = scene.covered(short)
    assert scene.bare(found) == 0
    assert not bool(((found < 0) & (scene.hull >= 0)).any()), "no outline is passed"
    assert bool((found <= short).all())
    vertices, faces = closed_triangles(found.reshape(scene.lattice.shape), scene.lattice, 0.0)
    assert len(vertices) - len(faces) // 2 == 2, "one piece without a handle"
    before, _ = closed_triangles(short.reshape(scene.lattice.shape), scene.lattice, 0.0)
    wrong, was = (float(distance_to(BOX, each).abs().mean()) for each in (vertices, before))
    assert wrong < was


def test_what_covers_the_outlines_stays_as_it_is(scene: Scene) -> None:
    assert torch.equal(scene.covered(scene.hull), scene.hull)


def test_what_is_gone_altogether_comes_back(scene: Scene) -> None:
    """A surface of which one half was taken away."""
    field = torch.where(scene.points[:, 0] > 0, torch.maximum(scene.hull, scene.true + 0.1), scene.short(0.0))
    assert scene.bare(scene.covered(field)) == 0
