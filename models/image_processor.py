"""What an image encoder takes: the picture made small, its middle, and colours as the encoder was trained with.

Arrays are numpy, rows downwards; pictures are uint8 RGB [H, W, 3].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.loading import CheckpointForeign, read_json

Pixels = NDArray[np.uint8]

# Mean and standard deviation of the colours that CLIP was trained with.
CLIP_COLOURS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


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
            mean, deviation = _per_channel(content["image_mean"]), _per_channel(content["image_std"])
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


def _nearest(picture: Pixels, shape: tuple[int, int]) -> Pixels:
    """The pixel at floor(i · old / new), as torch's "nearest" takes it."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape, picture.shape, strict=False))
    taken: Pixels = picture[rows[:, None], columns]
    return taken


def _shortest_edge(size: int | Mapping[str, int]) -> int:
    return int(size["shortest_edge"]) if isinstance(size, Mapping) else int(size)


def _extent(size: int | Mapping[str, int]) -> tuple[int, int]:
    return (int(size["height"]), int(size["width"])) if isinstance(size, Mapping) else (int(size), int(size))


def _per_channel(values: Any) -> tuple[float, ...]:
    """Three numbers, or one for all three colours."""
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(float(value) for value in values)
