"""The work of `inflate`: masks become lenses, lenses get the picture, and each stands where it was seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.geometry.lens import Lens, make_lens
from backend.geometry.texture import paint
from backend.geometry.vertex_colours import carried
from backend.pipelines.context import Context
from backend.pipelines.inflate import InflateParameters
from backend.placement import ASSUMED_DISTANCE, place, stand_up
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot


def run(shot: Shot, parameters: InflateParameters, context: Context) -> Scene:
    """Make one prop of every instance of the shot.

    Nothing here is left to chance: `context.seed` is not used, the same shot gives the same scene.

    Raises:
        Problem: "geometry-failed" if not one instance has a surface.
        Cancelled: at the next report after the user has cancelled.
    """
    lenses: dict[int, Lens] = {}
    names = shot.instances.names
    with context.stage("surface"):
        for instance, whole in _each(shot, list(names), context):
            if shot.instances.mask(instance).any():
                lenses[instance] = make_lens(whole, parameters.resolution, parameters.speck, parameters.thickness)
            else:
                message = f"{shot.title(instance)} has no pixels and was left out."
                context.warn("instance-empty", message, "Look at the instance map.", instance)
    if not lenses:
        raise Problem("geometry-failed", "No object in the instance map has any pixels.")
    paints = {}
    with context.stage("texture"):
        for instance, whole in _each(shot, list(lenses), context):
            seen = shot.instances.mask(instance)
            size, back = parameters.texture_size, parameters.back
            paints[instance] = paint(shot.image, seen, lenses[instance], size, back, whole)
    props = []
    with context.stage("place"):
        for instance, whole in _each(shot, list(lenses), context):
            box = shot.boxes.get(instance)
            vertices, how, quality = place(lenses[instance], shot.camera, whole, shot.whole_depth(instance), box)
            _warn_of_placement(shot, instance, how, context)
            local, world_from_prop = stand_up(vertices, shot.camera, box)
            corner_uv, texture = paints[instance]
            mesh = carried(Mesh(local, lenses[instance].faces, corner_uv=corner_uv, texture=texture), parameters.colour)
            props.append(Prop(instance, names[instance], mesh, world_from_prop, how, quality))
    return Scene(props)


def _each(shot: Shot, instances: list[int], context: Context) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Every instance with its whole mask; reports progress before each."""
    for index, instance in enumerate(instances):
        context.progress(index / len(instances), shot.instances.names[instance])
        yield instance, shot.whole_mask(instance)


def _warn_of_placement(shot: Shot, instance: int, how: str, context: Context) -> None:
    title = shot.title(instance)
    if how != "depth" and shot.depth is not None:
        context.warn(
            "placement-without-depth",
            f"The depth says nothing about {title}, so the ground was used instead.",
            "Render picture, instance map and depth from the same camera.",
            instance,
        )
    if how == "assumed":
        context.warn(
            "placement-assumed",
            f"{title} does not reach down to the ground; it was placed {ASSUMED_DISTANCE:g} m away.",
            "Give the depth too, or move the object by hand.",
            instance,
        )
