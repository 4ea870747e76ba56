"""`python -m bench.decoding`: how few points the coarse-to-fine decoding asks for, and how long it takes.

Exact distances of six solids on the processor, one pass over a box of side 2, one thread. Each is decoded densely, too:
the triangles must be the same ones in the same order. Times are of the processor and without the field itself.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.shapes import Solid, ball, box, ring, standing, union
from models.isosurface import Bounds, decode, extract
from models.isosurface.marching import march
from models.isosurface.reference import decode_dense
from models.isosurface.sampling import Progress, Sampler

BOUNDS = Bounds.of(-1.0, 1.0)
HEAD = ("shape", "queries", "fewer than dense", "decode + extract")


def shapes(resolution: int) -> dict[str, Solid]:
    """The solids by their names in docs/benchmarks.md. Thin ones are so many cells thick."""
    cell = 2.0 / (resolution - 1)
    legs = [box((x, -0.48, z), (0.03, 0.47, 0.03)) for x in (-0.85, 0.85) for z in (-0.85, 0.85)]
    chair = union(box((0, 0, 0), (0.9, 0.03, 0.9)), box((-0.87, 0.45, 0), (0.03, 0.48, 0.9)), *legs)
    return {
        "plate, 1.5 cells thick": box((0.011, 0.0131, 0.007), (0.93, 0.75 * cell, 0.91)),
        "pole, 3 cells": standing((0.0131, 0.0, 0.0077), 1.5 * cell, 0.9),
        "two blobs": union(ball((-0.4, 0.0, -0.3), 0.5), ball((0.5, 0.1, 0.3), 0.42)),
        "torus": ring((0, 0, 0), 0.65, 0.25),
        "chair of boxes": chair,
        "ball, radius 0.95": ball((0, 0, 0), 0.95),
    }


class Timed:
    """A field that counts its own time."""

    def __init__(self, solid: Solid) -> None:
        self.solid = solid
        self.seconds = 0.0

    def __call__(self, points: Tensor) -> Tensor:
        began = time.process_time()
        values = self.solid(points)
        self.seconds += time.process_time() - began
        return values


@dataclass(frozen=True)
class Measured:
    """Of one solid: points that were asked for, by this way and densely, and processor seconds."""

    queries: int
    dense: int
    decode: float
    extract: float


def measured(solid: Solid, resolution: int) -> Measured:
    """Decode once. Raises AssertionError if dense decoding gives another mesh."""
    field = Timed(solid)
    began = time.process_time()
    grid = decode(field, BOUNDS, resolution)
    decoded = time.process_time()
    mesh = extract(grid)
    ended = time.process_time()
    _, faces = march(decode_dense(Sampler(solid, BOUNDS, resolution, 1_000_000), Progress(None)))
    assert np.array_equal(mesh.faces, faces), "the triangles are not those of dense decoding"
    return Measured(grid.queries, resolution**3, decoded - began - field.seconds, ended - decoded)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.decoding", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--resolution", type=int, default=257, metavar="N", help="points along each side")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"One pass at {chosen.resolution}³\n\n| {' | '.join(HEAD)} |\n{'| --- ' * len(HEAD)}|")
    for name, solid in shapes(chosen.resolution).items():
        row = measured(solid, chosen.resolution)
        times = f"{row.decode:.2f} + {row.extract:.2f} s"
        print(f"| {name} | {row.queries:,} | {row.dense / row.queries:.1f} × | {times} |", flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
