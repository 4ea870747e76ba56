"""Outlines: distances, the visual hull, where the object is, and which view is another's."""

from __future__ import annotations

import pytest
import torch

from models.multiview import Cameras, Views, orbit
from models.multiview.silhouettes import Lattice, hull_field, object_box, outline_distances, strangers
from tests.models.multiview.shapes import CHAIR, mesh_of, shot
from tests.models.rendering.solids import ball


@pytest.fixture(scope="module")
def chair() -> Views:
    return shot(*mesh_of(CHAIR), orbit(16, 10.0, size=96))


def test_the_outline_is_known_to_a_part_of_a_pixel() -> None:
    alpha = torch.zeros(1, 9, 9)
    alpha[0, :, 4:] = 1.0
    alpha[0, :, 3] = 0.25
    found = outline_distances(alpha)[0, 4]
    assert found[3] == pytest.approx(0.25) and found[2] == pytest.approx(1.5) and found[5] == pytest.approx(-1.5)
    assert bool(outline_distances(torch.ones(1, 4, 4)).lt(-1).all()), "a picture that is full has no outline"


def test_the_hull_of_a_ball_is_the_ball_where_views_are() -> None:
    cameras = orbit(16, 0.0, size=128)
    views = shot(*ball(48, 0.3), cameras)
    apart = outline_distances(views.alpha)
    angle = torch.arange(16) * (torch.pi / 8) + 0.1
    ring = torch.stack([angle.cos(), angle.sin(), torch.zeros(16)], dim=1)
    for radius in (0.25, 0.3, 0.35):
        found = hull_field(apart, cameras, ring * radius)
        assert found == pytest.approx(torch.full((16,), radius - 0.3), abs=0.012)


def test_the_box_of_the_object_is_found_wherever_it_stands() -> None:
    vertices, faces = mesh_of(CHAIR)
    cameras = orbit(16, 10.0, size=96)
    moved = torch.tensor([0.1, -0.05, 0.08])
    views = shot(vertices + moved, faces, cameras)
    low, high = object_box(outline_distances(views.alpha), views)
    assert bool((low <= vertices.amin(0) + moved).all()) and bool((high >= vertices.amax(0) + moved).all())
    assert float((high - low).max()) < 1.25


def test_outlines_without_anything_in_common_get_a_sentence(chair: Views) -> None:
    poses = chair.cameras.poses.clone()
    poses[:8, 2, 3] += 5
    away = Views(chair.pictures, chair.alpha, Cameras(poses, chair.cameras.intrinsics, 96, 96))
    with pytest.raises(ValueError, match="nothing in common"):
        object_box(outline_distances(away.alpha), away)


def test_a_view_of_something_else_is_found_and_no_other(chair: Views) -> None:
    assert not bool(strangers(outline_distances(chair.alpha), chair).any())
    small = torch.nn.functional.interpolate(chair.alpha[None], 48)[0][3]
    for other in (chair.alpha[9].flip(1), chair.alpha[7], torch.nn.functional.pad(small, (24, 24, 24, 24))):
        alpha = chair.alpha.clone()
        alpha[3] = other
        views = Views(chair.pictures, alpha, chair.cameras)
        assert strangers(outline_distances(alpha), views).nonzero()[:, 0].tolist() == [3]


def test_a_lattice_gives_back_what_is_linear() -> None:
    lattice = Lattice.over(torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([0.5, 0.4, 3.1]), 0.1)
    values = lattice.points() @ torch.tensor([1.0, -2.0, 3.0])
    points = torch.tensor([[-0.33, 0.21, 2.7], [0.4, 0.05, 3.0]])
    found = lattice.sample(values.reshape(1, *lattice.shape), points)[:, 0]
    assert found == pytest.approx(points @ torch.tensor([1.0, -2.0, 3.0]), abs=1e-4)
