"""The stages of MIDI with random weights, timed on one device: the fast way and the published way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from backend.devices import Device, peak, release, reset_peak
from backend.geometry.cleanup import clean
from backend.memory import is_out_of_memory
from backend.pipelines.midi import MidiParameters
from bench import midi_baseline
from bench.midi_sizes import TINY, Size
from bench.shapes import SCENE, Solid
from models.isosurface.marching import march
from models.isosurface.reference import box_mean, decode_dense
from models.isosurface.sampling import Progress, Sampler
from models.midi.conditioning import Conditions, EncoderInputs, encode
from models.midi.decoding import BOUNDS, field_surface, lattice_device
from models.midi.denoising import denoise
from models.midi.scheduler import make_schedule
from models.midi.transformer import MidiTransformer
from models.midi.vae import MidiVae

PARAMETERS = MidiParameters.model_validate({})
TURNS = 2
"""The two ways take turns, so that a busy moment of the machine does not fall on one of them alone."""


@dataclass
class Measured:
    """Seconds of one way of doing things, for n instances; None where memory did not suffice.

    encode: both picture encoders. contexts: once a run, before the first step. step: one guided step. stack: the
    decoder's self-attention. decode: all points, lattice and marching cubes, after the stack. clean: floaters, holes
    and decimation, which the published way does not do. queries: points asked for. peak: bytes by stage where the
    device tells.
    """

    encode: float | None = None
    contexts: float | None = None
    step: float | None = None
    stack: float | None = None
    decode: float | None = None
    clean: float | None = None
    queries: int = 0
    peak: dict[str, int | None] = field(default_factory=dict)

    def denoising(self, steps: int) -> float | None:
        """Seconds of a run of so many steps."""
        return None if self.step is None or self.contexts is None else self.contexts + steps * self.step

    @property
    def decoding(self) -> float | None:
        """Seconds from latents to meshes."""
        return None if self.stack is None or self.decode is None else self.stack + self.decode

    def whole(self, steps: int) -> float | None:
        """Seconds from pictures to meshes."""
        parts = (self.encode, self.denoising(steps), self.decoding)
        return None if None in parts else sum(part for part in parts if part is not None)


class Meter:
    """Times on a device that works behind the program's back, and its peak memory."""

    def __init__(self, found: Device) -> None:
        self.found = found
        self.device = torch.device(found.name)

    def now(self) -> float:
        """Seconds, when all that was asked of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    @contextmanager
    def stage(self, measured: Measured, name: str) -> Iterator[None]:
        """Notes the stage's peak memory; a stage that does not fit is left without figures."""
        release(self.found)
        reset_peak(self.found)
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            measured.peak[name] = peak(self.found)


def made(make: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> Any:
    """A network with random weights, made where it will run."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return make().eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def random(*shape: int, device: torch.device | None = None) -> Tensor:
    """Standard normal numbers, the same on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(device or "cpu")


def conditions(size: Size, instances: int) -> Conditions:
    """Made-up conditions of the right shapes."""
    tokens = (size.dino_pixels // int(size.dino["patch_size"])) ** 2 + 1
    widths = size.transformer.cross_attention_dim, size.transformer.cross_attention_2_dim
    return Conditions(random(instances, 1, widths[0]), random(instances, tokens, widths[1]))


def encoders(size: Size, device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """CLIP and DINOv2."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    clip = made(lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**size.clip)), device, dtype)
    return clip, made(lambda: Dinov2Model(Dinov2Config(**size.dino)), device, dtype)


def encoding(size: Size, meter: Meter, dtype: torch.dtype, rows: Mapping[int, Measured]) -> None:
    """Both picture encoders; there is one way only."""
    clip, dino = encoders(size, meter.device, dtype)
    for instances, measured in rows.items():
        small, large = int(size.clip["image_size"]), size.dino_pixels
        inputs = EncoderInputs(random(instances, 3, small, small), random(instances, 7, large, large))
        with meter.stage(measured, "encode"):
            encode(inputs, clip, dino)  # kernels are chosen in the first run
            begun = meter.now()
            encode(inputs, clip, dino)
            measured.encode = meter.now() - begun


def denoising(
    size: Size,
    meter: Meter,
    dtype: torch.dtype,
    fast: Mapping[int, Measured],
    plain: Mapping[int, Measured],
    timed_steps: int,
) -> None:
    """In each turn `timed_steps` guided steps after one that does not count, both ways."""
    network: MidiTransformer = made(lambda: MidiTransformer(size.transformer), meter.device, dtype)
    for instances in fast:
        known, noise = conditions(size, instances), random(instances, size.tokens, size.transformer.in_channels)
        for rows, way in ((fast, denoise), (plain, midi_baseline.denoise)) * TURNS:
            measured = rows[instances]
            with meter.stage(measured, "denoise"):
                run = partial(way, network, known, noise, make_schedule(timed_steps + 1))
                contexts, step = _steps(run, meter)
                measured.contexts = min(contexts, measured.contexts or contexts)
                measured.step = min(step, measured.step or step)


def _steps(run: Callable[..., Tensor], meter: Meter) -> tuple[float, float]:
    """Seconds before the first step, and of the fastest step but for the first, which chooses kernels."""
    moments: list[float] = []
    begun = meter.now()
    run(progress=lambda done, steps: moments.append(meter.now()))
    seconds = [after - before for before, after in pairwise(moments)]
    return moments[0] - begun, min(seconds[1:])


class Costed:
    """A field that asks the network for its time and the solid for the value.

    Attributes:
        not_counted: seconds spent on the solid, which is no part of MIDI.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], solid: Solid, meter: Meter) -> None:
        self._network, self._solid, self._meter = network, solid, meter
        self.not_counted = 0.0

    def __call__(self, points: Tensor) -> Tensor:
        self._network(points)
        begun = self._meter.now()
        values = self._solid(points)
        self.not_counted += self._meter.now() - begun
        return values


def decoding(
    size: Size,
    meter: Meter,
    dtype: torch.dtype,
    fast: Mapping[int, Measured],
    plain: Mapping[int, Measured],
    timed_chunks: int,
) -> None:
    """Latents to triangles. Fast: every object once, completely. Dense: some chunks of one pass, times their number."""
    vae: MidiVae = made(lambda: MidiVae(size.vae), meter.device, dtype)
    each = [Measured() for _ in range(max(fast))]
    for measured, solid in zip(each, SCENE.values(), strict=False):
        with meter.stage(measured, "decode"):
            latents = random(size.tokens, size.vae.latent_channels, device=meter.device)
            vae.field(latents, size.chunk)(random(size.chunk, 3, device=meter.device))
            begun = meter.now()
            network = vae.field(latents, size.chunk)
            measured.stack = meter.now() - begun
            costed = Costed(network, solid, meter)
            begun = meter.now()
            mesh = field_surface(costed, size.resolution, device=lattice_device(vae), chunk=size.chunk)
            measured.decode = meter.now() - begun - costed.not_counted
            measured.queries = mesh.queries
            begun = meter.now()
            clean(mesh.vertices, mesh.faces, target_faces=PARAMETERS.faces, smallest_piece=PARAMETERS.floaters)
            measured.clean = meter.now() - begun
    meshing = _dense_meshing(size, meter)
    for instances, measured in fast.items():
        _add(measured, each[:instances])
        dense = plain[instances]
        with meter.stage(dense, "decode"):
            latents = random(instances, size.tokens, size.vae.latent_channels, device=meter.device)
            points = random(size.chunk, 3, device=meter.device).clamp(-1, 1)
            with torch.inference_mode():
                tokens = vae.latent_tokens(latents)
                midi_baseline.chunk_values(vae, tokens, points)
                begun = meter.now()
                vae.latent_tokens(latents)
                dense.stack = midi_baseline.PASSES * (meter.now() - begun)
            moments = [meter.now()]
            for _ in range(timed_chunks):
                midi_baseline.chunk_values(vae, tokens, points)
                moments.append(meter.now())
            chunk = min(after - before for before, after in pairwise(moments))
            dense.queries = midi_baseline.PASSES * size.resolution**3 * instances
            dense.decode = chunk * (dense.queries / instances / size.chunk) + meshing * instances


def _add(total: Measured, parts: list[Measured]) -> None:
    """One object after the other."""
    total.stack = _sum([part.stack for part in parts])
    total.decode = _sum([part.decode for part in parts])
    total.clean = _sum([part.clean for part in parts])
    total.queries = sum(part.queries for part in parts)
    peaks = [part.peak.get("decode") for part in parts]
    total.peak["decode"] = max((each for each in peaks if each is not None), default=None)


def _sum(seconds: list[float | None]) -> float | None:
    return None if None in seconds else sum(each for each in seconds if each is not None)


def _dense_meshing(size: Size, meter: Meter) -> float:
    """Seconds of smoothing and marching cubes on a complete lattice, on the CPU as in the published code."""
    first = next(iter(SCENE.values()))
    volume = decode_dense(Sampler(first, BOUNDS, size.resolution, size.chunk * 10), Progress(None))
    begun = meter.now()
    march(box_mean(volume))
    return meter.now() - begun


def agreement(instances: int = 3, steps: int = 4) -> dict[str, float]:
    """Largest differences between the two ways at the tiny size in float32, in parts of the largest number."""
    size, cpu = TINY, torch.device("cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: MidiTransformer = made(lambda: MidiTransformer(size.transformer), cpu, torch.float32)
        vae: MidiVae = made(lambda: MidiVae(size.vae), cpu, torch.float32)
    noise = random(instances, size.tokens, size.transformer.in_channels)
    known = conditions(size, instances)
    latents, plain = (way(network, known, noise, make_schedule(steps)) for way in (denoise, midi_baseline.denoise))
    points = random(1000, 3)
    values = torch.stack([vae.field(row, chunk=300)(points) for row in latents])
    dense = midi_baseline.dense_values(vae, latents, points, chunk=300)
    return {"latents": _difference(latents, plain), "field values": _difference(values, dense)}


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())
