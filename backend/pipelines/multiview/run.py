"""The work of multiview: pictures → square views → surface → clean → texture → where the cameras see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from backend.devices import release
from backend.geometry.cleanup import Cleaned
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.multiview import MultiviewParameters
from backend.pipelines.multiview.framing import Frame, frame_of, framed, square_of, views_of
from backend.pipelines.multiview.judging import judged
from backend.pipelines.multiview.keeping import Made, kept
from backend.pipelines.multiview.pictures import Taken, pictures_of
from backend.pipelines.multiview.plans import multiview_plans
from backend.pipelines.running import Running, Tell, each
from backend.placement import stand_up
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from models.multiview.surface import LEVELS, Settings, reconstruct
from models.multiview.texture import Blend, texture, vertex_colours
from models.multiview.views import Views
from models.optimisation.hooks import Hooks

HINT = "See that the cameras are those that took the pictures, and that all pictures show the same object."

COARSEST = 12
"""Cells along the longest side that the fitting begins with at least."""

SHEET = 4
"""Views side by side in the preview."""


def run(shot: Shot, parameters: MultiviewParameters, context: Context) -> Scene:
    """Make one prop of the object that all pictures show; it stands in the world of their cameras.

    The same shot, parameters and seed give the same scene on the same device. Surface and texture are kept as
    checkpoints: a job that was cut off does not make them again.

    Raises:
        Problem: "camera-invalid", "instances-too-many", "image-empty", "background-unclear"; "out-of-memory";
            "geometry-failed" if there is no surface.
        Cancelled: at the next report after the user has cancelled.
    """
    running = Running.begin(context)
    with context.stage("views"):
        taken, backgrounds = pictures_of(shot, context, parameters.background)
        views, frame = _views(taken, parameters.side, context)
    texels = parameters.texture_size**2 if parameters.colour == "texture" else 0

    def work(plan: Plan) -> dict[int, Prop]:
        return _made(views.to(running.device.name), frame, shot, parameters, context)

    props = running.by_plans(
        lambda device: multiview_plans(len(views), views.cameras.width, parameters.resolution, texels), work
    )
    release(running.device)
    record: dict[str, Any] = {"pictures_used": [each.number for each in taken], **running.record}
    if any(backgrounds):  # of the first picture it is told of every method
        record["backgrounds"] = backgrounds
    return Scene(list(props.values()), record)


def _views(taken: Sequence[Taken], side: int, context: Context) -> tuple[Views, Frame]:
    """Square views of one size: no larger than any picture shows the object."""
    side = min(side, max(16, round(max(square_of(each.cut)[2] for each in taken))))
    squares = [framed(each.cut, each.camera, side) for each in taken]
    rows = [squares[start : start + SHEET] for start in range(0, len(squares), SHEET)]
    sheet = np.zeros((len(rows) * side, min(SHEET, len(squares)) * side, 4), np.uint8)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = cell.picture
    context.preview("views", sheet, f"{len(squares)} views")
    frame = frame_of([square.camera for square in squares])
    return views_of(squares, frame), frame


def settings_of(parameters: MultiviewParameters, seed: int) -> Settings:
    """How the surface is made: as it is by itself, at another resolution and with other numbers of steps."""
    finest = LEVELS[-1]
    if not parameters.chosen_steps:
        return Settings(levels=(replace(finest, cells=parameters.resolution, steps=0),), flexible=False, seed=seed)
    share = parameters.chosen_steps / sum(level.steps for level in LEVELS)
    levels = [
        replace(
            level,
            cells=max(COARSEST, round(level.cells * parameters.resolution / finest.cells)),
            steps=max(1, round(level.steps * share)),
        )
        for level in LEVELS
    ]
    return Settings(levels=tuple(levels), flexible=parameters.flexible, seed=seed)


def _made(views: Views, frame: Frame, shot: Shot, parameters: MultiviewParameters, context: Context) -> dict[int, Prop]:
    (instance,) = shot.instances.names
    earlier, step = kept(context), max(parameters.chosen_steps, 1)

    def surfaced(number: int, tell: Tell) -> Made:
        return earlier or _surface(views, parameters, context)

    with context.stage("surface"):
        made = each([instance], surfaced, shot, context, HINT)
        if earlier is None and not context.finished_early:  # what was ended early is no state to go on from
            made[instance].keep(context, step)
    shapes: dict[int, Cleaned] = {}
    with context.stage("clean"):
        if made[instance].mesh is None:
            surfaces = {number: (found.vertices, found.faces) for number, found in made.items()}
            shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    def coloured(number: int, tell: Tell) -> Made:
        found, title = made[number], shot.title(number)
        if found.mesh is not None:
            return found
        others = [index for index in range(len(views)) if index not in found.left_out]
        mesh = _coloured(shapes[number], views.chosen(others), parameters, title, tell)
        return replace(found, mesh=mesh, removed_pieces=shapes[number].removed_pieces)

    with context.stage("texture"):
        made = each(made, coloured, shot, context, HINT)
        if shapes and not context.finished_early:
            made[instance].keep(context, step + 1)

    def placed(number: int, tell: Tell) -> Prop:
        found, name = made[number], shot.instances.names[number]
        assert found.mesh is not None
        quality = {"left_out": list(found.left_out), "removed_pieces": found.removed_pieces}
        quality |= judged(found.mesh, views)
        vertices, place = stand_up(frame.to_world(found.mesh.vertices), shot.camera, shot.boxes.get(number))
        return Prop(number, name, replace(found.mesh, vertices=vertices), place, "cameras", quality)

    with context.stage("place"):
        return each(made, placed, shot, context)


def _surface(views: Views, parameters: MultiviewParameters, context: Context) -> Made:
    hooks = Hooks(
        progress=lambda report: context.progress(report.step / max(report.steps, 1), str(report)),
        finish=lambda: context.finish_wanted,
        tell=lambda sentence: context.warn("views-disagree", sentence, HINT),
    )
    found = reconstruct(views, settings_of(parameters, context.seed), hooks)
    vertices, faces = found.vertices.detach().float().cpu().numpy(), found.faces.cpu().numpy()
    return Made(vertices, faces, tuple(found.report.get("left_out", ())))


@torch.no_grad()
def _coloured(shape: Cleaned, views: Views, parameters: MultiviewParameters, title: str, tell: Tell) -> Mesh:
    """The mesh with the colours of the views, in their frame."""
    return ending.carrying(
        title,
        shape,
        views.device,
        how=parameters.colour,
        at_vertices=lambda vertices, faces: vertex_colours(
            Blend.of(views, vertices, faces, level=parameters.level), vertices, faces
        ),
        baked=lambda vertices, faces: texture(
            vertices, faces, views, size=parameters.texture_size, level=parameters.level, progress=tell
        ),
        hint=HINT,
    )
