"""A field to triangles in one call: first where the surface is, then what it looks like."""

from __future__ import annotations

import torch

from models.isosurface.coarse_to_fine import CHUNK, COARSE, MARGIN, decode, locate
from models.isosurface.marching import Triangles, extract
from models.isosurface.reference import reference_surface
from models.isosurface.sampling import Bounds, Field, Report, part

LOCATE_RESOLUTION = 129


def surface(
    field: Field,
    bounds: Bounds,
    resolution: int = 257,
    *,
    passes: int = 2,
    coarse: int = COARSE,
    margin: float = MARGIN,
    chunk: int = CHUNK,
    device: torch.device | None = None,
    progress: Report | None = None,
    reference: bool = False,
) -> Triangles:
    """The zero set of a field.

    Args:
        field: points `[P, 3]` float32 -> P values, negative or zero inside.
        bounds: the box to look at first.
        resolution: lattice points along each axis, 2 to 513; 129, 257, 385 and 513 are most efficient (see `decode`).
        passes: 2 finds the box of the surface first and spends the whole resolution on that box, so that a small
            object is as finely resolved as a large one; 1 stays with `bounds`.
        coarse: lattice points of the first, complete evaluation of each pass; more of them find smaller pieces of a
            field that is flat away from its surface (see `decode`).
        margin: safety factor on how fast the field may change.
        chunk: points handed to the field at once; the memory the field needs grows with it.
        device: where points are made; None for the CPU. The triangles are made on the CPU.
        progress: is told the fraction of the queries done, 0 to 1, never falling; an exception from it ends the work.
        reference: do as MIDI's published code does (`reference`): dense, smoothed, 1 / resolution too small.
            `coarse` and `margin` mean nothing then.

    Returns:
        Triangles facing outwards, in the units of the field. Open where the surface leaves the box.

    Raises:
        EmptySurface: there is no surface; the object is to be left out.
        FieldError: the field returned too few values or values that are not finite.
        ValueError: a parameter is out of range.
    """
    if passes not in (1, 2):
        raise ValueError(f"There are 1 or 2 passes, not {passes}.")
    if reference:
        return reference_surface(
            field, bounds, resolution, passes=passes, chunk=chunk, device=device, progress=progress
        )
    queries, begun = 0, 0.0
    if passes == 2:
        begun = 0.25
        bounds, queries = locate(
            field,
            bounds,
            min(resolution, LOCATE_RESOLUTION),
            coarse=coarse,
            margin=margin,
            chunk=chunk,
            device=device,
            progress=part(progress, 0.0, begun),
        )
    grid = decode(
        field,
        bounds,
        resolution,
        coarse=coarse,
        margin=margin,
        chunk=chunk,
        device=device,
        progress=part(progress, begun, 1.0),
    )
    grid.queries += queries
    return extract(grid)
