"""Ways of asking the priors on small cards, and the bytes that each needs.

The numbers alive at the worst moment were counted on the meta device at the published sizes, with one picture at a
time; tests/models/guidance/test_memory.py repeats the count. All figures are predicted: none was measured on a card.
What the renderer holds meanwhile comes on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.guidance.distillation import Frugality

STABLE_DIFFUSION, ZERO123 = "stable-diffusion", "zero123"
"""Names of the priors."""


@dataclass(frozen=True)
class Way:
    """One way of working.

    Attributes:
        name: short and stable, for records.
        manner: for people: "one prior at a time".
        keep: the networks of all priors stay on the device; if not, those of a prior leave it before the next one is
            asked: see `together.Together`.
        frugality: of each prior.
    """

    name: str
    manner: str
    keep: bool
    frugality: Frugality


@dataclass(frozen=True)
class Numbers:
    """Numbers alive while one picture is encoded and the gradient taken back, by whether blocks are recomputed.

    held: kept from one to the other, while the denoising network works. back: at the worst moment.
    """

    held: Mapping[bool, int]
    back: Mapping[bool, int]


ENCODING: Mapping[int, Numbers] = {
    512: Numbers({False: 785_000_000, True: 181_000_000}, {False: 789_000_000, True: 305_000_000}),
    256: Numbers({False: 198_000_000, True: 46_500_000}, {False: 199_000_000, True: 77_200_000}),
}
"""By pixels along the side of what the autoencoder sees."""

DENOISING: Mapping[str, int] = {STABLE_DIFFUSION: 34_300_000, ZERO123: 8_600_000}
"""Of one half of the guidance; both, which go together, take twice as many."""

SCORES: Mapping[str, int] = {STABLE_DIFFUSION: 34_000_000, ZERO123: 2_100_000}
"""Of one head of one half, where attention holds a matrix of scores, before and after the softmax."""

HEADS = 8
SIDES: Mapping[str, int] = {STABLE_DIFFUSION: 512, ZERO123: 256}
PREPARING: Mapping[str, int] = {"text_encoder": 8_000_000, "image_encoder": 47_000_000}
"""Of what is told to a prior, once before the first step; of Zero123 with its reference's latents."""


def ways(scores: bool = False, priors: int = 2) -> list[Way]:
    """The ladder, the most generous first. All give the same gradients up to rounding.

    Args:
        scores: the device's attention holds a matrix of scores, as PyTorch's on Apple's GPU: then heads go one by one.
        priors: how many are asked; of one alone none has to leave.
    """
    frugal, again = Frugality(recompute=True, slices=scores), "half of the autoencoder's work done again"
    found = [
        Way("full", "everything stays loaded", True, Frugality(slices=scores)),
        Way("recomputed", again, True, frugal),
    ]
    return found if priors < 2 else [*found, Way("alone", f"one prior at a time, {again}", False, frugal)]


def needed_bytes(
    way: Way,
    sizes: Mapping[str, Mapping[str, int]],
    item: int,
    vae_item: int | None = None,
    shrinks: int = 1,
    straight: bool = False,
) -> int:
    """The predicted peak on the device of asking priors for one picture at a time.

    The networks that find out what is told are reckoned as gone before the first step, and never there together.

    Args:
        way: of `ways`.
        sizes: parameters of each network, by the name of its prior: `stable_diffusion.sizes`, `Zero123Files.sizes`.
            Where there is none, no prior is asked.
        item, vae_item: bytes of a number in the networks, and in the autoencoder if that is another.
        shrinks, straight: see `encoding.Encoding`.
    """
    vae_item = vae_item or item
    weights, work = {}, {}
    for prior, networks in sizes.items():
        weights[prior] = networks["unet"] * item + networks["vae"] * vae_item
        work[prior] = _working(prior, way.frugality, item, vae_item, shrinks, straight)
    preparing = [
        count * item + PREPARING[name] * max(item, vae_item) + (networks["vae"] * vae_item if prior == ZERO123 else 0)
        for prior, networks in sizes.items()
        for name, count in networks.items()
        if name in PREPARING
    ]
    kept = sum(weights.values())
    asked = [(kept if way.keep else weights[prior]) + numbers for prior, numbers in work.items()]
    return max([*asked, *preparing], default=0)


def _working(prior: str, frugality: Frugality, item: int, vae_item: int, shrinks: int, straight: bool) -> int:
    """Bytes of what a prior makes and keeps in between."""
    side, area = SIDES[prior], shrinks**2
    usual = ENCODING[side]
    denoising = 2 * DENOISING[prior]
    if frugality.slices:
        denoising += SCORES[prior]
    denoising = denoising * item // area
    if straight:
        # Forward alone: what the most frugal way back holds at its worst is no less.
        return max(usual.back[True] * vae_item // area, denoising)
    # The autoencoder's attention has one head; its scores are there twice at the worst moment.
    scores = 2 * (side // shrinks // 8) ** 4 * vae_item if frugality.slices else 0
    held, back = (each[frugality.recompute] * vae_item // area + scores for each in (usual.held, usual.back))
    return max(held + denoising, back)
