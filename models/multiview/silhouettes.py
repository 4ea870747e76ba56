"""What outlines alone say: how far points are from the visual hull, where the object is, which view is another's.

The visual hull (Laurentini 1994) is what all outlines leave over. Here it is a field: the distance of a point's place
in each picture from the outline there, in units of the world at the point's distance, and of all views the largest.
With `spared` views the next ones are taken instead: a point is outside only if so many views and one more say so, and
a view that is wrong alone carves nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from models.isosurface.marching import march
from models.multiview.views import Cameras, Views

CHUNK = 2**17
"""Points whose place in all pictures is looked up at once."""

FIRST, SECOND = 40, 80
"""Points along the longest side of the lattices in which the object is looked for."""

MARGIN = 0.04
"""Of the box's longest side, around it."""

UNCOVERED = 0.01
"""The share of the outlines, in the mean, that may lie outside of the hull without a search for a wrong view."""

EXPLAINED = 0.6
"""A view is wrong if without it no more than this part of that is left."""

MINORITY = 4
"""One in so many views may be found wrong, and no more."""


@dataclass(frozen=True)
class Lattice:
    """Points at even distances.

    origin: `[3]` float64, the first. spacing: between neighbours. shape: how many along x, y, z.
    """

    origin: Tensor
    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def over(cls, low: Tensor, high: Tensor, spacing: float) -> Lattice:
        """Around the middle of a box, and all of it."""
        counts = ((high - low) / spacing).ceil().long() + 1
        origin = (low + high) / 2 - (counts - 1) * spacing / 2
        x, y, z = counts.tolist()
        return cls(origin.double(), spacing, (x, y, z))

    def points(self) -> Tensor:
        """`[X * Y * Z, 3]` float32, x slowest."""
        axes = [
            self.origin[axis] + self.spacing * torch.arange(self.shape[axis], device=self.origin.device)
            for axis in range(3)
        ]
        return torch.cartesian_prod(*axes).float()

    def sample(self, volume: Tensor, points: Tensor) -> Tensor:
        """`[P, C]`: values `[C, X, Y, Z]` at points `[P, 3]`, linear in between, beyond the border as on it."""
        scale = 2 / (self.spacing * (self.origin.new_tensor(self.shape) - 1))
        place = ((points - self.origin.to(points)) * scale.to(points) - 1).flip(1)  # the last axis comes first
        found = functional.grid_sample(
            volume[None], place[None, None, None], mode="bilinear", padding_mode="border", align_corners=True
        )
        return found[0, :, 0, 0].T


def zero_set(volume: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Vertices `[N, 3]` float64 and faces `[F, 3]` int64, of the processor, of where a field `[X, Y, Z]` on a
    lattice is nought; it is closed at the lattice's border. None of either if it is nowhere."""
    places, triangles = march(functional.pad(volume, (1,) * 6, value=lattice.spacing).cpu().numpy())
    vertices = (torch.from_numpy(places.copy()).double() - 1) * lattice.spacing + lattice.origin.cpu()
    return vertices, torch.from_numpy(triangles.astype(np.int64))


def outline_distances(alpha: Tensor) -> Tensor:
    """`[V, H, W]` float32: pixels from each pixel's middle to the outline where alpha is a half, negative inside."""
    found = [torch.from_numpy(_distances(each.cpu().numpy())) for each in alpha]
    return torch.stack(found).to(alpha)


def _distances(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    inside = alpha >= 0.5
    outer = distance_transform_edt(~inside) if inside.any() else np.full(alpha.shape, float(sum(alpha.shape)))
    inner = distance_transform_edt(inside) if not inside.all() else np.full(alpha.shape, float(sum(alpha.shape)))
    far = np.where(inside, 0.5 - inner, outer - 0.5).astype(np.float32)
    # A pixel that is partly covered knows better than its neighbours where in it the outline runs.
    partly = (alpha > 0.02) & (alpha < 0.98) & (np.abs(far) < 1)
    return np.where(partly, 0.5 - alpha, far).astype(np.float32)


def hull_field(distances: Tensor, cameras: Cameras, points: Tensor, spared: int = 0) -> Tensor:
    """`[P]` float32: how far outside of the visual hull points `[P, 3]` are, negative inside; units of the world.

    Args:
        distances: `[V, H, W]`, of `outline_distances`.
        spared: of the views that say most strongly that a point is outside, how many are not believed.
    """
    found = [
        apart(distances, cameras, piece).topk(spared + 1, dim=0).values[spared] for piece in torch.split(points, CHUNK)
    ]
    return torch.cat(found)


def apart(distances: Tensor, cameras: Cameras, points: Tensor) -> Tensor:
    """`[V, P]`: how far outside of each view's outline points `[P, 3]` are; nothing behind a camera is inside."""
    pixels, depth = cameras.project(points)
    focal = cameras.intrinsics[:, [0, 1], [0, 1]].mean(1).to(points)[:, None]
    scaled = look_up(distances[..., None], pixels)[..., 0] * depth / focal
    return torch.where(depth > 0, scaled, 1.0)


def look_up(pictures: Tensor, pixels: Tensor) -> Tensor:
    """`[V, P, C]`: pictures `[V, H, W, C]` at pixel coordinates `[V, P, 2]`, beyond the border as on it."""
    height, width = pictures.shape[1:3]
    place = pixels * (2 / pixels.new_tensor([width, height])) - 1
    found = functional.grid_sample(
        pictures.movedim(3, 1), place[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[:, :, 0].transpose(1, 2)


def object_box(distances: Tensor, views: Views, spared: int = 0) -> tuple[Tensor, Tensor]:
    """Lower and upper corner, `[3]` float64, of a box around the visual hull, with a margin.

    Raises:
        ValueError: nothing is seen by all views.
    """
    low, high = _seen_by_all(views)
    for count in (FIRST, SECOND):
        lattice = Lattice.over(low, high, float((high - low).max()) / (count - 1))
        inside = hull_field(distances, views.cameras, lattice.points(), spared) <= 0.5 * lattice.spacing
        if not bool(inside.any()):
            raise ValueError(
                "The outlines of the views have nothing in common: their cameras are wrong, or they show other objects."
            )
        kept = lattice.points()[inside].double()
        low, high = kept.amin(0) - lattice.spacing, kept.amax(0) + lattice.spacing
    margin = MARGIN * (high - low).max()
    return low - margin, high + margin


def _seen_by_all(views: Views) -> tuple[Tensor, Tensor]:
    """A cube around the place that all views look at through the middles of their outlines."""
    alpha, cameras = views.alpha.double(), views.cameras
    rows, columns = (torch.arange(side, device=alpha.device) + 0.5 for side in alpha.shape[1:])
    weight = alpha.sum((1, 2))
    middle = torch.stack([(alpha.sum(1) * columns).sum(1), (alpha.sum(2) * rows).sum(1)], dim=1) / weight[:, None]
    origins, directions = cameras.rays(torch.arange(len(views), device=alpha.device), middle)
    origins, directions = origins.double(), directions.double()
    across = torch.eye(3).to(directions) - directions[:, :, None] * directions[:, None]
    centre = torch.linalg.lstsq(across.sum(0), (across @ origins[..., None]).sum(0)[:, 0]).solution
    # Half a picture's diagonal at this distance holds whatever a camera can see of an object in its middle.
    distance = (centre - origins).norm(dim=1)
    lens = cameras.intrinsics
    reach = (distance * max(cameras.width, cameras.height) / 2**0.5 / lens[:, [0, 1], [0, 1]].amin(1)).amax()
    return centre - reach, centre + reach


def strangers(distances: Tensor, views: Views) -> Tensor:
    """`[V]` bool: which views show something else than the others, by their outlines.

    A hull covers every outline that it is made of. A view that is wrong carves what the others show, or shows what the
    others have carved; either way outlines are left uncovered. The view without which least is uncovered is left out,
    as long as that explains most of it.
    """
    count = len(views)
    wrong = torch.zeros(count, dtype=torch.bool, device=views.device)
    low, high = object_box(distances, views, spared=min(1, count - 2))
    lattice = Lattice.over(low, high, float((high - low).max()) / (SECOND - 1))
    points = lattice.points()
    outside = torch.cat([apart(distances, views.cameras, piece) > 0 for piece in torch.split(points, CHUNK)], dim=1)
    cells = [_Cells(views, index, lattice, points) for index in range(count)]

    def uncovered(left_out: Tensor) -> float:
        inside = ~(outside & ~left_out[:, None]).any(0)
        return sum(each.uncovered(inside) for each in itertools.compress(cells, ~left_out)) / int((~left_out).sum())

    now = uncovered(wrong)
    while now > UNCOVERED and int(wrong.sum()) < count // MINORITY:
        without = {index: uncovered(wrong | _only(index, wrong)) for index in range(count) if not wrong[index]}
        best = min(without, key=without.__getitem__)
        if without[best] > EXPLAINED * now:
            break
        wrong, now = wrong | _only(best, wrong), without[best]
    return wrong


def _only(index: int, like: Tensor) -> Tensor:
    one = torch.zeros_like(like)
    one[index] = True
    return one


class _Cells:
    """A view's outline in cells that are as large there as the lattice's, and the cell of each of its points."""

    def __init__(self, views: Views, index: int, lattice: Lattice, points: Tensor) -> None:
        one = views.cameras.chosen([index])
        pixels, depth = one.project(points)
        side = float(depth.mean()) / float(one.intrinsics[0, 0, 0]) / lattice.spacing
        self._size = max(int(one.height * side), 8), max(int(one.width * side), 8)
        own = functional.adaptive_avg_pool2d(views.alpha[index][None], self._size)[0]
        self._own = own / own.sum().clamp(min=1e-6)
        x, y = (pixels[0] * pixels.new_tensor([self._size[1] / one.width, self._size[0] / one.height])).long().unbind(1)
        self._seen = (x >= 0) & (y >= 0) & (x < self._size[1]) & (y < self._size[0]) & (depth[0] > 0)
        self._cell = torch.where(self._seen, y * self._size[1] + x, 0)

    def uncovered(self, inside: Tensor) -> float:
        """The share of the outline that lies more than a cell beside the points that are inside."""
        covered = torch.zeros_like(self._own).flatten()
        covered[self._cell[inside & self._seen]] = 1.0
        wide = functional.max_pool2d(covered.reshape(1, *self._size), 3, 1, 1)[0]
        return float((self._own * (1 - wide)).sum())
