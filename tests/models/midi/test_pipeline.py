"""The pipeline keeps its promises with a tiny random checkpoint: seeds, guidance, progress, memory."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.midi.denoising import Guidance  # noqa: E402

STEPS = 4


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    labels = np.zeros((40, 60), np.uint16)
    labels[5:20, 10:25], labels[20:35, 30:50] = 7, 2
    return generator.integers(0, 256, (40, 60, 3), np.uint8), labels


@pytest.fixture(scope="module")
def conditions(pipeline: Any, scene: Any) -> Any:
    from models.midi.pictures import framed

    return pipeline.encode(framed(*scene))


def test_one_latent_per_instance_in_the_order_of_the_labels(pipeline: Any, scene: Any) -> None:
    output = pipeline(*scene, seed=1, steps=2)
    config = pipeline.transformer.config
    assert output.latents.shape == (2, config.width, config.in_channels)
    assert output.latents.dtype == torch.float32
    assert output.label_ids == (2, 7)
    assert (output.frame.left, output.frame.top) == (0, 10)


def test_a_seed_gives_the_same_latents_bit_for_bit(pipeline: Any, scene: Any) -> None:
    one, again, other = (pipeline(*scene, seed=seed, steps=2, tokens=6).latents for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(pipeline(*scene, seed=generator, steps=2, tokens=6).latents, one)


def test_both_halves_of_the_guidance_may_run_one_after_the_other(pipeline: Any, conditions: Any) -> None:
    noise = pipeline.noise(2, seed=0, tokens=6)
    together, apart = (
        pipeline.denoise(conditions, noise, STEPS, Guidance(one_batch=one_batch)) for one_batch in (True, False)
    )
    assert torch.allclose(together, apart, atol=1e-5)


def test_guidance_outside_its_interval_costs_no_unconditional_half(
    pipeline: Any, conditions: Any, monkeypatch: Any
) -> None:
    rows = []
    forward = type(pipeline.transformer).forward
    monkeypatch.setattr(
        type(pipeline.transformer),
        "forward",
        lambda self, latents, *rest, **named: rows.append(len(latents)) or forward(self, latents, *rest, **named),
    )
    noise = pipeline.noise(2, seed=0, tokens=6)
    pipeline.denoise(conditions, noise, STEPS, Guidance(interval=(0.25, 0.75)))
    assert rows == [2, 4, 4, 2]
    rows.clear()
    whole = pipeline.denoise(conditions, noise, STEPS)
    assert rows == [4] * STEPS
    rows.clear()
    none = pipeline.denoise(conditions, noise, STEPS, Guidance(interval=(0.0, 0.0)))
    assert rows == [2] * STEPS
    assert torch.equal(none, pipeline.denoise(conditions, noise, STEPS, guidance=Guidance(1.0)))
    assert not torch.allclose(none, whole, atol=1e-3)


def test_instances_know_of_each_other(pipeline: Any, conditions: Any) -> None:
    noise = pipeline.noise(2, seed=0, tokens=6)
    together = pipeline.denoise(conditions, noise, STEPS)
    apart = pipeline.denoise(conditions, noise, STEPS, groups=(1, 1))
    assert not torch.allclose(together, apart, atol=1e-3)


def test_progress_is_told_and_can_cancel(pipeline: Any, conditions: Any) -> None:
    class Cancelled(Exception):
        pass

    told = []
    noise = pipeline.noise(2, seed=0, tokens=6)
    pipeline.denoise(conditions, noise, STEPS, progress=lambda done, steps: told.append((done, steps)))
    assert told == [(done, STEPS) for done in range(STEPS + 1)]

    def cancel(done: int, steps: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        pipeline.denoise(conditions, noise, STEPS, progress=cancel)


def test_networks_are_loaded_when_needed_and_let_go(tiny_checkpoint: Any, scene: Any) -> None:
    import weakref

    from models.midi.pipeline import MidiPipeline

    fresh = MidiPipeline.from_pretrained(tiny_checkpoint)
    assert not fresh.parts.loaded
    fresh(*scene, seed=0, steps=1, tokens=6)
    assert set(fresh.parts.loaded) == {"image_encoder_1", "image_encoder_2", "transformer"}
    watched = weakref.ref(fresh.parts.loaded["image_encoder_2"].encoder.layer[0].norm1.weight)
    fresh.release("image_encoder_1", "image_encoder_2")
    assert set(fresh.parts.loaded) == {"transformer"}
    assert watched() is None
    fresh.release()
    assert not fresh.parts.loaded


def test_bfloat16_stays_near_float32(tiny_checkpoint: Any, pipeline: Any, scene: Any) -> None:
    from models.midi.pipeline import MidiPipeline

    half = MidiPipeline.from_pretrained(tiny_checkpoint, dtype=torch.bfloat16)
    one, other = (each(*scene, seed=0, steps=2, guidance=Guidance(1.0), tokens=6).latents for each in (pipeline, half))
    assert other.dtype == torch.float32
    assert (one - other).abs().max() < 0.1


@pytest.mark.parametrize(("steps", "mu"), [(0, None), (-3, None), (4, 0.5)])
def test_impossible_schedules_are_refused(steps: int, mu: float | None, pipeline: Any, conditions: Any) -> None:
    with pytest.raises(ValueError, match=r"step|mu"):
        pipeline.denoise(conditions, pipeline.noise(2, seed=0, tokens=6), steps, mu=mu)


def test_every_tiny_latent_is_a_closed_blob(pipeline: Any, scene: Any) -> None:
    latents = pipeline(*scene, seed=3, steps=3).latents
    axis = torch.linspace(-1.0, 1.0, 17)
    points = torch.cartesian_prod(axis, axis, axis)
    border = (points.abs() == 1.0).any(1)
    for row in latents:
        values = pipeline.vae.field(row)(points)
        assert (values[border] > 0).all()
        assert 0.02 < (values < 0).float().mean() < 0.5
