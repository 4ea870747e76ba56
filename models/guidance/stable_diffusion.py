"""Stable Diffusion 1.5 as a prior: what an object that a text describes looks like from a side.

Networks and tokenizer are those of the published folder of diffusers, checked by their headers and read strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.guidance.distillation import (
    Distillation,
    Frugality,
    LatentPrior,
    beyond_the_condition,
    check_schedule,
    guided_halves,
)
from models.guidance.encoding import ENCODED, Encoding
from models.guidance.prior import RelativeViews
from models.guidance.text import ViewTexts, view_texts
from models.headers import CheckpointForeign
from models.loading import checkpoint_folder, read_headers, read_json
from models.parts import Parts
from models.published import load_clip_text, load_diffusers, load_tokenizer, stored_stem

SIDE = 512
"""Pixels along a side of what the autoencoder sees."""

SCALE = 100.0
"""Of the guidance, as published."""

UNET, VAE = "UNet2DConditionModel", "AutoencoderKL"
STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


class StableDiffusionFiles:
    """A published folder, opened.

    Attributes:
        folder: with `unet`, `vae`, `text_encoder`, `tokenizer` and `scheduler` in it.
        device, dtype, vae_dtype: where and in which precision networks run.
        parts: the networks: "unet", "vae" and "text_encoder".
    """

    def __init__(
        self,
        folder: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        vae_dtype: torch.dtype | None = None,
    ) -> None:
        """Checks the folder by its headers; no weights are read.

        Args:
            device, dtype: of the networks.
            vae_dtype: of the autoencoder; None: as `dtype`, but float16 for bfloat16, whose eight bits show in colours.

        Raises:
            CheckpointError: something is missing, damaged or of another network; see `loading.load_module`.
        """
        self.folder = checkpoint_folder(folder)
        self.device, self.dtype = torch.device(device), dtype
        self.vae_dtype = vae_dtype or (torch.float16 if dtype == torch.bfloat16 else dtype)
        self.parts = Parts(
            self.device,
            {
                "unet": partial(load_diffusers, self.folder / "unet", UNET, self.device, dtype),
                "vae": partial(load_diffusers, self.folder / "vae", VAE, self.device, self.vae_dtype),
                "text_encoder": partial(load_clip_text, self.folder / "text_encoder", self.device, dtype),
            },
        )
        self._check()

    def texts(self, text: str, negative: str = "", words: Mapping[str, Tensor] | None = None) -> ViewTexts:
        """What is told of the views. Nothing else needs the text encoder, which stays until the caller lets it go.

        Args:
            text: what the object is; see `text.with_word` for a learned word.
            negative: what it is not.
            words: of `text.read_words`.

        Raises:
            ValueError, CheckpointError: see `text.view_texts`.
        """
        tokenizer = load_tokenizer(self.folder / "tokenizer")
        return view_texts(text, negative, tokenizer, self.parts["text_encoder"], words or {})

    def _check(self) -> None:
        scheduler = self.folder / "scheduler" / "scheduler_config.json"
        check_schedule(read_json(scheduler), str(scheduler))
        unet = load_diffusers(self.folder / "unet", UNET, "meta", self.dtype)
        vae = load_diffusers(self.folder / "vae", VAE, "meta", self.vae_dtype)
        text = load_clip_text(self.folder / "text_encoder", "meta", self.dtype)
        if unet.config.in_channels != 4 or vae.config.latent_channels != 4:
            raise CheckpointForeign(
                f"{self.folder}: the UNet takes {unet.config.in_channels} channels; that of Stable Diffusion takes 4."
            )
        if unet.config.cross_attention_dim != text.config.hidden_size:
            raise CheckpointForeign(
                f"{self.folder}: the UNet is told {unet.config.cross_attention_dim} numbers a token, and the text "
                f"encoder gives {text.config.hidden_size}."
            )


def sizes(folder: Path) -> dict[str, int]:
    """Parameters of each network of a folder, from headers. Errors: `loading.read_headers`."""
    return {
        name: sum(prod(each.shape) for each in read_headers(folder / name, stored_stem(folder / name, stem)).values())
        for name, stem in STEMS.items()
    }


class StableDiffusionPrior(LatentPrior):
    """See the module."""

    name = "stable-diffusion"
    formula = staticmethod(beyond_the_condition)
    side = SIDE

    def __init__(
        self,
        parts: Parts,
        texts: ViewTexts,
        distillation: Distillation | None = None,
        encoding: Encoding = ENCODED,
        frugality: Frugality | None = None,
    ) -> None:
        """parts: of `StableDiffusionFiles`; texts: of its `texts`."""
        super().__init__(parts, distillation or Distillation(SCALE), encoding, frugality)
        self.texts = texts

    def predictions(self, noisy: Tensor, timesteps: Tensor, views: RelativeViews) -> tuple[Tensor, Tensor]:
        device = self.parts.device
        told = self.texts.told(views.azimuth.to(device)).to(device)
        nothing = self.texts.negative.to(device).expand_as(told)
        unet: Any = self.parts["unet"]
        return guided_halves(unet, self.frugality.slices, (noisy, noisy), timesteps, (nothing, told))
