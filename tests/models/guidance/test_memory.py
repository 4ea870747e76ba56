"""Predictions of memory are what the networks hold at the published sizes, and small cards have a way."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from torch.nn import functional  # noqa: E402

from bench import guidance_sizes as published  # noqa: E402
from models.guidance import memory  # noqa: E402
from models.guidance.distillation import set_slices  # noqa: E402
from models.guidance.encoding import encoded  # noqa: E402
from models.guidance.memory import STABLE_DIFFUSION, ZERO123  # noqa: E402
from models.guidance.stable_diffusion import StableDiffusionFiles, StableDiffusionPrior  # noqa: E402
from models.guidance.together import Together  # noqa: E402
from models.guidance.zero123 import Reference, Zero123Prior, condition  # noqa: E402
from models.guidance.zero123_files import Zero123Files  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from tests.backend.living import GB, Living, agree, empty, fused  # noqa: E402

ITEM, TOLERANCE = 2, 0.03
PRIORS = [STABLE_DIFFUSION, ZERO123]
CARDS = {"8 GB": 7.3e9, "6 GB": 5.4e9}
"""What cards of so many have free."""

RENDERER = 2.0e9
"""What is left for the field and its renderer on the smallest card."""


@pytest.fixture(autouse=True)
def _attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "scaled_dot_product_attention", fused)


network = cache(published.network)


def denoising(prior: str, count: int, sliced: bool) -> int:
    unet = network(prior, "unet")
    set_slices(unet, sliced)
    side = published.LATENTS[prior]
    seen = empty(count, published.CHANNELS[prior], side, side, dtype=torch.float16)
    told = empty(count, published.TOKENS[prior], 768, dtype=torch.float16)
    with Living() as living, torch.inference_mode():
        unet(seen, empty(count, dtype=torch.int64), told, return_dict=False)
    return living.peak


@pytest.mark.parametrize("prior", PRIORS)
def test_denoising_holds_what_is_predicted(prior: str) -> None:
    for count in (1, 2):
        agree(denoising(prior, count, False), memory.DENOISING[prior] * count * ITEM, TOLERANCE)
    sliced, predicted = denoising(prior, 1, True), (memory.DENOISING[prior] + memory.SCORES[prior]) * ITEM
    assert sliced <= predicted, f"{sliced / ITEM / 1e6:.1f} of {predicted / ITEM / 1e6:.1f} million numbers"


@pytest.mark.parametrize("side", [512, 256])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_way_back_holds_what_is_predicted(side: int, recompute: bool) -> None:
    vae = network(STABLE_DIFFUSION, "vae")
    picture = empty(1, 3, 128, 128).requires_grad_()
    with Living() as living:
        latents = encoded(picture, vae, side, empty(1, 4, side // 8, side // 8), recompute=recompute)
        held = sum(living.known.values())
        torch.autograd.grad(latents, picture, latents.detach())
    agree(held, memory.ENCODING[side].held[recompute] * ITEM, TOLERANCE)
    agree(living.peak, memory.ENCODING[side].back[recompute] * ITEM, TOLERANCE)


def test_what_is_told_takes_no_more_than_is_predicted() -> None:
    text, tower = (network(*each) for each in ((STABLE_DIFFUSION, "text_encoder"), (ZERO123, "image_encoder")))
    vae = network(ZERO123, "vae")
    for name, work in (
        ("text_encoder", lambda: text(torch.zeros(4, 77, dtype=torch.int64, device="meta"))[0]),
        ("image_encoder", lambda: tower(pixel_values=empty(1, 3, 224, 224, dtype=torch.float16)).image_embeds),
        ("image_encoder", lambda: vae.encode(empty(1, 3, 256, 256, dtype=torch.float16)).latent_dist.mode()),
    ):
        with Living() as living, torch.inference_mode():
            work()
        assert living.peak <= memory.PREPARING[name] * ITEM, f"{name}: {living.peak / ITEM / 1e6:.1f}"


@pytest.mark.parametrize("prior", PRIORS)
def test_the_sizes_are_the_published_ones(prior: str) -> None:
    for part, count in published.PARAMETERS[prior].items():
        assert sum(each.numel() for each in network(prior, part).parameters()) == count


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("priors", [PRIORS, PRIORS[:1], PRIORS[1:]], ids=str)
def test_each_way_needs_no_more_than_the_one_before(scores: bool, priors: list[str]) -> None:
    sizes = {prior: published.PARAMETERS[prior] for prior in priors}
    ways = memory.ways(scores, len(priors))
    needed = [memory.needed_bytes(way, sizes, ITEM) for way in ways]
    assert all(more >= less for more, less in pairwise(needed)) and needed[0] > needed[-1]
    assert len({way.name for way in ways}) == len(ways)
    assert memory.needed_bytes(ways[0], sizes, 4) == 2 * needed[0]
    assert memory.needed_bytes(ways[0], {}, ITEM) == 0


def test_small_cards_have_a_way() -> None:
    needed = {way.name: memory.needed_bytes(way, published.PARAMETERS, ITEM) for way in memory.ways()}
    for free in CARDS.values():
        # As backend/memory.py adds its margin.
        assert any((each + RENDERER) * 1.1 + 0.4 * GB <= free for each in needed.values()), needed
    assert (needed["recomputed"] + 1.5e9) * 1.1 + 0.4 * GB <= CARDS["8 GB"], "both priors stay on a card of 8 GB"


def test_less_of_a_picture_takes_less() -> None:
    way = memory.ways()[-1]
    whole = memory.needed_bytes(way, published.PARAMETERS, ITEM)
    assert memory.needed_bytes(way, published.PARAMETERS, ITEM, shrinks=2) < whole
    assert memory.needed_bytes(memory.ways()[0], published.PARAMETERS, ITEM, straight=True) < memory.needed_bytes(
        memory.ways()[0], published.PARAMETERS, ITEM
    )


def test_one_prior_at_a_time_says_the_same(
    stable_diffusion: Path, zero123: Path, pictures: Any, views: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # real attention
    first, second = StableDiffusionFiles(stable_diffusion), Zero123Files(zero123)
    with torch.no_grad():
        texts, told = first.texts("a chair"), condition(pictures[0], second.parts)
    priors = {
        STABLE_DIFFUSION: StableDiffusionPrior(first.parts, texts),
        ZERO123: Zero123Prior(second.parts, [Reference(told)]),
    }
    for each in priors.values():
        each.side = 64
    parts = {STABLE_DIFFUSION: first.parts, ZERO123: second.parts}
    there: list[tuple[bool, bool]] = []

    def leave(name: str) -> None:
        there.append((bool(first.parts.loaded), bool(second.parts.loaded)))
        parts[name].lay_aside(lambda bytes_: True)

    step = Step(number=0, seed=1)
    expected = Together(priors).gradient(pictures, views, step)
    for each in parts.values():
        each.release()
    alone = Together(priors, leave)
    for _ in range(2):
        assert torch.equal(alone.gradient(pictures, views, step), expected)
    assert there == [(True, False), (False, True)] * 2
