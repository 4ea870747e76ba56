"""The work of multiview: pictures → square views → surface → clean → texture → where the cameras see it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.devices import release
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.multiview import MultiviewParameters
from backend.pipelines.multiview.framing import Frame, frame_of, framed, square_of, views_of
from backend.pipelines.multiview.pictures import Taken, pictures_of
from backend.pipelines.running import Running, Tell, each
from backend.pipelines.viewed.judging import judged
from backend.pipelines.viewed.plans import surface_plans
from backend.pipelines.viewed.sheets import sheet
from backend.pipelines.viewed.surfacing import Solid, coloured, settings_of, surfaced
from backend.placement import stand_up
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from models.multiview.views import Views

HINT = "See that the cameras are those that took the pictures, and that all pictures show the same object."

SHEET = 4
"""Views side by side in the preview."""


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
        lambda device: surface_plans(len(views), views.cameras.width, parameters.resolution, texels), work
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
    pictures = np.stack([square.picture for square in squares])
    context.preview("views", sheet(pictures, SHEET), f"{len(squares)} views")
    frame = frame_of([square.camera for square in squares])
    return views_of(squares, frame), frame


def _made(views: Views, frame: Frame, shot: Shot, parameters: MultiviewParameters, context: Context) -> dict[int, Prop]:
    (instance,) = shot.instances.names

    def solid(number: int, tell: Tell) -> Solid:
        return _solid(views, number, parameters, context, tell)

    with context.stage("surface"):
        solids = each([instance], solid, shot, context, HINT)
    with context.stage("clean"):
        surfaces = {number: (solid.vertices, solid.faces) for number, solid in solids.items()}
        shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    def mesh(number: int, tell: Tell) -> Mesh:
        return coloured(
            shot.title(number),
            shapes[number],
            solids[number].others(views),
            tell,
            how=parameters.colour,
            texture_size=parameters.texture_size,
            level=parameters.level,
            hint=HINT,
        )

    with context.stage("texture"):
        meshes = each(shapes, mesh, shot, context, HINT)

    def placed(number: int, tell: Tell) -> Prop:
        mesh = meshes[number]
        left_out: list[int] = solids[number].left_out.tolist()
        quality = {"left_out": left_out, **judged(mesh, views), "removed_pieces": shapes[number].removed_pieces}
        mesh.vertices, place = stand_up(frame.to_world(mesh.vertices), shot.camera, shot.boxes.get(number))
        return Prop(number, shot.instances.names[number], mesh, place, "cameras", quality)

    with context.stage("place"):
        return each(meshes, placed, shot, context)


def _solid(views: Views, number: int, parameters: MultiviewParameters, context: Context, tell: Tell) -> Solid:
    """The surface, or that of an earlier attempt."""
    kept = context.checkpoints.latest()
    if kept is not None:
        with np.load(kept.folder / "surface.npz") as file:
            return Solid(file["vertices"], file["faces"], file["left_out"])
    settings = settings_of(parameters.chosen_steps, parameters.resolution, parameters.flexible, context.seed)
    solid = surfaced(views, settings, number, context, tell, HINT)

    def write(folder: Path) -> None:
        np.savez(folder / "surface.npz", **vars(solid))

    context.checkpoints.save(max(parameters.chosen_steps, 1), write)
    return solid
