"""Level tops that no view sees are flat.

From the side the top of a table is a line. Its rim tells how high it is, and nothing tells whether it is a tray; the
prior, which has seen both, makes it sag by a cell or two. Where the body that the edges span ends upwards in a level
face, and most of what is solid below that face comes near to it, it is the face.
"""

from __future__ import annotations

import torch
from scipy import ndimage
from torch import Tensor

from models.multiview.edges import Body
from models.multiview.silhouettes import Lattice
from models.multiview.views import Cameras

LEVEL = 0.97
"""The least share of a normal's length that points upwards where a face is level."""

NEAR, MOST, DEEPEST = 2.5, 0.75, 5.0
"""The prior's cells below a face that a surface is near to it; the share of a top that is; how deep what lies farther
down may be to be filled with it."""

FEWEST = 12.0
"""The prior's cells that a top is large."""


def level_tops(
    distance: Tensor, hull: Tensor, spanned: Body, outside: Tensor, cameras: Cameras, lattice: Lattice, cell: float
) -> Tensor:
    """`[X, Y, Z]`: a field whose level tops are flat that no camera sees; nowhere above `distance`, nor below `hull`.

    Args:
        distance, hull, outside: `[X, Y, Z]`, fields on the lattice, z up: of the surface, of the visual hull, and how
            far its points lie outside of the body.
        spanned: the body that sharp edges span.
        cell: side of the prior's cells.
    """
    spacing, height = lattice.spacing, lattice.shape[2]
    normals, offsets = spanned.planes[:, :3].T, spanned.planes[:, 3]
    unseen = (cameras.positions.to(normals) @ normals + offsets).amax(0) <= 0
    faces = unseen & (normals[2] > LEVEL)
    if not bool(faces.any()):
        return distance
    # of each vertical line the highest place inside of the body, and which face is above that
    inner = outside < 0
    first = height - 1 - inner.flip(2).byte().argmax(2, keepdim=True)
    places = lattice.points().reshape(*lattice.shape, 3)
    highest = places.gather(2, first[..., None].expand(-1, -1, -1, 3))[:, :, 0].to(normals)
    face = torch.stack([(row @ normals + offsets).argmax(1) for row in highest])
    level = faces[face] & inner.any(2) & (hull.gather(2, first)[..., 0] < spacing / 2)
    # how far below the face each place is, and the first that is solid
    depth = (first - torch.arange(height, device=distance.device)) * spacing - outside.gather(2, first)
    solid = (distance < 0) & (depth > -spacing)
    down = torch.where(solid, depth, torch.inf).amin(2)
    flat = _large_and_near(level, down <= NEAR * cell, FEWEST * (cell / spacing) ** 2) & (down <= DEEPEST * cell)
    filled = flat[..., None] & (depth > -1.5 * spacing) & (depth <= down[..., None] + spacing)
    return torch.where(filled, torch.minimum(distance, torch.maximum(-depth, hull)), distance)


def _large_and_near(level: Tensor, near: Tensor, fewest: float) -> Tensor:
    """`[X, Y]`: of what is level, the pieces that have so many places at least, most of them near."""
    labels, count = ndimage.label(level.cpu().numpy())
    piece = torch.from_numpy(labels).to(level.device).long().flatten()
    size, close = (torch.bincount(piece, each.flatten().double(), count + 1) for each in (level, level & near))
    chosen = (size >= fewest) & (close >= MOST * size)
    chosen[0] = False  # what is not level
    return chosen[piece].reshape(level.shape)
