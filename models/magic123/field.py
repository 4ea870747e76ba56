"""What is optimised: density and colour at any point of the box from -1 to 1, as Magic123 has them (arXiv 2306.17843).

A hash grid, a perceptron on it, and a soft ball of density in the middle to begin with. There is no dependence on the
direction of view. The world is right-handed with z up (`cameras.py`); a field whose tables were trained in the
published world, a mirror image with y up, is told so (`FieldSettings.published_world`), and is asked and answers in
ours all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.radiance.hash_grid import GridSettings, HashGrid

STEEPEST = 15.0
"""The gradient of the exponential grows no further beyond this exponent."""

LARGEST = 40.0
"""Nor does the density beyond this one: it is opaque at any step, and its square is still a float32."""


class Field(Protocol):
    """What a stage asks of a field: points `[N, 3]` in -1 … 1, right-handed, z up."""

    def density(self, points: Tensor) -> Tensor:
        """`[N]`, per unit of length."""
        ...

    def albedo(self, points: Tensor) -> Tensor:
        """`[N, 3]` in 0 … 1."""
        ...

    def normals(self, points: Tensor) -> Tensor:
        """`[N, 3]`, unit vectors to where the density falls; zeros where it falls nowhere."""
        ...

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density and albedo."""
        ...


@dataclass(frozen=True)
class FieldSettings:
    """How a field is made.

    grid: of its features. hidden, layers: of the perceptron: numbers of a layer, and how many linear layers.
    blob_density, blob_radius: the logarithm of the density gets blob_density exp(-|x|² / (2 blob_radius²)).
    normal_step: how far from a point densities are compared for its normal.
    published_world: the tables were trained in the published, mirrored world.
    """

    grid: GridSettings = field(default_factory=GridSettings)
    hidden: int = 64
    layers: int = 3
    blob_density: float = 10.0
    blob_radius: float = 0.2
    normal_step: float = 0.01
    published_world: bool = False


class _ClampedExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exponent: Tensor) -> Tensor:
        ctx.save_for_backward(exponent)
        return exponent.clamp(max=LARGEST).exp()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (exponent,) = ctx.saved_tensors
        slope: Tensor = gradients[0] * exponent.clamp(max=STEEPEST).exp()
        return slope


class RadianceField(nn.Module):
    """A `Field` with parameters.

    Attributes:
        grid: see `HashGrid`; its `active` says how many levels count.
        network: the linear layers.
    """

    def __init__(self, settings: FieldSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or FieldSettings()
        self.grid = HashGrid(settings.grid)
        widths = [self.grid.width, *[settings.hidden] * (settings.layers - 1), 4]
        self.network = nn.ModuleList(nn.Linear(one, two) for one, two in pairwise(widths))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points `[N, 3]` → density `[N]` and albedo `[N, 3]`, float32."""
        raw = self._raw(points)
        return self._activated(raw[:, 0], points), torch.sigmoid(raw[:, 1:])

    def density(self, points: Tensor) -> Tensor:
        """Points `[N, 3]` → `[N]`, per unit of length."""
        return self._activated(self._raw(points)[:, 0], points)

    def log_density(self, points: Tensor) -> Tensor:
        """The density's natural logarithm, which changes evenly where the density itself explodes: `[N]`."""
        return self._raw(points)[:, 0] + self.blob(points)

    def albedo(self, points: Tensor) -> Tensor:
        """Points `[N, 3]` → `[N, 3]` in 0 … 1."""
        return torch.sigmoid(self._raw(points)[:, 1:])

    def normals(self, points: Tensor) -> Tensor:
        """Points `[N, 3]` → `[N, 3]` by central differences of the density, with gradients: six more questions each.

        Unit vectors in the world; zeros where the density is even.
        """
        step = self.settings.normal_step
        moves = torch.eye(3, dtype=points.dtype, device=points.device) * step
        around = torch.stack([points[:, None] + moves, points[:, None] - moves]).clamp(-1, 1)
        above, below = self.density(around.reshape(-1, 3)).view(2, -1, 3)
        fall = (below - above) / (2 * step)
        unit: Tensor = fall / fall.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt()
        return unit.nan_to_num(nan=0.0)

    def blob(self, points: Tensor) -> Tensor:
        """What the ball in the middle adds to the logarithm of the density: `[N]`."""
        distance = points.square().sum(1)
        added: Tensor = self.settings.blob_density * torch.exp(-distance / (2 * self.settings.blob_radius**2))
        return added

    def _raw(self, points: Tensor) -> Tensor:
        """What the perceptron says, `[N, 4]` float32."""
        if self.settings.published_world:
            points = to_published(points)
        hidden = self.grid.looked_up((points + 1) / 2)
        for number, layer in enumerate(self.network):
            assert isinstance(layer, nn.Linear)
            weight = layer.weight
            if number:
                hidden = functional.relu(hidden)
            elif hidden.shape[1] < weight.shape[1]:
                weight = weight[:, : hidden.shape[1]]  # the features of the other levels are 0
            hidden = functional.linear(hidden, weight, layer.bias)
        return hidden.float()

    def _activated(self, raw: Tensor, points: Tensor) -> Tensor:
        density: Tensor = _ClampedExp.apply(raw + self.blob(points))  # type: ignore[no-untyped-call]
        return density


def to_published(vectors: Tensor) -> Tensor:
    """Points or directions `[..., 3]` of our world as the published one has them: mirrored, y up, the front at +z."""
    x, y, z = vectors.unbind(-1)
    return torch.stack([-x, z, -y], dim=-1)


def from_published(vectors: Tensor) -> Tensor:
    """The other way."""
    x, y, z = vectors.unbind(-1)
    return torch.stack([-x, -z, y], dim=-1)


PUBLISHED = {"encoder.embeddings": "grid.table"}
"""Names of the published state, and ours; the perceptron's are translated by `named_from_published`."""

LEFT = ("aabb_train", "aabb_infer", "density_grid", "density_bitfield", "encoder.offsets", "step_counter")
"""Of the published state what is no parameter: the box is always the same, where something is can be found again, and
the offsets follow from the settings."""


def named_from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of a published state under our names, for `load_state_dict(…, strict=True)`.

    Raises:
        ValueError: a tensor is none of a field's.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in LEFT:
            continue
        if name in PUBLISHED:
            found[PUBLISHED[name]] = tensor
        elif name.startswith("sigma_net.net."):
            found[name.replace("sigma_net.net.", "network.", 1)] = tensor
        else:
            raise ValueError(f"The state has a tensor '{name}' that no field of Magic123 has.")
    return found


def settings_of_published(tensors: Mapping[str, Tensor], base: int = 16, finest: int = 2048) -> FieldSettings:
    """How a field is made that a published state fits into; what shapes do not tell is as published.

    Args:
        tensors: under the published names; of their content the offsets alone are looked at.
        base, finest: of the grid.

    Raises:
        ValueError: tables and perceptron do not fit together, or the table has other levels.
    """
    try:
        offsets = [int(each) for each in tensors["encoder.offsets"].tolist()]
        entries, _ = tensors["encoder.embeddings"].shape
        hidden = tensors["sigma_net.net.0.weight"].shape[0]
    except KeyError as error:
        raise ValueError(f"The state has no tensor {error}, so it is no field of Magic123.") from error
    layers = sum(name.startswith("sigma_net.net.") and name.endswith(".weight") for name in tensors)
    largest = max((two - one for one, two in pairwise(offsets)), default=0)
    if largest < 8 or offsets[-1] != entries:
        raise ValueError("The state's table is not as long as its own offsets say.")
    grid = GridSettings(len(offsets) - 1, base, finest, math.ceil(math.log2(largest)))
    if list(grid.offsets) != offsets:
        raise ValueError(f"The state's grid has other levels than {base} to {finest}.")
    return FieldSettings(grid, hidden, layers, published_world=True)
