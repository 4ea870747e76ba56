"""Picture and mask stay aligned, whatever the shape of the picture."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.image_processor import Preprocessor  # noqa: E402
from models.midi.conditioning import encoder_inputs  # noqa: E402
from models.midi.pictures import framed, label_ids  # noqa: E402

CLIP = Preprocessor(56, (56, 56), (0.0,) * 3, (1.0,) * 3)


def scene(height: int, width: int, *boxes: tuple[int, int, int, int]) -> tuple[Any, Any]:
    """White ground with black boxes (top, left, bottom, right), labelled 3, 6, …"""
    picture = np.full((height, width, 3), 255, np.uint8)
    labels = np.zeros((height, width), np.uint16)
    for number, (top, left, bottom, right) in enumerate(boxes, 1):
        picture[top:bottom, left:right] = 0
        labels[top:bottom, left:right] = 3 * number
    return picture, labels


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (80, 80), (31, 97)])
@pytest.mark.parametrize(("size", "crop"), [(64, 64), (64, 56)])
def test_the_mask_lies_where_the_picture_is_dark(shape: tuple[int, int], size: int, crop: int) -> None:
    height, width = shape
    picture, labels = scene(height, width, (height // 2, 0, height - 4, width // 4), (2, width // 2, 9, width - 3))
    dino = Preprocessor(size, (crop, crop), (0.0,) * 3, (1.0,) * 3)
    frame = framed(picture, labels)
    assert frame.picture.shape[0] == frame.picture.shape[1]
    assert label_ids(frame.labels) == (3, 6)
    inputs = encoder_inputs(frame, CLIP, dino)
    assert inputs.dino.shape == (2, 7, crop, crop)
    for row in inputs.dino:
        dark = row[0] < 0.5
        # Half a pixel of resampling at each of the four edges.
        assert int((dark != (row[6] > 0.5)).sum()) <= 2 * crop
        assert dark.any()


def test_the_picture_stays_in_the_middle_of_the_square() -> None:
    picture, labels = scene(60, 100, (20, 30, 40, 60))
    frame = framed(picture, labels)
    assert frame.picture.shape == (100, 100, 3)
    assert (frame.left, frame.top) == (0, 20)
    assert np.array_equal(frame.picture[20:80], picture)
    assert np.array_equal(frame.labels[20:80], labels)
    assert (frame.picture[:20] == 255).all() and (frame.picture[80:] == 255).all()
    assert not frame.labels[:20].any() and not frame.labels[80:].any()


@pytest.mark.parametrize("box", [(0, 40, 20, 60), (80, 40, 100, 60), (40, 0, 60, 20), (40, 80, 60, 100)])
def test_an_instance_at_the_border_gets_room(box: tuple[int, int, int, int]) -> None:
    picture, labels = scene(100, 100, box)
    frame = framed(picture, labels)
    assert frame.picture.shape == (125, 125, 3)
    assert (frame.left, frame.top) == (12, 12)


def test_no_padding_leaves_the_picture_alone() -> None:
    picture, labels = scene(30, 50, (0, 0, 10, 10))
    frame = framed(picture, labels, "none")
    assert frame.picture is picture and frame.labels is labels


def test_what_is_no_picture_with_labels_is_refused() -> None:
    picture, labels = scene(30, 50, (0, 0, 10, 10))
    for wrong, message in [
        ((picture[..., :2], labels), "uint8"),
        ((picture.astype(np.float32), labels), "uint8"),
        ((picture, labels.T), r"integers \[30, 50\]"),
        ((picture, labels.astype(np.float32)), "integers"),
        ((picture, labels * 0), "no instance"),
    ]:
        with pytest.raises(ValueError, match=message):
            framed(*wrong)


def test_one_pixel_is_an_instance() -> None:
    picture, labels = scene(30, 50, (29, 49, 30, 50))
    frame = framed(picture, labels)
    inputs = encoder_inputs(frame, CLIP, CLIP)
    assert inputs.clip.shape == (1, 3, 56, 56)
    assert torch.isfinite(inputs.dino).all()
