"""Orbits round the objects of a data set, found by where their cameras stand, and clips of them as networks see them.

An orbit is a ring of cameras of one elevation at even steps of azimuth. A clip begins at any of them, which is what the
network takes for the picture's side, and goes counter-clockwise seen from above.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from models.hi3d.pipeline import HIGHEST, LOWEST
from models.optimisation.chance import seed_of
from training.config import DataError
from training.feed import Key
from training.pixels import premultiplied, resampled
from training.split import divided
from training.views import ObjectViews, ViewsError, open_views

EVEN = 1.0
"""Degrees that a camera may be off its place on the ring."""
logger = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Worse = Callable[[Pixels, NDArray[np.bool_], np.random.Generator], Pixels]
"""Frames [T, S, S, 3] on white, where the object is [T, S, S], chance → the same frames, worse."""


@dataclass(frozen=True)
class Orbit:
    """One ring of an object. views: of the object. order: numbers of its views by azimuth. elevation: in degrees."""

    views: ObjectViews
    order: tuple[int, ...]
    elevation: float

    @property
    def name(self) -> str:
        """Of the object."""
        return self.views.name


class Clip(NamedTuple):
    """What a step needs of one orbit; batches have one more axis in front.

    Attributes:
        frames: [T, S, S, 3] uint8 on white, as they should come out.
        known: the same, as the network is told of them; [0] for stage 1, which is told of the first frame as it is.
        elevation: degrees.
    """

    frames: Tensor
    known: Tensor
    elevation: Tensor


class Clips(Dataset[Clip]):
    """Of all orbits that are trained on.

    Args:
        frames, size: of a clip, and pixels along a side of one.
        seed: of the run.
        worse: what becomes of the frames that stage 2 is told of; None in stage 1.
    """

    def __init__(self, orbits: Sequence[Orbit], frames: int, size: int, seed: int, worse: Worse | None) -> None:
        self.orbits, self.frames, self.size = orbits, frames, size
        self.seed, self.worse = seed, worse

    def __len__(self) -> int:
        return len(self.orbits)

    def __getitem__(self, key: Key) -> Clip:
        return self.clip(self.orbits[key.source], seed_of(self.seed, "clip", key.step, key.row))

    def clip(self, orbit: Orbit, seed: int) -> Clip:
        """A clip of an orbit. Raises DataError where a picture cannot be used."""
        chance = np.random.default_rng(seed)
        start, apart = int(chance.integers(len(orbit.order))), len(orbit.order) // self.frames
        order = [orbit.order[(start + apart * index) % len(orbit.order)] for index in range(self.frames)]
        try:
            pictures = [_square(orbit.views.picture(number), self.size) for number in order]
        except (ViewsError, DataError) as error:
            raise DataError(f"{orbit.views.folder}: {error}") from error
        there = np.stack([alpha > 0 for _, alpha in pictures])
        frames = np.stack([colours for colours, _ in pictures])
        known = np.zeros(0, np.uint8) if self.worse is None else self.worse(frames, there, chance)
        return Clip(torch.from_numpy(frames), torch.from_numpy(known), torch.tensor(orbit.elevation))


@dataclass(frozen=True)
class Found:
    """Orbits that are trained on, and those that are held out, in groups."""

    trained: list[Orbit]
    held_out: dict[str, list[Orbit]]

    @property
    def names(self) -> dict[str, list[str]]:
        """Of the objects, by group."""
        groups = {"trained": self.trained, **self.held_out}
        return {group: list(dict.fromkeys(each.name for each in some)) for group, some in groups.items()}


def find_orbits(folder: Path, held_out: Path | float, frames: int, seed: int, told: bool) -> Found:
    """All orbits of a data set, divided as `split.divided` does.

    Args:
        frames: of a clip; the cameras of an orbit have to be as many, or a multiple.
        told: whether what is left out is told.

    Raises:
        DataError: there is no folder, no orbit in it, or nothing left to train on.
    """
    try:
        objects = open_views(folder)
    except ViewsError as error:
        raise DataError(str(error)) from error
    orbits: dict[str, list[Orbit]] = {}
    for views in objects:
        try:
            orbits[views.name] = orbits_of(views, frames)
        except (DataError, ViewsError) as error:
            if told:
                logger.warning("%s is left out: %s", views.name, error)
    if not orbits:
        raise DataError(
            f"{folder}: none of its {len(objects)} objects has an orbit of {frames} views, {LOWEST:.0f} to "
            f"{HIGHEST:.0f} degrees high; `python -m training.render MODELS OUT --layout hi3d` makes such ones."
        )
    trained, groups = divided(list(orbits), held_out, seed)
    if not trained:
        raise DataError(f"{folder}: none of {len(orbits)} objects is to be trained on (data.held_out is {held_out}).")
    return Found(
        [each for name in trained for each in orbits[name]],
        {group: [each for name in some for each in orbits[name]] for group, some in groups.items()},
    )


def orbits_of(views: ObjectViews, frames: int) -> list[Orbit]:
    """The orbits of an object, by elevation.

    Raises:
        DataError: it has none, or its first picture is not square.
        ViewsError: that picture cannot be read.
    """
    places = views.poses[:, :3, 3]
    elevations = np.degrees(np.arcsin(places[:, 2] / np.linalg.norm(places, axis=1)))
    azimuths = np.degrees(np.arctan2(places[:, 1], places[:, 0])) % 360.0
    found = []
    for elevation in np.unique(np.round(elevations)):
        ring = np.flatnonzero(np.abs(elevations - elevation) < EVEN / 2)
        ring = ring[np.argsort(azimuths[ring])]
        steps = np.diff(azimuths[ring], append=azimuths[ring[:1]] + 360.0)
        even = (
            len(ring) >= frames and len(ring) % frames == 0 and bool((np.abs(steps - 360.0 / len(ring)) < EVEN).all())
        )
        if even and LOWEST <= elevation <= HIGHEST:
            found.append(Orbit(views, tuple(map(int, ring)), float(elevation)))
    if not found:
        raise DataError(f"it has no orbit of {frames} views at even steps")
    height, width = _size_of(views.folder / views.files[found[0].order[0]])
    if height != width:
        raise DataError(f"its pictures are not square but {width} by {height}")
    return found


def _size_of(file: Path) -> tuple[int, int]:
    """Height and width, from the head of a file."""
    try:
        with Image.open(file) as picture:
            return picture.height, picture.width
    except (OSError, ValueError) as error:
        raise ViewsError(f"{file} is not a picture, or missing: {error}") from error


def _square(picture: NDArray[np.uint8] | NDArray[np.uint16], size: int) -> tuple[Pixels, Pixels]:
    """Colours on white [size, size, 3] and alpha [size, size]."""
    if picture.shape[0] != picture.shape[1]:
        raise DataError(f"a picture is not square but {picture.shape[1]} by {picture.shape[0]}")
    values = premultiplied(picture, size)
    if len(values) != size:
        side = float(len(values))
        larger = resampled(values, (0.0, 0.0, side, side), (size, size))
        values = np.round(larger.clip(0.0, 1.0) * 255.0).astype(np.uint8)
    alpha = values[..., 3]
    return np.minimum(values[..., :3].astype(np.int16) + (255 - alpha[..., None]), 255).astype(np.uint8), alpha
