"""The reconstruction networks of InstantMesh once more, as plain functions of a state dict.

Nothing of `models/` is used: what these give in float64 is independent of the code that the parity tests look at, but
written by the same people from the same papers and descriptions, so a formula that was misread may be misread twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Weights = Mapping[str, Tensor]


def under(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """All tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    product = x @ w[f"{name}.weight"].T
    return product + w[f"{name}.bias"] if f"{name}.bias" in w else product


def norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    middle = x - x.mean(-1, keepdim=True)
    scaled = middle / (middle.square().mean(-1, keepdim=True) + eps).sqrt()
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def _attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """[B, T, W] each, head by head."""
    width = query.shape[2] // heads
    results = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(width)
        results.append(scores.softmax(-1) @ value[..., part])
    return torch.cat(results, -1)


def camera_embedding(w: Weights, cameras: Tensor) -> Tensor:
    return linear(w, "camera_embedder.2", F.silu(linear(w, "camera_embedder.0", cameras)))


def positions(w: Weights, rows: int, columns: int) -> Tensor:
    """The position table at another size, read at steps of side / (size + 0.1)."""
    table = w["model.embeddings.position_embeddings"]
    side = math.isqrt(table.shape[1] - 1)
    if (rows, columns) == (side, side):
        return table
    grid = table[0, 1:].reshape(side, side, -1).permute(2, 0, 1)[None]
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    resized = F.interpolate(grid, scale_factor=scale, mode="bicubic")[0].flatten(1).T
    return torch.cat([table[0, :1], resized])[None]


def embeddings(w: Weights, views: Tensor, patch: int) -> Tensor:
    """Views [V, 3, H, W], 0 … 1 → tokens with positions, the class token first."""
    pixels = F.unfold(views * 2 - 1, patch, stride=patch).transpose(1, 2)
    name = "model.embeddings.patch_embeddings.projection"
    patches = pixels @ w[f"{name}.weight"].flatten(1).T + w[f"{name}.bias"]
    first = w["model.embeddings.cls_token"].expand(len(views), -1, -1)
    rows, columns = (size // patch for size in views.shape[2:])
    return torch.cat([first, patches], 1) + positions(w, rows, columns)


def encoder_layer(w: Weights, index: int, x: Tensor, camera: Tensor, heads: int) -> Tensor:
    layer = under(w, f"model.encoder.layer.{index}.")
    shift, scale, shift_inner, scale_inner = linear(layer, "adaLN_modulation.1", F.silu(camera))[:, None].chunk(4, -1)
    normed = norm(layer, "layernorm_before", x, 1e-12) * (1 + scale) + shift
    parts = (linear(layer, f"attention.attention.{name}", normed) for name in ("query", "key", "value"))
    x = x + linear(layer, "attention.output.dense", _attention(*parts, heads))
    normed = norm(layer, "layernorm_after", x, 1e-12) * (1 + scale_inner) + shift_inner
    return x + linear(layer, "output.dense", F.gelu(linear(layer, "intermediate.dense", normed)))


def encode(w: Weights, views: Tensor, cameras: Tensor, layers: int, heads: int, patch: int) -> Tensor:
    """Views [V, 3, H, W] with cameras [V, 16] → tokens [V, T, W]."""
    camera, x = camera_embedding(w, cameras), embeddings(w, views, patch)
    for index in range(layers):
        x = encoder_layer(w, index, x, camera, heads)
    return norm(w, "model.layernorm", x, 1e-12)


def transformer_block(w: Weights, index: int, x: Tensor, context: Tensor, heads: int) -> Tensor:
    block = under(w, f"layers.{index}.")
    for before, name, source in (("norm1", "cross_attn", context), ("norm2", "self_attn", None)):
        query = norm(block, before, x, 1e-5)
        seen = query if source is None else source
        if f"{name}.in_proj_weight" in block:
            matrices = block[f"{name}.in_proj_weight"].chunk(3)
        else:
            matrices = tuple(block[f"{name}.{kind}_proj_weight"] for kind in "qkv")
        parts = (each @ matrix.T for each, matrix in zip((query, seen, seen), matrices, strict=True))
        x = x + linear(block, f"{name}.out_proj", _attention(*parts, heads))
    return x + linear(block, "mlp.3", F.gelu(linear(block, "mlp.0", norm(block, "norm3", x, 1e-5))))


def planes(w: Weights, context: Tensor, layers: int, heads: int, low: int) -> Tensor:
    """Image tokens [B, L, …] → planes [B, 3, C, 2·low, 2·low]."""
    x = w["pos_embed"].expand(len(context), -1, -1)
    for index in range(layers):
        x = transformer_block(w, index, x, context, heads)
    grids = norm(w, "norm", x, 1e-6).reshape(len(context), 3, low, low, -1)
    spread = torch.einsum("bprcw,wkij->bpkricj", grids, w["deconv.weight"])
    return spread.reshape(*spread.shape[:3], 2 * low, 2 * low) + w["deconv.bias"][:, None, None]


def features(plane: Tensor, points: Tensor) -> Tensor:
    """Planes [3, C, R, R] at points [P, 3] → [3, P, C]: (x, y), (x, z) and (z, y) along width and height."""
    found = []
    for each, axes in zip(plane, ((0, 1), (0, 2), (2, 1)), strict=True):
        sampled = F.grid_sample(each[None], points[None, :, None, list(axes)], align_corners=False)
        found.append(sampled[0, :, :, 0].T)
    return torch.stack(found)


def perceptron(w: Weights, name: str, x: Tensor) -> Tensor:
    for index in (0, 2, 4):
        x = linear(w, f"{name}.{index}", x).clamp(min=0)
    return linear(w, f"{name}.6", x)


def ask(w: Weights, name: str, plane: Tensor, points: Tensor) -> Tensor:
    """One network of a decoder at points [P, 3], or at the corners of cells [P, K, 3]."""
    found = features(plane, points.reshape(-1, 3)).transpose(0, 1).flatten(1)
    return perceptron(w, name, found.reshape(len(points), -1))


def radiance(raw: Tensor) -> Tensor:
    return 1.002 / (1 + (-raw).exp()) - 0.001


def density(raw: Tensor) -> Tensor:
    return (1 + (raw - 1).exp()).log()


def lattice(cells: int, scale: float) -> Tensor:
    """Vertices of a grid around the origin [(cells + 1)³, 3], z fastest."""
    axis = (torch.arange(cells + 1, dtype=torch.float64) / cells - 0.5) * scale
    return torch.cartesian_prod(axis, axis, axis)


def repaired(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Values of a lattice that has no surface, mended as published, and the vertex that became positive."""
    side = len(values)
    made, highest, lowest = values.copy(), values.max(), values.min()
    for place in np.ndindex(values.shape):
        if min(place) < 2 or max(place) > side - 3:
            made[place] = np.float32(-1) - highest
    centre = (side - 1) // 2 + 1
    made[centre, centre, centre] = np.float32(1) - lowest
    return made, (centre * side + centre) * side + centre


def pose(azimuth: float, elevation: float, radius: float) -> NDArray[np.float64]:
    """Camera to world: on a sphere round the origin, looking there, z up."""
    a, e = math.radians(azimuth), math.radians(elevation)
    place = radius * np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
    backward = place / np.linalg.norm(place)
    right = np.cross([0, 0, 1], backward)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, np.cross(backward, right), backward, place], axis=1)
    return matrix


def lens(angle: float) -> NDArray[np.float64]:
    focal = 0.5 / math.tan(math.radians(angle / 2))
    return np.array([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]])


def rays(pose: NDArray[np.float64], lens: NDArray[np.float64], size: int) -> tuple[list[object], list[object]]:
    """Origins and directions through the pixel centres, row by row."""
    origins: list[object] = []
    directions: list[object] = []
    for row in range(size):
        for column in range(size):
            x = ((column + 0.5) / size - lens[0, 2]) / lens[0, 0]
            y = ((row + 0.5) / size - lens[1, 2]) / lens[1, 1]
            direction = pose[:3, :3] @ (x, -y, -1)
            origins.append(pose[:3, 3])
            directions.append(direction / np.linalg.norm(direction))
    return origins, directions


def kept_shares() -> Tensor:
    """How much of the data's variance is left after each of a thousand equal steps of beta; in float32, as published:
    a thousand products differ by more than the tolerance in float64."""
    return torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000), 0)


def schedule(steps: int) -> tuple[Tensor, Tensor]:
    """Trailing timesteps and their sigmas, which end with 0."""
    times = torch.tensor([round(1000 - step * 1000 / steps) - 1 for step in range(steps)])
    shares = kept_shares()[times].double()
    return times.float(), F.pad(((1 - shares) / shares).sqrt(), (0, 1)).float()
