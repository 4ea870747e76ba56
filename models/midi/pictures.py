"""From a picture and its labels to what the image encoders take: squared frame, one picture per instance, pixels.

The encoders see each instance where it stands in the frame, never cropped: its place in the frame is what tells the
network where it stands. Arrays are numpy, rows downwards; pictures are uint8 RGB [H, W, 3], labels integers [H, W].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.loading import CheckpointForeign, read_json

Padding = Literal["square", "reference", "none"]
Pixels = NDArray[np.uint8]
Labels = NDArray[Any]

WHITE = 255
OCCUPANCY = 0.8


@dataclass(frozen=True)
class Frame:
    """A picture with its labels, and where the original lies in it: its pixel (x, y) is at (x + left, y + top)."""

    picture: Pixels
    labels: Labels
    left: int = 0
    top: int = 0


def framed(picture: Pixels, labels: Labels, padding: Padding = "square") -> Frame:
    """Puts a picture into the frame that the network will see.

    Args:
        picture: [H, W, 3] uint8.
        labels: [H, W] integers, 0 is background.
        padding: "square" (see `square_frame`); "reference" (see `reference_frame`); "none" leaves it as it is, in
            which case the encoders see a centre crop of a picture that is not square.

    Raises:
        ValueError: not a picture and its labels, or nothing is labelled.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(f"a picture is uint8 [height, width, 3], not {picture.dtype} {list(picture.shape)}")
    if labels.shape != picture.shape[:2] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels are integers [{picture.shape[0]}, {picture.shape[1]}] like the picture, "
            f"not {labels.dtype} {list(labels.shape)}"
        )
    if not (labels > 0).any():
        raise ValueError("there is no instance: no label is above 0")
    if padding == "none":
        return Frame(picture, labels)
    return square_frame(picture, labels) if padding == "square" else reference_frame(picture, labels)


def square_frame(picture: Pixels, labels: Labels, occupancy: float = OCCUPANCY) -> Frame:
    """Pads with white to a square around the centre of the picture, so that the optical axis stays in the middle.

    The square is made larger where labels reach beyond `occupancy` of its side: instances near the border come out
    badly.
    """
    height, width = labels.shape
    top, bottom, left, right = _bounds(labels)
    # Twice the largest distance of a labelled pixel's outer edge from the centre of the picture.
    extent = max(height - 2 * top, 2 * (bottom + 1) - height, width - 2 * left, 2 * (right + 1) - width)
    side = max(height, width, int(np.ceil(extent / occupancy)))
    return _pasted(picture, labels, (side, side), (side - width) // 2, (side - height) // 2)


def reference_frame(picture: Pixels, labels: Labels) -> Frame:
    """The optional padding of the reference, with its peculiarities: for comparing numbers only.

    Rows are measured against half the width and columns against half the height, and the square is completed at the
    right and at the bottom only.
    """
    height, width = labels.shape
    top, bottom, left, right = _bounds(labels)
    rows = max(abs(bottom - width // 2), abs(top - width // 2))
    columns = max(abs(right - height // 2), abs(left - height // 2))
    extent = 2 * max(rows, columns)
    new_width = int(extent / 4 * 5) if extent > OCCUPANCY * width else width
    new_height = int(extent / 4 * 5) if extent > OCCUPANCY * height else height
    side = max(new_width, new_height)
    return _pasted(picture, labels, (side, side), (new_width - width) // 2, (new_height - height) // 2)


def label_ids(labels: Labels) -> tuple[int, ...]:
    """The labels above 0, ascending: the order of the instances."""
    return tuple(int(label) for label in np.unique(labels) if label > 0)


def instance_picture(frame: Frame, label: int) -> tuple[Pixels, Pixels]:
    """The picture with everything but one instance white [H, W, 3], and its mask [H, W] of 0 and 255."""
    inside = frame.labels == label
    picture = np.where(inside[..., None], frame.picture, np.uint8(WHITE))
    return picture, inside.astype(np.uint8) * np.uint8(255)


@dataclass(frozen=True)
class Preprocessor:
    """`preprocessor_config.json`: short side to `size`, centre crop, values to [0, 1], minus mean, over deviation."""

    size: int
    crop: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    resample: int = Image.Resampling.BICUBIC

    @classmethod
    def from_file(cls, file: Path) -> Preprocessor:
        """Reads the file of a CLIP or BiT image processor.

        Raises:
            CheckpointMissing, CheckpointDamaged: no such file, or not JSON.
            CheckpointForeign: it lacks a size, or has an unusable one.
        """
        content = read_json(file)
        try:
            size = _shortest_edge(content["size"])
            crop = _extent(content["crop_size"])
            mean = tuple(float(value) for value in content["image_mean"])
            deviation = tuple(float(value) for value in content["image_std"])
            resample = Image.Resampling(content.get("resample", Image.Resampling.BICUBIC))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointForeign(f"{file} is not the file of an image processor: {error!r}") from error
        if (len(mean), len(deviation)) != (3, 3) or not all(1 <= side <= size <= 4096 for side in crop):
            raise CheckpointForeign(f"{file}: size, crop_size, image_mean or image_std are out of range.")
        return cls(size, crop, mean, deviation, resample)

    def pixels(self, picture: Pixels) -> NDArray[np.float32]:
        """[H, W, 3] uint8 → [3, crop height, crop width] float32. Resized by Pillow in uint8, as in training."""
        resized = Image.fromarray(picture).resize(self._resized(picture), Image.Resampling(self.resample))
        scaled = self._cropped(np.asarray(resized)).astype(np.float32) * np.float32(1 / 255)
        mean, deviation = np.array(self.mean, np.float32), np.array(self.deviation, np.float32)
        return ((scaled - mean) / deviation).transpose(2, 0, 1)

    def mask(self, mask: Pixels) -> NDArray[np.float32]:
        """[H, W] of 0 and 255 → [crop height, crop width] of 0 and 1, aligned with `pixels`."""
        width, height = self._resized(mask)
        return self._cropped(_nearest(mask, (height, width))).astype(np.float32) / np.float32(255)

    def reference_mask(self, mask: Pixels) -> NDArray[np.float32]:
        """As `mask`, but squeezed from the whole frame, as the reference does: aligned only if nothing is cropped."""
        return _nearest(mask, self.crop).astype(np.float32) / np.float32(255)

    def _resized(self, picture: Pixels) -> tuple[int, int]:
        """Width and height with the short side at `size`."""
        height, width = picture.shape[:2]
        short = min(height, width)
        return int(self.size * width / short), int(self.size * height / short)

    def _cropped(self, picture: Pixels) -> Pixels:
        """The middle."""
        height, width = self.crop
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        return picture[top : top + height, left : left + width]


def _bounds(labels: Labels) -> tuple[int, int, int, int]:
    """First and last labelled row, first and last labelled column."""
    rows, columns = np.flatnonzero((labels > 0).any(1)), np.flatnonzero((labels > 0).any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _pasted(picture: Pixels, labels: Labels, shape: tuple[int, int], left: int, top: int) -> Frame:
    height, width = labels.shape
    canvas = np.full((*shape, 3), WHITE, np.uint8)
    map_ = np.zeros(shape, labels.dtype)
    canvas[top : top + height, left : left + width] = picture
    map_[top : top + height, left : left + width] = labels
    return Frame(canvas, map_, left, top)


def _nearest(picture: Pixels, shape: tuple[int, int]) -> Pixels:
    """The pixel at floor(i · old / new), as torch's "nearest" takes it."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape, picture.shape, strict=False))
    taken: Pixels = picture[rows[:, None], columns]
    return taken


def _shortest_edge(size: int | Mapping[str, int]) -> int:
    return int(size["shortest_edge"]) if isinstance(size, Mapping) else int(size)


def _extent(size: int | Mapping[str, int]) -> tuple[int, int]:
    return (int(size["height"]), int(size["width"])) if isinstance(size, Mapping) else (int(size), int(size))
