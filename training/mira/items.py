"""One view of one object → what a step needs of it: the source picture and its camera, rays with colours, points.

All of it follows from the seed, the step and the row of the batch alone, in whichever process it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from models.optimisation.chance import seed_of
from training.feed import Key
from training.mira.bank import OPAQUE, Shown
from training.mira.config import Augmentation, Config, Rays
from training.mira.frames import Frame, frame_of
from training.pixels import resampled

BACKGROUNDS = (0.0, 0.5, 1.0)
NARROW = 0.7
"""How often points are drawn around the object's box rather than in all of the field's."""
MARGIN = 0.15
LEAST_EXTENT = 0.02


class Item(NamedTuple):
    """What a step needs of one object; batches have one more axis in front.

    Attributes:
        picture: [3, S, S] float32, 0 … 1, the source on white.
        camera: [16] or [20], what the network is told of it.
        origins, directions: [R, 3] of rays in the frame of the field, view by view, square by square, row by row.
        colours: [R, 3], times alpha. alphas: [R]. backgrounds: [R], grey behind.
        axes: [3, n], coordinates of points along x, y, z; every combination is a point.
        inside: [n, n, n] bool, whether a point is within the solid. known: 1.0, or 0.0 if there is no solid.
    """

    picture: Tensor
    camera: Tensor
    origins: Tensor
    directions: Tensor
    colours: Tensor
    alphas: Tensor
    backgrounds: Tensor
    axes: Tensor
    inside: Tensor
    known: Tensor


@dataclass(frozen=True)
class Colours:
    """How colours are changed: the same of all views of an object."""

    order: NDArray[np.int64]
    gain: float

    def __call__(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """[…, 4], colours times alpha."""
        colour = np.minimum(picture[..., self.order] * np.float32(self.gain), picture[..., 3:])
        return np.concatenate([colour, picture[..., 3:]], axis=-1)

    @classmethod
    def drawn(cls, augmentation: Augmentation, chance: np.random.Generator) -> Colours:
        changed, order = chance.random() < augmentation.colours, chance.permutation(3)
        gain = float(np.exp(augmentation.gain * chance.uniform(-1, 1)))
        return cls(order if changed else np.arange(3), gain)


class Items(Dataset[Item]):
    """Of all objects that are trained on.

    Args:
        shown: the objects.
        sources: (object, view) of every source view.
        config: of the run.
        source_size: pixels of the source picture.
        rows: of the pose that the network is told of; 3 or 4.
    """

    def __init__(
        self, shown: list[Shown], sources: list[tuple[int, int]], config: Config, source_size: int, rows: int
    ) -> None:
        self.shown, self.sources, self.config = shown, sources, config
        self.source_size, self.rows = source_size, rows

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, key: Key) -> Item:
        chance = np.random.default_rng(seed_of(self.config.run.seed, "item", key.step, key.row))
        number, source = self.sources[key.source]
        shown, config = self.shown[number], self.config
        height, width = shown.pictures.shape[1:3]
        frame = frame_of(
            shown.poses[source],
            shown.intrinsics[source],
            shown.boxes[source],
            (width, height),
            config.data.scale,
            config.crops,
            config.augmentation,
            chance,
        )
        colours = Colours.drawn(config.augmentation, chance)
        others = np.delete(np.arange(shown.count), source)
        more = config.data.supervised - 1
        views = [source, *chance.permutation(others)[:more]]
        views += [int(each) for each in chance.integers(0, shown.count, max(more + 1 - len(views), 0))]
        rays = [_rays(shown, int(view), frame, colours, config.rays, chance) for view in views]
        origins, directions, seen, alphas, backgrounds = (
            torch.from_numpy(np.concatenate(each)) for each in zip(*rays, strict=True)
        )
        axes, inside = _points(shown, frame, config.losses.points, chance)
        return Item(
            torch.from_numpy(source_picture(shown, source, frame, self.source_size, colours)),
            torch.from_numpy(frame.camera(self.rows)),
            origins,
            directions,
            seen,
            alphas,
            backgrounds,
            torch.from_numpy(axes),
            torch.from_numpy(inside),
            torch.tensor(float(shown.bits is not None)),
        )


def source_picture(
    shown: Shown, view: int, frame: Frame, size: int, colours: Colours | None = None
) -> NDArray[np.float32]:
    """What the network is given: [3, size, size], 0 … 1, on white."""
    picture = shown.pictures[view]
    height, width = picture.shape[:2]
    left, top, right, bottom = frame.crop
    part = resampled(picture, (left * width, top * height, right * width, bottom * height), (size, size))
    part = colours(part) if colours is not None else part
    part = part[:, ::-1] if frame.mirrored else part
    return np.ascontiguousarray((part[..., :3] + (1.0 - part[..., 3:])).clip(0.0, 1.0).transpose(2, 0, 1))


def _rays(
    shown: Shown, view: int, frame: Frame, colours: Colours, settings: Rays, chance: np.random.Generator
) -> tuple[NDArray[np.float32], ...]:
    """Origins, directions, colours, alphas and backgrounds of the rays of one supervised view."""
    picture = shown.pictures[view]
    if settings.patch == 1:
        places, seen = _scattered(picture, settings, chance)
    else:
        squares = [_square(picture, settings, chance) for _ in range(settings.count)]
        places, seen = (np.concatenate(each) for each in zip(*squares, strict=True))
    seen = colours(seen)
    origins, directions = frame.rays(shown.poses[view], shown.intrinsics[view], places)
    background = 1.0 if settings.background == "white" else float(chance.choice(BACKGROUNDS))
    return origins, directions, seen[:, :3], seen[:, 3], np.full(len(seen), background, np.float32)


def _scattered(
    picture: NDArray[np.uint8], settings: Rays, chance: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Places and colours of single pixels."""
    height, width = picture.shape[:2]
    numbers = chance.integers(0, height * width, settings.count)
    object_pixels = np.flatnonzero(picture[..., 3] >= OPAQUE)
    chosen = chance.random(settings.count) < settings.on_object
    if len(object_pixels):
        numbers = np.where(chosen, object_pixels[chance.integers(0, len(object_pixels), settings.count)], numbers)
    rows, columns = numbers // width, numbers % width
    places = np.stack([(columns + 0.5) / width, (rows + 0.5) / height], axis=1)
    return places, picture[rows, columns].astype(np.float32) / 255.0


def _square(
    picture: NDArray[np.uint8], settings: Rays, chance: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Places and colours of a square of pixels of the picture at some resolution, row by row."""
    height, width = picture.shape[:2]
    full = int(chance.integers(settings.resolution[0], settings.resolution[1] + 1))
    side = settings.patch
    left, top = chance.integers(0, full - side + 1, 2)
    object_pixels = np.flatnonzero(picture[..., 3] >= OPAQUE)
    pixel, within, chosen = chance.random(), chance.random(2), chance.random() < settings.on_object
    if chosen and len(object_pixels):
        row, column = divmod(int(object_pixels[int(pixel * len(object_pixels))]), width)
        place = np.array([(column + 0.5) / width, (row + 0.5) / height]) * full
        left, top = np.clip((place - within * side).round().astype(int), 0, full - side)
    box = np.array([left, top, left + side, top + side]) / full * np.array([width, height, width, height])
    seen = resampled(picture, (box[0], box[1], box[2], box[3]), (side, side))
    rows, columns = np.meshgrid(top + np.arange(side) + 0.5, left + np.arange(side) + 0.5, indexing="ij")
    return np.stack([columns.ravel(), rows.ravel()], axis=1) / full, seen.reshape(-1, 4)


def _points(
    shown: Shown, frame: Frame, count: int, chance: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Coordinates [3, n] along the axes of the frame, by chance, and what is inside [n, n, n]."""
    low, high = -np.ones(3), np.ones(3)
    places, narrow = (np.arange(count) + chance.random((3, count))) / count, chance.random() < NARROW
    if shown.bits is None:
        return (places * 2 - 1).astype(np.float32), np.zeros((count, count, count), np.bool_)
    if narrow:
        corners = np.stack(np.meshgrid(*shown.extent.T, indexing="ij"), axis=-1).reshape(-1, 3)
        reached = frame.points(corners)
        margin = MARGIN * np.maximum(np.ptp(reached, axis=0), LEAST_EXTENT)
        low = np.clip(reached.min(0) - margin, -1.0, 1.0 - LEAST_EXTENT)
        high = np.clip(reached.max(0) + margin, low + LEAST_EXTENT, 1.0)
    axes = low[:, None] + places * (high - low)[:, None]
    if narrow and shown.extent.any():
        # Every second one is where something of the object is, or hardly a point would be: furniture is thin.
        some = frame.points(shown.within(count // 2, chance)).T.clip(-1.0, 1.0)
        axes[:, : 2 * (count // 2) : 2] = some
        axes.sort(axis=1)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return axes.astype(np.float32), shown.inside(frame.back(points)).reshape(count, count, count)
