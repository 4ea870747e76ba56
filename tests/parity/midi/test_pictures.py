"""Pictures become the reference's pixels, and its pixels the reference's embeddings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from PIL import Image  # noqa: E402

EMBEDDINGS, PIXELS = 2e-5, 2e-6
CASES = [f"{name}.{padding}" for name in ("inner", "border") for padding in ("nopad", "pad")]


@pytest.fixture
def numbers(golden: Any) -> Any:
    found = golden("preprocess")
    if not found.tensors:
        pytest.skip("this set has no pictures to prepare")
    return found


def frame_of(case: str, picture: Any) -> Any:
    from models.midi.pictures import framed

    name, padding = case.split(".")
    rgb, labels = picture(name)
    return framed(rgb, labels, "reference" if padding == "pad" else "none")


@pytest.mark.parametrize("case", CASES)
def test_framing_and_instances(case: str, numbers: Any, picture: Any) -> None:
    from models.midi.pictures import instance_picture, label_ids

    frame = frame_of(case, picture)
    np.testing.assert_array_equal(frame.picture, numbers[f"{case}.rgb"])
    np.testing.assert_array_equal(frame.labels, numbers[f"{case}.seg"])
    ids = label_ids(frame.labels)
    np.testing.assert_array_equal(ids, numbers[f"{case}.label_ids"])
    pictures, masks = zip(*(instance_picture(frame, label) for label in ids), strict=True)
    np.testing.assert_array_equal(np.stack(pictures), numbers[f"{case}.instance_rgb"])
    np.testing.assert_array_equal(np.stack(masks), numbers[f"{case}.instance_mask"])


@pytest.mark.parametrize("case", CASES)
def test_pixels(case: str, numbers: Any, picture: Any, pipeline: Any, close: Any) -> None:
    from models.midi.conditioning import encoder_inputs

    frame = frame_of(case, picture)
    inputs = encoder_inputs(frame, pipeline.clip_preprocessor, pipeline.dino_preprocessor, reference=True)
    found = {
        "clip_pixels": inputs.clip,
        "dino_rgb": inputs.dino[:, :3],
        "dino_scene": inputs.dino[:1, 3:6],
        "dino_mask": inputs.dino[:, 6:],
    }
    stored = {key for key in found if f"{case}.{key}" in numbers.tensors}
    assert {"dino_scene", "dino_mask"} <= stored
    for key in stored:
        close(found[key], numbers[f"{case}.{key}"], PIXELS)
    np.testing.assert_array_equal(inputs.dino[:, 6:], numbers[f"{case}.dino_mask"])


def test_embeddings_of_pictures(numbers: Any, picture: Any, pipeline: Any, close: Any) -> None:
    stored = [case for case in CASES if f"{case}.image_embeds_1" in numbers.tensors]
    assert stored
    for case in stored:
        conditions = pipeline.encode(frame_of(case, picture), reference=True)
        close(conditions.clip, numbers[f"{case}.image_embeds_1"], EMBEDDINGS)
        close(conditions.dino, numbers[f"{case}.image_embeds_2"], EMBEDDINGS)


@pytest.mark.parametrize("processor", ["clip", "bit"])
def test_pixels_at_production_size(processor: str, numbers: Any, reference: Path, pipeline: Any, close: Any) -> None:
    """A name says how: of `clip224_stride4`, resized to 224, every fourth pixel; `bit256_224…` is cropped to 224."""
    from dataclasses import replace

    big = np.asarray(Image.open(reference / "golden_pre_big_rgb.png").convert("RGB"))
    ours = pipeline.clip_preprocessor if processor == "clip" else pipeline.dino_preprocessor
    for name, total in numbers.numbered(rf"big\.({processor}[\d_]+)_sum").items():
        size, _, crop = name.removeprefix(processor).partition("_")
        side = int(crop or size)
        pixels = replace(ours, size=int(size), crop=(side, side)).pixels(big)[None]
        ((stride, stored),) = numbers.numbered(rf"big\.{name}_stride(\d+)").items()
        close(pixels[..., :: int(stride), :: int(stride)], stored, PIXELS)
        close(pixels.astype(np.float64).sum((2, 3)) / side**2, total / side**2, PIXELS)


def test_embeddings_of_pixels(golden: Any, pipeline: Any, close: Any) -> None:
    from models.midi.conditioning import EncoderInputs, encode

    numbers = golden("image_encoders")
    inputs = EncoderInputs(numbers["in.clip_pixels"], numbers["in.dino_pixels"])
    conditions = encode(inputs, pipeline.part("image_encoder_1"), pipeline.part("image_encoder_2"))
    close(conditions.clip, numbers["out.image_embeds_1"], EMBEDDINGS)
    close(conditions.dino, numbers["out.image_embeds_2"], EMBEDDINGS)
