"""From views of shapes from formulas to closed, coloured meshes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench.multiview_measures import is_watertight
from models.multiview import Settings, Surface, Views, orbit, reconstruct
from models.multiview.prior import FARTHEST, lattice_over
from models.multiview.silhouettes import object_box, outline_distances
from models.multiview.surface import closing
from models.optimisation.hooks import Hooks
from tests.models.multiview.shapes import BOX, CHAIR, distance_to, mesh_of, shot, stripes
from tests.models.rendering.solids import ball

SMALL = Settings(cells=64)


class Knowing(nn.Module):
    """What the best prior would say of the box."""

    def __init__(self, spacing: float) -> None:
        super().__init__()
        self.spacing = spacing

    def forward(self, values: Tensor) -> Tensor:
        hull = values[0, 0] * FARTHEST
        axes = [(torch.arange(side) - (side - 1) / 2) * self.spacing for side in hull.shape]
        true = distance_to(BOX, torch.cartesian_prod(*axes)).reshape(hull.shape) / self.spacing
        return (true - hull).clamp(min=0)[None]


@pytest.fixture(scope="module")
def box() -> Views:
    return shot(*mesh_of(BOX), orbit(16, 0.0, size=96))


@pytest.fixture(scope="module")
def learned(box: Views) -> Surface:
    low, high = object_box(outline_distances(box.alpha), box)
    return reconstruct(box, SMALL, Knowing(lattice_over(low, high).spacing))  # type: ignore[arg-type]


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
    surface = reconstruct(box.chosen(range(8)), Settings(cells=32), Knowing(0.01))  # type: ignore[arg-type]
    assert surface.report["learned"] is False


def test_a_thin_top_is_closed_and_what_is_empty_stays_empty() -> None:
    height = torch.arange(20.0) - 10
    hull = (height.abs() - 6).expand(8, 8, 20)
    sheet = (height.abs() + 0.5).expand(8, 8, 20)
    assert bool((closing(sheet, hull, 1.0)[:, :, 10] < 0).all())
    empty = sheet + 4
    assert torch.equal(closing(empty, hull, 1.0), empty)
    solid = (height.abs() - 2).expand(8, 8, 20)
    assert torch.equal(closing(solid, hull, 1.0), solid)


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
