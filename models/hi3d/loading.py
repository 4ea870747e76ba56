"""The networks of one stage from its converted folder: loaded when needed, let go when told to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.converted_folders import INDEX
from models.depth.loading import load_depth
from models.headers import CheckpointForeign
from models.hi3d.files import SECOND_VAE, Stage, convert
from models.hi3d.shapes import UNET_CLASS, VAE_CLASS
from models.hi3d.unet import as_published
from models.loading import read_headers, read_json, read_tensors
from models.parts import Parts
from models.published import diffusers_network, load_clip_vision, load_diffusers


class StageFiles:
    """One stage's folder, opened.

    Attributes:
        folder: see `files.convert`.
        frames, size: how many frames the networks make, and pixels along a side of one.
        device, dtype, vae_dtype: where and in which precision networks run.
        latent_side, latent_channels, scaling: of a frame's latents, and the factor that the UNet's have.
        parts: the networks: "unet", "vae", "image_encoder", and "score_encoder" or "depth_estimator".
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        vae_dtype: torch.dtype | None = None,
    ) -> None:
        stated = read_json(folder / INDEX)
        self.folder = folder
        self.frames, self.size = (_stated(stated, name, folder / INDEX) for name in ("frames", "size"))
        self.device = torch.device(device)
        self.dtype = dtype
        self.vae_dtype = vae_dtype or (torch.float16 if dtype == torch.bfloat16 else dtype)
        names = stated.get("parts")
        if not isinstance(names, list) or not set(names) <= set(LOADERS):
            raise CheckpointForeign(f"{folder / INDEX} names no parts of Hi3D.")
        loaders: dict[str, Callable[[], nn.Module]] = {
            name: partial(LOADERS[name], folder / name, self.device, self.vae_dtype if name.endswith("vae") else dtype)
            for name in names
        }
        self.parts = Parts(self.device, loaders)
        self._names = tuple(names)
        self._score: tuple[Tensor, Tensor] | None = None
        vae = diffusers_network(folder / "vae", VAE_CLASS).config
        self.latent_channels, self.scaling = int(vae.latent_channels), float(vae.scaling_factor)
        self.latent_side = self.size // 2 ** (len(vae.block_out_channels) - 1)

    @classmethod
    def opened(
        cls,
        file: str | Path,
        stage: Stage,
        kept: str | Path | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        vae_dtype: torch.dtype | None = None,
    ) -> StageFiles:
        """A stage's checkpoint, converted if it is not yet, and checked by its headers; no weights are loaded.

        Args:
            file: as published, or a converted folder.
            kept: the folder in which the converted form is kept; beside the file if None.
            device, dtype: of the networks. float16 is what the published program uses.
            vae_dtype: of the autoencoder; None: as `dtype`, but float16 for bfloat16, whose eight bits show as bands.

        Raises:
            CheckpointError: see `files.convert` and `loading.load_module`.
        """
        place = None if kept is None else Path(kept).expanduser()
        found = cls(convert(Path(file).expanduser(), stage, place), device, dtype, vae_dtype)
        found.check()
        return found

    def check(self) -> None:
        """Reads all headers. Errors: see `loading.load_module`."""
        for name in self._names:
            LOADERS[name](self.folder / name, "meta", self.dtype)

    @property
    def condition_vae(self) -> str:
        """The name of the autoencoder of the conditions, which mostly is the other one."""
        return SECOND_VAE if SECOND_VAE in self._names else "vae"

    def score_head(self) -> tuple[Tensor, Tensor]:
        """Weight [width] and bias [] of the aesthetic score, float32 on the CPU."""
        if self._score is None:  # it stays with the networks, of which a second run reads nothing
            found = read_tensors(self.folder / "score.safetensors", {name: name for name in ("weight", "bias")}, "cpu")
            self._score = found["weight"], found["bias"]
        return self._score

    def let_go(self, *parts: str) -> None:
        """Lets those of the named networks go that this stage has; all if none is named."""
        self.parts.release(*(name for name in parts or self._names if name in self._names))


def stage_sizes(folder: Path) -> dict[str, int]:
    """Parameters of each network of a converted folder, from headers.

    Raises:
        CheckpointError: see `loading.read_headers`.
    """
    names = read_json(folder / INDEX).get("parts", [])
    return {name: sum(prod(each.shape) for each in read_headers(folder / name, _stem(name)).values()) for name in names}


def load_unet(folder: Path, device: torch.device | str, dtype: torch.dtype) -> Any:
    """The denoising network, with the published arithmetic. Errors: see `published.load_diffusers`."""
    return as_published(load_diffusers(folder, UNET_CLASS, device, dtype))


def load_vae(folder: Path, device: torch.device | str, dtype: torch.dtype) -> Any:
    """The two-dimensional autoencoder. Errors as above."""
    return load_diffusers(folder, VAE_CLASS, device, dtype)


LOADERS: dict[str, Callable[[Path, torch.device | str, torch.dtype], Any]] = {
    "unet": load_unet,
    "vae": load_vae,
    SECOND_VAE: load_vae,
    "image_encoder": load_clip_vision,
    "score_encoder": load_clip_vision,
    "depth_estimator": load_depth,
}


def _stem(name: str) -> str:
    return "diffusion_pytorch_model" if name == "unet" or name.endswith("vae") else "model"


def _stated(stated: dict[str, Any], name: str, file: Path) -> int:
    value = stated.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointForeign(f"{file} states no {name}.")
    return value
