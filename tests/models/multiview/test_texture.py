"""A texture from views shows what the views show, also where they differ, and something fitting where none looks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.texture import psnr
from models.multiview.filling import filled
from models.multiview.levelling import levelled
from models.multiview.sight import Sight
from models.multiview.texture import Blend, texture, vertex_colours
from models.multiview.views import Cameras, Views, orbit
from models.rendering import ColourField, Texture, draw, preview, vertex_normals
from tests.models.rendering.solids import Mesh, ball, box, joined

SIDE = 96


def shades(points: Tensor) -> Tensor:
    """Colours with detail of a few pixels."""
    waves = torch.stack([torch.sin(18 * points[:, axis] + axis) for axis in range(3)], dim=1)
    return (0.5 + 0.15 * waves + 0.2 * torch.sin(3 * points)).clamp(0.1, 0.9)


def half(mesh: Mesh) -> Mesh:
    """The size of an object of an orbit: its longest side is about 1."""
    return mesh[0] * 0.55, mesh[1]


def cameras(count: int = 8) -> Cameras:
    """Two rings, a little and much above."""
    rings = [orbit(count, elevation, size=SIDE) for elevation in (0.0, 35.0)]
    poses, lenses = (torch.cat([getattr(ring, name) for ring in rings]) for name in ("poses", "intrinsics"))
    return Cameras(poses, lenses, SIDE, SIDE)


def taken(mesh: Mesh, colour: ColourField | Texture, seen_by: Cameras) -> Views:
    """Views of a mesh with straight colours up to its rim."""
    pictures, alpha = [], []
    for index in range(len(seen_by)):
        view = preview(*mesh, seen_by.camera(index), colour, width=SIDE, samples=2, background=0.0)
        pictures.append(view.colour / view.mask.clamp(min=1e-6)[..., None])
        alpha.append(view.mask)
    return Views(torch.stack(pictures).clamp(0, 1), torch.stack(alpha).clamp(0, 1), seen_by)


def likeness(mesh: Mesh, colour: Any, views: Views) -> float:
    """Decibels between views and the mesh drawn again, where both show something."""
    values = []
    for index in range(len(views)):
        seen = draw(*mesh, views.cameras.camera(index), colour, width=SIDE)
        where = (views.alpha[index] > 0.99) & (seen.alpha > 0.99)
        values.append(psnr(seen.colour[where], views.pictures[index][where]))
    return sum(values) / len(values)


TORUS = half(joined(ball(20, 0.6, (0.0, 0.0, 0.2)), box((0.8, 0.3, 0.2), (0.0, 0.0, -0.6))))


def test_views_drawn_again_are_the_views() -> None:
    """Much closer than with a colour for each vertex."""
    views = taken(TORUS, shades, cameras())
    baked = texture(*TORUS, views, size=512)
    with_texture = likeness(TORUS, baked.as_texture(), views)
    with_vertices = likeness(TORUS, vertex_colours(Blend.of(views, *TORUS), *TORUS), views)
    assert with_texture > 30
    assert with_texture > with_vertices + 6
    unseen = taken(TORUS, shades, orbit(5, 18.0, size=SIDE))
    assert likeness(TORUS, baked.as_texture(), unseen) > 27
    assert torch.equal(baked.texture, texture(*TORUS, views, size=512).texture)


def test_exposures_are_levelled() -> None:
    views = taken(TORUS, shades, cameras())
    torch.manual_seed(0)
    factors = 1 + 0.2 * (torch.rand(len(views), 1) - 0.5)
    disturbed = Views((views.pictures * factors[:, None, None]).clamp(0, 1), views.alpha, views.cameras)
    blend = Blend.of(disturbed, *TORUS)
    left = (blend.gains * factors).log()
    assert (left - left.mean()).abs().max() < 0.02 < 0.5 * (factors.log() - factors.log().mean()).abs().max()
    level, as_taken = (texture(*TORUS, disturbed, size=256, level=level) for level in (True, False))
    assert likeness(TORUS, level.as_texture(), views) > likeness(TORUS, as_taken.as_texture(), views) + 0.5


def test_a_view_that_shows_something_else_is_not_believed() -> None:
    views = taken(TORUS, shades, cameras())
    pictures = views.pictures.clone()
    pictures[2] = 1 - pictures[2].flip(1)
    wrong = Views(pictures, views.alpha, views.cameras)
    others = views.chosen([index for index in range(len(views)) if index != 2])
    without = texture(*TORUS, others, size=512)
    with_it = texture(*TORUS, wrong, size=512)
    assert likeness(TORUS, with_it.as_texture(), others) > likeness(TORUS, without.as_texture(), others) - 1
    trust = torch.ones(len(views))
    trust[2] = 0
    assert likeness(TORUS, texture(*TORUS, wrong, size=512, trust=trust).as_texture(), others) > 30


def test_what_is_hidden_takes_nothing_of_what_stands_before_it() -> None:
    """A red ball before a blue wall, seen from the front: nothing of the wall becomes red, behind the ball neither."""
    wall, before = box((0.5, 0.02, 0.5), (0.0, 0.3, 0.0)), ball(12, 0.15, (0.0, -0.2, 0.0))
    mesh = joined(wall, before)
    red, blue = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.9])
    seen_by = orbit(16, 0.0, size=SIDE).chosen([0, 1, 15])

    def colour(points: Tensor) -> Tensor:
        return torch.where(points[:, 1:2] < 0.1, red, blue)

    blend = Blend.of(taken(mesh, colour, seen_by), *mesh)
    sight = Sight(taken(mesh, colour, seen_by), *mesh)
    middle = torch.tensor([[0.0, 0.28, 0.0]])
    assert float(sight.at(middle, torch.tensor([[0.0, -1.0, 0.0]])).weight[0, 0]) == 0, "behind the ball"
    found = vertex_colours(blend, *mesh)
    assert (found[: len(wall[0])] - blue).abs().max() < 0.1
    assert (found[len(wall[0]) :] - red).abs().max() < 0.1
    baked = texture(*mesh, taken(mesh, colour, seen_by), size=256)
    shown = baked.texture.reshape(-1, 3).float() / 255
    assert torch.minimum((shown - red).abs().amax(1), (shown - blue).abs().amax(1)).quantile(0.95) < 0.1


def test_what_no_view_sees_fits_in() -> None:
    """A ring of one elevation does not see the bottom: it gets the colours around it, not black and not grey."""
    mesh = half(box((0.8, 0.8, 0.5)))
    green = torch.tensor([0.2, 0.7, 0.3])
    views = taken(mesh, lambda points: green.expand(len(points), 3), orbit(8, 20.0, size=SIDE))
    baked = texture(*mesh, views, size=256)
    below = preview(*mesh, orbit(2, 20.0, size=SIDE).camera(0), baked.as_texture(), width=SIDE)
    assert (below.colour[below.mask > 0.99] - green).abs().max() < 0.03
    assert (baked.texture.float() / 255 - green).abs().max() < 0.03


def test_gains_hold_where_nothing_is_known() -> None:
    """Of views that share nothing, and of one that sees nothing."""
    colours, weight = torch.rand(50, 3, 3), torch.zeros(50, 3)
    weight[:20, 0] = weight[20:, 1] = 1
    assert torch.equal(levelled(colours, weight), torch.ones(3, 3))
    weight[:, :2] = 1
    gains = levelled(torch.stack([torch.full((50, 3), value) for value in (0.4, 0.5, 0.1)], 1), weight)
    assert (gains[0] / gains[1]).tolist() == pytest.approx([1.25] * 3, rel=0.02)
    assert gains[2].tolist() == pytest.approx([1.0] * 3, abs=0.02)


def test_colours_spread_over_the_surface_and_not_through_space() -> None:
    vertices, faces = joined(ball(12, 0.3), ball(12, 0.3, (0.0, 0.0, 0.61)))
    known = vertices[:, 0].abs() > 0.15
    colours = torch.where(vertices[:, 0:1] > 0, torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
    found = filled(colours, known.float() * 1000, faces)
    assert (found[known] - colours[known]).abs().max() < 0.01
    between = found[~known]
    assert between.min() >= 0 and between.max() <= 1
    order = vertices[~known, 0].argsort()
    third = len(order) // 3
    assert between[order[:third], 0].mean() < 0.4 < 0.6 < between[order[-third:], 0].mean()
    alone = filled(colours, known.float() * (torch.arange(len(vertices)) < len(vertices) // 2), faces)
    other = alone[len(vertices) // 2 :]
    assert (other - other.mean(0)).abs().max() < 1e-3 and 0.2 < float(other[0, 0]) < 0.8


def test_normals_that_face_away_say_nothing() -> None:
    mesh = half(ball(12))
    views = taken(mesh, shades, orbit(4, 0.0, size=SIDE))
    normals = vertex_normals(*mesh)
    weight = Sight(views, *mesh).at(mesh[0], normals).weight
    towards = (
        normals[:, None] * torch.nn.functional.normalize(views.cameras.positions.float() - mesh[0][:, None], dim=2)
    ).sum(2)
    assert (weight[towards < 0.1] == 0).all()
    assert (weight[towards > 0.6] > 0.1).float().mean() > 0.95
