"""The pipeline keeps its promises with a tiny random checkpoint: seeds, guidance, batches, progress, memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from models.zero123plus.pictures import prepared, split  # noqa: E402
from models.zero123plus.pipeline import TEXT_FILE, Zero123Plus  # noqa: E402

STEPS = 3
VIEW = 32


def generators(*seeds: int) -> list[Any]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.fixture
def condition(pipeline: Any, photos: Any) -> Any:
    return pipeline.condition(prepared(photos[0]), *generators(5))


def test_a_photo_becomes_a_sheet_of_six_views(tiny_checkpoint: Path, photos: Any) -> None:
    """At the real size, as the whole product uses it."""
    sheet = Zero123Plus.from_pretrained(tiny_checkpoint)(photos[0], seed=1, steps=1)
    assert (sheet.shape, sheet.dtype) == ((960, 640, 3), np.float32)
    assert 0.0 <= sheet.min() < sheet.max() <= 1.0
    assert split(sheet).shape == (6, 320, 320, 3)


def test_a_sheet_depends_on_its_photo_and_seed_only(pipeline: Any, photos: Any) -> None:
    first = pipeline(photos[0], seed=1, steps=STEPS)
    torch.manual_seed(99)
    other = pipeline(photos[1], seed=1, steps=STEPS)
    again = pipeline(photos[0], seed=1, steps=STEPS)
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-2
    assert np.abs(first - pipeline(photos[0], seed=2, steps=STEPS)).max() > 1e-2


def test_the_global_generator_is_left_alone(pipeline: Any, photos: Any) -> None:
    before = torch.random.get_rng_state()
    pipeline(photos[0], seed=1, steps=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_several_photos_at_once_come_out_as_alone(pipeline: Any, photos: Any) -> None:
    def conditions(sources: list[Any]) -> list[Any]:
        return [pipeline.condition(prepared(photo), each) for photo, each in zip(photos, sources, strict=True)]

    sources = generators(1, 2, 3)
    alone = [
        pipeline.denoise(each, STEPS, generator=source)
        for each, source in zip(conditions(sources), sources, strict=True)
    ]
    for rows in (None, 4, 1):
        sources = generators(1, 2, 3)
        together = pipeline.denoise_together(conditions(sources), sources, STEPS, rows=rows)
        assert together.shape == (3, 4, 3 * VIEW // 8, 2 * VIEW // 8)
        assert (together - torch.stack(alone)).abs().max() < 1e-3 * torch.stack(alone).abs().max()


def test_without_guidance_the_unconditional_half_is_not_computed(
    pipeline: Any, condition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = pipeline.parts["unet"]
    forward, rows = unet.forward, []
    monkeypatch.setattr(
        unet, "forward", lambda sample, *rest, **named: rows.append(len(sample)) or forward(sample, *rest, **named)
    )
    none, hardly, full = (
        pipeline.denoise(condition, STEPS, guidance, *generators(0)) for guidance in (1.0, 1.0 + 1e-6, 4.0)
    )
    assert rows == [1, 1] * STEPS + [2, 2] * 2 * STEPS
    # The same noise is drawn, so that a little guidance changes little.
    assert (none - hardly).abs().max() < 1e-4 * none.abs().max()
    assert (none - full).abs().max() > 1e-2 * none.abs().max()


def test_progress_is_told_and_can_stop_the_run(pipeline: Any, condition: Any) -> None:
    class Stopped(Exception):
        pass

    told: list[tuple[int, int]] = []
    expected = pipeline.denoise(
        condition, STEPS, generator=generators(0)[0], progress=lambda step, steps: told.append((step, steps))
    )
    assert told == [(step, STEPS) for step in range(STEPS + 1)]

    def stop(step: int, steps: int) -> None:
        if step == 2:
            raise Stopped

    unet = pipeline.parts["unet"]
    before = dict(unet.attn_processors)
    with pytest.raises(Stopped):
        pipeline.denoise(condition, STEPS, generator=generators(0)[0], progress=stop)
    after = unet.attn_processors
    assert all(after[name] is before[name] for name in before)
    assert torch.equal(pipeline.denoise(condition, STEPS, generator=generators(0)[0]), expected)


def test_networks_are_loaded_when_needed_and_let_go(tiny_checkpoint: Path, photos: Any) -> None:
    import weakref

    fresh = Zero123Plus.from_pretrained(tiny_checkpoint, view_size=VIEW)
    assert fresh.loaded_bytes == 0
    (generator,) = generators(0)
    condition = fresh.condition(prepared(photos[0]), generator)
    assert set(fresh.parts.loaded) == {"vision_encoder", "vae"}
    watched = weakref.ref(next(fresh.parts.loaded["vae"].parameters()))
    encoders = fresh.loaded_bytes
    fresh.release("vision_encoder", "vae")
    assert watched() is None
    latents = fresh.denoise(condition, 1, generator=generator)
    assert set(fresh.parts.loaded) == {"unet"}
    unet = fresh.loaded_bytes
    assert encoders > 0 and unet == sum(each.nbytes for each in fresh.parts["unet"].parameters())
    fresh.release()
    assert fresh.loaded_bytes == 0
    assert fresh.decode(latents).shape == (3 * VIEW, 2 * VIEW, 3)
    with pytest.raises(KeyError, match="text_encoder"):
        fresh.release("text_encoder")


def test_the_empty_text_is_computed_once_for_all_runs(tmp_path: Path, photos: Any) -> None:
    from models.zero123plus.tiny import write_tiny_checkpoint

    folder, kept = write_tiny_checkpoint(tmp_path / "checkpoint"), tmp_path / "kept"
    first = Zero123Plus.from_pretrained(folder, kept=kept, view_size=VIEW)
    first.prepare()
    assert [file.name for file in kept.iterdir()] == [TEXT_FILE]
    weights = folder / "text_encoder" / "model.safetensors"
    weights.unlink()
    later = Zero123Plus.from_pretrained(folder, kept=kept, view_size=VIEW)
    assert torch.equal(later.text, first.text)
    # Another text encoder in its place: what is kept is of the old one.
    write_tiny_checkpoint(tmp_path / "other", seed=8)
    (tmp_path / "other" / "text_encoder" / "model.safetensors").replace(weights)
    renewed = Zero123Plus.from_pretrained(folder, kept=kept, view_size=VIEW)
    assert not torch.equal(renewed.text, first.text)
    (kept / TEXT_FILE).write_bytes(b"damaged")
    assert torch.equal(Zero123Plus.from_pretrained(folder, kept=kept, view_size=VIEW).text, renewed.text)


def test_the_white_unet_makes_other_views(
    tiny_checkpoint: Path, white_unet: Path, pipeline: Any, photos: Any, tmp_path: Path
) -> None:
    white = Zero123Plus.from_pretrained(tiny_checkpoint, white_unet, kept=tmp_path, view_size=VIEW)
    assert np.abs(white(photos[0], seed=1, steps=1) - pipeline(photos[0], seed=1, steps=1)).max() > 1e-2


def test_bfloat16_stays_near_float32(tiny_checkpoint: Path, pipeline: Any, photos: Any) -> None:
    half = Zero123Plus.from_pretrained(tiny_checkpoint, dtype=torch.bfloat16, view_size=VIEW)
    one, other = (each(photos[0], seed=0, steps=2, guidance=1.0) for each in (pipeline, half))
    assert {parameter.dtype for parameter in half.parts["unet"].parameters()} == {torch.bfloat16}
    assert np.abs(one - other).mean() < 0.02


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"steps": 0}, "steps"), ({"steps": 1001}, "steps"), ({"guidance": 0.5}, "guidance"), ({"rows": 0}, "row")],
)
def test_impossible_settings_are_refused(settings: Any, word: str, pipeline: Any, condition: Any) -> None:
    with pytest.raises(ValueError, match=word):
        pipeline.denoise(condition, **{"steps": STEPS, **settings})
    with pytest.raises(ValueError, match="sources of noise"):
        pipeline.denoise_together([condition], generators(1, 2), STEPS)


def test_views_that_are_no_numbers_are_told(pipeline: Any) -> None:
    with pytest.raises(FloatingPointError, match="precision"):
        pipeline.decode(torch.full((4, 12, 8), torch.nan))


def test_every_step_number_begins_at_the_noise_and_ends_at_the_data() -> None:
    from models.zero123plus.scheduler import make_schedule

    for steps in range(1, 1001, 37):
        schedule = make_schedule(steps)
        assert len(schedule) == steps == len(schedule.sigmas) - 1
        assert (schedule.timesteps[0], schedule.sigmas[-1]) == (999.0, 0.0)
        assert (schedule.sigmas.diff() < 0).all()
