"""A whole run of Zero123++ gives the reference's numbers, tensor by tensor, and so does the pipeline as a whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("inference")

EMBEDDING, PREDICTION, LATENTS = 1e-5, 3e-5, 1e-4


@pytest.fixture(scope="session")
def numbers(golden: Any) -> Any:
    return golden("zero123plus")


@pytest.fixture(scope="session")
def checkpoint(numbers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden weights in the published folder layout, and the UNet in InstantMesh's beside them."""
    from models.zero123plus.tiny import Part, write_checkpoint, write_white_unet

    config = numbers.json("config")
    folder = tmp_path_factory.mktemp("zero123plus")
    write_checkpoint(
        folder,
        {
            "unet": Part("diffusers", "UNet2DConditionModel", config["unet"], numbers.weights("w.unet.")),
            "vae": Part("diffusers", "AutoencoderKL", config["vae"], numbers.weights("w.vae.")),
            "vision_encoder": Part(
                "transformers", "CLIPVisionModelWithProjection", config["vis"], numbers.weights("w.vision_encoder.")
            ),
            "text_encoder": Part("transformers", "CLIPTextModel", config["text"], numbers.weights("w.text_encoder.")),
        },
        ramp=numbers["in.ramping_coefficients"].double().tolist(),
        vae_size=config["vae_px"],
        clip_size=config["clip_px"],
    )
    write_white_unet(folder / "diffusion_pytorch_model.bin", numbers.weights("w.unet."))
    return folder


@pytest.fixture(scope="session")
def pipeline(checkpoint: Path) -> Any:
    from models.zero123plus.pipeline import Zero123Plus

    return Zero123Plus.from_pretrained(checkpoint)


@pytest.fixture
def schedule(numbers: Any) -> Any:
    from models.zero123plus.scheduler import make_schedule

    return make_schedule(numbers.json("config")["steps"])


def drawn(numbers: Any, *names: str) -> Any:
    """A source of noise that gives the reference's numbers in the order in which it used them."""
    left = [numbers[f"noise.{name}"] for name in names]

    def draw(shape: tuple[int, ...]) -> Any:
        return left.pop(0).reshape(shape)

    return draw


def golden_condition(numbers: Any) -> Any:
    from models.zero123plus.conditioning import Condition

    references = torch.cat([numbers["mid.negative_lat"], numbers["mid.cond_lat"]])
    return Condition(numbers["mid.prompt_embeds_uncond_cond"], references)


def test_the_photo_becomes_the_encoders_pixels(pipeline: Any, numbers: Any, close: Any) -> None:
    from models.zero123plus.pictures import on_white

    picture = on_white(numbers["in.image_rgba"].numpy())
    close(pipeline.vae_preprocessor.pixels(picture)[None], numbers["mid.vae_pixels"], EMBEDDING)
    close(pipeline.clip_preprocessor.pixels(picture)[None], numbers["mid.clip_pixels"], EMBEDDING)


def test_the_embeddings_are_the_empty_text_and_the_ramped_photo(pipeline: Any, numbers: Any, close: Any) -> None:
    from models.zero123plus.conditioning import image_embedding, ramped

    close(pipeline.text[None], numbers["mid.text_embeds_empty"], EMBEDDING)
    image = image_embedding(numbers["mid.clip_pixels"][0].numpy(), pipeline.parts["vision_encoder"])
    close(image[None], numbers["mid.image_embeds"], EMBEDDING)
    found = ramped(pipeline.text, image, pipeline.ramp)
    close(found, numbers["mid.prompt_embeds_uncond_cond"], EMBEDDING)


def test_the_photo_becomes_the_condition(
    pipeline: Any, numbers: Any, close: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.zero123plus import pipeline as module

    draw = drawn(numbers, "vae_cond", "vae_negative")
    monkeypatch.setattr(module, "drawn_from", lambda generator: draw)
    condition = pipeline.condition(numbers["in.image_rgba"].numpy(), torch.Generator())
    close(condition.embeddings, numbers["mid.prompt_embeds_uncond_cond"], EMBEDDING)
    close(condition.references[:1], numbers["mid.negative_lat"], EMBEDDING)
    close(condition.references[1:], numbers["mid.cond_lat"], EMBEDDING)


def test_every_step_number_has_the_reference_schedule(numbers: Any) -> None:
    from models.zero123plus.scheduler import SchedulerConfig, kept_shares, make_schedule

    for steps, timesteps in numbers.numbered(r"scheduler\.(\d+)\.timesteps").items():
        found = make_schedule(int(steps))
        np.testing.assert_array_equal(found.timesteps, timesteps)
        np.testing.assert_allclose(found.sigmas, numbers[f"scheduler.{steps}.sigmas"], rtol=1e-6, atol=0)
    np.testing.assert_allclose(kept_shares(SchedulerConfig()), numbers["scheduler.alphas_cumprod"], rtol=1e-6, atol=0)


def test_this_run_has_the_reference_schedule(numbers: Any, schedule: Any) -> None:
    np.testing.assert_array_equal(schedule.timesteps, numbers["mid.timesteps"])
    np.testing.assert_allclose(schedule.sigmas, numbers["mid.sigmas"], rtol=1e-6, atol=0)
    np.testing.assert_allclose(schedule.begun(torch.ones(1)), numbers["mid.init_noise_sigma"], rtol=1e-6)


def test_each_step_has_both_passes_of_the_reference(pipeline: Any, numbers: Any, schedule: Any, close: Any) -> None:
    for step in range(len(schedule)):
        check_step(step, pipeline, numbers, schedule, close)


def check_step(step: int, pipeline: Any, numbers: Any, schedule: Any, close: Any) -> None:
    from models.zero123plus.reference import connected

    before = numbers[f"out.step{step - 1}.latents"] if step else schedule.begun(numbers["noise.initial"])
    reference = schedule.noised(golden_condition(numbers).references, numbers[f"noise.ref.step{step}"], step)
    close(reference, numbers[f"mid.step{step}.noisy_cond_lat"], LATENTS)
    sample = schedule.scaled(before, step).repeat(2, 1, 1, 1)
    close(sample, numbers[f"mid.step{step}.model_input"], LATENTS)
    embeddings, timestep = numbers["mid.prompt_embeds_uncond_cond"], schedule.timesteps[step]
    with connected(pipeline.parts["unet"]) as attention:
        attention.look(numbers[f"mid.step{step}.noisy_cond_lat"], timestep, embeddings)
        for name, kept in numbers.weights(f"mid.step{step}.ref.").items():
            close(attention.kept[name.removesuffix(".processor")], kept, PREDICTION)
        assert step or len(attention.kept) == len(numbers.weights("mid.step0.ref."))
        v = attention.predict(numbers[f"mid.step{step}.model_input"], timestep, embeddings)
    close(v, numbers[f"mid.step{step}.v_pred_uncond_cond"], PREDICTION)
    unconditional, conditional = v.chunk(2)
    v = unconditional + numbers.json("config")["gs"] * (conditional - unconditional)
    after = schedule.step(before, v, numbers[f"noise.ancestral.step{step}"], step)
    close(after, numbers[f"out.step{step}.latents"], LATENTS)


@pytest.mark.parametrize("rows", [None, 1])
def test_the_run_ends_in_the_reference_latents(
    rows: int | None, pipeline: Any, numbers: Any, schedule: Any, close: Any
) -> None:
    from models.zero123plus.denoising import denoise

    order = [name for step in range(len(schedule)) for name in (f"ref.step{step}", f"ancestral.step{step}")]
    latents = denoise(
        pipeline.parts["unet"],
        [golden_condition(numbers)],
        [drawn(numbers, "initial", *order)],
        tuple(numbers["noise.initial"].shape[1:]),
        schedule,
        numbers.json("config")["gs"],
        rows=rows,
    )
    close(latents, numbers["out.latents_final"], LATENTS)


def test_the_latents_become_the_reference_picture(pipeline: Any, numbers: Any, close: Any) -> None:
    from models.zero123plus.conditioning import unscale_latents

    final = numbers["out.latents_final"]
    close(unscale_latents(final), numbers["out.latents_unscaled"], LATENTS)
    close(pipeline.decode(final[0]), numbers["out.image"], LATENTS)


def test_the_white_unet_takes_the_place_of_the_other(checkpoint: Path, numbers: Any, tmp_path: Path) -> None:
    from models.zero123plus.pipeline import Zero123Plus

    opened = Zero123Plus.from_pretrained(checkpoint, checkpoint / "diffusion_pytorch_model.bin", kept=tmp_path)
    state = opened.parts["unet"].state_dict()
    expected = numbers.weights("w.unet.")
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
