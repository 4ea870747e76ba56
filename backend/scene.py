"""What a pipeline returns: one textured mesh per instance, standing in the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Mesh:
    """A triangle mesh.

    vertices: (V, 3) float, metres, Z up.
    faces: (F, 3) int, counter-clockwise seen from outside.
    uv: (V, 2) float in glTF's convention, (0, 0) the upper left corner of the texture; None without texture.
    texture: HxWx3 uint8 sRGB, or HxWx4 where its holes are kept: the fourth is coverage; None without texture.
    colours: (V, 3) uint8 sRGB, one per vertex, where there is no texture; None without.
    alpha_cutoff: share of coverage below which a texture of four channels has a hole; None where it is gradual.

    One vertex is one point of the closed surface: a texture seam inside it is made by splitting at export,
    through `corner_uv` (F, 3, 2), which replaces `uv` where set.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    uv: NDArray[np.float64] | None = None
    corner_uv: NDArray[np.float64] | None = None
    texture: NDArray[np.uint8] | None = None
    colours: NDArray[np.uint8] | None = None
    alpha_cutoff: float | None = None


@dataclass
class Prop:
    """One instance as a mesh. The mesh is in its own axes, those of its block-out where there is one, otherwise Z up:
    origin at the bottom centre, scale applied.

    world_from_prop: rigid 4x4, its place in the world.
    placement: how the place was found: "depth", "ground" or "assumed" (see backend/placement.py).
    """

    instance: int
    name: str
    mesh: Mesh
    world_from_prop: NDArray[np.float64]
    placement: str
    quality: dict[str, Any] = field(default_factory=dict)

    def world_vertices(self) -> NDArray[np.float64]:
        """(V, 3) in the world."""
        matrix = self.world_from_prop
        return self.mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass
class Scene:
    """The props of one shot, in the order of their instance ids.

    record: what the pipeline measured of the whole, for result.json (JSON, NumPy's numbers allowed).
    """

    props: list[Prop]
    record: dict[str, Any] = field(default_factory=dict)
