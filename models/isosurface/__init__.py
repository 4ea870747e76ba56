"""From a field to triangles: any function from points to values, sampled only where its surface is."""

from models.isosurface.coarse_to_fine import decode, locate
from models.isosurface.marching import Triangles, extract
from models.isosurface.meshing import surface
from models.isosurface.sampling import Bounds, EmptySurface, Field, FieldError
from models.isosurface.sparse import SparseGrid

__all__ = [
    "Bounds",
    "EmptySurface",
    "Field",
    "FieldError",
    "SparseGrid",
    "Triangles",
    "decode",
    "extract",
    "locate",
    "surface",
]
