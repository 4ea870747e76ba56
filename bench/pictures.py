"""Pictures with a known number of instances, made from a seed, for the benchmarks."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture(size: int, instances: int, seed: int = 0) -> tuple[bytes, bytes]:
    """A square picture and its instance map, both as PNG.

    Wavy discs on a grid, each with a hole or a stalk, over a noisy background: outlines about as long as those of
    furniture.

    Args:
        size: side in pixels.
        instances: how many, at most 255.
    """
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    columns = int(np.ceil(np.sqrt(instances)))
    rows = int(np.ceil(instances / columns))
    labels = np.zeros((size, size), np.uint8)
    colors = generator.integers(40, 255, (instances + 1, 3))
    for index in range(instances):
        row, column = divmod(index, columns)
        dx, dy = x - (column + 0.5) / columns, y - (row + 0.5) / rows
        angle, distance = np.arctan2(dy, dx), np.hypot(dx, dy)
        radius = (0.36 + 0.05 * np.sin(angle * generator.integers(3, 9))) / max(columns, rows)
        shape = (distance < radius) & (distance > radius * 0.3 * (index % 2))
        stalk = (np.abs(dx) < 0.008) & (np.abs(dy) < 0.47 / max(columns, rows))
        labels[shape | stalk] = index + 1
    image = colors[labels] + generator.normal(0, 12, (size, size, 3)) + 30 * np.sin(40 * x + 25 * y)[..., None]
    return png(np.clip(image, 0, 255).astype(np.uint8)), png(labels)


def png(array: NDArray[np.uint8]) -> bytes:
    """H×W or H×W×3 as a file."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
