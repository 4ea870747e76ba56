"""`python -m bench.flexicubes`: seconds and peak memory of InstantMesh's surface extraction, beside the dense way.

Needs no weights: the decoders are those of InstantMesh-large (80 channels, 64² texels) with random numbers, added to
the distance of a ball so that there is an object of the usual size. Three ways:

- folded: what the pipeline does (`models.lrm.fields.MeshField`). Its memory is counted above the folded planes.
- sparse: the same extraction, with the networks evaluated as published.
- dense: as published. Signed distances and deformation at all vertices at once, the features of eight corners gathered
  for all cells, then weights for all of them; 16 GB for the gathering alone at 128³, so at small resolutions only.

Sparse and dense must make the same mesh. Every run is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.shapes import ball
from models.isosurface.flexicubes import (
    CubicGrid,
    DeformableField,
    DualMesh,
    Extraction,
    extract_surface,
    flexicubes,
)
from models.isosurface.flexicubes.extraction import DEFORMATION, SCALE
from models.lrm.decoders import WEIGHT_SCALE, MeshDecoder
from models.lrm.fields import MeshField
from models.lrm.triplane import sample

CHANNELS, TEXELS = 80, 64
BALL = ball((0.0, 0.0, 0.0), 0.75)
DENSE = [48, 64]
SPARSE = [48, 64, 128]
HEAD = ["grid", "way", "all", "without the field", "peak memory", "cells asked", "vertices moved", "vertices", "faces"]
STATUS = Path("/proc/self/status")
AGREES = 2e-6
"""Vertices may differ by that: matrix products may round differently with the size of the batch."""


def networks(device: torch.device, seed: int = 0) -> tuple[MeshDecoder, Tensor]:
    """Decoders and smooth planes `[3, 80, 64, 64]`; answers are as large as those of a trained network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        planes = interpolate(torch.randn(3, CHANNELS, 6, 6), (TEXELS, TEXELS), mode="bicubic")
        decoder = MeshDecoder(CHANNELS).requires_grad_(False)
    for network, factor in ((decoder.net_sdf, 4), (decoder.net_deformation, 20), (decoder.net_weight, 200)):
        for parameter in network[-1].parameters():
            parameter.mul_(factor)
    return decoder.to(device), planes.to(device)


class Published:
    """The networks on features of points, as published."""

    def __init__(self, decoder: MeshDecoder, planes: Tensor) -> None:
        self.decoder, self.planes = decoder, planes

    def signed_distance(self, points: Tensor) -> Tensor:
        values: Tensor = self.decoder.net_sdf(sample(self.planes, points))[:, 0]
        return values

    def deformation(self, points: Tensor) -> Tensor:
        moves: Tensor = self.decoder.net_deformation(sample(self.planes, points))
        return moves

    def weights(self, corners: Tensor) -> Tensor:
        features = sample(self.planes, corners.reshape(-1, 3)).reshape(len(corners), -1)
        weights: Tensor = self.decoder.net_weight(features) * WEIGHT_SCALE
        return weights


class Object:
    """A field on a ball, which adds up the seconds spent in it."""

    def __init__(self, field: DeformableField, now: Callable[[], float]) -> None:
        self._now, self.seconds = now, 0.0
        self.signed_distance = self._timed(lambda points: BALL(points) + field.signed_distance(points))
        self.deformation = self._timed(field.deformation)
        self.weights = self._timed(field.weights)

    def _timed(self, ask: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def asked(places: Tensor) -> Tensor:
            begun = self._now()
            answer = ask(places)
            self.seconds += self._now() - begun
            return answer

        return asked


def dense(decoder: MeshDecoder, planes: Tensor, resolution: int) -> DualMesh:
    """The mesh the published way: everything at once, everywhere."""
    grid = CubicGrid(resolution, SCALE)
    index = torch.arange(grid.vertices, device=planes.device).reshape(grid.shape)
    points = grid.points(index.reshape(-1))
    features = sample(planes, points)
    sdf = (BALL(points) + decoder.net_sdf(features)[:, 0]).reshape(grid.shape)
    moved = points + 1 / (resolution * DEFORMATION) * decoder.net_deformation(features).tanh()
    side = slice(0, resolution), slice(1, resolution + 1)
    corners = [index[side[j & 1], side[j >> 1 & 1], side[j >> 2]].reshape(-1) for j in range(8)]
    gathered = features[torch.stack(corners, dim=1)].reshape(resolution**3, -1)
    weights = decoder.net_weight(gathered) * WEIGHT_SCALE
    return flexicubes(moved.reshape(*grid.shape, 3), sdf, weights.reshape(*[resolution] * 3, -1))


@dataclass
class Memory:
    """Bytes of tensors on a card, or of the process (Linux only), above what they were in the beginning."""

    device: torch.device
    before: int | None = None

    def begin(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        elif STATUS.exists():
            STATUS.with_name("clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
            self.before = self._process("VmRSS")

    def above(self) -> int | None:
        if self.before is None:
            return None
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self.before
        return self._process("VmHWM") - self.before

    @staticmethod
    def _process(name: str) -> int:
        line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024


@torch.no_grad()
def run(way: str, resolution: int, name: str, output: Path) -> dict[str, Any]:
    """One extraction in this process: figures, and the mesh in a file."""
    device = torch.device(name)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    decoder, planes = networks(device)
    field = Object((MeshField if way == "folded" else Published)(decoder, planes), now)
    extract_surface(field, 8, device=device)  # kernels are chosen, and planes folded, in the first run
    memory, field.seconds = Memory(device), 0.0
    memory.begin()
    begun = now()
    found: Extraction | DualMesh
    if way == "dense":
        found = dense(decoder, planes, resolution)
        counts = {"own": None, "cells": resolution**3, "moved": (resolution + 1) ** 3}
    else:
        found = extract_surface(field, resolution, device=device)
        counts = {"cells": found.cells, "moved": found.moved}
    seconds, peak = now() - begun, memory.above()
    np.savez(output, vertices=found.vertices.cpu().numpy(), faces=found.faces.cpu().numpy())
    own = seconds - field.seconds
    sizes = {"vertices": len(found.vertices), "faces": len(found.faces)}
    return {"seconds": seconds, "own": own, "peak": peak, **sizes, **counts}


def measure(way: str, resolution: int, device: str, output: Path) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "bench.flexicubes", "--alone", way, str(resolution), str(output)]
    done = subprocess.run([*command, "--device", device], stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def difference(one: Path, other: Path) -> float:
    """The largest difference between the vertices of two meshes; infinite where their faces differ."""
    with np.load(one) as a, np.load(other) as b:
        if a["vertices"].shape != b["vertices"].shape or not np.array_equal(a["faces"], b["faces"]):
            return float("inf")
        return float(np.abs(a["vertices"] - b["vertices"]).max(initial=0.0))


def line(way: str, resolution: int, found: dict[str, Any]) -> str:
    own = "" if found["own"] is None else f"{found['own']:.2f} s"
    peak = "–" if found["peak"] is None else f"{found['peak'] / 1e6:,.0f} MB"
    cells = [f"{resolution}³", way, f"{found['seconds']:.2f} s", own, peak]
    return f"| {' | '.join([*cells, *(f'{found[name]:,}' for name in ('cells', 'moved', 'vertices', 'faces'))])} |"


def compare(sparse: list[int], dense_too: list[int], device: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Prints the table; figures by way and resolution.

    Raises:
        SystemExit: the two ways do not make the same mesh.
    """
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    found: dict[str, dict[int, dict[str, Any]]] = {"folded": {}, "sparse": {}, "dense": {}}
    with tempfile.TemporaryDirectory() as folder:
        for resolution in sorted({*sparse, *dense_too}):
            for way in ("folded", "sparse", "dense")[: 3 if resolution in dense_too else 2]:
                figures = measure(way, resolution, device, Path(folder) / f"{way}.npz")
                found[way][resolution] = figures
                lines.append(line(way, resolution, figures))
            if resolution in dense_too:
                by = difference(Path(folder) / "sparse.npz", Path(folder) / "dense.npz")
                if not by <= AGREES:
                    raise SystemExit(f"The two ways disagree at {resolution}³: vertices differ by {by:.1e}.")
                print(f"{resolution}³: the same faces, vertices {f'within {by:.0e}' if by else 'to the last bit'}.")
    print("\n".join(lines))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flexicubes", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sparse", type=int, nargs="+", default=SPARSE, metavar="N", help="cells along each axis")
    parser.add_argument(
        "--dense", type=int, nargs="*", default=DENSE, metavar="N", help="both ways; memory grows as N³"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--alone", nargs=3, metavar=("WAY", "N", "FILE"), help="one run in this process, as JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    if chosen.alone:
        way, resolution, output = chosen.alone
        print(json.dumps(run(way, int(resolution), chosen.device, Path(output))))
        return
    found = compare(chosen.sparse, chosen.dense, chosen.device)
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        part = chosen.json.with_suffix(".part")
        part.write_text(json.dumps(found, indent=1), encoding="utf-8")
        part.replace(chosen.json)


if __name__ == "__main__":
    main()
