"""Each block-out's whole outline, with what hides parts of it out of sight.

Block-outs that something may hide are looked at again with nothing else before them. Those whose outlines cannot
overlap share a look, so that a room of boxes takes two to four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Object, ViewLayer

from ..wire.tasks import Steps
from . import block_outs, hulls, identity, scenery
from .identity import Sight
from .rendering import Stage
from .scenery import Scenery

MOST_LAYERS, MOST_PIXELS = 64, 256_000_000
"""As many layers, and pixels of all of them, as the contract takes."""

SLACK = 2.0
"""Pixels by which an outline may leave the hull of its points: a pixel's middle decides, and hulls are rounded."""


@dataclass(frozen=True)
class Extent:
    """Where in the picture a block-out can be: a hull in pixels, and planar depth of its farthest point."""

    hull: Any
    farthest: float


@dataclass
class Outlines:
    """What is known of the block-outs that something hides.

    layers: ((H, W) uint16 ids, (H, W) float32 depth in Blender's units, NaN where nothing is), each id in one at most,
    and only those of which something is hidden; before: id of a block-out that is not seen at all, though it stands in
    the picture -> number of what hides most of it; too_many: ids that were not looked at because there are too many.
    """

    layers: list[tuple[Any, Any]] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)
    too_many: list[int] = field(default_factory=list)


def extent(view_layer: ViewLayer, block_out: Object, metres: float, camera: Mapping[str, Any]) -> Extent | None:
    """Where in the picture a block-out can be; None if it is behind the camera or beside the picture. What comes nearer
    than the camera's own plane may be anywhere.

    Args:
        metres: Blender's unit in metres; camera: as the contract has it.
    """
    depsgraph = view_layer.depsgraph
    inside = scenery.instance_corners(block_outs.members(block_out), depsgraph)
    points = np.concatenate([block_outs.surface_points(block_out, depsgraph), inside])
    pose = np.array(camera["world_from_camera"])
    local = (points * metres - pose[:3, 3]) @ pose[:3, :3]
    if len(points) and (local[:, 2] >= 0).all():
        return None
    if not len(points) or local[:, 2].max() > -1e-6:
        return _anywhere(camera["width"], camera["height"])
    pixels = local[:, :2] / -local[:, 2:]
    outer = hulls.hull(pixels * [camera["fx"], -camera["fy"]] + [camera["cx"], camera["cy"]])
    if not hulls.covered(outer, (camera["height"], camera["width"]), SLACK).any():
        return None
    return Extent(outer, float(-local[:, 2].min() / metres))


def _anywhere(width: int, height: int) -> Extent:
    return Extent(np.array([[0.0, 0.0], [width, 0], [width, height], [0, height]]), np.inf)


def whole(
    stage: Stage,
    parts: Mapping[int, int],
    extents: Mapping[int, Extent | None],
    sight: Sight,
    what: Scenery,
    path: Path,
) -> Steps[Outlines]:
    """The `Outlines` of block-outs, on the stage on which `sight` was had. Each render is a step.

    Args:
        parts: session id of each object -> id of the block-out that it is part of; extents: of each id.
    """
    found = Outlines()
    questionable = {}
    for number, where in extents.items():
        place = _corrected(sight, number, where)
        if place is not None and not _is_whole(sight, number, place):
            questionable[number] = place
    groups = _groups(questionable)
    most = min(MOST_LAYERS, MOST_PIXELS // sight.labels.size)
    for group in groups[:most]:
        alone = yield from _alone(
            stage, {part: number for part, number in parts.items() if number in group}, what, path
        )
        _keep(found, sight, alone, group)
    found.too_many = [number for group in groups[most:] for number in group]
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


def _corrected(sight: Sight, number: int, where: Extent | None) -> Extent | None:
    """What is seen where it should not be (hair, displaced surfaces) may be anywhere."""
    seen = sight.labels == number
    height, width = seen.shape
    expected = hulls.covered(where.hull, seen.shape, SLACK) if where is not None else False
    return _anywhere(width, height) if np.any(seen & ~np.asarray(expected)) else where


def _is_whole(sight: Sight, number: int, extent: Extent) -> bool:
    """Whether nothing in the picture can hide any of it: where it can be, all else is farther than all of it."""
    within = hulls.covered(extent.hull, sight.labels.shape, -1.0) & (sight.labels != number)
    return bool((sight.depth[within] > extent.farthest).all())


def _groups(extents: Mapping[int, Extent]) -> list[list[int]]:
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


def _alone(stage: Stage, parts: Mapping[int, int], what: Scenery, path: Path) -> Steps[Sight]:
    """`Sight` of some block-outs with all else out of the camera's sight."""
    shown = scenery.shown_by(parts, what.makers)
    hidden = {each.session_uid for each in bpy.data.objects} - shown
    makers = {thing: by & ({thing} | parts.keys()) for thing, by in what.makers.items() if thing in shown}
    rest = replace(what, makers=makers, out_of_sight=what.out_of_sight | hidden)
    return (yield from identity.look(stage, parts, rest, path))
