"""What result.json says about a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import trimesh

from backend.scene import Mesh


@dataclass(frozen=True)
class MeshStatistics:
    """bodies: parts joined by no edge. watertight: closed, with every face turned the same way round.

    volume: cubic metres, negative for a surface turned inside out; meaningless unless watertight.
    """

    vertices: int
    faces: int
    bodies: int
    watertight: bool
    volume: float


def measure(mesh: Mesh) -> MeshStatistics:
    """Measure a mesh as it is: no vertex is merged, no face removed."""
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    return MeshStatistics(
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        bodies=int(surface.body_count),
        watertight=bool(surface.is_watertight and surface.is_winding_consistent),
        volume=float(surface.volume),
    )
