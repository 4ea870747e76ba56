"""From views of shapes from formulas to closed, coloured meshes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.multiview_measures import is_watertight
from models.multiview import Settings, Surface, Views, orbit, reconstruct
from models.multiview.surface import Level, redistanced
from models.optimisation.hooks import Hooks, Report
from tests.models.multiview.shapes import BOX, CHAIR, distance_to, mesh_of, shot, stripes
from tests.models.rendering.solids import ball

HULL = Settings(levels=(Level(64, 0),), flexible=False)
FITTED = Settings(levels=(Level(32, 60, 1024, (4.0, 6.0)), Level(64, 60, 1536)), flexible=False)


@pytest.fixture(scope="module")
def box() -> Views:
    return shot(*mesh_of(BOX), orbit(16, 0.0, size=96))


@pytest.fixture(scope="module")
def fitted(box: Views) -> Surface:
    return reconstruct(box, FITTED)


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


def test_the_fitted_surface_of_a_box_is_closed_and_nearer_than_the_hull(box: Views, fitted: Surface) -> None:
    hull = reconstruct(box, HULL)
    for surface in (hull, fitted):
        assert is_watertight(surface.faces) and volume(surface) > 0, "closed, and turned outwards"
        assert bool(surface.vertices.isfinite().all())
    assert apart(fitted) < 0.8 * apart(hull)


def test_colours_are_those_of_the_views(fitted: Surface) -> None:
    wrong = (fitted.colours - stripes(fitted.vertices)).abs().mean(1)
    near = fitted.seen & (distance_to(BOX, fitted.vertices).abs() < 0.005)
    assert int(near.sum()) > 500 and float(wrong[near].median()) < 0.06
    assert 0.4 < float(fitted.seen.float().mean()) < 0.95, "the top and the bottom are not seen"
    assert float(fitted.colours.min()) >= 0 and float(fitted.colours.max()) <= 1


def test_a_ball_keeps_its_size() -> None:
    views = shot(*ball(48, 0.3), orbit(16, 10.0, size=96))
    surface = reconstruct(views, FITTED)
    radius = surface.vertices.norm(dim=1)
    assert is_watertight(surface.faces)
    assert float(radius.median()) == pytest.approx(0.3, abs=0.004)
    assert volume(surface) == pytest.approx(4 / 3 * math.pi * 0.027, rel=0.06)


def test_a_wrong_view_is_told_and_thin_legs_stay() -> None:
    views = shot(*mesh_of(CHAIR), orbit(16, 10.0, size=96))
    alpha, pictures = views.alpha.clone(), views.pictures.clone()
    alpha[3], pictures[3] = alpha[7], pictures[7]
    told: list[str] = []
    surface = reconstruct(Views(pictures, alpha, views.cameras), FITTED, Hooks(tell=told.append))
    assert surface.report["left_out"] == [3] and len(told) == 1 and "[3]" in told[0]
    legs = surface.vertices[surface.vertices[:, 2] < -0.4]
    corners = {(bool(x > 0), bool(y > 0)) for x, y in legs[:, :2].tolist()}
    assert len(corners) == 4
    assert float((distance_to(CHAIR, surface.vertices).abs() < 0.02).float().mean()) > 0.9


def test_progress_never_falls_and_it_can_be_ended_early(box: Views) -> None:
    said: list[Report] = []
    settings = Settings(levels=(Level(16, 3, 64), Level(24, 3, 64)))
    reconstruct(box, settings, Hooks(progress=said.append))
    assert [each.step for each in said] == sorted(each.step for each in said)
    assert said[-1].step == said[-1].steps == 6
    early = reconstruct(box, settings, Hooks(finish=lambda: True))
    assert is_watertight(early.faces)


def test_the_same_seed_gives_the_same_surface(box: Views) -> None:
    settings = Settings(levels=(Level(16, 4, 128),))
    one, other = reconstruct(box, settings), reconstruct(box, settings)
    assert torch.equal(one.vertices, other.vertices) and torch.equal(one.colours, other.colours)


def test_a_field_becomes_a_distance_with_the_same_zero_set() -> None:
    axis = torch.linspace(-1, 1, 41)
    radius = torch.cartesian_prod(axis, axis, axis).norm(dim=1).reshape(41, 41, 41)
    found = redistanced(3 * (radius**2 - 0.36), 0.05)
    assert torch.equal(found <= 0, radius <= 0.6)
    assert float((found - (radius - 0.6)).abs().max()) < 0.06
    near = (radius - 0.6).abs() < 0.05
    assert float((found - (radius - 0.6))[near].abs().max()) < 0.01
