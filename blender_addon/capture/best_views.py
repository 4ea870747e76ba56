"""Which camera's picture a prop is made of, where several see its block-out. Pure arithmetic.

A method that takes one picture gets the best one: the object whole in the frame, nothing before it, from a height that
the method likes, and large. One that takes several gets all that see it, the best ones if those are too many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

ANY_HEIGHT = (-90.0, 90.0)
"""The elevations of a method that likes all of them."""

ENOUGH = 0.25
"""Of the picture's area: an object that covers more is not better to work with, pipelines look at it no larger."""

CUT = 0.25
"""What a view is worth where the frame cuts the object: four times the size makes up for it."""

TOO_STEEP, STEEPEST = 0.3, 45.0
"""What a view is worth that is so many degrees, or more, beyond the elevations that a method likes."""

WHOLE = 0.98
"""Share of an outline that is seen from which on nothing worth mentioning hides it."""

ALIKE = 0.95
"""Two sizes count as the same from this ratio on."""


@dataclass(frozen=True)
class View:
    """How one picture shows one block-out.

    share: of the picture's area that is covered by what is seen of it, 0 to 1.
    seen: how much of its outline in the picture is seen, 0 to 1; the rest is behind others.
    cut: whether the frame cuts it.
    elevation: degrees from which the camera looks down at its middle; below 0 it looks up.
    """

    share: float
    seen: float = 1.0
    cut: bool = False
    elevation: float = 0.0

    @property
    def whole(self) -> bool:
        return not self.cut and self.seen >= WHOLE

    def document(self) -> dict[str, Any]:
        """As JSON; `read` reads it."""
        return asdict(self)


def read(document: Any) -> View:
    """What `View.document` has written. Raises KeyError, TypeError, ValueError."""
    numbers = {name: float(document[name]) for name in ("share", "seen", "elevation")}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a view is told in numbers")
    return View(cut=bool(document["cut"]), **numbers)


def worth(view: View, liked: tuple[float, float] = ANY_HEIGHT) -> float:
    """How good a view is, 0 for one that shows nothing up to 1.

    liked: the elevations that the method likes, least and greatest, in degrees.
    """
    size = math.sqrt(min(view.share / ENOUGH, 1.0))
    beyond = max(liked[0] - view.elevation, view.elevation - liked[1], 0.0)
    steep = 1.0 - (1.0 - TOO_STEEP) * min(beyond / STEEPEST, 1.0)
    return size * view.seen * (CUT if view.cut else 1.0) * steep


def ranked(views: Sequence[View], liked: tuple[float, float] = ANY_HEIGHT) -> list[int]:
    """Indices of the views that show anything, the best one first; of equal ones in their order."""
    shown = [index for index, view in enumerate(views) if view.share > 0]
    return sorted(shown, key=lambda index: -worth(views[index], liked))


def reason(views: Sequence[View], chosen: int, liked: tuple[float, float] = ANY_HEIGHT) -> str:
    """Why that view was chosen among these, in a few words: "largest and whole"."""
    view, others = views[chosen], [each for index, each in enumerate(views) if index != chosen and each.share > 0]
    if not others:
        return ", ".join(["the only one that sees it", *faults(view, liked)])
    words = []
    if all(each.share <= view.share / ALIKE for each in others):
        words.append("largest" if any(each.share < view.share * ALIKE for each in others) else "as large as any")
    if view.whole:
        words.append("whole")
    if liked != ANY_HEIGHT and _suits(view, liked) and not all(_suits(each, liked) for each in others):
        words.append(f"from {_height(view)}")
    praise = " and ".join(filter(None, (", ".join(words[:-1]), words[-1] if words else "")))
    return ", ".join([praise or "the best one", *faults(view, liked)])


def faults(view: View, liked: tuple[float, float] = ANY_HEIGHT) -> list[str]:
    """What is wrong with a view, in a few words each."""
    found = ["cut by the frame"] if view.cut else []
    if view.seen < WHOLE:
        found.append(f"{100 * (1 - view.seen):.0f} % of it hidden")
    return found if _suits(view, liked) else [*found, f"from {_height(view)}"]


def several(views: Sequence[View], most: int, liked: tuple[float, float] = ANY_HEIGHT) -> list[int]:
    """Indices of the views of one object for a method that takes several pictures, in their order: those that show
    anything of it; if that is more than `most`, the best ones."""
    return sorted(ranked(views, liked)[:most])


def _suits(view: View, liked: tuple[float, float]) -> bool:
    return liked[0] <= view.elevation <= liked[1]


def _height(view: View) -> str:
    if abs(view.elevation) < 0.5:
        return "its own height"
    return f"{abs(view.elevation):.0f}° {'above' if view.elevation > 0 else 'below'}"


# measured


def measured(labels: Any, outlines: Sequence[Any], middles: dict[int, Any], camera: dict[str, Any]) -> dict[int, View]:
    """How a picture shows each object that is seen in it.

    Args:
        labels: (H, W) instance map; outlines: maps of whole outlines of those that are partly hidden, each id in one.
        middles: id -> the middle of the object, world, metres; camera: the contract's.
    """
    found, border = {}, _border(labels)
    position = np.array(camera["world_from_camera"], np.float64)[:3, 3]
    for number, middle in middles.items():
        pixels = int(np.count_nonzero(labels == number))
        if not pixels:
            continue
        whole = max([pixels, *(int(np.count_nonzero(each == number)) for each in outlines)])
        cut = number in border or any(number in _border(each) for each in outlines)
        found[number] = View(pixels / labels.size, pixels / whole, cut, elevation(position, middle))
    return found


def projected(points: Any, camera: dict[str, Any]) -> View:
    """How a picture would show an object that nothing hides, by the box around it in the picture.

    Args:
        points: (N, 3) corners, world, metres.
        camera: the contract's; its width and height are the picture's.
    """
    pose = np.array(camera["world_from_camera"], np.float64)
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    ahead = local[:, 2] < -1e-6
    steep = elevation(pose[:3, 3], (points.min(axis=0) + points.max(axis=0)) / 2)
    if not ahead.any():
        return View(0.0, elevation=steep)
    pixels = local[ahead, :2] / -local[ahead, 2:]
    pixels = pixels * [camera["fx"], -camera["fy"]] + [camera["cx"], camera["cy"]]
    size = np.array([camera["width"], camera["height"]], np.float64)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    if not ahead.all():  # what is beside or behind the camera may be anywhere
        low, high = np.minimum(low, 0.0), np.maximum(high, size)
    inside = np.clip(high, 0, size) - np.clip(low, 0, size)
    cut = not ahead.all() or bool((low < 0).any() or (high > size).any())
    return View(float(inside.prod() / size.prod()), 1.0, cut, steep)


def elevation(position: Any, middle: Any) -> float:
    """Degrees from which a camera at a place looks down at another one."""
    x, y, z = (float(value) for value in np.asarray(position, np.float64) - np.asarray(middle, np.float64))
    return math.degrees(math.atan2(z, math.hypot(x, y)))


def _border(labels: Any) -> set[int]:
    return set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])).tolist())
