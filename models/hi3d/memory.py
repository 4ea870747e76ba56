"""Ways of working on small cards, and the bytes that each needs.

The numbers alive at the worst moment were counted on the meta device at the published sizes;
tests/models/hi3d/test_memory.py repeats the count. All figures are predicted: none was measured on a card. The most
frugal way is bound by the temporal convolutions of the finest level, whose norms need all frames at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.hi3d.files import ORBIT, SECOND_VAE, Stage
from models.hi3d.frugal import Frugality

FEED_FORWARD_FRAMES, LAYER_FRAMES = 2, 4
"""Frames whose tokens a feed-forward sees at once, and frames that a layer does, in the frugal ways."""

ROWS = 1024
"""Queries of a frame at once where attention holds a matrix of scores."""


@dataclass(frozen=True)
class Way:
    """One way of working.

    Attributes:
        name: short and stable, for records.
        manner: for people: "one part at a time".
        keep_parts: networks stay on the device; if not, each leaves it after its use (`StagePipeline.after_use`).
        frugality: of the UNet.
        group: frames that the autoencoder sees at once.
    """

    name: str
    manner: str
    keep_parts: bool
    frugality: Frugality
    group: int


DENOISING: Mapping[int, Mapping[str, int]] = {
    1: {"full": 1_149_000_000, "parts": 1_149_000_000, "halves": 550_000_000, "pieces": 299_000_000,
        "frames": 278_000_000},
    2: {"full": 4_619_000_000, "parts": 4_619_000_000, "halves": 2_215_000_000, "pieces": 1_208_000_000,
        "frames": 1_125_000_000},
}  # fmt: skip
"""Numbers of one step, by stage and way."""

DENOISING_WITH_SCORES: Mapping[int, Mapping[str, int]] = {
    1: {"full": 552_000_000, "parts": 552_000_000, "frames": 278_000_000},
    2: {"full": 2_230_000_000, "parts": 2_230_000_000, "frames": 1_125_000_000},
}
"""The same where attention holds a matrix of scores: that of `ROWS` is never the worst moment, and
neither is that of the autoencoder, whose frames are smallest where it has its attention."""

ENCODING: Mapping[int, int] = {1: 169_000_000, 2: 675_000_000}
DECODING: Mapping[int, int] = {1: 202_000_000, 2: 806_000_000}
"""Numbers of one frame."""

TOWER = 12_000_000
DEPTH = 59_000_000
"""Numbers of one picture in CLIP's larger tower, and of one frame in the depth network."""

LATENT = 8
"""Pixels along a side of a latent."""


def ways(stage: Stage, scores: bool = False) -> list[Way]:
    """The ladder of a stage, the most generous first. All give the same result up to rounding.

    Args:
        scores: the device's attention holds a matrix of scores, as PyTorch's on Apple's GPU: then no way takes more
            than a frame, and `ROWS` of its queries, at once.
    """
    tokens = FEED_FORWARD_FRAMES * (stage.size // LATENT) ** 2
    whole, alone = Frugality(), "one part at a time"
    halves = f"{alone}, guidance in two halves"
    if scores:
        whole = replace(whole, tokens=tokens, frames=1, attention_rows=ROWS)
    half = replace(whole, one_batch=False)
    found = [Way("full", "everything stays loaded", True, whole, 2), Way("parts", alone, False, whole, 2)]
    if not scores:
        found.append(Way("halves", halves, False, half, 1))
        half = replace(half, tokens=tokens)
        found.append(Way("pieces", f"{halves}, feed-forwards in pieces", False, half, 1))
        half = replace(half, frames=LAYER_FRAMES)
    return [*found, Way("frames", f"{halves}, a few frames at a time", False, half, 1)]


def needed_bytes(
    stage: Stage, way: Way, parameters: Mapping[str, int], item: int, vae_item: int | None = None, scores: bool = False
) -> int:
    """The predicted peak on the device of a whole run of a stage.

    Args:
        way: of `ways`, with the same `scores`.
        parameters: of each network; see `loading.stage_sizes`.
        item, vae_item: bytes of a number in the networks, and in the autoencoder if that is another.
        scores: see `ways`.
    """
    vae_item = vae_item or item
    weights = {name: count * (vae_item if name.endswith("vae") else item) for name, count in parameters.items()}
    second = SECOND_VAE if SECOND_VAE in parameters else "vae"
    denoising = (DENOISING_WITH_SCORES if scores else DENOISING)[stage.number][way.name]
    other = ("score_encoder", TOWER) if stage is ORBIT else ("depth_estimator", DEPTH)
    pictures = way.group if stage.number == 2 else 1
    work = [
        ("image_encoder", TOWER * item),
        (other[0], other[1] * item),
        (second, ENCODING[stage.number] * pictures * vae_item),
        ("unet", denoising * item),
        ("vae", DECODING[stage.number] * way.group * vae_item),
    ]
    if way.keep_parts:
        return sum(weights.values()) + max(numbers for _, numbers in work)
    return max(weights[name] + numbers for name, numbers in work)
