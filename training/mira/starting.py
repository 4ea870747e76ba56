"""What a network begins with: the weights of a checkpoint, or chance with some order in it. And its optimiser."""

from __future__ import annotations

import logging
import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lrm.configs import EncoderConfig
from models.lrm.dinov2 import DinoV2, DinoV2Config
from models.lrm.encoder import VisionTransformer
from models.lrm.single_view import SingleViewConfig, SingleViewModel
from models.lrm.single_view_files import claims, open_single_view
from models.lrm.transformer import PLANES, Attention
from models.lrm.triplane import HEIGHT_AXES, WIDTH_AXES
from models.optimisation.chance import seed_of
from training.config import ConfigError
from training.mira.config import Model, Optimiser
from training.optimiser import adamw

GIVES_NOTHING = re.compile(
    r"^transformer\.layers\.\d+\.((cross|self)_attn\.out_proj|mlp\.3|norm\d\.mlp\.1)\."
    r"|^encoder\.model\..*\.(attn\.proj|mlp\.fc2|output\.dense)\."
)
"""Parameters of the last layers of residual branches, and those of scales and shifts."""
logger = logging.getLogger(__name__)

EMPTY = -4.0
"""Raw density that an aligned start has everywhere, below the surface's 3.95: objects fill little of their box."""
FIRM = 2.0
"""Size of the codes of plane tokens: what the first steps add to all tokens alike must not drown them."""
WAVELENGTHS = 6
"""Different ones in the codes of places; with more channels they come again."""


def network_of(settings: Model, seed: int) -> tuple[SingleViewModel, int, int]:
    """The network that a run begins with, with gradients, and the pixels of its source and of published renders.

    Raises:
        CheckpointError: the checkpoint to go on from cannot be used.
        ConfigError: a new network cannot have these sizes.
    """
    if settings.start is not None:
        facts = claims(settings.start)
        network = open_single_view(settings.start, "cpu", torch.float32).requires_grad_(True)
        sizes = facts.source_size or settings.source_size, facts.render_size or settings.render_size
        logger.info("Going on from the weights of %s.", settings.start)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "start"))
            try:
                network = SingleViewModel(config_of(settings))
            except ValueError as error:
                raise ConfigError(f"[model]: {error}") from error
            if settings.aligned_start:
                align(network)
        sizes = settings.source_size, settings.render_size
    if settings.dropout is not None:
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout
    if settings.freeze_encoder:
        network.encoder.requires_grad_(False)
    return network, *sizes


def config_of(settings: Model) -> SingleViewConfig:
    """Sizes of a new network."""
    encoder: DinoV2Config | EncoderConfig
    width, patch = settings.encoder_width, settings.patch_size
    if settings.generation == "openlrm-1.1":
        encoder = DinoV2Config(width, settings.encoder_layers, settings.encoder_heads, patch, settings.source_size)
    else:
        encoder = EncoderConfig(
            width=width,
            layers=settings.encoder_layers,
            heads=settings.encoder_heads,
            inner_width=4 * width,
            image_size=settings.source_size,
            patch_size=patch,
            camera_width=0,
            position_offset=0.0,
        )
    return SingleViewConfig(
        settings.generation,
        encoder,
        settings.camera_embedding,
        settings.width,
        settings.layers,
        settings.heads,
        settings.low_resolution,
        settings.plane_channels,
        settings.samples_per_ray,
    )


@torch.no_grad()
def align(network: SingleViewModel) -> None:
    """Orders the chance that a new network consists of.

    Residual branches and modulations begin with giving nothing. The tokens of the planes and the patches of the picture
    begin with codes of their places, sines of several wavelengths, and attention with looking for equal codes: a token
    of the plane across the line of sight asks the patch before it, those of the others ask a column or a row.
    """
    for name, parameter in network.named_parameters():
        if GIVES_NOTHING.search(name):
            parameter.zero_()
    config, side = network.config, network.config.low_resolution
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    rows, columns = (each.flatten() for each in torch.meshgrid(place, place, indexing="ij"))
    tokens = []
    for plane in range(PLANES):
        where: list[Tensor | None] = [None, None, None]
        where[WIDTH_AXES[plane]], where[HEIGHT_AXES[plane]] = columns, rows
        tokens.append(codes(where[0], where[2], where[1], config.width))
    network.pos_embed.copy_(FIRM * (torch.cat(tokens)[None] + 0.1 * torch.randn_like(network.pos_embed)))
    _place_patches(network.encoder.model)
    for module in network.transformer.modules():
        if isinstance(module, Attention):
            _looks_for_equals(module)
    last = network.synthesizer.decoder.net[6]
    assert isinstance(last, nn.Linear)
    last.weight[0] *= 4.0
    last.bias[0] = EMPTY


def codes(across: Tensor | None, up: Tensor | None, ahead: Tensor | None, width: int) -> Tensor:
    """Codes of places [T, width]: sine and cosine of each coordinate −1 … 1 (zeros if it is not known), wave by wave.

    Narrower codes are the first channels of wider ones, so that networks of two widths understand each other.
    """
    known = next(each for each in (across, up, ahead) if each is not None)
    turns = math.pi * 2.0 ** (torch.arange(width // 6) % WAVELENGTHS / 1.5 - 1.0)
    coded = torch.zeros(len(known), width // 6, 3, 2)
    for axis, coordinate in enumerate((across, up, ahead)):
        if coordinate is not None:
            angles = coordinate[:, None] * turns
            coded[:, :, axis] = torch.stack([angles.sin(), angles.cos()], dim=2)
    return F.pad(coded.flatten(1), (0, width - 6 * (width // 6)))


def _place_patches(encoder: DinoV2 | VisionTransformer) -> None:
    table = encoder.pos_embed if isinstance(encoder, DinoV2) else encoder.embeddings.position_embeddings
    side = math.isqrt(table.shape[1] - 1)
    # The picture reaches farther than the box: 4/3 of it where the canonical camera's distance is 2.
    place = ((torch.arange(side) + 0.5) / side * 2 - 1) * (4 / 3)
    rows, columns = (each.flatten() for each in torch.meshgrid(-place, place, indexing="ij"))
    table.zero_()
    table[0, 1:] = codes(columns, rows, None, table.shape[2])


def _looks_for_equals(attention: Attention) -> None:
    """Query and key become the same projection, so that equal codes meet."""
    if attention.packed:
        width = attention.in_proj_weight.shape[1]
        attention.in_proj_weight[width : 2 * width] = attention.in_proj_weight[:width]
    else:
        shared = min(attention.q_proj_weight.shape[1], attention.k_proj_weight.shape[1])
        attention.k_proj_weight[:, :shared] = attention.q_proj_weight[:, :shared]


def optimiser_of(network: SingleViewModel, settings: Optimiser) -> torch.optim.AdamW:
    """See `training.optimiser.adamw`."""

    def part(name: str) -> tuple[str, float]:
        if name.startswith("encoder."):
            return "encoder", settings.encoder_rate
        # With a rate like the others' the tokens are no part of their own, and older states fit.
        return ("tokens", settings.tokens_rate) if name == "pos_embed" and settings.tokens_rate != 1.0 else ("", 1.0)

    return adamw(network, settings, part)
