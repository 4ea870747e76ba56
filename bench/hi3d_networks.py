"""The networks of Hi3D: operations counted on the meta device, and, where there is a graphics card, steps that are run.

The reference's arithmetic is counted on the same networks with diffusers' own attention, in one batch of both halves,
with what its program does twice: all conditioners once more for the unconditional half, stage 2's frames encoded for
the conditions twice and once to return to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from backend.devices import Device, peak, release, reset_peak
from backend.memory import is_out_of_memory
from bench import hi3d_sizes
from bench.midi_stages import Meter
from models.hi3d.conditioning import CLIP_SIDE, depth_side
from models.hi3d.denoising import INTERVAL, Conditions, Guidance, Run, both_halves, denoise, one_half
from models.hi3d.files import FRAMES, ORBIT, REFINE, Stage
from models.hi3d.memory import ways
from models.hi3d.schedule import STEPS
from models.hi3d.unet import make_unet

TERA = 1e12


@dataclass(frozen=True)
class Counted:
    """Operations of one stage, a multiplication and an addition being two.

    Attributes:
        parts: of one use of each part: a step in the reference's way, a step of ours, one half of it, a frame encoded
            and decoded, a picture in each conditioner.
        reference, ours, interval: of a whole run: the reference's, ours with the same numbers, and with `INTERVAL`.
    """

    parts: dict[str, float]
    reference: float
    ours: float
    interval: float


@dataclass
class Ran:
    """What was measured on a device: seconds and peak bytes by name; None where memory did not suffice."""

    seconds: dict[str, float | None] = field(default_factory=dict)
    peaks: dict[str, int | None] = field(default_factory=dict)


def count(stage: Stage) -> Counted:
    """The operations of a stage at its published size."""
    unet, theirs = (hi3d_sizes.network(stage, "unet", published=each) for each in (False, True))
    told, own = hi3d_sizes.told(stage), "score_encoder" if stage is ORBIT else "depth_estimator"
    seen, time = torch.empty_like(told.noise), torch.empty((), device="meta")
    pictures, latents = (_meta(1, *each) for each in ((3, stage.size, stage.size), told.noise.shape[1:]))
    vae, tower, other = (hi3d_sizes.network(stage, part) for part in ("vae", "image_encoder", own))
    side = CLIP_SIDE if stage is ORBIT else depth_side(stage.size)
    parts = {
        "reference step": _operations(lambda: _reference_step(theirs, seen, time, told)),
        "step": _operations(lambda: both_halves(unet, seen, time, told, False)),
        "half a step": _operations(lambda: one_half(unet, seen, time, told, True)),
        "encode a frame": _operations(lambda: vae.encode(pictures)),
        "decode a frame": _operations(lambda: vae.decode(latents)),
        "image_encoder": _operations(lambda: tower(pixel_values=_meta(1, 3, CLIP_SIDE, CLIP_SIDE))),
        own: _operations(lambda: other(pixel_values=_meta(1, 3, side, side))),
    }
    encoded, shown = (1, 1) if stage is ORBIT else (FRAMES, FRAMES)
    conditioners = parts["image_encoder"] + shown * parts[own] + encoded * parts["encode a frame"]
    ends = FRAMES * parts["decode a frame"] + (0 if stage is ORBIT else FRAMES * parts["encode a frame"])
    guided = sum(Guidance(interval=INTERVAL).works_at(index / STEPS) for index in range(STEPS))
    return Counted(
        parts,
        reference=STEPS * parts["reference step"] + 2 * conditioners + ends,
        ours=STEPS * parts["step"] + conditioners + ends,
        interval=guided * parts["step"] + (STEPS - guided) * parts["half a step"] + conditioners + ends,
    )


def run(stage: Stage, found: Device, dtype: torch.dtype) -> Ran:
    """One guided step in each way, and a frame through the autoencoder, with random weights on a device."""
    meter, ran = Meter(found), Ran()
    told = _random(hi3d_sizes.told(stage)).to(meter.device)
    _run_steps(stage, meter, dtype, told, ran)
    vae = _filled(hi3d_sizes.network(stage, "vae", dtype), meter.device)
    picture = torch.rand(1, 3, stage.size, stage.size, dtype=dtype, device=meter.device)
    latents = told.noise[:1].to(dtype)
    _measure(ran, meter, "encode a frame", lambda: vae.encode(picture))
    _measure(ran, meter, "decode a frame", lambda: vae.decode(latents))
    return ran


def _run_steps(stage: Stage, meter: Meter, dtype: torch.dtype, told: Conditions, ran: Ran) -> None:
    unet = _filled(hi3d_sizes.network(stage, "unet", dtype), meter.device)
    for way in ways(stage):
        settings = Run(stage.largest, 1, frugality=way.frugality)
        _measure(ran, meter, f"a step, {way.name}", partial(denoise, unet, told, settings))


def differences(seed: int = 0, steps: int = STEPS) -> dict[str, dict[str, float]]:
    """What settings other than the published ones change, on small random networks: the norm of the difference of the
    latents, as a share of theirs, by stage and setting."""
    found: dict[str, dict[str, float]] = {}
    for stage in (ORBIT, REFINE):
        unet, told = _small(stage, seed)
        usual = denoise(unet, told, Run(stage.largest, steps))
        settings = {
            "guided in the interval only": Guidance(interval=INTERVAL),
            "triangular guidance": Guidance(triangular=True),
            "not guided": Guidance(largest=1.0),
        }
        found[stage.does] = {
            name: float((denoise(unet, told, Run(stage.largest, steps, each)) - usual).norm() / usual.norm())
            for name, each in settings.items()
        }
    return found


def _small(stage: Stage, seed: int) -> tuple[Any, Conditions]:
    """A network of 64 and 128 channels for latents of 8 × 12 and four frames, in which nothing is still."""
    config = hi3d_sizes.unet(stage)
    config |= {
        "block_out_channels": [64, 128],
        "down_block_types": config["down_block_types"][-2:],
        "up_block_types": config["up_block_types"][:2],
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "num_attention_heads": [4, 8],
        "num_frames": 4,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = make_unet(config).eval()
        channels, length = hi3d_sizes.CHANNELS[stage.number] - 4, hi3d_sizes.VECTOR[stage.number]
        noise, concat = torch.randn(4, 4, 8, 12), torch.randn(4, channels, 8, 12)
        returned = None if stage is ORBIT else torch.randn(4, 4, 8, 12)
        return unet, Conditions(torch.randn(1, 32), torch.randn(length), concat, noise, returned)


def _reference_step(unet: Any, seen: Tensor, time: Tensor, told: Conditions) -> None:
    sample = torch.cat([seen, told.concat], dim=1)[None].expand(2, -1, -1, -1, -1)
    token, vector = told.token[None].expand(2, -1, -1), told.vector[None].expand(2, -1)
    unet(sample, time, encoder_hidden_states=token, added_time_ids=vector)


def _operations(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        work()
    return float(counter.get_total_flops())


def _measure(ran: Ran, meter: Meter, name: str, work: Callable[[], object]) -> None:
    """Twice, of which the second counts; nothing is noted but that memory did not suffice, if so."""
    ran.seconds[name], ran.peaks[name] = None, None
    release(meter.found)
    reset_peak(meter.found)
    try:
        with torch.inference_mode():
            work()
            begun = meter.now()
            work()
            ran.seconds[name] = meter.now() - begun
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    else:
        ran.peaks[name] = peak(meter.found)


def _meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def _filled(network: Any, device: torch.device) -> Any:
    """A network of the meta device with small random weights."""
    network = network.to_empty(device=device)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.02)
    return network


def _random(told: Conditions) -> Conditions:
    values: Mapping[str, Any] = {
        name: None if each is None else torch.randn(each.shape) for name, each in vars(told).items()
    }
    return Conditions(**values)
