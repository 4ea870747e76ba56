"""How near a result is to the truth: of pictures, and of solids."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, DEVIATION = 11, 1.5
K1, K2 = 0.01, 0.03


def signal_to_noise(pictures: Tensor, wanted: Tensor) -> Tensor:
    """PSNR in dB of pictures [N, 3, H, W] 0 … 1: [N]. 100 at most, for equal ones."""
    wrong = (pictures - wanted).square().flatten(1).mean(1)
    return -10.0 * wrong.clamp(min=1e-10).log10()


def similarity(pictures: Tensor, wanted: Tensor) -> Tensor:
    """SSIM of pictures [N, C, H, W] 0 … 1: [N]. Gaussian window of 11 pixels (Wang et al. 2004).

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    if min(pictures.shape[2:]) < WINDOW:
        raise ValueError(f"Pictures of {list(pictures.shape[2:])} pixels are smaller than the window of {WINDOW}.")
    place = torch.arange(WINDOW, dtype=pictures.dtype, device=pictures.device) - WINDOW // 2
    line = torch.exp(-place.square() / (2 * DEVIATION**2))
    line = line / line.sum()
    channels = pictures.shape[1]
    window = (line[:, None] * line).expand(channels, 1, WINDOW, WINDOW)

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window, groups=channels)

    one, other = mean(pictures), mean(wanted)
    spread_one, spread_other = mean(pictures.square()) - one.square(), mean(wanted.square()) - other.square()
    together = mean(pictures * wanted) - one * other
    c1, c2 = K1**2, K2**2
    values = (2 * one * other + c1) * (2 * together + c2)
    values = values / ((one.square() + other.square() + c1) * (spread_one + spread_other + c2))
    return values.flatten(1).mean(1)


def intersection_over_union(one: Tensor, other: Tensor) -> float:
    """Of two solids of one shape, bool. 1 if both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def f_score(points: Tensor, wanted: Tensor, distance: float, chunk: int = 1024) -> float:
    """Harmonic mean of the shares of points [P, 3] and [Q, 3] that have one of the others within a distance; 0 … 1."""
    if not len(points) or not len(wanted):
        return 0.0
    shares = []
    for some, others in ((points, wanted), (wanted, points)):
        near = [bool_near(part, others, distance) for part in torch.split(some, chunk)]  # type: ignore[no-untyped-call, unused-ignore]
        shares.append(float(torch.cat(near).float().mean()))
    precision, recall = shares
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def bool_near(points: Tensor, others: Tensor, distance: float) -> Tensor:
    """[P]: whether one of the others is within the distance."""
    return torch.cdist(points, others).amin(1) <= distance


def surface_points(vertices: Tensor, faces: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Points [count, 3] by chance on triangles, evenly by area; none if there are no faces."""
    return surface_samples(vertices, faces, count, generator)[0]


def surface_samples(vertices: Tensor, faces: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same, and the normals [count, 3] of their triangles, of length 1."""
    if not len(faces):
        return vertices.new_zeros(0, 3), vertices.new_zeros(0, 3)
    corners = vertices[faces.long()]
    edges = corners[:, 1:] - corners[:, :1]
    normals = torch.linalg.cross(edges[:, 0], edges[:, 1])
    areas = normals.norm(dim=1)
    if not float(areas.sum()) > 0:
        return vertices.new_zeros(0, 3), vertices.new_zeros(0, 3)
    chosen = torch.multinomial(areas.double(), count, replacement=True, generator=generator)
    u, v = torch.rand(2, count, 1, generator=generator)
    u, v = torch.where(u + v > 1, 1 - u, u), torch.where(u + v > 1, 1 - v, v)
    points = corners[chosen, 0] + u * edges[chosen, 0] + v * edges[chosen, 1]
    return points, F.normalize(normals[chosen], dim=1)


def border_points(solid: Tensor) -> Tensor:
    """Middles [P, 3], in a box of -1 … 1, of the faces between what is inside a solid [n, n, n] and what is not."""
    size = len(solid)
    padded = F.pad(solid, (1, 1, 1, 1, 1, 1))
    found = []
    for axis in range(3):
        changes = padded.narrow(axis, 1, size + 1) != padded.narrow(axis, 0, size + 1)
        inner = [slice(1, -1)] * 3
        inner[axis] = slice(None)
        places = changes[tuple(inner)].nonzero().float()
        middle = torch.full((3,), 0.5)
        middle[axis] = 0.0
        found.append((places + middle) * (2 / size) - 1)
    return torch.cat(found)
