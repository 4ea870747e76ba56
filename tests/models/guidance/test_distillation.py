"""Score distillation: chance from seed and step, the way back through the autoencoder, and the same result by less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from models.guidance import distillation as d  # noqa: E402
from models.guidance.encoding import HALF, STRAIGHT, Encoding, encoded, straightened  # noqa: E402
from models.guidance.prior import RelativeViews, distilled  # noqa: E402
from models.guidance.stable_diffusion import StableDiffusionFiles, StableDiffusionPrior  # noqa: E402
from models.guidance.together import Together  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402

STEP = Step(number=3, seed=7)
SIDE = 64
"""Pixels that the autoencoder sees, an eighth of the published ones."""


@pytest.fixture(scope="module")
def files(stable_diffusion: Path) -> StableDiffusionFiles:
    return StableDiffusionFiles(stable_diffusion)


@pytest.fixture
def prior(files: StableDiffusionFiles) -> StableDiffusionPrior:
    with torch.no_grad():
        texts = files.texts("a chair")
    made = StableDiffusionPrior(files.parts, texts, d.Distillation(100.0))
    made.side = SIDE
    return made


def near(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def test_the_formulas() -> None:
    without, told = torch.tensor([1.0]), torch.tensor([3.0])
    assert d.beyond_the_condition(without, told, 100.0).item() == 203.0
    assert d.classifier_free(without, told, 101.0).item() == 203.0
    assert d.classifier_free(without, told, 1.0).item() == 3.0


@pytest.mark.parametrize("t_range", [(0.6, 0.2), (-0.1, 0.5), (0.2, 1.1), (float("nan"), 0.5)])
def test_a_range_that_cannot_be(t_range: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the smaller one first"):
        d.Distillation(5.0, t_range=t_range)
    with pytest.raises(ValueError, match="finite"):
        d.Distillation(float("inf"))


def test_timesteps_include_both_ends() -> None:
    asked = d.Distillation(5.0, t_range=(0.2, 0.203))
    found = d.drawn(STEP, 200, (1,), asked, "a").timesteps
    assert set(found.tolist()) == {200, 201, 202, 203}
    assert d.Distillation(5.0, t_range=(0.57, 1.0)).timesteps == (570, 999)


def test_chance_is_a_function_of_seed_step_and_prior_and_not_of_how_a_batch_is_shared_out() -> None:
    asked = d.Distillation(5.0)
    whole = d.drawn(STEP, 4, (4, 3, 3), asked, "a")
    again = d.drawn(STEP, 4, (4, 3, 3), asked, "a")
    parts = [d.drawn(Step(3, 7, part, 2), 2, (4, 3, 3), asked, "a") for part in (0, 1)]
    for name in ("timesteps", "noise", "sample"):
        assert torch.equal(getattr(whole, name), getattr(again, name))
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    for other in (d.drawn(Step(4, 7), 4, (4, 3, 3), asked, "a"), d.drawn(STEP, 4, (4, 3, 3), asked, "b")):
        assert not torch.equal(other.noise, whole.noise)
    assert not torch.equal(whole.noise, whole.sample)


@pytest.mark.parametrize("size", [1e-30, 1.0, 3e20])
def test_the_way_back_is_that_of_autograd_however_large_the_gradient(files: Any, pictures: Any, size: float) -> None:
    seen = pictures.clone().requires_grad_()
    sample = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    gradient = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    latents = encoded(seen, files.parts["vae"], SIDE, sample)
    found = d.taken_back(latents, seen, gradient * size)
    (encoded(seen, files.parts["vae"], SIDE, sample) * gradient).sum().backward()
    near(found / size, seen.grad)


def test_no_number_is_0() -> None:
    broken = torch.tensor([float("nan"), float("inf"), -float("inf"), 2.0]).reshape(1, 4, 1, 1)
    found = d.latent_gradient(broken, torch.ones(1, 4, 1, 1), torch.tensor([0.25]))
    assert found.flatten().tolist() == [0.0, 0.0, 0.0, 0.75]


def test_a_gradient_is_repeatable_is_linear_in_its_weight_and_leaves_no_graph(
    prior: Any, pictures: Any, views: RelativeViews
) -> None:
    first = prior.gradient(pictures, views, STEP)
    assert first.shape == pictures.shape and first.isfinite().all() and first.abs().max() > 0.0
    assert not first.requires_grad
    with torch.no_grad():
        assert torch.equal(first, prior.gradient(pictures, views, STEP)), "whoever asks may have switched gradients off"
    prior.at(weight=0.5)
    assert torch.equal(0.5 * first, prior.gradient(pictures, views, STEP))
    prior.at(weight=1.0)
    assert not torch.allclose(first, prior.gradient(pictures, views, Step(4, 7)))


def test_the_gradient_is_summed_and_not_averaged(prior: Any, pictures: Any, views: RelativeViews) -> None:
    """One picture has the same gradient alone and beside another, but for what is drawn for it."""
    prior.frugality = d.Frugality(group=1)
    near(prior.gradient(pictures, views, STEP)[:1], prior.gradient(pictures[:1], views.rows(0, 1), STEP), 1e-5)


@pytest.mark.parametrize(
    "frugality",
    [
        d.Frugality(recompute=True),
        d.Frugality(group=1),
        d.Frugality(slices=True),
        d.Frugality(True, True, 1),
    ],
    ids=str,
)
def test_less_at_once_is_the_same(prior: Any, pictures: Any, views: RelativeViews, frugality: d.Frugality) -> None:
    expected = prior.gradient(pictures, views, STEP)
    prior.frugality = frugality
    near(prior.gradient(pictures, views, STEP), expected, 2e-4)


def test_recomputing_is_the_same_to_the_bit_and_keeps_less(files: Any, pictures: Any) -> None:
    vae, sample = files.parts["vae"], torch.zeros(2, 4, 8, 8)
    found, kept = [], []
    for recompute in (False, True):
        seen, saved = pictures.clone().requires_grad_(), 0

        def pack(tensor: Any) -> Any:
            nonlocal saved
            saved += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            latents = encoded(seen, vae, SIDE, sample, recompute=recompute)
        kept.append(saved)
        found.append(torch.autograd.grad(latents.square().sum(), seen)[0])
    assert torch.equal(*found)
    assert kept[1] < 0.5 * kept[0]
    assert not any(getattr(module, "recomputing", False) for module in vae.modules()), "the switch is turned back"


def test_priors_together_go_through_the_renderer_once(prior: Any, pictures: Any, views: RelativeViews) -> None:
    class Renderer(torch.autograd.Function):
        backward_passes = 0

        @staticmethod
        def forward(ctx: Any, field: Any) -> Any:
            return field * 1.0

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            Renderer.backward_passes += 1
            return gradient

    class Pull:
        def gradient(self, pictures: Any, views: Any, step: Any) -> Any:
            return 2.0 * pictures

    told: list[str] = []
    together = Together({"text": prior, "pull": Pull()}, told.append)
    field = pictures.clone().requires_grad_()
    rendered = Renderer.apply(field)
    distilled(rendered, together.gradient(rendered.detach(), views, STEP)).backward()
    assert Renderer.backward_passes == 1 and told == ["text", "pull"]
    near(field.grad, prior.gradient(pictures, views, STEP) + 2.0 * pictures)


def test_going_against_the_gradient_comes_nearer_to_what_the_prior_knows(
    prior: Any, pictures: Any, views: RelativeViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that knows one picture's latents: its prediction is whatever makes of those the noised ones. The
    autoencoder is a random one, whose latents vary more by chance than by picture; so the likeliest are taken."""
    sample, drawn = torch.zeros(2, 4, 8, 8), d.drawn
    monkeypatch.setattr(d, "drawn", lambda *given: replace(drawn(*given), sample=sample))
    known = encoded(pictures, prior.parts["vae"], SIDE, sample).detach()

    def predictions(noisy: Any, timesteps: Any, views: Any) -> Any:
        share = prior._shares[timesteps][:, None, None, None]
        noise = (noisy - share.sqrt() * known) / (1.0 - share).sqrt()
        return noise, noise

    prior.predictions = predictions
    wrong = (pictures + 0.2 * torch.rand(pictures.shape, generator=torch.Generator().manual_seed(5))).clamp(0.0, 1.0)
    distances = []
    rate = 0.05 / prior.gradient(wrong, views, STEP).abs().max()
    for number in range(10):
        latents = encoded(wrong, prior.parts["vae"], SIDE, sample).detach()
        distances.append((latents - known).square().sum().item())
        wrong = wrong - rate * prior.gradient(wrong, views, Step(number, 7))
    assert distances[-1] < 0.6 * distances[0], distances


def test_what_has_four_channels_is_taken_as_latents(prior: Any, pictures: Any, views: RelativeViews) -> None:
    four = torch.cat([pictures, pictures[:, :1]], dim=1)
    found = prior.gradient(four, views, STEP)
    assert found.shape == four.shape and found.abs().max() > 0.0
    for wrong in (pictures[:, :2], pictures[0]):
        with pytest.raises(ValueError, match="do not fit"):
            prior.gradient(wrong, views, STEP)
    with pytest.raises(ValueError, match="do not fit"):
        prior.gradient(pictures[:1], views, STEP)


def test_half_the_side_is_a_quarter_of_the_latents(prior: Any, pictures: Any, views: RelativeViews) -> None:
    sides = []
    plain = prior.predictions
    prior.predictions = lambda noisy, *rest: (sides.append(noisy.shape[-1]), plain(noisy, *rest))[1]
    prior.gradient(pictures, views, STEP)
    prior.encoding = HALF
    assert prior.gradient(pictures, views, STEP).shape == pictures.shape
    assert sides == [8, 4]
    with pytest.raises(ValueError, match="times smaller"):
        Encoding(shrinks=3)


def test_the_straight_way_back_is_the_whole_one_where_the_autoencoder_is_straight() -> None:
    from models.hi3d.tiny import _coarse_vae

    torch.manual_seed(0)
    vae = _coarse_vae()
    big = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8), (SIDE, SIDE), mode="nearest")
    sample = torch.zeros(2, 4, 8, 8)
    gradient = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    gradient[:, 3] = 0.0  # of the latent that this autoencoder leaves empty
    gradient = gradient - gradient.mean(dim=(2, 3), keepdim=True)  # and it takes means away
    found = []
    for encoding in (Encoding(), STRAIGHT):
        seen = big.clone().requires_grad_()
        latents = encoded(seen, vae, SIDE, sample, encoding)
        found.append((latents.detach(), d.taken_back(latents, seen, gradient)))
    assert torch.equal(found[0][0], found[1][0]), "the latents are the same"
    inside = [each[1][..., 8:-8, 8:-8] for each in found]
    cosine = torch.nn.functional.cosine_similarity(*(each.flatten() for each in inside), dim=0)
    assert cosine > 0.99, f"{cosine:.4f}"


def test_a_straight_line_is_found_where_there_is_one() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 8, 8)
    latents = torch.einsum("kc,nchw->nkhw", torch.randn(4, 3), pictures) + 0.5
    near(straightened(pictures, latents), latents, 1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near_and_has_no_holes(
    stable_diffusion: Path, prior: Any, pictures: Any, views: RelativeViews, dtype: Any
) -> None:
    expected = prior.gradient(pictures, views, STEP)
    files = StableDiffusionFiles(stable_diffusion, dtype=dtype)
    assert files.vae_dtype == torch.float16
    with torch.no_grad():
        half = StableDiffusionPrior(files.parts, files.texts("a chair"), prior.distillation)
    half.side = SIDE
    half.at(weight=1.0 / 65536.0)
    found = half.gradient(pictures, views, STEP) * 65536.0
    assert found.dtype == torch.float32 and found.isfinite().all()
    cosine = torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0)
    assert cosine > (0.99 if dtype == torch.float16 else 0.9), f"{cosine:.4f}"
