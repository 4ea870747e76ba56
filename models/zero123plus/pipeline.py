"""One photo → the sheet of six views.

    views = Zero123Plus.from_pretrained(folder, white_unet=file, device="cuda", dtype=torch.float16)
    sheet = views(photo, seed=42)  # [960, 640, 3], 0 … 1
    pictures = split(sheet)  # [6, 320, 320, 3]

Networks are loaded when they are first needed and can be let go after (`release`). What comes out of a photo depends on
the photo, its seed and the settings, never on the photos before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.image_processor import Pixels, Preprocessor
from models.loading import (
    CheckpointForeign,
    check_headers,
    checkpoint_folder,
    load_module,
    read_config,
    read_header,
)
from models.parts import Parts
from models.pickled import converted, converted_form, pickled_headers
from models.published import diffusers_network, load_clip_vision, load_diffusers, whole
from models.zero123plus.conditioning import (
    Condition,
    Posterior,
    check_empty_text,
    decoded,
    image_embedding,
    load_empty_text,
    posterior,
    ramped,
    read_ramp,
)
from models.zero123plus.denoising import GUIDANCE, Progress, denoise, drawn_from
from models.zero123plus.pictures import COLUMNS, ROWS, VIEW_SIZE, check_photo, on_white, prepared
from models.zero123plus.scheduler import SchedulerConfig, make_schedule

STEPS = 75
"""As published for InstantMesh. 36 or 28 are enough for most objects (README of Zero123++)."""

TEXT_FILE = "zero123plus-empty-text.safetensors"


class Zero123Plus:
    """The published pipeline.

    Attributes:
        device, dtype: where and in which precision the networks run. Noise and latents are always float32.
        view_size: pixels along a side of a view. The published networks know 320 only.
    """

    def __init__(
        self,
        folder: Path,
        white_unet: Path | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        kept: Path | None = None,
        view_size: int = VIEW_SIZE,
    ) -> None:
        self.folder = folder
        self.white_unet = white_unet
        self.device = torch.device(device)
        self.dtype = dtype
        self.kept = kept
        self.view_size = view_size
        self.scheduler_config = read_config(
            folder / "scheduler" / "scheduler_config.json", SchedulerConfig, "EulerAncestralDiscreteScheduler"
        )
        self.vae_preprocessor = Preprocessor.from_file(folder / "feature_extractor_vae" / "preprocessor_config.json")
        self.clip_preprocessor = Preprocessor.from_file(folder / "feature_extractor_clip" / "preprocessor_config.json")
        self.ramp = read_ramp(folder)
        self._text: Tensor | None = None
        self._grey: Posterior | None = None
        placed: Any = {"device": self.device, "dtype": dtype}
        loaders = {
            "unet": partial(_load_unet, folder / "unet", white_unet, kept, **placed),
            "vae": partial(load_diffusers, folder / "vae", "AutoencoderKL", **placed),
            "vision_encoder": partial(load_clip_vision, folder / "vision_encoder", **placed),
        }
        self.parts = Parts(self.device, loaders)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        white_unet: str | Path | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        kept: str | Path | None = None,
        view_size: int = VIEW_SIZE,
    ) -> Zero123Plus:
        """Opens a checkpoint and checks all of it by its headers; loads no weights yet.

        Args:
            folder: of sudo-ai/zero123plus-v1.2. The tokenizer is not needed; the text encoder only until its result
                is in `kept`.
            white_unet: the file diffusion_pytorch_model.bin of TencentARC/InstantMesh, used in place of the UNet's
                weights in `folder`, which need not be there then. Converted to safetensors at first use.
            device, dtype: of the networks. float16 is what the published code uses.
            kept: a folder for what is made once: the converted UNet and the embedding of the empty text. None: the
                UNet is converted beside its file, and the text encoder is read in every run.
            view_size: see the class.

        Raises:
            CheckpointError: something is missing, damaged or of another network; the message names file and tensor.
            ValueError: the latents of such views are no whole number of pixels.
        """
        file, place = (None if path is None else Path(path).expanduser() for path in (white_unet, kept))
        pipeline = cls(checkpoint_folder(folder), file, device, dtype, place, view_size)
        pipeline.check()
        return pipeline

    def check(self) -> None:
        """Reads all headers and compares the parts with each other. Errors: see `from_pretrained`."""
        unet = diffusers_network(self.folder / "unet", "UNet2DConditionModel")
        if self.white_unet is None:
            load_diffusers(self.folder / "unet", "UNet2DConditionModel", "meta", self.dtype)
        else:
            expected = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
            check_headers(expected, _headers(self.white_unet, self.kept), self.white_unet)
        vae = load_diffusers(self.folder / "vae", "AutoencoderKL", "meta", self.dtype)
        vision = load_clip_vision(self.folder / "vision_encoder", "meta", self.dtype)
        width, channels = unet.config.cross_attention_dim, unet.config.in_channels
        text_width = check_empty_text(self.folder / "text_encoder", self._text_file)
        for name, gives, takes in (
            ("text_encoder", text_width, width),
            ("vision_encoder", vision.config.projection_dim, width),
            ("vae", vae.config.latent_channels, channels),
        ):
            if gives != takes:
                file = self.folder / name / "config.json"
                raise CheckpointForeign(f"{file} is for {gives} channels where the UNet has {takes}.")
        if self.view_size < 1 or self.view_size % latent_factor(vae):
            raise ValueError(f"views are a multiple of {latent_factor(vae)} pixels, not {self.view_size}")

    def prepare(self) -> None:
        """Does now what is done once for a checkpoint: converts the UNet, computes the embedding of the empty text.

        Errors: see `pickled.converted` and `conditioning.load_empty_text`.
        """
        if self.white_unet is not None:
            _usable(self.white_unet, self.kept)
        _ = self.text

    @property
    def text(self) -> Tensor:
        """The embedding of the empty text [tokens, width], float32 on the CPU; the text encoder is let go at once."""
        if self._text is None:
            self._text = load_empty_text(self.folder / "text_encoder", self._text_file)
            if len(self._text) != len(self.ramp):
                file = self.folder / "model_index.json"
                raise CheckpointForeign(f"{file} has a ramp of {len(self.ramp)} for {len(self._text)} tokens of text.")
        return self._text

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
        """Lets "unet", "vae" or "vision_encoder" go, all if none is named. They are loaded again when needed."""
        self.parts.release(*parts)

    def condition(self, picture: Pixels, generator: torch.Generator) -> Condition:
        """What the UNet is told of a picture; needs `vision_encoder` and `vae`.

        Args:
            picture: square, the object in the middle, uint8 [H, W, 3], or [H, W, 4], which is laid on white; see
                `pictures.prepared`. Of one that is not square the middle is seen.
            generator: two draws, for the photo's latents and for those of the grey picture.

        Raises:
            ValueError: no such array.
            CheckpointError: the checkpoint changed since it was opened.
        """
        check_photo(picture)
        seen = on_white(picture) if picture.shape[2] == 4 else picture
        embedding = image_embedding(self.clip_preprocessor.pixels(seen), self.parts["vision_encoder"])
        pixels = torch.from_numpy(self.vae_preprocessor.pixels(seen))
        photo = posterior(pixels, self.parts["vae"])
        if self._grey is None:
            self._grey = posterior(torch.zeros_like(pixels), self.parts["vae"])
        draw = drawn_from(generator)
        reference = photo.sample(draw(tuple(photo.mean.shape)).cpu())
        grey = self._grey.sample(draw(tuple(photo.mean.shape)).cpu())
        return Condition(ramped(self.text, embedding, self.ramp), torch.cat([grey, reference]))

    def denoise(
        self,
        condition: Condition,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        generator: torch.Generator | None = None,
        progress: Progress | None = None,
        rows: int | None = None,
    ) -> Tensor:
        """From noise to the latents of one sheet [channels, h, w], float32 on the CPU; needs `unet`.

        Args:
            condition: see `condition`.
            steps: of the schedule.
            guidance, progress, rows: see `denoising.denoise`.
            generator: usually the one that `condition` drew from; seeded with 0 if None.

        Raises:
            ValueError: steps or guidance are out of range.
        """
        generator = generator or torch.Generator("cpu").manual_seed(0)
        return self.denoise_together([condition], [generator], steps, guidance, progress, rows)[0]

    def denoise_together(
        self,
        conditions: Sequence[Condition],
        generators: Sequence[torch.Generator],
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        progress: Progress | None = None,
        rows: int | None = None,
    ) -> Tensor:
        """The same for several photos at once, [n, channels, h, w]: each comes out as it would alone."""
        schedule = make_schedule(steps, self.scheduler_config)
        draws = [drawn_from(generator) for generator in generators]
        unet = self.parts["unet"]
        return denoise(unet, conditions, draws, self.latent_shape, schedule, guidance, progress, rows).cpu()

    def decode(self, latents: Tensor) -> NDArray[np.float32]:
        """Latents of one sheet [channels, h, w] → the sheet [3·view_size, 2·view_size, 3], 0 … 1; needs `vae`."""
        return decoded(latents, self.parts["vae"])

    def __call__(
        self,
        photo: Pixels,
        seed: int,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Photo [H, W, 3] or, with opacity, [H, W, 4], uint8 → the sheet, as `decode` gives it.

        Args:
            photo: see `pictures.prepared`.
            seed: the same gives the same sheet on the same device, bit for bit.
            steps, guidance, progress: see `denoise`.

        Raises:
            ValueError: nothing of the photo is visible, or a setting is out of range.
            CheckpointError: the checkpoint changed since it was opened.
        """
        make_schedule(steps, self.scheduler_config)
        generator = torch.Generator("cpu").manual_seed(seed)
        condition = self.condition(prepared(photo), generator)
        return self.decode(self.denoise(condition, steps, guidance, generator, progress))

    @cached_property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of one sheet: channels, height, width."""
        vae = diffusers_network(self.folder / "vae", "AutoencoderKL")
        size = self.view_size // latent_factor(vae)
        return int(vae.config.latent_channels), ROWS * size, COLUMNS * size

    @property
    def _text_file(self) -> Path | None:
        return None if self.kept is None else self.kept / TEXT_FILE


def latent_factor(vae: Any) -> int:
    """Pixels along a side of one latent."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def _load_unet(
    folder: Path, white_unet: Path | None, kept: Path | None, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    if white_unet is None:
        unet: nn.Module = load_diffusers(folder, "UNet2DConditionModel", device, dtype)
        return unet
    file = _usable(white_unet, kept)
    network: nn.Module = diffusers_network(folder, "UNet2DConditionModel")
    return whole(load_module(network, file.parent, file.stem, device, dtype), device)


def _usable(file: Path, kept: Path | None) -> Path:
    """The safetensors form of the white UNet."""
    return file if file.suffix == ".safetensors" else converted(file, kept)


def _headers(file: Path, kept: Path | None) -> Any:
    if file.suffix == ".safetensors":
        return read_header(file)
    form = converted_form(file, kept)
    return read_header(form) if form.is_file() and not file.is_file() else pickled_headers(file)
