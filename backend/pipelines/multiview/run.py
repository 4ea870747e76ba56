"""The work of multiview: pictures → square views → surface → clean → texture → where the cameras see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.devices import release
from backend.geometry.cleanup import Cleaned
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.multiview import MultiviewParameters
from backend.pipelines.multiview.framing import Frame, frame_of, framed, square_of, views_of
from backend.pipelines.multiview.judging import judged
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


@dataclass(frozen=True, eq=False)
class Solid:
    """What was reconstructed, in the frame of the views. record: of the reconstruction, for result.json."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    record: dict[str, Any]


def run(shot: Shot, parameters: MultiviewParameters, context: Context) -> Scene:
    """Make one prop of the object that all pictures show; it stands in the world of their cameras.

    The same shot, parameters and seed give the same scene on the same device. The surface is kept as a checkpoint: a
    job that was cut off does not make it again.

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

    def surfaced(number: int, tell: Tell) -> Solid:
        return _solid(views, parameters, context)

    with context.stage("surface"):
        solids = each([instance], surfaced, shot, context, HINT)
    with context.stage("clean"):
        surfaces = {number: (solid.vertices, solid.faces) for number, solid in solids.items()}
        shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    def coloured(number: int, tell: Tell) -> Mesh:
        others = [index for index in range(len(views)) if index not in solids[number].record["left_out"]]
        return _coloured(shapes[number], views.chosen(others), parameters, shot.title(number), tell)

    with context.stage("texture"):
        meshes = each(shapes, coloured, shot, context, HINT)

    def placed(number: int, tell: Tell) -> Prop:
        mesh = meshes[number]
        quality = {**solids[number].record, **judged(mesh, views), "removed_pieces": shapes[number].removed_pieces}
        mesh.vertices, place = stand_up(frame.to_world(mesh.vertices), shot.camera, shot.boxes.get(number))
        return Prop(number, shot.instances.names[number], mesh, place, "cameras", quality)

    with context.stage("place"):
        return each(meshes, placed, shot, context)


def _solid(views: Views, parameters: MultiviewParameters, context: Context) -> Solid:
    """The surface, or that of an earlier attempt."""
    kept = context.checkpoints.latest()
    if kept is not None:
        with np.load(kept.folder / "surface.npz") as file:
            return Solid(file["vertices"], file["faces"], {"left_out": file["left_out"].tolist()})
    hooks = Hooks(
        progress=lambda report: context.progress(report.step / max(report.steps, 1), str(report)),
        finish=lambda: context.finish_wanted,
        tell=lambda sentence: context.warn("views-disagree", sentence, HINT),
    )
    found = reconstruct(views, settings_of(parameters, context.seed), hooks)
    solid = Solid(
        found.vertices.detach().float().cpu().numpy(),
        found.faces.cpu().numpy(),
        {"left_out": found.report.get("left_out", [])},
    )

    def write(folder: Path) -> None:
        np.savez(folder / "surface.npz", vertices=solid.vertices, faces=solid.faces, left_out=solid.record["left_out"])

    context.checkpoints.save(max(parameters.chosen_steps, 1), write)
    return solid


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
