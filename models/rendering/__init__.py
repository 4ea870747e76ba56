"""Triangles to pictures and colours to textures, in torch, with nothing compiled."""

from models.rendering.baking import Baked, bake
from models.rendering.cameras import Camera
from models.rendering.colours import ColourField, Texture
from models.rendering.drawing import Drawing, draw, vertex_normals
from models.rendering.preview import View, preview
from models.rendering.rasteriser import Hits, rasterise
from models.rendering.silhouettes import Edges
from models.rendering.unwrapping import NothingToUnwrap, Unwrapped, unwrap

__all__ = [
    "Baked",
    "Camera",
    "ColourField",
    "Drawing",
    "Edges",
    "Hits",
    "NothingToUnwrap",
    "Texture",
    "Unwrapped",
    "View",
    "bake",
    "draw",
    "preview",
    "rasterise",
    "unwrap",
    "vertex_normals",
]
