"""Each block-out's whole outline, with what hides parts of it out of sight.

Block-outs that something may hide are looked at again with nothing else before them. Those whose outlines cannot
overlap share a look, so that a room of boxes takes two to four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Context, Object

from . import block_outs, hulls, identity, instancing, render_settings
from .identity import Sight
from .instancing import Makers
from .tasks import Steps

MOST_LAYERS = 64
"""As many layers as the contract takes."""

SLACK = 2.0
"""Pixels by which an outline may leave the hull of its points: a pixel's middle decides, and hulls are rounded."""


@dataclass(frozen=True)
class _Extent:
    """Where in the picture a block-out can be: a hull in pixels, and planar depth of its farthest point."""

    hull: Any
    farthest: float


@dataclass
class Outlines:
    """What is known of the block-outs that something hides.

    layers: ((H, W) uint16 ids, (H, W) float32 depth in Blender's units, NaN where nothing is), each id in one at most,
    and only those of which something is hidden; before: id of a block-out that is not seen at all, though it stands in
    the picture -> number of what hides most of it; crowded: ids that were not looked at because there are too many.
    """

    layers: list[tuple[Any, Any]] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)
    crowded: list[int] = field(default_factory=list)


def whole(
    context: Context,
    chosen: Mapping[int, Object],
    sight: Sight,
    camera: Mapping[str, Any],
    makers: Makers,
    path: Path,
) -> Steps:
    """The `Outlines` of block-outs. To be called where `identity.look` is; each render is a step.

    Args:
        chosen: id -> the block-out.
        camera: as the contract has it, in metres.
    """
    found = Outlines()
    extents = {}
    for number, block_out in chosen.items():
        extent = _extent(context, block_out, sight, number, camera)
        if extent is not None and not _is_whole(sight, number, extent):
            extents[number] = extent
    groups = _groups(extents)
    for group in groups[:MOST_LAYERS]:
        parts = {part: number for number in group for part in block_outs.members(chosen[number])}
        alone = yield from _alone(context, parts, makers, path)
        _keep(found, sight, alone, group)
    found.crowded = [number for group in groups[MOST_LAYERS:] for number in group]
    return found


def _keep(found: Outlines, sight: Sight, alone: Sight, group: Sequence[int]) -> None:
    """Add what a look has told of a group."""
    labels, depth = np.zeros_like(sight.labels), np.full_like(sight.depth, np.nan)
    for number in group:
        seen = sight.labels == number
        outline = (alone.labels == number) | seen
        if not seen.any() and outline.any():
            things, counts = np.unique(sight.things[outline], return_counts=True)
            found.before[number] = int(things[counts.argmax()])
        elif outline.sum() > seen.sum():
            labels[outline] = number
            depth[outline] = np.where(seen, sight.depth, alone.depth)[outline]
    if labels.any():
        found.layers.append((labels, depth))


def _extent(
    context: Context, block_out: Object, sight: Sight, number: int, camera: Mapping[str, Any]
) -> _Extent | None:
    """None for one that is behind the camera or beside the picture. What comes nearer than the camera's own plane, or
    is seen where it should not be (hair, displaced surfaces), may be anywhere."""
    height, width = sight.labels.shape
    depsgraph = context.evaluated_depsgraph_get()
    parts = block_outs.members(block_out)
    points = [block_outs.surface_points(block_out, depsgraph), instancing.corners(parts, depsgraph)]
    points = np.concatenate(points)
    metres = context.scene.unit_settings.scale_length
    pose = np.array(camera["world_from_camera"])
    local = (points * metres - pose[:3, 3]) @ pose[:3, :3]
    frame = np.array([[0.0, 0.0], [width, 0], [width, height], [0, height]])
    seen = sight.labels == number
    if len(points) and not seen.any() and (local[:, 2] >= 0).all():
        return None
    if not len(points) or local[:, 2].max() > -1e-6:
        return _Extent(frame, np.inf)
    pixels = local[:, :2] / -local[:, 2:]
    pixels = pixels * [camera["fx"], -camera["fy"]] + [camera["cx"], camera["cy"]]
    outer = hulls.hull(pixels)
    if np.any(seen & ~hulls.covered(outer, seen.shape, SLACK)):
        return _Extent(frame, np.inf)
    if not hulls.covered(outer, seen.shape, SLACK).any():
        return None
    return _Extent(outer, float(-local[:, 2].min() / metres))


def _is_whole(sight: Sight, number: int, extent: _Extent) -> bool:
    """Whether nothing in the picture can hide any of it: where it can be, all else is farther than all of it."""
    within = hulls.covered(extent.hull, sight.labels.shape, -1.0) & (sight.labels != number)
    return bool((sight.depth[within] > extent.farthest).all())


def _groups(extents: Mapping[int, _Extent]) -> list[list[int]]:
    """Ids whose hulls are apart, in as few groups as taking one after the other gives."""
    groups: list[list[int]] = []
    for number, extent in extents.items():
        for group in groups:
            if all(hulls.apart(extent.hull, extents[other].hull, 2 * SLACK) for other in group):
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


def _alone(context: Context, parts: Mapping[Object, int], makers: Makers, path: Path) -> Steps:
    """`Sight` of some block-outs with all else out of the camera's sight."""
    with render_settings.Overrides() as overrides:
        shown = instancing.shown_by(parts, makers)
        for other in bpy.data.objects:
            if other not in shown:
                overrides.set(other, "visible_camera", False)
        remaining = {thing: by & ({thing} | parts.keys()) for thing, by in makers.items() if thing in shown}
        sight = yield from identity.look(context, parts, remaining, path)
    return sight
