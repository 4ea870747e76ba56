"""UNet, scheduler, guidance and the loops of both stages give the reference's numbers, working in pieces or at once."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

TOLERANCE = 2e-5
DEBUG = {
    "time_embed": ("time_embedding", 1),
    "label_emb": ("add_embedding", 1),
    "input_blocks.0": ("conv_in", 0),
    "input_blocks.1.0": ("down_blocks.0.resnets.0", 0),
    "middle_block": ("mid_block", 0),
}


def pieces() -> list[Any]:
    from models.hi3d.frugal import Frugality

    return [
        Frugality(),
        Frugality(one_batch=False),
        Frugality(one_batch=False, frames=2, tokens=50, attention_rows=7),
        Frugality(frames=1, tokens=33),
    ]


def conditions(numbers: Any) -> Any:
    from models.hi3d.denoising import Conditions

    return Conditions(
        token=numbers["cond.crossattn"][0],
        vector=numbers["cond.vector"][0],
        concat=numbers["cond.concat"],
        noise=numbers["sample.noise"],
        frames=numbers.tensors.get("sample.z_frames"),
    )


@pytest.mark.parametrize("which", range(4))
def test_forward(numbers: Any, unet: Any, near: Any, which: int) -> None:
    from models.hi3d.frugal import set_pieces
    from models.hi3d.unet import predict

    told: dict[str, Any] = {}
    handles = [
        unet.get_submodule(place).register_forward_hook(
            lambda module, inputs, output, name=name: told.__setitem__(name, output)
        )
        for name, (place, _) in DEBUG.items()
    ]
    set_pieces(unet, pieces()[which])
    frames = numbers.json("config")["num_frames"]
    sample = numbers["forward.x"].unflatten(0, (-1, frames))
    time = numbers["forward.timesteps"][0]
    found = predict(unet, sample, time, numbers["forward.context"], numbers["forward.vector"])
    for handle in handles:
        handle.remove()
    for name, (_, repeated) in DEBUG.items():
        inner = told[name].repeat_interleave(frames, 0) if repeated else told[name]
        near(inner, numbers[f"forward.debug.{name}"], TOLERANCE)
    near(found.flatten(0, 1), numbers["forward.output"], TOLERANCE)


def test_the_first_transformer(numbers: Any, unet: Any, near: Any) -> None:
    """`input_blocks.1` is residual block and transformer, whichever of the two a level has."""
    from models.hi3d.unet import predict

    told: list[Any] = []
    block = unet.down_blocks[0]
    handle = (block.attentions if hasattr(block, "attentions") else block.resnets)[0].register_forward_hook(
        lambda module, inputs, output: told.append(output[0] if isinstance(output, tuple) else output)
    )
    frames = numbers.json("config")["num_frames"]
    sample = numbers["forward.x"].unflatten(0, (-1, frames))
    predict(unet, sample, numbers["forward.timesteps"][0], numbers["forward.context"], numbers["forward.vector"])
    handle.remove()
    near(told[0], numbers["forward.debug.input_blocks.1"], TOLERANCE)


@pytest.mark.parametrize("one_batch", [True, False])
@pytest.mark.parametrize("index", range(3))
def test_denoise(numbers: Any, unet: Any, near: Any, index: int, one_batch: bool) -> None:
    import math

    from models.hi3d.denoising import both_halves
    from models.hi3d.frugal import WHOLE, set_pieces
    from models.hi3d.schedule import Schedule

    sample, sigma = numbers[f"denoise.{index}.x"], numbers[f"denoise.{index}.sigma"]
    schedule = Schedule(1)
    schedule.sigmas = torch.cat([sigma, torch.zeros(1)])
    set_pieces(unet, WHOLE)
    seen, time = schedule.scaled(sample, 0), torch.tensor(0.25 * math.log(float(sigma)))
    halves = both_halves(unet, seen, time, conditions(numbers), one_batch)
    data = [schedule.denoised(sample, each, 0) for each in halves]
    near(torch.cat(data), numbers[f"denoise.{index}.out_uncond_then_cond"], TOLERANCE)
    guided = data[0] + numbers["guider.scale"][:, None, None, None] * (data[1] - data[0])
    near(guided, numbers[f"denoise.{index}.guided"], TOLERANCE)


@pytest.mark.parametrize("which", range(4))
def test_every_step(numbers: Any, unet: Any, near: Any, which: int) -> None:
    from models.hi3d.denoising import Run, State, denoise
    from models.hi3d.schedule import Schedule, blend_weight, blended, guidance_scales

    stated = numbers.json("config")
    steps, largest = stated["num_steps"], stated["guider"]["max_scale"]
    near(guidance_scales(stated["num_frames"], largest), numbers["guider.scale"], 1e-6)
    told, seen = conditions(numbers), []

    def callback(state: State) -> None:
        seen.append(state)

    result = denoise(unet, told, Run(largest, steps, frugality=pieces()[which], callback=callback))
    assert [state.done for state in seen] == list(range(steps + 1))
    near(seen[0].latents, numbers["sample.start"], TOLERANCE)
    for index in range(steps):
        near(seen[index + 1].latents, numbers[f"sample.after_step.{index}"], TOLERANCE)
    assert torch.equal(result, seen[-1].latents)
    if told.frames is None:
        return
    schedule = Schedule(steps)
    for index in range(steps):
        weight = blend_weight(index, steps)
        assert weight == pytest.approx(float(numbers["sample.alphas"][index]), rel=1e-9)
        sample = blended(seen[index].latents, told.frames, told.noise, float(schedule.sigmas[index]), weight)
        near(sample, numbers[f"sample.after_blend.{index}"], TOLERANCE)


def test_the_schedule(golden: Any) -> None:
    from models.hi3d.files import ORBIT, REFINE
    from models.hi3d.schedule import STEPS, Schedule, blend_weight, guidance_scales

    numbers = golden("schedule")
    for count, expected in numbers.numbered(r"sigmas\.(\d+)").items():
        torch.testing.assert_close(Schedule(int(count)).sigmas, expected, rtol=1e-5, atol=0.0)
    (count,) = numbers.numbered(r"scaling(\d+)\.c_in")
    schedule = Schedule(int(count))
    assert int(count) == STEPS
    one = torch.ones(1)
    for index in range(STEPS):
        found = {
            "c_in": schedule.scaled(one, index),
            "c_skip": schedule.denoised(one, 0 * one, index),
            "c_out": schedule.denoised(0 * one, one, index),
            "c_noise": schedule.timesteps[index : index + 1],
        }
        for name, value in found.items():
            expected = numbers[f"scaling{count}.{name}"][index : index + 1]
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    for stage in (ORBIT, REFINE):
        ((frames, expected),) = numbers.numbered(rf"guider\.stage{stage.number}\.scale(\d+)").items()
        torch.testing.assert_close(guidance_scales(int(frames), stage.largest), expected, rtol=1e-6, atol=0.0)
    ((count, expected),) = numbers.numbered(r"stage2\.alphas(\d+)").items()
    found = torch.tensor([blend_weight(index, int(count)) for index in range(int(count))], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0.0)
