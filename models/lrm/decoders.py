"""The small networks behind the planes, under their published names, and what their numbers mean.

Mesh variants (InstantMesh, Xu et al. 2024, arXiv 2404.07191) have four, each with three hidden layers of 64: signed
distance, deformation and colour of a point, and 21 FlexiCubes weights of a cell from its eight corners. NeRF variants
have one, to a density and a colour.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from models.lrm.configs import LrmConfig

HIDDEN = 64
CORNERS = 8
FLEXICUBES_WEIGHTS = 21
WEIGHT_SCALE = 0.1


def perceptron(inputs: int, outputs: int, hidden: int = HIDDEN) -> nn.Sequential:
    """Four linear layers with ReLU between, indexed 0, 2, 4, 6."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


class MeshDecoder(nn.Module):
    """The four networks of a mesh variant, for planes of a number of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net_sdf = perceptron(3 * channels, 1)
        self.net_rgb = perceptron(3 * channels, 3)
        self.net_deformation = perceptron(3 * channels, 3)
        self.net_weight = perceptron(CORNERS * 3 * channels, FLEXICUBES_WEIGHTS)


class DensityDecoder(nn.Module):
    """The network of a NeRF variant: raw density, then raw colour."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = perceptron(3 * channels, 4)


class Synthesizer(nn.Module):
    """Holds the decoder under its published name."""

    def __init__(self, config: LrmConfig) -> None:
        super().__init__()
        channels = config.transformer.plane_channels
        self.decoder: MeshDecoder | DensityDecoder = (
            MeshDecoder(channels) if config.kind == "mesh" else DensityDecoder(channels)
        )


def radiance(raw: Tensor) -> Tensor:
    """Raw colour → −0.001 … 1.001, so that black and white can be reached (Mip-NeRF, arXiv 2103.13415)."""
    return raw.sigmoid() * 1.002 - 0.001


def density(raw: Tensor) -> Tensor:
    """Raw density → softplus(raw − 1), at least 0; of −∞ it is 0 (Mip-NeRF, arXiv 2103.13415)."""
    return F.softplus(raw - 1.0)


def raw_density(activated: float) -> float:
    """The raw density of an activated one, which is above 0: the inverse of `density`."""
    return 1.0 + activated + math.log(-math.expm1(-activated))
