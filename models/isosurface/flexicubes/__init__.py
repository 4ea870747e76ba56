"""FlexiCubes: a signed distance on a grid to triangles whose vertices a network may shift within their cells.

Shen et al., "Flexible Isosurface Extraction for Gradient-Based Mesh Optimization", ACM Transactions on Graphics 42 (4),
2023, as InstantMesh uses it at inference. `extract_surface` asks a field only where its surface is; `flexicubes` takes
arrays that are already there.
"""

from models.isosurface.flexicubes.dual import DualMesh, flexicubes
from models.isosurface.flexicubes.extraction import Extraction, extract_surface, repair, signed_distances
from models.isosurface.flexicubes.field import DeformableField
from models.isosurface.flexicubes.grid import CubicGrid
from models.isosurface.flexicubes.topology import SurfaceCells, surface_cells

__all__ = [
    "CubicGrid",
    "DeformableField",
    "DualMesh",
    "Extraction",
    "SurfaceCells",
    "extract_surface",
    "flexicubes",
    "repair",
    "signed_distances",
    "surface_cells",
]
