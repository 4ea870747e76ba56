"""Schedules and the denoising loop give the reference's numbers."""

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.midi.denoising import Guidance  # noqa: E402

LATENTS, SCHEDULE = 1e-4, 1e-6


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("denoise")


def conditions(numbers: Any, prefix: str = "") -> Any:
    from models.midi.conditioning import Conditions

    return Conditions(numbers[f"{prefix}in.image_embeds_1"], numbers[f"{prefix}in.image_embeds_2"])


def test_schedules(numbers: Any, close: Any) -> None:
    from models.midi.scheduler import SchedulerConfig, make_schedule

    cases = {key.rpartition(".")[0] for key in numbers.tensors if key.startswith("sched.")}
    assert cases
    for case in cases:
        steps = int(re.findall(r"steps(\d+)", case)[0])
        shift, mu = re.findall(r"shift([\d.]+)", case), re.findall(r"mu([\d.]+)", case)
        config = SchedulerConfig(shift=float(shift[0]) if shift else 1.0, use_dynamic_shifting=bool(mu))
        schedule = make_schedule(steps, config, float(mu[0]) if mu else None)
        close(schedule.sigmas, numbers[f"{case}.sigmas"], SCHEDULE)
        close(schedule.timesteps / 1000, numbers[f"{case}.timesteps"] / 1000, SCHEDULE)


def test_the_schedule_of_the_run(numbers: Any, pipeline: Any, close: Any) -> None:
    from models.midi.scheduler import make_schedule

    schedule = make_schedule(int(numbers["in.steps"]), pipeline.scheduler_config)
    close(schedule.sigmas, numbers["out.sigmas"], SCHEDULE)
    close(schedule.timesteps / 1000, numbers["out.timesteps"] / 1000, SCHEDULE)


@pytest.mark.parametrize("one_batch", [True, False])
def test_guided_denoising(one_batch: bool, numbers: Any, pipeline: Any, close: Any, monkeypatch: Any) -> None:
    from models.midi import scheduler

    seen = []
    step = scheduler.Schedule.step

    def keep(self: Any, *arguments: Any) -> Any:
        seen.append(step(self, *arguments))
        return seen[-1]

    monkeypatch.setattr(scheduler.Schedule, "step", keep)
    latents = pipeline.denoise(
        conditions(numbers),
        numbers["in.noise"],
        steps=int(numbers["in.steps"]),
        guidance=Guidance(float(numbers["in.guidance"]), one_batch=one_batch),
    )
    close(torch.stack(seen), numbers["out.latents_per_step"], LATENTS)
    close(latents, numbers["out.latents"], LATENTS)


def test_unguided_denoising(numbers: Any, pipeline: Any, close: Any) -> None:
    latents = pipeline.denoise(
        conditions(numbers), numbers["in.noise"], steps=int(numbers["in.steps"]), guidance=Guidance(1.0)
    )
    close(latents, numbers["nocfg.out.latents"], LATENTS)


def test_padded_scenes(numbers: Any, pipeline: Any, close: Any) -> None:
    from models.midi.transformer import instance_groups

    noise = numbers["pad.in.noise"]
    counts, slots = numbers["pad.in.num_instances"].tolist(), int(numbers["pad.in.num_instances_per_batch"])
    latents = pipeline.denoise(
        conditions(numbers, "pad."),
        noise,
        steps=int(numbers["in.steps"]),
        guidance=Guidance(float(numbers["in.guidance"])),
        groups=instance_groups(len(noise), counts, slots),
    )
    close(latents, numbers["pad.out.latents"], LATENTS)
