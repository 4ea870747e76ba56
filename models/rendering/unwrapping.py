"""A surface laid flat: charts side by side in a square, by the library uvunwrap.

uvunwrap (https://github.com/archonic/uvunwrap, MIT) grows charts over triangles that face alike, flattens each with
least squares conformal maps (Lévy et al., 2002), splits what folds or stretches, and packs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import uvunwrap
from torch import Tensor

SHAPED = 500
"""Up to so many charts are laid as close as their shapes allow, which gives each up to a third more texels; with
thousands it would take longer than all the rest."""


class NothingToUnwrap(ValueError):
    """The mesh has no triangle with an area."""


@dataclass(frozen=True)
class Unwrapped:
    """A mesh with texture coordinates. Vertices on seams are there once per chart.

    Attributes:
        vertex: `[W]` int64, the vertex of the mesh that each vertex here stands for.
        uv: `[W, 2]` float32 in glTF's convention: (0, 0) is the upper left corner of the texture.
        faces: `[F, 3]` int64, indices into `vertex` and `uv`: the triangles of the mesh in their order.
        charts: how many pieces the surface was cut into.
    """

    vertex: Tensor
    uv: Tensor
    faces: Tensor
    charts: int


def unwrap(vertices: Tensor, faces: Tensor, size: int = 2048, padding: int = 8) -> Unwrapped:
    """Lay a mesh flat. The same mesh gives the same bytes.

    All charts have one scale, the largest that fits. Triangles without an area lie where their corners lie, or in the
    corner of the texture.

    Args:
        vertices: `[V, 3]`, any units, any device. faces: `[F, 3]`; the surface may be open, in pieces, or touch itself.
        size: side of the texture, texels.
        padding: empty texels around each chart: charts lie twice as far apart, and so far from the border.

    Returns:
        On the device of `vertices`.

    Raises:
        NothingToUnwrap: no triangle has an area.
        ValueError: a number is not finite or out of range, or there is no room for so many charts.
    """
    if size < 1 or padding < 0 or 2 * padding >= size:
        raise ValueError(f"A texture of {size} texels has no room for charts with {padding} texels around them.")
    points = np.ascontiguousarray(vertices.detach().cpu().numpy(), dtype=np.float32)
    triangles = faces.detach().cpu().numpy().astype(np.int64)
    if not np.isfinite(points).all():
        raise ValueError("The mesh has a vertex at a place that is not finite.")
    if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(points):
        raise ValueError(f"A face names a vertex that is not among the {len(points)}.")
    try:
        vertex, uv, corners, charts = _laid_out(points, triangles, size, padding)
    except uvunwrap.UnwrapError as error:
        raise ValueError(f"The mesh could not be laid flat: {error}.") from error
    uv[:, 1] = 1 - uv[:, 1]  # v goes up in Blender: there, no chart is mirrored
    return Unwrapped(
        vertex=torch.from_numpy(vertex).to(vertices.device),
        uv=torch.from_numpy(uv.astype(np.float32)).to(vertices.device),
        faces=torch.from_numpy(corners).to(vertices.device),
        charts=charts,
    )


def _laid_out(
    points: npt.NDArray[np.float32], triangles: npt.NDArray[np.int64], size: int, padding: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64], int]:
    """Vertices `[W]`, their places `[W, 2]` in the square with v up, triangles `[F, 3]` and the number of charts."""
    mesh = uvunwrap.Mesh(points, np.ascontiguousarray(triangles, dtype=np.uint32))
    atlas = uvunwrap.generate([mesh], page_size=size, padding=padding, packing="fast")
    if not atlas.chart_count:
        raise NothingToUnwrap("The mesh has no triangle with an area, so there is nothing to lay flat.")
    vertex, uv, corners = _arrays(atlas, size)
    if atlas.chart_count <= SHAPED:
        # The same charts, laid closer.
        mesh = uvunwrap.Mesh(
            np.ascontiguousarray(points[vertex]),
            np.ascontiguousarray(corners, dtype=np.uint32),
            existing_uvs=np.ascontiguousarray(uv * size, dtype=np.float32),
        )
        closer = uvunwrap.generate([mesh], page_size=size, padding=padding, packing="shape")
        if closer.texels_per_unit > atlas.texels_per_unit:
            atlas = closer
            again, uv, corners = _arrays(closer, size)
            vertex = vertex[again]
    return vertex, uv, corners, atlas.chart_count


def _arrays(
    atlas: uvunwrap.Atlas, size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    flat = atlas.meshes[0]
    # Pages may be lower than they are wide; the texture stays square.
    uv = np.asarray(flat.uv, dtype=np.float64).reshape(-1, 2) * (atlas.width / size, atlas.height / size)
    return np.asarray(flat.xref).astype(np.int64), uv, np.asarray(flat.indices).astype(np.int64).reshape(-1, 3)
