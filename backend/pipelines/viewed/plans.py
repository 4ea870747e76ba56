"""What reconstructing from views needs on the device. Predicted: none of it was measured on a card."""

from __future__ import annotations

from backend.memory import ITEM_BYTES, Plan

PIXEL_NUMBERS = 40
"""Numbers for each pixel of the views: pictures, alpha, distances to outlines, and what the texture looks up."""

CELL_NUMBERS = 60
"""For each cell of the lattice: places, distances, and what marching cubes makes of them."""

TEXEL_NUMBERS = 24
"""For each texel: its place, its corners, its colours, and the padding."""

CHUNK_NUMBERS = 60_000_000
"""For a chunk of places or texels as all views see it, and for what is in between in the network."""


def surface_plans(views: int, side: int, cells: int, texels: int) -> list[Plan]:
    """The one way of working: in 32 bit.

    Args:
        views: pictures. side: of each, pixels. cells: along the longest side. texels: of the texture, 0 for none.
    """
    numbers = PIXEL_NUMBERS * views * side**2 + CELL_NUMBERS * (cells + 8) ** 3 + TEXEL_NUMBERS * texels + CHUNK_NUMBERS
    return [Plan("whole", "32-bit, all views at once", ITEM_BYTES["float32"] * numbers, "float32")]
