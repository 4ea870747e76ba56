"""One picture and its labels → the latents of all instances, in one common frame.

    pipeline = MidiPipeline.from_pretrained("VAST-AI/MIDI-3D", device="cuda", dtype=torch.bfloat16)
    output = pipeline(picture, labels, seed=7)
    field = pipeline.vae.field(output.latents[0])  # points [P, 3] -> values [P], negative inside

Networks are loaded when they are first needed and can be let go after (`release`), so that a small card never holds
all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from models.loading import find_checkpoint, load_module, read_config
from models.midi.conditioning import Conditions, encode, encoder_inputs, load_clip, load_dino
from models.midi.pictures import Frame, Labels, Padding, Pixels, Preprocessor, framed, label_ids
from models.midi.scheduler import SchedulerConfig, make_schedule
from models.midi.transformer import Context, MidiTransformer, TransformerConfig, instance_groups
from models.midi.vae import MidiVae, VaeConfig

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MidiOutput:
    """Latents [n, tokens, channels] float32, one per label in ascending order, and the frame that the network saw."""

    latents: Tensor
    label_ids: tuple[int, ...]
    frame: Frame


class MidiPipeline:
    """The published pipeline up to the latents; decode with `vae`.

    Attributes:
        device, dtype: where and in which precision the networks run. Noise and latents are always float32.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.folder = folder
        self.device = torch.device(device)
        self.dtype = dtype
        self.scheduler_config = read_config(
            folder / "scheduler" / "scheduler_config.json", SchedulerConfig, "RectifiedFlowScheduler"
        )
        self.clip_preprocessor = Preprocessor.from_file(folder / "feature_extractor_1" / "preprocessor_config.json")
        self.dino_preprocessor = Preprocessor.from_file(folder / "feature_extractor_2" / "preprocessor_config.json")
        self._loaded: dict[str, nn.Module] = {}

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        local_files_only: bool = False,
        revision: str | None = None,
    ) -> MidiPipeline:
        """Opens a checkpoint folder or hub id and checks all of it by its headers; loads no weights yet.

        Raises:
            CheckpointError: something is missing, damaged or of another network; the message names file and tensor.
        """
        pipeline = cls(find_checkpoint(source, local_files_only, revision), device, dtype)
        for part, load in LOADERS.items():
            load(pipeline.folder / part, "meta", dtype)
        return pipeline

    @property
    def transformer(self) -> MidiTransformer:
        return cast(MidiTransformer, self._part("transformer"))

    @property
    def vae(self) -> MidiVae:
        return cast(MidiVae, self._part("vae"))

    def release(self, *parts: str) -> None:
        """Lets networks go: names of `LOADERS`, all if none is named. They are loaded again when needed."""
        for part in parts or tuple(LOADERS):
            self._loaded.pop(part, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def encode(self, frame: Frame, reference: bool = False) -> Conditions:
        """The conditions of all instances of a frame. `reference`: see `encoder_inputs`."""
        inputs = encoder_inputs(frame, self.clip_preprocessor, self.dino_preprocessor, reference)
        return encode(inputs, self._part("image_encoder_1"), self._part("image_encoder_2"))

    def noise(self, instances: int, seed: int | torch.Generator, tokens: int | None = None) -> Tensor:
        """Standard normal [instances, tokens, channels], drawn in float32 on the CPU: a seed means the same everywhere.

        `tokens` is by default the width of the transformer, as in the published pipeline.
        """
        generator = seed if isinstance(seed, torch.Generator) else torch.Generator("cpu").manual_seed(seed)
        config = self.transformer.config
        shape = (instances, tokens or config.width, config.in_channels)
        return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")

    @torch.inference_mode()
    def denoise(
        self,
        conditions: Conditions,
        noise: Tensor,
        steps: int = 50,
        guidance: float = 7.0,
        guidance_interval: tuple[float, float] = (0.0, 1.0),
        groups: tuple[int, ...] | None = None,
        mu: float | None = None,
        one_batch: bool = True,
        progress: Progress | None = None,
    ) -> Tensor:
        """Follows the flow from noise to latents.

        Args:
            conditions: of n instances.
            noise: [n, tokens, channels].
            steps: Euler steps.
            guidance: v = unconditional + guidance · (conditional − unconditional); 1 or less: conditional only.
            guidance_interval: part of the run, 0 … 1 from noise to data, in which guidance works. Outside, only the
                conditional half is computed.
            groups: sizes of the runs of rows that form a scene, summing to n; by default all rows are one scene.
            mu: of dynamic shifting, if the scheduler's configuration asks for it.
            one_batch: both halves of the guidance at once; one after the other needs half the memory.
            progress: called with (steps done, steps) before each step and at the end; what it raises ends the run.

        Returns:
            [n, tokens, channels] float32.
        """
        schedule = make_schedule(steps, self.scheduler_config, mu)
        transformer = self.transformer
        groups = groups or instance_groups(len(noise), len(noise))
        context = transformer.context(*(each.to(self.device) for each in conditions))
        latents = noise.to(device=self.device, dtype=torch.float32)
        for index, timestep in enumerate(schedule.timesteps):
            if progress is not None:
                progress(index, steps)
            first, last = guidance_interval
            guided = guidance > 1.0 and first <= index / steps < last
            time = timestep.to(self.device).expand(len(latents))
            if guided:
                velocity = _guided(transformer, latents, time, context, groups, guidance, one_batch)
            else:
                velocity = transformer(latents, time, context, groups).float()
            latents = schedule.step(latents, velocity, index)
        if progress is not None:
            progress(steps, steps)
        return latents

    def __call__(
        self,
        picture: Pixels,
        labels: Labels,
        seed: int | torch.Generator,
        steps: int = 50,
        guidance: float = 7.0,
        guidance_interval: tuple[float, float] = (0.0, 1.0),
        padding: Padding = "square",
        tokens: int | None = None,
        reference: bool = False,
        progress: Progress | None = None,
    ) -> MidiOutput:
        """Picture [H, W, 3] uint8 and labels [H, W] → latents of all instances; arguments as in `framed`, `denoise`.

        Raises:
            ValueError: no instance, or picture and labels do not belong together.
            CheckpointError: the checkpoint changed since it was opened.
        """
        frame = framed(picture, labels, padding)
        conditions = self.encode(frame, reference)
        noise = self.noise(len(conditions.clip), seed, tokens)
        latents = self.denoise(conditions, noise, steps, guidance, guidance_interval, progress=progress)
        return MidiOutput(latents, label_ids(frame.labels), frame)

    def _part(self, name: str) -> nn.Module:
        if name not in self._loaded:
            self._loaded[name] = LOADERS[name](self.folder / name, self.device, self.dtype)
        return self._loaded[name]


def _guided(
    transformer: MidiTransformer,
    latents: Tensor,
    time: Tensor,
    context: Context,
    groups: tuple[int, ...],
    guidance: float,
    one_batch: bool,
) -> Tensor:
    """Classifier-free guidance; the unconditional rows come first and have no context."""
    if one_batch:
        both = transformer(latents.repeat(2, 1, 1), time.repeat(2), context, groups * 2).float()
        unconditional, conditional = both.chunk(2)
    else:
        unconditional = transformer(latents, time, None, groups).float()
        conditional = transformer(latents, time, context, groups).float()
    velocity: Tensor = unconditional + guidance * (conditional - unconditional)
    return velocity


def load_transformer(folder: Path, device: torch.device | str, dtype: torch.dtype) -> MidiTransformer:
    """The denoiser from `transformer/`. Errors: see `read_config` and `load_module`."""
    config = read_config(folder / "config.json", TransformerConfig, "TripoSGDiTModel")
    with torch.device("meta"):
        model = MidiTransformer(config)
    return load_module(model, folder, "diffusion_pytorch_model", device, dtype)


def load_vae(folder: Path, device: torch.device | str, dtype: torch.dtype) -> MidiVae:
    """The autoencoder from `vae/`. Errors: see `read_config` and `load_module`."""
    config = read_config(folder / "config.json", VaeConfig, "TripoSGVAEModel")
    with torch.device("meta"):
        model = MidiVae(config)
    return load_module(model, folder, "diffusion_pytorch_model", device, dtype)


LOADERS: dict[str, Callable[[Path, torch.device | str, torch.dtype], nn.Module]] = {
    "transformer": load_transformer,
    "vae": load_vae,
    "image_encoder_1": load_clip,
    "image_encoder_2": load_dino,
}
