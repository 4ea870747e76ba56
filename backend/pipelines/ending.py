"""From what networks gave to props: blocks that methods combine as they need them.

Clean (`cleaned`), stand in the world together (`placed_together`) or each alone (`placed_alone`), take colours from the
picture (`painted`) or from a field (`coloured`), tell how it came (`registration_record`). One of several objects that
cannot be made is told and left out by each of them, see `backend.pipelines.running.each`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import Problem
from backend.geometry.cleanup import Cleaned, clean
from backend.geometry.projection import paint_scene
from backend.geometry.vertex_colours import Carrier, carried
from backend.pipelines.base import PipelineInfo
from backend.pipelines.context import Context
from backend.pipelines.running import Tell, each
from backend.registration import Box, Registration, register
from backend.registration.fit import has_surface
from backend.registration.props import Snap, stand
from backend.scene import Mesh, Prop
from backend.shot import InstanceMap, Shot
from models.isosurface import FieldError
from models.rendering import Baked, bake
from models.rendering.colours import ask

Colour = Callable[[torch.Tensor], torch.Tensor]
"""Points [P, 3] → colours [P, 3], 0 to 1."""

TOLD_BEFORE = {"mesh-missing", "mesh-unusable"}
"""Remarks of the registration on objects that were left out, and told, before it."""


def cleaned(
    surfaces: Mapping[int, tuple[NDArray[np.floating], NDArray[np.integer]]],
    shot: Shot,
    context: Context,
    *,
    faces: int,
    floaters: float,
) -> dict[int, Cleaned]:
    """Meshes fit for use.

    Args:
        surfaces: instance → vertices (V, 3) and faces (F, 3) as a field gave them, any units and axes.
        faces, floaters: `target_faces` and `smallest_piece` of `backend.geometry.cleanup.clean`.

    Raises:
        Problem: "geometry-failed" if not one surface is left.
    """

    def work(number: int, tell: Tell) -> Cleaned:
        done = clean(*surfaces[number], target_faces=faces, smallest_piece=floaters)
        if not has_surface(Mesh(done.vertices, done.faces)):
            raise Problem("geometry-failed", f"{shot.title(number)} has no surface left after cleaning.")
        return done

    return each(surfaces, work, shot, context)


def placed_together(
    meshes: Mapping[int, Mesh],
    instances: InstanceMap,
    shot: Shot,
    context: Context,
    *,
    tilt: bool,
    snap: Snap,
    to_ground: bool,
) -> tuple[dict[int, Prop], Registration]:
    """Meshes that share a frame of their own, z up, as props where the camera sees them.

    Args:
        meshes: instance → mesh.
        instances: their masks.
        tilt: see `register`. snap, to_ground: see `stand`.

    Raises:
        Problem: see `register`.
    """
    boxes = {number: Box.of(box) for number, box in shot.boxes.items()}
    registration = register(
        meshes, instances, shot.camera, depth=shot.depth, bounds=boxes, tilt=tilt, seed=_seed(context)
    )
    _pass_on(registration, context)

    def work(number: int, tell: Tell) -> Prop:
        name, mesh, box = instances.names[number], meshes[number], boxes.get(number)
        prop = stand(number, name, mesh, registration, box=box, snap=snap, to_ground=to_ground)
        prop.quality["mask_iou"] = registration.iou.get(number)
        return _standing(prop, shot)

    return each(sorted(meshes), work, shot, context), registration


def placed_alone(
    number: int,
    mesh: Mesh,
    shot: Shot,
    context: Context,
    *,
    yaw: float | None = None,
    snap: Snap = "none",
    to_ground: bool = False,
    size: float = 0.0,
) -> Prop:
    """A mesh that was made by itself, as a prop whose silhouette agrees with its mask: the whole outline, if known.

    Args:
        number: of the instance.
        mesh: z up, any unit.
        yaw: its turn about the vertical in degrees, where it is known.
        snap, to_ground: see `stand`.
        size: metres of its longest side, set about its foot; 0 leaves it as large as it is seen.

    Raises:
        Problem: see `register`.
    """
    box = Box.of(shot.boxes[number]) if number in shot.boxes else None
    name, instances, depth = shot.instances.names[number], shot.instances, shot.depth
    if number in shot.outlines:  # alone, nothing stands before it
        mask = shot.whole_mask(number)
        instances = InstanceMap(np.where(mask, np.uint16(number), np.uint16(0)), {number: name})
        depth = shot.whole_depth(number)
    bounds = {} if box is None else {number: box}
    registration = register(
        {number: mesh}, instances, shot.camera, depth=depth, bounds=bounds, yaw=yaw, seed=_seed(context)
    )
    _pass_on(registration, context, number)
    prop = stand(number, name, mesh, registration, box=box, snap=snap, to_ground=to_ground)
    prop.quality |= {
        "mask_iou": registration.iou.get(number),
        "scale": registration.scale,
        "scale_source": registration.scale_source,
    }
    if size:
        used = prop.mesh.vertices[np.unique(prop.mesh.faces)]
        factor = size / float(np.ptp(used, axis=0).max())
        prop.mesh.vertices *= factor
        prop.quality |= {"scale_source": "size", "scale": registration.scale * factor}
        prop.placement = "size"
    return _standing(prop, shot)


def painted(
    props: Mapping[int, Prop], shot: Shot, context: Context, *, how: Carrier, texture_size: int
) -> dict[int, Prop]:
    """Props with the picture on what the camera sees of them, and the rest filled to match.

    Args:
        how: what carries the colours, see `carried`.
        texture_size: longest side of each texture in pixels.
    """
    world = {number: replace(prop.mesh, vertices=prop.world_vertices()) for number, prop in props.items()}

    def one_by_one(numbers: list[int], paint: Callable[[int], Mesh]) -> dict[int, Mesh]:
        return each(numbers, lambda number, tell: paint(number), shot, context)

    meshes = paint_scene(world, shot.image, shot.instances.labels, shot.camera, texture_size, one_by_one)
    return {
        number: replace(
            props[number],
            mesh=carried(replace(props[number].mesh, corner_uv=mesh.corner_uv, texture=mesh.texture), how),
        )
        for number, mesh in meshes.items()
    }


def coloured(
    title: str,
    shape: Cleaned,
    colour: Colour,
    device: torch.device,
    tell: Tell,
    *,
    how: Carrier,
    texture_size: int,
    hint: str,
) -> Mesh:
    """A mesh with the colours of a field.

    Args:
        title: how to speak of the object.
        shape: in the frame of the field.
        colour, device: the field, and where it takes points.
        how: a baked texture, a colour for each vertex, or no colours.
        texture_size: side of a texture in pixels.
        hint: what to do if the field fails.

    Raises:
        Problem: "geometry-failed" if the field gives colours that are not finite, or the surface cannot be laid flat.
    """
    return carrying(
        title,
        shape,
        device,
        how=how,
        at_vertices=lambda vertices, faces: ask(colour, vertices, progress=tell),
        baked=lambda vertices, faces: bake(vertices, faces, colour, size=texture_size, progress=tell),
        hint=hint,
    )


def carrying(
    title: str,
    shape: Cleaned,
    device: torch.device,
    *,
    how: Carrier,
    at_vertices: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    baked: Callable[[torch.Tensor, torch.Tensor], Baked],
    hint: str,
) -> Mesh:
    """A mesh with colours, however these are found.

    Args:
        title, shape, device, how, hint: see `coloured`.
        at_vertices: vertices [V, 3] and faces [F, 3] → colours [V, 3], 0 to 1. baked: the same → a texture.

    Raises:
        Problem: "geometry-failed" as `coloured`.
    """
    mesh = Mesh(shape.vertices, shape.faces)
    surface = torch.from_numpy(shape.vertices).float().to(device), torch.from_numpy(shape.faces).to(device)
    try:
        if how == "vertices":
            mesh.colours = (at_vertices(*surface) * 255).round().to(torch.uint8).cpu().numpy()
        elif how == "texture":
            made = baked(*surface)
            mesh.corner_uv = made.corner_uv.cpu().numpy().astype(np.float64)
            mesh.texture = made.texture.cpu().numpy()
    except ValueError as error:
        flat = "Set fewer target faces or a larger texture, or set Colour to vertices."
        detail = f"{title} could not be coloured: {error}"
        raise Problem("geometry-failed", detail, hint if isinstance(error, FieldError) else flat) from error
    return mesh


def registration_record(registration: Registration) -> dict[str, Any]:
    """How a scene was placed, for result.json."""
    return {
        "registration": {
            "similarity": registration.similarity.tolist(),
            "scale": registration.scale,
            "yaw": registration.yaw,
            "tilt": registration.tilt,
            "scale_source": registration.scale_source,
            "confidence": registration.confidence,
            "mean_iou": registration.mean_iou,
        }
    }


def _seed(context: Context) -> int:
    """Where chance starts from in placing; a method without chance places alike whatever the seed."""
    return 0 if isinstance(context.info, PipelineInfo) and not context.info.chance else context.seed


def _standing(prop: Prop, shot: Shot) -> Prop:
    """The prop, if it stands anywhere. Raises Problem("geometry-failed")."""
    if not (np.isfinite(prop.world_from_prop).all() and has_surface(prop.mesh)):
        raise Problem("geometry-failed", f"{shot.title(prop.instance)} found no place in the world.")
    return prop


def _pass_on(registration: Registration, context: Context, number: int | None = None) -> None:
    """Tell what the registration remarks; of an object placed alone everything is about that one."""
    for warning in registration.warnings:
        if warning.code not in TOLD_BEFORE:
            about = warning.instance if number is None else number
            context.warn(warning.code, warning.message, warning.hint, about)
