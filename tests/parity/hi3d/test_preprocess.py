"""Pictures on their way in and out are those of the reference, but for a grey level where OpenCV rounds in its own way.

`stage2.mask_…` is not looked at: the published program computes it for minutes and never uses it.
"""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.hi3d import pictures  # noqa: E402


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("preprocess")


def grey_level(actual: Any, expected: Any) -> None:
    assert actual.shape == tuple(expected.shape)
    assert np.abs(actual.astype(int) - expected.numpy().astype(int)).max() <= 1


def test_white_is_laid_under_opacity(numbers: Any) -> None:
    assert np.array_equal(pictures.on_white(numbers["rgba"].numpy()), numbers["white_rgb"].numpy())


def test_the_square_of_each_stage(numbers: Any) -> None:
    white = numbers["white_rgb"].numpy()
    for side, expected in numbers.numbered(r"stage1\.resized_(\d+)_rgb").items():
        grey_level(pictures.covering(white, int(side)), expected)
    for side, expected in numbers.numbered(r"stage1\.cropped_(\d+)_rgb").items():
        grey_level(pictures.middle_square(white, int(side)), expected)
    for side, expected in numbers.numbered(r"stage2\.frame0_(\d+)_rgb").items():
        grey_level(pictures.resized(white, int(side), int(side)), expected)


@pytest.mark.parametrize("stage", ["stage1.frame", "stage2.frame0"])
def test_what_networks_see(numbers: Any, close: Any, stage: str) -> None:
    pixels = numbers["stage1.cropped_64_rgb" if stage == "stage1.frame" else "stage2.frame0_64_rgb"].numpy()
    close(pictures.as_input(pixels), numbers[f"{stage}_64"], 1e-6)


def test_the_frames_of_a_video(numbers: Any) -> None:
    video = numbers["to_uint8.video"][0].transpose(0, 1)
    assert np.array_equal(pictures.as_pixels(pictures.as_frames(video)), numbers["to_uint8.frames"].numpy())
