"""Everything that the networks are told is what the reference tells them."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from models.hi3d import conditioning  # noqa: E402

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("conditioning")


def test_numbers_become_waves(numbers: Any, close: Any) -> None:
    close(conditioning.sinusoid(numbers["elevation.values"], 256), numbers["elevation.embedding"], TOLERANCE)
    for name, ending in (("f32", "f32"), ("after_half", "after_half")):
        value = numbers[f"cond_aug.value_{name}"]
        close(conditioning.sinusoid(value, 256), numbers[f"cond_aug.embedding_{ending}"], TOLERANCE)
    assert float(numbers["cond_aug.value_f32"]) == pytest.approx(conditioning.NOISE)
    assert float(numbers["cond_aug.value_after_half"]) == conditioning.NOISE_TOLD


def test_vectors(numbers: Any, close: Any) -> None:
    elevation, score = float(numbers["vector.elevation"]), numbers["aesthetic.score"][0]
    close(conditioning.aesthetic(score), numbers["aesthetic.embedding"], TOLERANCE)
    close(conditioning.vector(elevation, score, conditioning.NOISE), numbers["vector.stage1"][0], TOLERANCE)
    close(conditioning.vector(elevation, score), numbers["vector.stage1_after_half"][0], TOLERANCE)
    close(conditioning.vector(elevation, noise=conditioning.NOISE), numbers["vector.stage2"][0], TOLERANCE)


def test_the_aesthetic_score(numbers: Any, close: Any) -> None:
    close(
        conditioning.score_input(numbers["aesthetic.frame"])[..., ::4, ::4],
        numbers["aesthetic.clip_input_every4"],
        TOLERANCE,
    )
    weight, bias = (numbers[f"aesthetic.linear_head_{kind}"] for kind in ("weight", "bias"))
    score = conditioning.score_of(numbers["aesthetic.image_features"], weight, bias)
    close(conditioning.aesthetic(score), numbers["aesthetic.embedding_from_features"], TOLERANCE)


@pytest.mark.parametrize(("side", "name"), [(512, ""), (1024, "_from1024"), (96, "_from96")])
def test_what_the_picture_tower_sees(numbers: Any, close: Any, side: int, name: str) -> None:
    seed = numbers["clip.seed_40x40"]
    picture = torch.tanh(functional.interpolate(seed, (side, side), mode="bilinear", align_corners=False))
    if side == 512:
        close(picture[..., ::8, ::8], numbers["clip.input512_every8"], TOLERANCE)
    seen = conditioning.clip_input(picture)
    close(seen[..., ::4, ::4], numbers[f"clip.output224{name}_every4"], TOLERANCE)


def test_depth(numbers: Any, close: Any) -> None:
    frames = numbers["depth.frames_f16"].float()
    close(conditioning.depth_input(frames), numbers["depth.midas_input"], TOLERANCE)
    size = (frames.shape[2] // 8, frames.shape[3] // 8)
    close(conditioning.depth_channels(numbers["depth.midas_output"], size), numbers["depth.embedding"], TOLERANCE)
