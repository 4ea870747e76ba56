"""Edges that many outlines run through, and the body that they span."""

from __future__ import annotations

import pytest
import torch
import trimesh
from torch import Tensor

from models.multiview import Views, orbit
from models.multiview.edges import Body, body
from models.multiview.silhouettes import Lattice, hull_field, object_box, outline_distances
from tests.models.multiview.shapes import BOX, CHAIR, distance_to, mesh_of, shot


def seen(vertices: Tensor, faces: Tensor, elevation: float) -> tuple[Tensor, Views, Tensor, Tensor]:
    views = shot(vertices, faces, orbit(16, elevation, size=256))
    distances = outline_distances(views.alpha)
    return distances, views, *object_box(distances, views)


@pytest.mark.parametrize("elevation", [0.0, 10.0])
def test_a_box_is_its_body_and_the_hull_bulges_out_of_it(elevation: float) -> None:
    distances, views, low, high = seen(*mesh_of(BOX), elevation)
    lattice = Lattice.over(low, high, float((high - low).max()) / 48)
    points = lattice.points()
    true = distance_to(BOX, points)
    bulge = (true > 0.012) & (true < 0.05) & (hull_field(distances, views.cameras, points) < 0)
    bulge &= points[:, 2] > -0.15  # below, tips of the hull, that no camera sees from there, pass for edges
    assert int(bulge.sum()) > 100
    spanned = body(distances, views, low, high)
    assert spanned is not None
    outside = spanned.outside(points)
    assert float((outside[bulge] > 0).float().mean()) > 0.95
    assert float((outside[true < -0.012] < 0).float().mean()) == 1


@pytest.mark.parametrize("shape", ["ball", "lid", "chair"])
def test_nothing_that_outlines_show_is_taken_away(shape: str) -> None:
    if shape == "chair":
        vertices, faces = mesh_of(CHAIR)
    else:
        ball = trimesh.creation.icosphere(4, radius=0.2)
        vertices, faces = torch.from_numpy(ball.vertices).float(), torch.from_numpy(ball.faces).long()
        if shape == "lid":  # a box with a round top: its edges alone would cut that off
            box, sides = mesh_of(BOX)
            vertices, faces = (
                torch.cat([vertices + torch.tensor([0.0, 0.0, 0.15]), box]),
                torch.cat([faces, sides + len(vertices)]),
            )
    distances, views, low, high = seen(vertices, faces, 10.0)
    spanned = body(distances, views, low, high)
    assert spanned is None or float(spanned.outside(vertices).max()) < 0.012


def test_lines_meet_a_body_or_pass_it() -> None:
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]).repeat(3, 1)
    cube = Body.of(corners)
    assert cube is not None
    assert torch.allclose(cube.outside(torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.5]])), torch.tensor([-1.0, 2.0]))
    small = Body.of(corners * 1e-4)
    assert small is not None and torch.allclose(small.outside(torch.tensor([[3e-4, 0.0, 5e-5]])), torch.tensor([2e-4]))
    origins = torch.tensor([[5.0, 0.0, 0.0]]).expand(4, 3)
    through = torch.tensor([[0.0, 0.5, 0.0], [0.0, 1.5, 0.0], [1.0, 1.05, 0.0], [5.0, 1.0, 0.0]])
    assert cube.met(origins, through, 0.0).tolist() == [True, False, False, False]
    assert cube.met(origins, through, 0.1).tolist() == [True, False, True, False]


def test_places_on_a_plane_span_no_body() -> None:
    flat = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 0.0])
    assert Body.of(flat) is None and Body.of(flat[:3]) is None
