"""Which object each pixel sees, and how far away: instance map and depth.

Both are passes of Cycles itself, object index and depth, from one sample through the middle of each pixel. No material
is touched, so what a material does to visibility and shape is in them as it is in the picture: one sees through leaf
cards and panes (a pixel belongs to the first surface that covers at least half of it), displaced surfaces have their
shape, holdouts hide and are nothing. What has a volume alone hides nothing. Neither compositor nor graphics card is
needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Scene

from ..wire.tasks import Steps
from . import exr, identity_settings
from .identity_settings import ALPHA_THRESHOLD, for_identity
from .intrinsics import CaptureError
from .render_settings import Overrides
from .rendering import Borrow, Stage
from .scenery import Scenery

LARGEST_ID = 32766
SHARED = 32767
"""An object's pass index has 15 bits; the last number is for what several show as instances."""

LOOKS = 16
"""A ray may end, by chance, at something that covers less than half; such pixels are looked at again, this often at
most. A pane that stops four rays of ten stops all of them in one pixel of a million."""

_CRYPTOMATTE_WEIGHT = re.compile(r"\.CryptoObject\d+\.[ga]$", re.IGNORECASE)

_NOTHING = 1e9
"""Cycles' depth where nothing is, 1e10, is beyond this."""


@dataclass(frozen=True)
class Numbers:
    """Which number stands for what: the ids first, then everything else that stands in the scene.

    own: objects of the scene -> number; passes: all objects -> what their pass index says, their number or that of
    who shows them, SHARED if that is not one; sharers: who shows those. Objects are meant by their session ids.
    """

    own: dict[int, int]
    passes: dict[int, int]
    sharers: set[int]


@dataclass(frozen=True)
class Sight:
    """What a camera sees.

    labels: (H, W) uint16 ids, 0 for all that has none; depth: (H, W) float32 in Blender's units, NaN where nothing is;
    things: (H, W) number of what is seen, ids and others, 0 for nothing and for what has no number; names: of others.
    """

    labels: Any
    depth: Any
    things: Any
    names: dict[int, str]


def look(stage: Stage, ids: Mapping[int, int], what: Scenery, path: Path) -> Steps[Sight]:
    """What the camera of a stage sees, a `Sight`. Each render is a step.

    Args:
        ids: session id of an object -> its number; all others are 0.
        path: where renders may be written (EXR).
    """
    for_identity(stage, what)
    numbers = _numbered(ids, what)

    def borrowed(overrides: Overrides) -> None:
        identity_settings.borrow(overrides, what)
        for each in bpy.data.objects:
            overrides.set(each, "pass_index", numbers.passes.get(each.session_uid, 0))

    things, depth = yield from _examine(stage, borrowed, path)
    shared = things == SHARED
    if shared.any():
        who = yield from _who_shows(stage, borrowed, numbers, set(ids.values()), path)
        things = np.where(shared, who, things)
    largest = max(ids.values(), default=0)
    names = {number: what.standing[uid] for uid, number in numbers.own.items() if number > largest}
    return Sight(np.where(things <= largest, things, 0).astype(np.uint16), depth, things, names)


def _numbered(ids: Mapping[int, int], what: Scenery) -> Numbers:
    """Numbers for what has an id and, as far as they go, for all else that can be seen."""
    own, free = dict(ids), max(ids.values(), default=0) + 1
    for thing in what.standing:
        if thing not in own and free < SHARED:
            own[thing], free = free, free + 1
    sharers: set[int] = set()
    passes, wanted = dict(own), set(ids.values())
    for shown, by in what.makers.items():
        claims = {own.get(maker, 0) for maker in by}
        if len(claims) > 1 and claims & wanted:
            passes[shown] = SHARED
            sharers |= by
        elif claims:
            passes[shown] = min(claims)
    return Numbers(own, passes, sharers)


def _who_shows(stage: Stage, borrowed: Borrow, numbers: Numbers, wanted: set[int], path: Path) -> Steps[Any]:
    """(H, W) whose instance each pixel sees where an object is shown by several: an id, or 0 for those without.

    Each look has other makers as holdouts, whose instances hide but have no number: it tells one bit of a code.
    """
    claimed = sorted({numbers.own.get(maker, 0) for maker in numbers.sharers} & wanted)
    codes = {number: code for code, number in enumerate(claimed, 1)}
    found: Any = 0
    for bit in range(len(claimed).bit_length()):
        others = {maker for maker in numbers.sharers if not codes.get(numbers.own.get(maker, 0), 0) >> bit & 1}

        def with_holdouts(overrides: Overrides, others: set[int] = others) -> None:
            borrowed(overrides)
            for each in bpy.data.objects:
                if each.session_uid in others:
                    overrides.set(each, "is_holdout", True)

        things, _ = yield from _examine(stage, with_holdouts, path)
        found = found | (things == SHARED).astype(np.int64) << bit
    return np.array([0, *claimed])[np.minimum(found, len(claimed))]


def _examine(stage: Stage, borrowed: Borrow, path: Path) -> Steps[tuple[Any, Any]]:
    """(H, W) int64 pass index of what each pixel sees, 0 for nothing, and (H, W) float32 depth, NaN for nothing."""
    stage.scene.render.use_border = False
    things, depth, by_chance = yield from _glance(stage, borrowed, path, 0)
    for number in range(1, LOOKS):
        if not by_chance.any():
            break
        _only(stage.scene, by_chance)
        more_things, more_depth, again = yield from _glance(stage, borrowed, path, number)
        things, depth = np.where(by_chance, more_things, things), np.where(by_chance, more_depth, depth)
        by_chance = by_chance & again
    return things, depth


def _glance(stage: Stage, borrowed: Borrow, path: Path, number: int) -> Steps[tuple[Any, Any, Any]]:
    """One ray for each pixel: indices, depth, and where it ended by chance."""
    stage.scene.cycles.seed = number
    yield from stage.render(path, borrowed)
    numbers, depth, alpha, weights = _passes(exr.read_channels(path))
    things = np.rint(numbers).astype(np.int64)
    if np.abs(numbers - things).max() > 1e-3:
        message = "The instance map came out blurred."
        raise CaptureError(message, "Look for what changes the picture during a render, such as render handlers.")
    nothing = depth > _NOTHING
    by_chance = (alpha > 0.999) & (weights < ALPHA_THRESHOLD)
    return np.where(nothing, 0, things), np.where(nothing, np.nan, depth), by_chance


def _passes(channels: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Object index, depth, alpha, and the most that anything on the ray's way covers of it."""
    found = {}
    for name, values in channels.items():
        for ending in (".IndexOB.X", ".Object Index.X", ".Depth.Z", ".Combined.A"):  # the second from 5.0 on
            if name.endswith(ending):
                found[ending[-1]] = values
    weights = [values for name, values in channels.items() if _CRYPTOMATTE_WEIGHT.search(name)]
    return found["X"], found["Z"], found["A"], np.max(weights, axis=0)


def _only(scene: Scene, wanted: Any) -> None:
    """Render no more than the rectangle around some pixels; the file has the whole frame all the same."""
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    height, width = wanted.shape
    render = scene.render
    edges = {"border_min_x": (columns[0] - 1) / width, "border_max_x": (columns[-1] + 2) / width}
    edges |= {"border_min_y": 1 - (rows[-1] + 2) / height, "border_max_y": 1 - (rows[0] - 1) / height}
    for name, value in edges.items():
        setattr(render, name, min(max(float(value), 0.0), 1.0))
    render.use_border, render.use_crop_to_border = True, False
