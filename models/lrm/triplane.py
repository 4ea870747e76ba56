"""Three feature planes asked at points: bilinear interpolation, and networks on what it gives.

A point (x, y, z) is looked up in plane 0 at (x, y), in plane 1 at (x, z), in plane 2 at (z, y), the first of each pair
along the width, the second along the height (EG3D, Chan et al. 2021, arXiv 2112.07945, with the axes of its later
correction). ±1 are the outer edges of the outer pixels; beyond, values fade to zero within half a pixel.

Interpolation is linear, and so is the first layer of the networks that ask. So the layer is applied to the planes once
(12,288 pixels of the published size), and points then interpolate 64 numbers that are already its output: the same
function, with a third of the operations per point and no features in between (`FoldedPerceptron`). Where gradients are
asked for, the layers are gone through one after the other (`PlanePerceptron.plain`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH_AXES = (0, 0, 2)
HEIGHT_AXES = (1, 2, 1)
TAPS = 12  # three planes, four pixels each
CHUNK = 65_536
"""Points at once: less than 100 MB of intermediate values at 64 hidden channels."""


def taps(points: Tensor, resolution: int, half_extent: float = 1.0) -> tuple[Tensor, Tensor]:
    """Which pixels of the planes a point is interpolated from, and with which weights.

    Args:
        points: [P, 3] float32.
        resolution: pixels along each side of the planes.
        half_extent: the planes reach from minus this to this.

    Returns:
        Pixel numbers [P, 12] int32 in planes laid out as [3 · resolution · resolution], four per plane, and weights
        [P, 12]; pixels outside the planes have weight 0.
    """
    place = (points / half_extent + 1.0) * (resolution / 2) - 0.5
    low = place.floor().clamp(-2, resolution + 1)  # far away is as good as just outside, and fits an integer
    fraction = (place - low).clamp(0.0, 1.0)
    first = low.to(torch.int32)
    both = torch.stack([first, first + 1], dim=2)
    weights = torch.stack([1.0 - fraction, fraction], dim=2) * ((both >= 0) & (both < resolution))
    both = both.clamp(0, resolution - 1)
    column, row = both[:, WIDTH_AXES, None, :], both[:, HEIGHT_AXES, :, None]
    plane = torch.arange(3, dtype=torch.int32, device=points.device)[:, None, None] * resolution**2
    pixels = row * resolution + column + plane
    shares = weights[:, HEIGHT_AXES, :, None] * weights[:, WIDTH_AXES, None, :]
    return pixels.reshape(-1, TAPS), shares.reshape(-1, TAPS)


def sample(planes: Tensor, points: Tensor, half_extent: float = 1.0) -> Tensor:
    """Features of points: planes [3, C, R, R] at points [P, 3] → [P, 3·C], those of plane 0 first."""
    channels, resolution = planes.shape[1], planes.shape[2]
    pixels, shares = taps(points, resolution, half_extent)
    table = planes.permute(0, 2, 3, 1).reshape(-1, channels)
    features = F.embedding_bag(pixels.view(-1, 4), table, per_sample_weights=shares.view(-1, 4), mode="sum")
    return features.view(-1, 3 * channels)


class FoldedPerceptron:
    """A perceptron on the concatenated plane features of K points, its first layer folded into the planes.

    For inference: neither planes nor network get gradients.

    Args:
        network: Linear, ReLU, Linear, …; its first layer takes K · 3 · C numbers, point by point, plane by plane.
        planes: [3, C, R, R].
        half_extent: see `taps`.
        chunk: points that are asked for at once; memory grows with it.
    """

    def __init__(self, network: nn.Sequential, planes: Tensor, half_extent: float = 1.0, chunk: int = CHUNK) -> None:
        layers = [layer for layer in network if isinstance(layer, nn.Linear)]
        first = layers[0]
        self._rest = [(layer.weight.detach(), layer.bias.detach()) for layer in layers[1:]]
        self._bias, self._half_extent = first.bias.detach(), half_extent
        self._resolution, channels = planes.shape[2], planes.shape[1]
        self.points_per_query = first.in_features // (3 * channels)
        self._chunk = max(chunk // self.points_per_query, 1)
        weight = first.weight.detach().view(first.out_features, self.points_per_query, 3, channels)
        pixels = planes.detach().flatten(2).to(weight)
        self._table = torch.einsum("hkpc,pcn->kpnh", weight, pixels).reshape(-1, first.out_features)

    def __call__(self, points: Tensor) -> Tensor:
        """Points [P, K, 3], or [P, 3] for K = 1, on any device → [P, outputs] float32 on that device."""
        queries = points.reshape(-1, self.points_per_query, 3)
        results = torch.empty(len(queries), len(self._rest[-1][0]), dtype=torch.float32, device=points.device)
        for start in range(0, len(queries), self._chunk):
            window = slice(start, start + self._chunk)
            results[window] = self._evaluate(queries[window].to(self._table))
        return results

    def _evaluate(self, queries: Tensor) -> Tensor:
        pixels, shares = taps(queries.reshape(-1, 3), self._resolution, self._half_extent)
        count = self.points_per_query
        if count > 1:
            table_size = 3 * self._resolution**2
            of_point = torch.arange(count, dtype=torch.int32, device=pixels.device)[:, None] * table_size
            pixels = (pixels.view(-1, count, TAPS) + of_point).view(-1, count * TAPS)
            shares = shares.view(-1, count * TAPS)
        hidden = F.embedding_bag(pixels, self._table, per_sample_weights=shares, mode="sum").add_(self._bias)
        for weight, bias in self._rest:
            hidden = F.linear(hidden.relu_(), weight, bias)
        return hidden


class PlanePerceptron:
    """A perceptron on plane features: folded for inference, layer by layer where something of it is to be learned.

    The folded form is taken unless gradients are on and planes, network or points have some to get. It is made anew
    when planes or network have changed since. Arguments: see `FoldedPerceptron`.
    """

    def __init__(self, network: nn.Sequential, planes: Tensor, half_extent: float = 1.0, chunk: int = CHUNK) -> None:
        self._network, self._planes, self._half_extent, self._chunk = network, planes, half_extent, chunk
        (self._first, *_) = (layer for layer in network if isinstance(layer, nn.Linear))
        self._points_per_query = self._first.in_features // (3 * planes.shape[1])
        self._folded: tuple[Tensor, tuple[int, int], FoldedPerceptron] | None = None

    def __call__(self, points: Tensor) -> Tensor:
        """Points [P, K, 3], or [P, 3] for K = 1, on any device → [P, outputs] float32 on that device."""
        return self.plain(points) if self.learns(points) else self.folded(points)

    def learns(self, points: Tensor) -> bool:
        """Whether an answer at these points would have gradients."""
        parts = (points, self._planes, *self._network.parameters())
        return torch.is_grad_enabled() and any(part.requires_grad for part in parts)

    def folded(self, points: Tensor) -> Tensor:
        """The answer by way of `FoldedPerceptron`."""
        weight = self._first.weight
        versions = _version(self._planes), _version(weight)
        if self._folded is None or self._folded[0] is not weight or self._folded[1] != versions:
            folded = FoldedPerceptron(self._network, self._planes, self._half_extent, self._chunk)
            self._folded = weight, versions, folded
        return self._folded[2](points)

    def plain(self, points: Tensor) -> Tensor:
        """The answer layer by layer, with gradients to planes, network and points; memory grows with the points."""
        weight = self._first.weight
        queries = points.reshape(-1, 3).to(weight)
        features = sample(self._planes.to(weight), queries, self._half_extent)
        values: Tensor = self._network(features.view(-1, self._first.in_features))
        return values.to(points.device, torch.float32)


def _version(tensor: Tensor) -> int:
    """Grows whenever a tensor is written to. One of inference mode is not counted; nothing trains it either."""
    return -1 if tensor.is_inference() else tensor._version
