"""From a field to its mesh: signed distances everywhere, deformation and weights only where the surface is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.isosurface.flexicubes.dual import WEIGHT_SCALE, Weights, build
from models.isosurface.flexicubes.field import WEIGHTS, DeformableField
from models.isosurface.flexicubes.grid import CubicGrid
from models.isosurface.flexicubes.topology import connect, surface_cells
from models.isosurface.sampling import FieldError, Progress, Report

RESOLUTION, SCALE, DEFORMATION = 128, 2.1, 4.0
"""InstantMesh's grid: cells along an axis, edge length, and the part of a cell's share of it a vertex may move."""

CHUNK = 1 << 15
"""Points at once; a cell's weights count as the eight points of its corners."""


@dataclass(frozen=True)
class Extraction:
    """A mesh and how it was found.

    Attributes:
        vertices: `[V, 3]` float32 in the units of the grid.
        faces: `[F, 3]` int64, counter-clockwise seen from outside.
        empty: the field had no surface within the grid. The mesh is then what the published repair makes of it, a shell
            along the border or a tiny hole, and means nothing.
        cells: how many cells the surface passes.
        moved: how many grid vertices the deformation was asked for.
    """

    vertices: Tensor
    faces: Tensor
    empty: bool
    cells: int
    moved: int


class Questions:
    """Asks a field in chunks; its answers become float32 on one device."""

    def __init__(self, chunk: int, device: torch.device, progress: Progress) -> None:
        if chunk < 1:
            raise ValueError(f"A chunk needs one point, not {chunk}.")
        self.chunk, self.device, self.progress = chunk, device, progress

    def ask(
        self,
        what: Callable[[Tensor], Tensor],
        places: Callable[[int, int], Tensor],
        count: int,
        width: int,
        *,
        points: int = 1,
    ) -> Tensor:
        """Answers `[count, width]`, one row for each of `count` places.

        Args:
            what: places `[N, ...]` -> answers with N * width numbers.
            places: from and to which number -> the places.
            count: how many places there are.
            width: numbers per place.
            points: points that a place consists of.

        Raises:
            FieldError: another number of answers, or one that is not finite.
        """
        answers = torch.empty(count, width, dtype=torch.float32, device=self.device)
        step = max(self.chunk // points, 1)
        done = self.progress.batch(max(count, 1))
        for start in range(0, count, step):
            stop = min(start + step, count)
            answer = what(places(start, stop))
            if answer.numel() != (stop - start) * width:
                raise FieldError(f"The field returned {tuple(answer.shape)} for {stop - start} places of {width} each.")
            answers[start:stop] = answer.reshape(-1, width).to(self.device, torch.float32)
            if not bool(torch.isfinite(answers[start:stop]).all()):
                raise FieldError("The field returned a value that is not a finite number.")
            done(stop)
        return answers


def signed_distances(field: DeformableField, grid: CubicGrid, questions: Questions) -> Tensor:
    """The value at every vertex of the grid, as the array of its shape."""

    def places(start: int, stop: int) -> Tensor:
        return grid.points(torch.arange(start, stop, device=questions.device))

    return questions.ask(field.signed_distance, places, grid.vertices, 1).reshape(grid.shape)


def repair(sdf: Tensor) -> tuple[Tensor, bool]:
    """Values `[R + 1, R + 1, R + 1]` that have a surface, and whether they had none: the published repair.

    Looked at is everything but the outermost layer. Without a positive or without a negative value there, one vertex
    near the middle becomes 1 - minimum and the two outer layers on each side become -1 - maximum of all values.
    """
    inner = sdf[1:-1, 1:-1, 1:-1]
    if bool((inner > 0).any()) and bool((inner < 0).any()):
        return sdf, False
    update = torch.zeros_like(sdf)
    update[:] = -1 - sdf.max()
    update[2:-2, 2:-2, 2:-2] = 0
    centre = (len(sdf) - 1) // 2 + 1
    update[centre, centre, centre] = 1 - sdf.min()
    return torch.where(update == 0, sdf, update), True  # an update that happens to be zero leaves the value


def extract_surface(
    field: DeformableField,
    resolution: int = RESOLUTION,
    scale: float = SCALE,
    *,
    deformation_multiplier: float = DEFORMATION,
    weight_scale: float = WEIGHT_SCALE,
    chunk: int = CHUNK,
    device: torch.device | None = None,
    progress: Report | None = None,
) -> Extraction:
    """The mesh of a field, number by number that of the published dense evaluation.

    Deformation is asked for at the ends of crossed edges only, weights for the cells that the surface passes only.
    They lie at 1 to 3 % of a 128³ grid; the dense evaluation gathers 16 GB for the weights alone.

    The vertices have the gradients of all three answers, unless the caller has switched gradients off: then memory does
    not grow with the number of chunks. Which triangles there are follows from signs and has none.

    Args:
        field: the shape.
        resolution: cells along each axis, 5 to 512.
        scale: edge length of the grid around the origin.
        deformation_multiplier: a grid vertex moves by at most 1 / (resolution * this) along each axis.
        weight_scale: how far weights may go from their middle, 0 to 1.
        chunk: points handed to the field at once; the memory the field needs grows with it.
        device: where points and mesh are made; None for the CPU.
        progress: is told the fraction done, 0 to 1, never falling; an exception from it ends the work.

    Raises:
        FieldError: the field returned too few values or values that are not finite.
        ValueError: a parameter is out of range.
    """
    grid, meter = CubicGrid(resolution, scale), Progress(progress)
    questions = Questions(chunk, device or torch.device("cpu"), meter)
    meter.stage(0.85)
    sdf, empty = repair(signed_distances(field, grid, questions))
    cells = surface_cells(sdf)
    topology = connect(cells, sdf)

    needed = torch.zeros(grid.vertices, dtype=torch.bool, device=sdf.device)
    needed[topology.ends.reshape(-1)] = True
    index = needed.nonzero()[:, 0]
    meter.stage(0.9)
    raw = questions.ask(field.deformation, lambda start, stop: grid.points(index[start:stop]), len(index), 3)
    points = grid.points(index) + 1 / (resolution * deformation_multiplier) * raw.tanh()
    meter.stage(1.0)
    bounded = Weights.bounded(
        questions.ask(
            field.weights,
            lambda start, stop: grid.corners(cells.index[start:stop]),
            len(cells.index),
            WEIGHTS,
            points=8,
        ),
        weight_scale,
    )
    ends = torch.searchsorted(index, topology.ends)
    vertices, faces = build(topology, points[ends], sdf.reshape(-1)[topology.ends], bounded)
    meter.finish()
    return Extraction(vertices, faces, empty, len(cells.index), len(index))
