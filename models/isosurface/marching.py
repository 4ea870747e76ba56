"""Triangles of a sparse grid: the marching cubes of Lewiner et al. (2003) in scikit-image, slab by slab.

The slabs are filled with the right sign far from the surface, so each gives exactly the triangles that the same
slab of a dense evaluation gives, in the same order. At 257 the lattice is one slab and nothing is joined; finer
lattices never exist as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.measure import marching_cubes

from models.isosurface.sampling import Bounds, EmptySurface
from models.isosurface.sparse import SparseGrid

SLAB_POINTS = 257**3


@dataclass(frozen=True)
class Triangles:
    """A triangle mesh in the units of the field.

    Attributes:
        vertices: `[V, 3]` float32, x y z.
        faces: `[F, 3]` int32, counter-clockwise seen from outside.
        bounds: the box that was looked at; the mesh is open where the surface leaves it.
        resolution: lattice points along each axis.
        queries: how many field values were asked for.
    """

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    bounds: Bounds
    resolution: int
    queries: int


def extract(grid: SparseGrid, slab_points: int = SLAB_POINTS) -> Triangles:
    """The zero set of a decoded grid.

    Args:
        grid: what `decode` returned.
        slab_points: most lattice points to hold as a dense array (4 bytes each); a slab of one block is the least.

    Raises:
        EmptySurface: the grid has one sign throughout.
    """
    planes = max(slab_points // grid.resolution**2 // grid.edge, 1) * grid.edge
    last = grid.resolution - 1
    vertices: list[npt.NDArray[np.float32]] = []
    faces: list[npt.NDArray[np.int32]] = []
    seam = _Seam()
    total = 0
    start = 0
    while start < last:
        # A remainder of one block or less joins the slab before it: at 257 the last plane is a block of its own.
        stop = last if last - start <= planes + grid.edge else start + planes
        volume = grid.slab(start, stop + 1).cpu().numpy()
        new_vertices, new_faces = march(volume)
        kept, number = seam.join(new_vertices, total, stop - start)
        vertices.append(new_vertices[kept] + np.array([start, 0, 0], dtype=np.float32))
        faces.append(number[new_faces])
        total += int(kept.sum())
        start = stop
    if not total:
        raise EmptySurface(inside=bool(grid.coarse.flatten()[0] <= 0))
    scale = grid.spacing
    world = np.concatenate(vertices) * scale + np.asarray(grid.bounds.minimum)
    return Triangles(world.astype(np.float32), np.concatenate(faces), grid.bounds, grid.resolution, grid.queries)


def march(volume: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Vertices `[V, 3]` in lattice units and faces `[F, 3]` of the zero set; both empty where there is none."""
    if volume.min() > 0 or volume.max() <= 0:
        return np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
    vertices, faces, _, _ = marching_cubes(volume, 0.0)  # type: ignore[no-untyped-call]
    return vertices, faces


class _Seam:
    """Recognises, on the plane that two slabs share, the vertices that the first slab already made."""

    def __init__(self) -> None:
        self._places = np.empty((0, 2), dtype=np.float32)
        self._numbers = np.empty(0, dtype=np.int32)

    def join(
        self, vertices: npt.NDArray[np.float32], first: int, height: int
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32]]:
        """Which vertices `[V]` of the next slab are new, and the number of each vertex `[V]` in the whole mesh.

        A vertex on the shared plane lies on an edge of that plane and has bit-identical coordinates in both slabs.

        Args:
            first: the number of the first new vertex.
            height: x of the slab's last plane, in lattice units from its first.
        """
        kept = np.ones(len(vertices), dtype=bool)
        number = np.empty(len(vertices), dtype=np.int32)
        bottom = np.flatnonzero(vertices[:, 0] == 0)
        if len(bottom) and len(self._places):
            both = np.concatenate([self._places, vertices[bottom, 1:]])
            _, earliest, group = np.unique(both, axis=0, return_index=True, return_inverse=True)
            source = earliest[group.reshape(-1)[len(self._places) :]]
            known = source < len(self._places)
            kept[bottom[known]] = False
            number[bottom[known]] = self._numbers[source[known]]
        number[kept] = first + np.arange(kept.sum(), dtype=np.int32)
        top = np.flatnonzero(vertices[:, 0] == height)
        self._places, self._numbers = vertices[top, 1:], number[top]
        return kept, number
