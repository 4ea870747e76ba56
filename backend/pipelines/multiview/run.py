"""The work of multiview: pictures → square views → surface → clean → texture → where the cameras see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backend.devices import release
from backend.geometry.cleanup import Cleaned
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.multiview import MultiviewParameters
from backend.pipelines.multiview.framing import Frame, frame_of, framed, square_of, views_of
from backend.pipelines.multiview.keeping import Made, kept
from backend.pipelines.multiview.pictures import Taken, pictures_of
from backend.pipelines.running import Running, Tell, each
from backend.pipelines.viewed.judging import judged
from backend.pipelines.viewed.plans import surface_plans
from backend.pipelines.viewed.sheets import sheet
from backend.pipelines.viewed.surfacing import coloured, surfaced
from backend.placement import stand_up
from backend.scene import Prop, Scene
from backend.shot import Shot
from models.multiview.views import Views

HINT = "See that the cameras are those that took the pictures, and that all pictures show the same object."

SURFACE = 1
"""The step of the checkpoint of the surface; that of the texture is the next."""

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
    earlier = kept(context)

    def solid(number: int, tell: Tell) -> Made:
        return earlier or _surface(views, number, parameters, context)

    with context.stage("surface"):
        made = each([instance], solid, shot, context, HINT)
        if earlier is None:
            made[instance].keep(context, SURFACE)
    shapes: dict[int, Cleaned] = {}
    with context.stage("clean"):
        if made[instance].mesh is None:
            surfaces = {number: (found.vertices, found.faces) for number, found in made.items()}
            shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    def painted(number: int, tell: Tell) -> Made:
        found = made[number]
        if found.mesh is not None:
            return found
        mesh = coloured(
            shot.title(number),
            shapes[number],
            views.chosen([index for index in range(len(views)) if index not in found.left_out]),
            tell,
            how=parameters.colour,
            texture_size=parameters.texture_size,
            level=parameters.level,
            hint=HINT,
        )
        return replace(found, mesh=mesh, removed_pieces=shapes[number].removed_pieces)

    with context.stage("texture"):
        made = each(made, painted, shot, context, HINT)
        if shapes:
            made[instance].keep(context, SURFACE + 1)

    def placed(number: int, tell: Tell) -> Prop:
        found, name = made[number], shot.instances.names[number]
        assert found.mesh is not None
        quality = {"left_out": list(found.left_out), "removed_pieces": found.removed_pieces}
        quality |= judged(found.mesh, views)
        vertices, place = stand_up(frame.to_world(found.mesh.vertices), shot.camera, shot.boxes.get(number))
        return Prop(number, name, replace(found.mesh, vertices=vertices), place, "cameras", quality)

    with context.stage("place"):
        return each(made, placed, shot, context)


def _surface(views: Views, number: int, parameters: MultiviewParameters, context: Context) -> Made:
    found = surfaced(views, parameters.resolution, parameters.quality != "draft", number, context, HINT)
    return Made(found.vertices, found.faces, tuple(found.left_out.tolist()))
