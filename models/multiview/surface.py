"""Views to a surface: the visual hull first, then a signed distance fitted to the pictures, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional

from models.isosurface.marching import march
from models.multiview.appearance import vertex_colours
from models.multiview.fitting import Fitting, Weights
from models.multiview.silhouettes import (
    Lattice,
    hull_field,
    look_up,
    object_box,
    outline_distances,
    outlined,
    strangers,
)
from models.multiview.views import Views
from models.optimisation.chance import Step
from models.optimisation.hooks import Hooks, Report
from models.optimisation.loop import Loop, warm_up_then_cosine
from models.optimisation.loop import Settings as LoopSettings


@dataclass(frozen=True)
class Level:
    """cells: along the longest side of the box. steps: of the fitting. rays: of a step."""

    cells: int
    steps: int
    rays: int = 4096
    sharpness: tuple[float, float] = (4.0, 8.0)


LEVELS = (
    Level(24, 100, 1024, (4.0, 6.0)),
    Level(48, 80, 2048, (4.0, 6.0)),
    Level(80, 60, 3072),
    Level(128, 40, 4096),
)


@dataclass(frozen=True)
class Settings:
    """How a surface is made.

    levels: of the fitting, coarse to fine; one without steps gives the visual hull.
    weights: of the losses.
    flexible: whether views may disagree by a few pixels and in exposure.
    flow: by how much of the way to the mean around it the field is moved after each step.
    seed: of all chance.
    smallest: share of the area that a separate piece has at least.
    """

    levels: tuple[Level, ...] = LEVELS
    weights: Weights = field(default_factory=Weights)
    flexible: bool = True
    flow: float = 0.3
    seed: int = 0
    smallest: float = 0.002


DEEP, AROUND = 1.0, 2
"""Cells: a part of the hull is thick if it is so deep somewhere, and so far around there."""

BENDS = 5
"""Places along a side of a picture at which it may be bent."""

REACH = 3.0
"""Cells on either side of the surface in which the field is smoothed."""

EDGE, EDGES = 0.4, 5
"""Cells from the outline of so many views: there is an edge of the object, which no smoothing moves."""

SOUNDED = 3
"""Steps from which the mean size of gradients is taken."""

SLOWEST = 0.1
"""What rates end at, by what they begin with."""

NOTICED = 0.5
"""Size of a gradient of the field, by the mean one, from which on it moves the surface at its full rate."""

HULL = Settings(levels=(Level(144, 0),), flexible=False)
"""Of the visual hull alone."""


@dataclass(frozen=True)
class Surface:
    """A closed, coloured mesh.

    vertices: `[N, 3]` float32 in the cameras' world. faces: `[F, 3]` int64, counter-clockwise seen from outside.
    colours: `[N, 3]` float32, 0 … 1, sRGB. seen: `[N]` bool, whether a view sees the vertex.
    report: see `reconstruct`.
    """

    vertices: Tensor
    faces: Tensor
    colours: Tensor
    seen: Tensor
    report: dict[str, Any]


def reconstruct(views: Views, settings: Settings | None = None, hooks: Hooks | None = None) -> Surface:
    """A mesh of what the views show.

    Args:
        views: two or more, of an object that all of them show as a whole; sixteen all round are what it is made for.
        settings: None for the usual ones.
        hooks: `progress` counts the steps of all levels, `finish` ends the fitting early, `tell` hears of views that
            were left out. Nothing else of it is used.

    Returns:
        The mesh, on the device of the views. Its report has `left_out` (numbers of views that show something else),
        `losses` of the last level by name, `exposure` (by view, what colours are multiplied by), `bent` (pixels that
        views are bent by, in the mean), `lattice` and `seen` (share of the vertices).

    Raises:
        ValueError: the outlines have nothing in common, or nothing is left.
        NotFinite: see `models/optimisation/loop.py`.
    """
    settings, hooks = settings or Settings(), hooks or Hooks()
    apart = outline_distances(views.alpha)
    strange = strangers(apart, views)
    left_out = strange.nonzero()[:, 0].tolist()
    if hooks.tell is not None and left_out:
        hooks.tell(f"Views {left_out} show something else than the others: they are left out. The first is 0.")
    kept = (~strange).nonzero()[:, 0]
    views, apart = views.chosen(kept), apart[kept]
    state = _fitted(views, apart, settings, hooks)
    vertices, faces = closed_triangles(state.distance, state.lattice, settings.smallest)
    gains = state.exposure.exp()
    colours, seen = vertex_colours(vertices, faces, views, gains)
    report = {
        "left_out": left_out,
        "losses": state.losses,
        "exposure": gains.mean(1).tolist(),
        "bent": float(state.warp.norm(dim=1).mean()),
        "lattice": list(state.lattice.shape),
        "seen": float(seen.float().mean()),
    }
    return Surface(vertices, faces, colours, seen, report)


@dataclass
class _State:
    """What goes from level to level. carved: `[X, Y, Z]`, by how much the field is above the hull's."""

    lattice: Lattice
    distance: Tensor
    colour: Tensor | None
    carved: Tensor
    warp: Tensor
    exposure: Tensor
    losses: dict[str, float]


def _fitted(views: Views, apart: Tensor, settings: Settings, hooks: Hooks) -> _State:
    low, high = object_box(apart, views)
    longest = float((high - low).max())
    total, done = sum(level.steps for level in settings.levels), 0
    state: _State | None = None
    for number, level in enumerate(settings.levels):
        lattice = Lattice.over(low, high, longest / level.cells)
        state = _begun(views, apart, lattice, state)
        if not level.steps:
            continue
        fitting = Fitting(
            views,
            lattice,
            state.distance,
            first_colours(views, lattice, state.distance) if state.colour is None else state.colour,
            ray_pixels(views.alpha),
            rays=level.rays,
            steps=level.steps,
            weights=settings.weights,
            sharpness=level.sharpness,
            own=(state.warp, state.exposure) if settings.flexible else None,
        )
        hull = state.distance - state.carved
        edges = outlined(apart, views.cameras, lattice.points(), EDGE * lattice.spacing).reshape(lattice.shape)
        solid = thick(hull, lattice.spacing) * (edges < EDGES)
        loop = _loop(fitting, lattice, solid, level, replace(settings, seed=settings.seed + number))
        outcome = loop.run(_part(hooks, done, total))
        done += level.steps
        state.distance, state.colour = fitting.distance.detach(), fitting.colour.detach()
        state.carved = (state.distance - hull).clamp(min=0) * solid
        state.warp, state.exposure = fitting.warp.detach(), fitting.exposure.detach()
        state.losses = dict(outcome.losses)
        if outcome.early:
            break
    if state is None:
        raise ValueError("A surface needs a level.")
    return state


def _loop(fitting: Fitting, lattice: Lattice, solid: Tensor, level: Level, settings: Settings) -> Loop:
    """The fitting on one lattice; after each step the surface is relaxed where it is solid, `[X, Y, Z]`."""

    def relaxed(*_: Any) -> None:
        relax(fitting.distance.detach(), solid, lattice.spacing, settings.flow)

    optimiser = torch.optim.Adam(_groups(fitting, lattice, settings), betas=(0.9, 0.99))
    optimiser.register_step_post_hook(relaxed)
    chosen = LoopSettings(level.steps, settings.seed, judged_every=0)
    return Loop(fitting, optimiser, chosen, warm_up_then_cosine(0, level.steps, SLOWEST))


def _begun(views: Views, apart: Tensor, lattice: Lattice, former: _State | None) -> _State:
    """The hull on a lattice, carved as far as the coarser one has come."""
    points = lattice.points()
    hull = hull_field(apart, views.cameras, points).reshape(lattice.shape)
    if former is None:
        own = apart.new_zeros(len(views), 2, BENDS, BENDS), apart.new_zeros(len(views), 3)
        distance = redistanced(hull, lattice.spacing)
        return _State(lattice, distance, None, distance - hull, *own, {})
    carved = former.lattice.sample(former.carved[None], points)[:, 0].reshape(lattice.shape)
    colour = former.colour
    if colour is not None:
        colour = former.lattice.sample(colour, points).T.reshape(3, *lattice.shape).contiguous()
    distance = redistanced(hull + carved, lattice.spacing)
    return _State(lattice, distance, colour, distance - hull, former.warp, former.exposure, former.losses)


def _groups(fitting: Fitting, lattice: Lattice, settings: Settings) -> list[dict[str, Any]]:
    """What is fitted, with its rates.

    Adam divides every gradient by its own size, which makes of the noise of a plain wall as large a step as of an
    outline. The field's is therefore told from what size on a gradient counts, and gradients are smoothed first.
    """
    fitting.distance.register_hook(smoothed)  # type: ignore[no-untyped-call]
    losses = [fitting(Step(number, settings.seed)) for number in range(SOUNDED)]
    total = torch.stack([loss for each in losses for loss in each.values()]).sum() / SOUNDED
    (found,) = torch.autograd.grad(total, [fitting.distance])
    size = float(found[found != 0].square().mean().sqrt()) if bool((found != 0).any()) else 1.0
    parts = [
        {"params": [fitting.distance], "lr": 0.1 * lattice.spacing, "eps": NOTICED * size + 1e-12},
        {"params": [fitting.colour], "lr": 0.02},
    ]
    if settings.flexible:
        parts += [{"params": [fitting.warp], "lr": 0.03}, {"params": [fitting.exposure], "lr": 0.003}]
    return parts


def thick(hull: Tensor, spacing: float) -> Tensor:
    """`[X, Y, Z]`: 1 where a lattice is fine enough to say what is carved from the hull, 0 in its thin parts."""
    deep = (hull < -DEEP * spacing).to(hull)
    return functional.max_pool3d(deep[None, None], 2 * AROUND + 1, 1, AROUND)[0, 0]


def relax(distance: Tensor, solid: Tensor, spacing: float, share: float) -> None:
    """Moves the surface towards less area, in place: a step of the diffusion of a signed distance, which is one of the
    flow by mean curvature (Merriman, Bence and Osher 1992). Thin parts `[X, Y, Z]` of 0 stay."""
    mean = functional.avg_pool3d(distance[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    near = (distance.abs() < REACH * spacing) * solid
    distance += share * near * (mean - distance)


def smoothed(values: Tensor) -> Tensor:
    """`[X, Y, Z]`: means of means over 3 x 3 x 3."""
    for _ in range(2):
        values = functional.avg_pool3d(values[None, None], 3, 1, 1)[0, 0]
    return values


def _part(hooks: Hooks, before: int, total: int) -> Hooks:
    """The hooks of one level."""
    told = hooks.progress
    if told is None:
        return Hooks(finish=hooks.finish)
    return Hooks(progress=lambda now: told(Report(before + now.step, total, now.losses)), finish=hooks.finish)


def ray_pixels(alpha: Tensor, around: int = 9) -> Tensor:
    """`[N, 3]` view, row, column of the pixels on the object and a little beyond."""
    wide = functional.max_pool2d(alpha[:, None], 2 * around + 1, 1, around)[:, 0]
    return (wide > 0.01).nonzero()


def first_colours(views: Views, lattice: Lattice, distance: Tensor) -> Tensor:
    """`[3, X, Y, Z]`: near the surface the mean of all views that it faces, elsewhere the mean of those."""
    slopes = torch.stack(torch.gradient(distance, spacing=lattice.spacing), dim=3)
    near = (distance.abs() < 3 * lattice.spacing).flatten()
    points = lattice.points()[near]
    normals = functional.normalize(slopes.reshape(-1, 3)[near], dim=1, eps=1e-9)
    pixels, _ = views.cameras.project(points)
    towards = functional.normalize(views.cameras.positions.to(points)[:, None] - points, dim=2)
    weight = (towards * normals).sum(2).clamp(min=0.05) * look_up(views.alpha[..., None], pixels)[..., 0].clamp(
        min=0.01
    )
    found = (look_up(views.pictures, pixels) * weight[..., None]).sum(0) / weight.sum(0)[:, None]
    colour = found.mean(0).expand(len(near), 3).clone()
    colour[near] = found
    return colour.T.reshape(3, *lattice.shape).contiguous()


def redistanced(values: Tensor, spacing: float) -> Tensor:
    """`[X, Y, Z]`: a field with the same zero set that is nearly a distance from it."""
    slope = torch.stack(torch.gradient(values, spacing=spacing)).square().sum(0).sqrt()
    near = values / slope.clamp(min=0.3)
    inside = (values <= 0).cpu().numpy()
    far = distance_transform_edt(~inside) - distance_transform_edt(inside)
    far = torch.from_numpy(far).to(values) - torch.from_numpy(np.where(inside, -0.5, 0.5)).to(values)
    far = far * spacing
    return torch.where(far.abs() < 1.2 * spacing, near.clamp(-1.5 * spacing, 1.5 * spacing), far)


def closed_triangles(distance: Tensor, lattice: Lattice, smallest: float) -> tuple[Tensor, Tensor]:
    """Vertices and faces of the zero set, closed at the border, without pieces of less than a share of the area."""
    volume = functional.pad(distance, (1,) * 6, value=lattice.spacing).cpu().numpy()
    places, triangles = march(volume)
    if not len(triangles):
        raise ValueError("Nothing is left of the object: the views do not agree on any of it.")
    vertices = (torch.from_numpy(places.copy()).double() - 1) * lattice.spacing + lattice.origin.cpu()
    faces = torch.from_numpy(triangles.astype(np.int64).copy())
    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2).numpy()
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2)
    piece = torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))[faces[:, 0]]
    corners = vertices[faces]
    areas = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
    shares = torch.zeros(int(piece.max()) + 1).double().index_add(0, piece, areas) / areas.sum()
    faces = faces[shares[piece] >= smallest]
    used, numbers = torch.unique(faces, return_inverse=True)
    return vertices[used].float().to(distance.device), numbers.reshape(-1, 3).to(distance.device)
