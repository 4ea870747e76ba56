"""From views of shapes from formulas to closed, coloured meshes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.multiview_measures import is_watertight
from models.multiview import Settings, Surface, Views, orbit, reconstruct
from models.multiview.known import Sights, lattice_over
from models.multiview.plates import plates
from models.multiview.prior import CLIPPED
from models.multiview.silhouettes import object_box, outline_distances
from models.optimisation.hooks import Hooks
from models.rendering.cameras import Camera
from models.rendering.rasteriser import rasterise
from tests.models.multiview.shapes import BOX, CHAIR, Vector, distance_to, mesh_of, shot, stripes
from tests.models.rendering.solids import ball

SMALL = Settings(cells=64)

TABLE = (
    ((0.0, 0.0, 0.2), (0.3, 0.3, 0.012)),
    *(((x, y, -0.05), (0.025, 0.025, 0.25)) for x in (-0.27, 0.27) for y in (-0.27, 0.27)),
)


class Knowing(nn.Module):
    """What the best prior would say of some boxes; around the axis all is farther outside by `doubt` cells."""

    def __init__(self, views: Views, boxes: Sequence[tuple[Vector, Vector]], doubt: float = 0.0) -> None:
        super().__init__()
        self.lattice = lattice_over(*object_box(outline_distances(views.alpha), views))
        points = self.lattice.points()
        self.true = distance_to(boxes, points) / self.lattice.spacing + doubt * (points[:, :2].norm(dim=1) < 0.15)

    def forward(self, values: Tensor, sights: Sights) -> Tensor:
        return self.true.reshape(values.shape[1:]).clamp(-CLIPPED, CLIPPED)


@pytest.fixture(scope="module")
def box() -> Views:
    return shot(*mesh_of(BOX), orbit(16, 0.0, size=96))


@pytest.fixture(scope="module")
def learned(box: Views) -> Surface:
    return reconstruct(box, SMALL, Knowing(box, BOX))  # type: ignore[arg-type]


def areas(surface: Surface) -> Tensor:
    """[N]: a third of the area of each vertex's triangles."""
    corners = surface.vertices[surface.faces]
    size = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1) / 6
    return torch.zeros(len(surface.vertices)).index_add(0, surface.faces.flatten(), size.repeat_interleave(3))


def volume(surface: Surface) -> float:
    one, two, three = surface.vertices[surface.faces].double().unbind(1)
    return float((one * torch.linalg.cross(two, three)).sum() / 6)


def apart(surface: Surface) -> float:
    """Mean distance of the surface from the box."""
    weight = areas(surface)
    return float((distance_to(BOX, surface.vertices).abs() * weight).sum() / weight.sum())


def test_what_a_prior_takes_away_is_gone_and_all_is_closed(box: Views, learned: Surface) -> None:
    hull = reconstruct(box, SMALL)
    for surface in (hull, learned):
        assert is_watertight(surface.faces) and volume(surface) > 0, "closed, and turned outwards"
        assert bool(surface.vertices.isfinite().all())
    assert learned.report["learned"] and not hull.report["learned"]
    assert apart(learned) < 0.4 * apart(hull)


def test_a_prior_is_not_asked_about_few_views(box: Views) -> None:
    surface = reconstruct(box.chosen(range(8)), Settings(cells=32), Knowing(box, BOX))  # type: ignore[arg-type]
    assert surface.report["learned"] is False


def covered_from_above(surface: Surface) -> Tensor:
    """[64, 64] bool: where the surface is seen from straight above, in the half unit around the axis."""
    pose = torch.eye(4)
    pose[2, 3] = 2.0
    hits = rasterise(Camera.orthographic(pose, 0.5).clip(surface.vertices), surface.faces, 64, 64)
    return hits.picture(torch.ones_like(hits.interpolate(surface.colours, surface.faces)), 0.0)[..., 0] > 0.5


def test_the_top_of_a_thin_table_has_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    views = shot(*mesh_of(TABLE), orbit(16, 10.0, size=64))
    holed: list[Tensor] = []

    def watched(distance: Tensor, hull: Tensor, spacing: float, cell: float) -> Tensor:
        holed.append((distance > 0).all(2) & (hull < 0).any(2))
        return plates(distance, hull, spacing, cell)

    monkeypatch.setattr("models.multiview.surface.plates", watched)
    prior: Any = Knowing(views, TABLE, doubt=1.5)
    surface = reconstruct(views, SMALL, prior)
    assert int(holed[0].sum()) > 300, "the prior alone leaves a hole"
    assert bool(covered_from_above(surface).all())
    assert is_watertight(surface.faces)


def test_colours_are_those_of_the_views(learned: Surface) -> None:
    wrong = (learned.colours - stripes(learned.vertices)).abs().mean(1)
    near = learned.seen & (distance_to(BOX, learned.vertices).abs() < 0.005)
    assert int(near.sum()) > 500 and float(wrong[near].median()) < 0.06
    assert 0.4 < float(learned.seen.float().mean()) < 0.95, "the top and the bottom are not seen"
    assert float(learned.colours.min()) >= 0 and float(learned.colours.max()) <= 1


def test_a_ball_keeps_its_size() -> None:
    views = shot(*ball(48, 0.3), orbit(16, 10.0, size=96))
    surface = reconstruct(views, SMALL)
    radius = surface.vertices.norm(dim=1)
    assert is_watertight(surface.faces)
    assert float(radius.median()) == pytest.approx(0.3, abs=0.004)
    assert volume(surface) == pytest.approx(4 / 3 * math.pi * 0.027, rel=0.06)


def test_a_wrong_view_is_told_and_thin_legs_stay() -> None:
    views = shot(*mesh_of(CHAIR), orbit(16, 10.0, size=96))
    alpha, pictures = views.alpha.clone(), views.pictures.clone()
    alpha[3], pictures[3] = alpha[7], pictures[7]
    told: list[str] = []
    surface = reconstruct(Views(pictures, alpha, views.cameras), SMALL, hooks=Hooks(tell=told.append))
    assert surface.report["left_out"] == [3] and len(told) == 1 and "[3]" in told[0]
    legs = surface.vertices[surface.vertices[:, 2] < -0.4]
    corners = {(bool(x > 0), bool(y > 0)) for x, y in legs[:, :2].tolist()}
    assert len(corners) == 4
    assert float((distance_to(CHAIR, surface.vertices).abs() < 0.03).float().mean()) > 0.9
