"""One picture and its labels → the latents of all instances, in one common frame.

    pipeline = MidiPipeline.from_pretrained(folder, device="cuda", dtype=torch.bfloat16)  # of VAST-AI/MIDI-3D
    output = pipeline(picture, labels, seed=7)
    field = pipeline.vae.field(output.latents[0])  # points [P, 3] -> values [P], negative inside

Networks are loaded when they are first needed and can be let go after (`release`), so that a small card never holds
all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.image_processor import Pixels, Preprocessor
from models.loading import CheckpointForeign, checkpoint_folder, load_module, read_config
from models.midi.conditioning import Conditions, encode, encoder_inputs, load_dino
from models.midi.denoising import GUIDANCE, Guidance, Progress, denoise
from models.midi.pictures import Frame, Labels, Padding, framed, label_ids
from models.midi.scheduler import SchedulerConfig, make_schedule
from models.midi.transformer import MidiTransformer, TransformerConfig
from models.midi.vae import MidiVae, VaeConfig
from models.midi.windows import Windows
from models.parts import Parts
from models.published import load_clip_vision


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
        self.parts = Parts(
            self.device, {name: partial(load, folder / name, self.device, dtype) for name, load in LOADERS.items()}
        )

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> MidiPipeline:
        """Opens a checkpoint folder and checks all of it by its headers; loads no weights yet.

        Raises:
            CheckpointError: something is missing, damaged or of another network; the message names file and tensor.
        """
        pipeline = cls(checkpoint_folder(folder), device, dtype)
        parts: dict[str, Any] = {name: load(pipeline.folder / name, "meta", dtype) for name, load in LOADERS.items()}
        transformer: TransformerConfig = parts["transformer"].config
        for name, gives, takes in (
            ("image_encoder_1", parts["image_encoder_1"].config.projection_dim, transformer.cross_attention_dim),
            ("image_encoder_2", parts["image_encoder_2"].config.hidden_size, transformer.cross_attention_2_dim),
            ("vae", parts["vae"].config.latent_channels, transformer.in_channels),
        ):
            if gives != takes:
                file = pipeline.folder / name / "config.json"
                raise CheckpointForeign(f"{file} is for {gives} channels where the transformer has {takes}.")
        return pipeline

    @property
    def transformer(self) -> MidiTransformer:
        return cast(MidiTransformer, self.part("transformer"))

    @property
    def vae(self) -> MidiVae:
        return cast(MidiVae, self.part("vae"))

    @property
    def loaded_bytes(self) -> int:
        """What the networks that are loaded take on the device."""
        return self.parts.bytes

    @property
    def bytes_aside(self) -> int:
        """What those that were laid aside take of main memory."""
        return self.parts.bytes_aside

    def lay_aside(self, room: Callable[[int], bool], *parts: str) -> None:
        """Takes networks off the device, all if none is named, and keeps them in main memory where there is room; see
        `Parts.lay_aside`."""
        self.parts.lay_aside(room, *parts)

    def release(self, *parts: str) -> None:
        """Lets networks go: names of `LOADERS`, all if none is named. They are loaded again when needed."""
        self.parts.release(*parts)

    def encode(self, frame: Frame, reference: bool = False) -> Conditions:
        """The conditions of all instances of a frame. `reference`: see `encoder_inputs`."""
        inputs = encoder_inputs(frame, self.clip_preprocessor, self.dino_preprocessor, reference)
        return encode(inputs, self.part("image_encoder_1"), self.part("image_encoder_2"))

    def noise(self, instances: int, seed: int | torch.Generator, tokens: int | None = None) -> Tensor:
        """Standard normal [instances, tokens, channels], drawn in float32 on the CPU: a seed means the same everywhere.

        `tokens` is by default the width of the transformer, as in the published pipeline.
        """
        generator = seed if isinstance(seed, torch.Generator) else torch.Generator("cpu").manual_seed(seed)
        config = self.transformer.config
        shape = (instances, tokens or config.width, config.in_channels)
        return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")

    def denoise(
        self,
        conditions: Conditions,
        noise: Tensor,
        steps: int = 50,
        guidance: Guidance = GUIDANCE,
        groups: tuple[int, ...] | None = None,
        mu: float | None = None,
        progress: Progress | None = None,
        windows: Windows | None = None,
    ) -> Tensor:
        """From noise to latents [n, tokens, channels] float32; see `denoising.denoise` and `make_schedule`."""
        schedule = make_schedule(steps, self.scheduler_config, mu)
        return denoise(self.transformer, conditions, noise, schedule, guidance, groups, progress, windows)

    def __call__(
        self,
        picture: Pixels,
        labels: Labels,
        seed: int | torch.Generator,
        steps: int = 50,
        guidance: Guidance = GUIDANCE,
        padding: Padding = "square",
        tokens: int | None = None,
        reference: bool = False,
        progress: Progress | None = None,
    ) -> MidiOutput:
        """Picture [H, W, 3] uint8 and labels [H, W] → latents of all instances, all at once.

        Args:
            picture, labels, padding: see `framed`.
            seed, tokens: see `noise`.
            steps, guidance, progress: see `denoising`.
            reference: see `encoder_inputs`.

        Raises:
            ValueError: no instance, or picture and labels do not belong together.
            CheckpointError: the checkpoint changed since it was opened.
        """
        frame = framed(picture, labels, padding)
        conditions = self.encode(frame, reference)
        noise = self.noise(len(conditions.clip), seed, tokens)
        latents = self.denoise(conditions, noise, steps, guidance, progress=progress)
        return MidiOutput(latents, label_ids(frame.labels), frame)

    def part(self, name: str) -> nn.Module:
        """One network by its name in `LOADERS`, loaded if it is not yet."""
        network: nn.Module = self.parts[name]
        return network


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
    "image_encoder_1": load_clip_vision,
    "image_encoder_2": load_dino,
}
