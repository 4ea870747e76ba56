"""From a picture and its labels to what the image encoders take: squared frame, one picture per instance, pixels.

The encoders see each instance where it stands in the frame, never cropped: its place in the frame is what tells the
network where it stands. Arrays are numpy, rows downwards; pictures are uint8 RGB [H, W, 3], labels integers [H, W].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.image_processor import Pixels

Padding = Literal["square", "reference", "none"]
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
