"""What a run begins with: the weights of Hi3D or of Stable Video Diffusion, what of them learns, and how."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.transformers.transformer_temporal import TransformerSpatioTemporalModel
from diffusers.models.unets.unet_3d_blocks import SpatioTemporalResBlock
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.headers import CheckpointForeign, open_header
from models.hi3d import names, shapes
from models.hi3d.conditioning import WIDTH
from models.hi3d.loading import StageFiles, load_unet
from models.hi3d.shapes import UNET_CLASS
from models.loading import read_tensors
from models.published import load_diffusers
from training.hi3d.config import Model, Trained

NEVER = re.compile(r"\.attn2\.to_[qk]\.|transformer_blocks\.\d+\.norm2\.")
"""Parameters that nothing depends on, because the picture is one token: a softmax over it is 1, whatever asks."""
LEARNS: Mapping[Trained, re.Pattern[str]] = {
    "all": re.compile(r""),
    "time": re.compile(r"temporal|time_mixer|time_pos_embed|^conv_in\.|^add_embedding\."),
    "inputs": re.compile(r"^conv_in\.|^add_embedding\."),
}
FIRST, VECTOR = "conv_in.weight", "add_embedding.linear_1.weight"
logger = logging.getLogger(__name__)


def network_of(settings: Model, files: StageFiles) -> Any:
    """The network that a run begins with, float32 on the CPU, with gradients where it is to learn.

    Raises:
        CheckpointError: the weights to begin with cannot be used.
    """
    network = load_unet(files.folder / "unet", "cpu", torch.float32)
    if settings.video is not None:
        begun = widened(video_tensors(settings.video), network.state_dict(), files.latent_channels, settings.video)
        network.load_state_dict(begun)
        logger.info("Going on from the weights of %s.", settings.video)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(bool(LEARNS[settings.trained].search(name)) and not NEVER.search(name))
    if settings.recomputed:
        recompute(network)
    return network


def video_tensors(place: Path) -> dict[str, Tensor]:
    """The denoising network of Stable Video Diffusion by the names of diffusers.

    Args:
        place: a folder of diffusers, its `unet`, or a `.safetensors` file in the layout of Stability's program.

    Raises:
        CheckpointError: it is none of these, or cut.
    """
    if place.is_dir():
        folder = place / "unet" if (place / "unet").is_dir() else place
        found: dict[str, Tensor] = load_diffusers(folder, UNET_CLASS, "cpu", torch.float32).state_dict()
        return found
    header = open_header(place).tensors
    wanted = {name.removeprefix(names.UNET): name for name in header if name.startswith(names.UNET)}
    if not wanted:
        raise CheckpointForeign(f"{place} has no {names.UNET}…; it is not Stable Video Diffusion.")
    layers = shapes.unet_config({name: tuple(header[old].shape) for name, old in wanted.items()}, 1)["layers_per_block"]
    return names.unet_tensors(read_tensors(place, wanted, "cpu", torch.float32), layers)


def widened(
    tensors: Mapping[str, Tensor], network: Mapping[str, Tensor], latents: int, place: Path
) -> dict[str, Tensor]:
    """Weights of Stable Video Diffusion for the inputs of a stage.

    The first convolution gets [noisy | zeros | frames], and of the vector's embedding the part for the noise of the
    frames stays, which is the last in both, and the rest begins with nothing. So Hi3D's second stage was begun; how its
    first one was is not known, whose inputs are as wide as those that mean something else here.

    Args:
        tensors: by the names of diffusers. network: of the stage, for its shapes.
        latents: channels of a frame's.
        place: where they are from, for what is said.

    Raises:
        CheckpointForeign: the network is another one, or has other sizes.
    """
    found = {}
    for name, wanted in network.items():
        given = tensors.get(name)
        if given is not None and name == FIRST and given.shape[1] == 2 * latents:
            new = torch.zeros_like(wanted)
            new[:, :latents], new[:, -latents:] = given[:, :latents], given[:, latents:]
            given = new
        elif given is not None and name == VECTOR and given.shape[1] >= WIDTH:
            new = torch.zeros_like(wanted)
            new[:, -WIDTH:] = given[:, -WIDTH:]
            given = new
        if given is None or given.shape != wanted.shape:
            shape = "missing" if given is None else list(given.shape)
            raise CheckpointForeign(
                f"{place} does not fit the stage's network: {name} is {shape}, where {list(wanted.shape)} is needed."
            )
        found[name] = given
    return found


class RecomputedResnet(SpatioTemporalResBlock):  # type: ignore[misc]
    """A residual block, within frames and along time, of which only what goes in is kept for the gradients."""

    def forward(self, *given: Any, **named: Any) -> Any:
        """As that of diffusers."""
        return checkpoint(super().forward, *given, use_reentrant=False, preserve_rng_state=False, **named)


class RecomputedTransformer(TransformerSpatioTemporalModel):  # type: ignore[misc]
    """The same of a transformer."""

    def forward(self, *given: Any, **named: Any) -> Any:
        """As that of diffusers."""
        return checkpoint(super().forward, *given, use_reentrant=False, preserve_rng_state=False, **named)


RECOMPUTED: dict[type[Any], type[Any]] = {
    SpatioTemporalResBlock: RecomputedResnet,
    TransformerSpatioTemporalModel: RecomputedTransformer,
}


def recompute(network: Any) -> None:
    """Changes all blocks of a network to those above. diffusers' own way leaves out what works along time."""
    # The class and not the method, so that no module refers to itself.
    for module in network.modules():
        for old, new in (
            (SpatioTemporalResBlock, RecomputedResnet),
            (TransformerSpatioTemporalModel, RecomputedTransformer),
        ):
            if type(module) is old:
                module.__class__ = new
