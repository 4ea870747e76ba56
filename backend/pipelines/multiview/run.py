"""The work of multiview: pictures → square views → surface → clean → texture → where the cameras see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backend.devices import release
from backend.pipelines.context import Context
from backend.pipelines.multiview import MultiviewParameters
from backend.pipelines.multiview.framing import Frame, frame_of, framed, square_of, views_of
from backend.pipelines.multiview.pictures import Taken, pictures_of
from backend.pipelines.running import Running, Tell, each
from backend.pipelines.viewed.judging import judged
from backend.pipelines.viewed.keeping import Kept
from backend.pipelines.viewed.plans import surface_plans
from backend.pipelines.viewed.shaping import Shaping, shaped
from backend.pipelines.viewed.sheets import sheet
from backend.placement import stand_up
from backend.scene import Prop, Scene
from backend.shot import Shot
from models.multiview.views import Views

HINT = "See that the cameras are those that took the pictures, and that all pictures show the same object."

SHEET = 4
"""Views side by side in the preview."""


def run(shot: Shot, parameters: MultiviewParameters, context: Context) -> Scene:
    """Make one prop of the object that all pictures show; it stands in the world of their cameras.

    The same shot, parameters and seed give the same scene on the same device. What is finished is kept as a
    checkpoint: a job that was cut off does not make it again.

    Raises:
        Problem: "camera-invalid", "instances-too-many", "image-empty", "background-unclear"; "out-of-memory";
            "geometry-failed" if there is no surface.
        Cancelled: at the next report after the user has cancelled.
    """
    running = Running.begin(context)
    with context.stage("views"):
        taken, backgrounds = pictures_of(shot, context, parameters.background)
        views, frame = _views(taken, parameters.side, context)
    how = Shaping(
        resolution=parameters.resolution,
        learned=parameters.quality != "draft",
        side=views.cameras.width,
        faces=parameters.faces,
        floaters=parameters.floaters,
        colour=parameters.colour,
        texture_size=parameters.texture_size,
        level=parameters.level,
        hint=HINT,
    )
    props = running.by_plans(
        lambda device: surface_plans(len(views), views.cameras.width, parameters.resolution, how.texels),
        lambda plan: _made(views, frame, running.device.name, shot, how, context),
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


def _made(views: Views, frame: Frame, device: str, shot: Shot, how: Shaping, context: Context) -> dict[int, Prop]:
    made = shaped(shot.instances.names, lambda number, tell: views, how, Kept(context), device, shot, context)

    def placed(number: int, tell: Tell) -> Prop:
        found = made[number]
        quality = {"left_out": found.solid.left_out.tolist(), "removed_pieces": found.shape.removed_pieces}
        quality |= judged(found.mesh, views)
        vertices, place = stand_up(frame.to_world(found.mesh.vertices), shot.camera, shot.boxes.get(number))
        mesh = replace(found.mesh, vertices=vertices)
        return Prop(number, shot.instances.names[number], mesh, place, "cameras", quality)

    with context.stage("place"):
        return each(made, placed, shot, context)
