"""A chair with one arm and a letter on it: whatever is mirrored shows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.magic123_oracle import Truth
from models.isosurface.tetrahedra import TetrahedralGrid, crossings
from models.magic123.field import FieldSettings, RadianceField
from models.radiance.hash_grid import GridSettings

BOXES = (
    ((-0.35, -0.3, -0.4), (0.35, 0.3, -0.05)),
    ((-0.35, 0.1, -0.4), (0.35, 0.3, 0.42)),
    ((0.15, -0.3, -0.1), (0.35, 0.3, 0.15)),
)
"""Seat, back, and the arm, which from the front is on the right."""

LETTER = ((-0.3, -0.25, -0.36, -0.09), (-0.3, 0.0, -0.18, -0.09), (-0.3, -0.08, -0.27, -0.23))
"""An F on the front of the seat: x and z from … to, of its three strokes."""


def distance(points: Tensor) -> Tensor:
    """Signed distances `[N]`, as far as boxes have them, above 0 inside."""
    found = []
    for low, high in BOXES:
        least, most = torch.tensor(low).to(points), torch.tensor(high).to(points)
        found.append(torch.minimum(points - least, most - points).amin(1))
    return torch.stack(found).amax(0)


def colours(points: Tensor) -> Tensor:
    """`[N, 3]`: orange, the back blue, the letter dark."""
    orange, blue, dark = (torch.tensor(each).to(points) for each in ((0.9, 0.5, 0.2), (0.3, 0.4, 0.8), (0.1, 0.1, 0.1)))
    x, y, z = points.unbind(1)
    written = torch.zeros_like(x, dtype=torch.bool)
    for left, right, low, high in LETTER:
        written |= (x > left) & (x < right) & (z > low) & (z < high)
    found = torch.where(((y > 0.05) & (z > 0))[:, None], blue, orange)
    return torch.where((written & (y < -0.2))[:, None], dark, found)


def chair(cells: int = 56) -> Truth:
    """As a mesh, in its place and as large as it is here."""
    grid = TetrahedralGrid(cells)
    signed = distance(grid.points(torch.arange(grid.vertices)))
    found = crossings(grid.crossed(signed > 0), signed > 0)
    points = grid.points(found.ends.reshape(-1)).reshape(-1, 2, 3)
    return Truth(found.places(points, signed[found.ends]), found.faces, colours)


def density(points: Tensor, larger: float = 0.05) -> Tensor:
    """What a coarse stage might have come to: the chair, swollen and soft."""
    return 10 * torch.exp(30 * (distance(points) + larger))


def painter(seed: int = 0) -> nn.Module:
    """A field that has learnt nothing yet."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RadianceField(
            FieldSettings(GridSettings(levels=6, base=8, finest=96, log2_entries=14), hidden=32, layers=2)
        )
