"""Score distillation gives the published numbers, Zero123 in the mirrored world that they come from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


from models.guidance.distillation import (  # noqa: E402
    beyond_the_condition,
    classifier_free,
    latent_gradient,
    noised,
    signal_shares,
    taken_back,
)
from models.guidance.encoding import as_latents  # noqa: E402
from models.guidance.prior import RelativeViews  # noqa: E402
from models.guidance.text import mixture  # noqa: E402
from models.guidance.zero123 import camera, inputs, nothing_and, tokens  # noqa: E402
from tests.parity.goldens import Golden, Goldens  # noqa: E402

Near = Callable[[Any, Any, float], None]
FORMULAS = {
    "eps_text + s*(eps_text-eps_uncond)": beyond_the_condition,
    "eps_uncond + s*(eps_cond-eps_uncond)": classifier_free,
}
"""As the set states them."""


@pytest.fixture(scope="module")
def numbers(golden: Goldens) -> Golden:
    return golden("sds")


@pytest.fixture(scope="module")
def shares() -> Any:
    return signal_shares()


def views(numbers: Golden) -> RelativeViews:
    """Of the mirrored world, as the set has them."""
    turned = {name: torch.deg2rad(numbers[f"z.in.delta_{name}_deg"]) for name in ("polar", "azimuth")}
    reference = numbers.json("config")["zero123"]["ref"]
    polar, first = turned["polar"] + math.radians(reference["polar"]), math.radians(reference["polar"])
    cosine = polar.sin() * math.sin(first) * turned["azimuth"].cos() + polar.cos() * math.cos(first)
    return RelativeViews(turned["polar"], turned["azimuth"], numbers["z.in.delta_radius"], cosine.acos())


def test_the_schedule(numbers: Golden, shares: Any, close: Near) -> None:
    close(shares, numbers["alphas_cumprod"], 1e-6)


def test_what_stable_diffusion_sees(numbers: Golden, shares: Any, close: Near) -> None:
    noisy = noised(numbers["sd.in.latents"], numbers["sd.in.noise"], shares[numbers["sd.in.t"]])
    close(torch.cat([noisy, noisy]), numbers["sd.out.unet_input"], 1e-5)
    close(1.0 - shares[numbers["sd.in.t"]], numbers["sd.out.w"], 1e-6)


def test_the_gradient_of_stable_diffusion(numbers: Golden, shares: Any, near: Near, close: Near) -> None:
    stated = numbers.json("config")["sd"]
    guided = FORMULAS[stated["cfg"]](numbers["sd.in.eps_uncond"], numbers["sd.in.eps_text"], stated["guidance_scale"])
    gradient = stated["lambda_"] * latent_gradient(guided, numbers["sd.in.noise"], shares[numbers["sd.in.t"]])
    near(gradient, numbers["sd.out.grad_latents"], 1e-4)
    near(gradient.abs().mean(), numbers["sd.out.logged_loss"], 1e-4)


def test_the_gradient_of_what_is_taken_as_latents(numbers: Golden, shares: Any, near: Near) -> None:
    stated = numbers.json("config")["sd"]
    noise, predicted = numbers["sd_latent.in.noise"].float(), numbers["sd_latent.in.eps"].float()
    with torch.inference_mode(False), torch.enable_grad():
        pictures = numbers["sd_latent.in.render4"].clone().requires_grad_()
        latents = as_latents(pictures, noise.shape[-1])
        guided = FORMULAS[stated["cfg"]](*predicted.chunk(2), stated["guidance_scale"])
        gradient = latent_gradient(guided, noise, shares[numbers["sd.in.t"]])
        found = stated["lambda_"] * taken_back(latents, pictures, gradient.clone())
    near(found, numbers["sd_latent.out.grad_render4"], 1e-3)


def test_what_zero123_is_told(numbers: Golden, close: Near) -> None:
    seen = views(numbers)
    moved = camera(seen, mirrored=True)
    close(moved, numbers["z.out.camera_T"], 1e-6)
    close(torch.rad2deg(seen.angle), numbers["z.out.angle_deg"], 1e-3)
    weights = numbers.weights("z.weights.cc_projection.")
    projection = torch.nn.Linear(*reversed(weights["weight"].shape))
    projection.load_state_dict(weights)
    token = tokens(numbers["z.in.clip_embed"], moved, projection)
    close(torch.cat(nothing_and(token)), numbers["z.out.crossattn_uncond_cond"], 1e-5)
    assert not torch.allclose(camera(seen), moved), "the world that they come from is mirrored, and ours is not"


def test_what_zero123_sees(numbers: Golden, shares: Any, close: Near) -> None:
    noisy = noised(numbers["z.in.latents"], numbers["z.in.noise"], shares[numbers["z.in.t"]])
    found = torch.cat(inputs(noisy, numbers["z.in.cond_latent"]))
    close(found[:, :4], numbers["z.out.unet_latent_input"], 1e-5)
    assert torch.equal(found[:, 4:], numbers["z.out.concat_uncond_cond"])


def test_the_gradient_of_zero123(numbers: Golden, shares: Any, near: Near) -> None:
    stated = numbers.json("config")["zero123"]
    guided = FORMULAS[stated["cfg"]](numbers["z.in.eps_uncond"], numbers["z.in.eps_cond"], stated["guidance_scale"])
    factors = views(numbers).angle / math.pi
    gradient = stated["lambda_"] * latent_gradient(guided, numbers["z.in.noise"], shares[numbers["z.in.t"]], factors)
    near(gradient, numbers["z.out.grad_latents"], 1e-4)
    near(gradient.abs().mean(), numbers["z.out.logged_loss"], 1e-4)


def test_every_number_of_the_set_was_looked_at(numbers: Golden) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    looked_at = ("z.weights.", "z.in.delta_polar_deg", "z.in.delta_azimuth_deg")
    left = [name for name in numbers.tensors if f'"{name}"' not in source and not name.startswith(looked_at)]
    assert left == []


def test_which_texts_are_mixed(golden: Goldens, close: Near) -> None:
    stated = golden("cameras")
    pair, share = mixture(torch.deg2rad(stated["text.in.delta_azimuth"]))
    assert torch.equal(pair, stated["text.out.pair"].to(pair.dtype))
    close(share, stated["text.out.weight_of_first"], 1e-6)
