"""`python -m bench.rasterising`: pictures with gradients beside pictures without, of the same mesh in the same run.

Rows: what covers each pixel (`rasterise`, without any gradient), the same with colours and normals (`preview`), the
picture with gradients (`draw`), and that with the way back to every vertex and colour. The first is the floor of the
others: all begin with it. A picture with gradients and its way back may take `BAR` times the floor, and what it holds
above the floor's own is counted by the pixels that are covered, whatever the number of triangles.

Memory is the process's own and told on Linux, or the card's. Every row is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.flexicubes import Memory
from bench.texture import bumpy_torus
from models.lrm.cameras import spherical_poses
from models.rendering import Camera, Edges, draw, preview, rasterise

WAYS = {
    "covered": "what covers each pixel, no gradients",
    "preview": "colours and normals, no gradients",
    "draw": "with gradients, there",
    "back": "with gradients, there and back",
}
HEAD = ("triangles", "picture", "what", "seconds", "by the floor", "peak memory", "a covered pixel")
TRIANGLES, SIDES = (20_000, 200_000, 800_000), (512, 1024)
BAR = 6.0
"""Times the floor that a picture with gradients may take, there and back."""


def work(way: str, vertices: Tensor, faces: Tensor, edges: Edges, camera: Camera, side: int) -> Callable[[], int]:
    """One picture; it gives back how many pixels are covered."""
    colours = (vertices + 1) / 2

    def covered() -> int:
        return len(rasterise(camera.clip(vertices), faces, side, side).pixel)

    def looked_at() -> int:
        return int((preview(vertices, faces, camera, lambda places: (places + 1) / 2, width=side).mask > 0).sum())

    def drawn(back: bool) -> int:
        leaf, shades = vertices.clone().requires_grad_(), colours.clone().requires_grad_()
        seen = draw(leaf, faces, camera, shades, width=side, edges=edges)
        if back:
            loss: Any = seen.colour.square().sum() + seen.normals.sum() + seen.alpha.sum()
            loss.backward()
        return len(seen.hits.pixel)

    return {"covered": covered, "preview": looked_at}.get(way, lambda: drawn(way == "back"))


def run(way: str, triangles: int, side: int, name: str, repeats: int) -> dict[str, Any]:
    """One row in this process: the median of its seconds, and what it took at most above the mesh."""
    device = torch.device(name)
    along = round((triangles / 4) ** 0.5)
    vertices, faces = (part.to(device) for part in bumpy_torus(2 * along, along))
    camera = Camera.perspective(spherical_poses([25.0], [40.0], 4.0)[0], 32.0)
    once = work(way, vertices, faces, Edges.of(faces), camera, side)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    once()  # kernels are chosen, and memory is taken from the system, in the first run
    memory, seconds, pixels = Memory(device), [], 0
    memory.begin()
    for _ in range(repeats):
        begun = now()
        pixels = once()
        seconds.append(now() - begun)
    return {"seconds": statistics.median(seconds), "peak": memory.above(), "pixels": pixels, "faces": len(faces)}


def measure(way: str, triangles: int, side: int, device: str, repeats: int) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "bench.rasterising", "--alone", way, str(triangles), str(side)]
    options = ["--device", device, "--repeats", str(repeats)]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def line(way: str, side: int, found: dict[str, Any], floor: float) -> str:
    peak, a_pixel = "–", "–"
    if found["peak"] is not None:
        peak, a_pixel = f"{found['peak'] / 1e6:,.0f} MB", f"{found['peak'] / found['pixels']:,.0f} bytes"
    times = f"{found['seconds'] / floor:.1f}"
    cells = [f"{found['faces']:,}", f"{side}²", WAYS[way], f"{found['seconds']:.3f} s", times, peak, a_pixel]
    return f"| {' | '.join(cells)} |"


def verdict(figures: Sequence[dict[str, Any]]) -> str:
    """Whether the bar is held by all meshes and sizes."""
    worst = max(row["back"]["seconds"] / row["covered"]["seconds"] for row in figures)
    held = "is held" if worst <= BAR else "is NOT held"
    return f"There and back takes {worst:.1f} times the floor at most; the bar of {BAR:g} {held}."


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rasterising", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--triangles", type=int, nargs="+", default=TRIANGLES, metavar="N", help="of the mesh, about")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, metavar="N", help="pixels along a side")
    parser.add_argument("--repeats", type=int, default=5, help="pictures a row; the median counts")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--alone", nargs=3, metavar=("WAY", "N", "SIDE"), help="one row in this process, as JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    if chosen.alone:
        way, triangles, side = chosen.alone
        print(json.dumps(run(way, int(triangles), int(side), chosen.device, chosen.repeats)))
        return
    lines, figures = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"], []
    for triangles in chosen.triangles:
        for side in chosen.sides:
            found = {way: measure(way, triangles, side, chosen.device, chosen.repeats) for way in WAYS}
            lines += [line(way, side, found[way], found["covered"]["seconds"]) for way in WAYS]
            figures.append({"side": side, **found})
    print("\n".join([*lines, verdict(figures)]))
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        part = chosen.json.with_suffix(".part")
        part.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        part.replace(chosen.json)


if __name__ == "__main__":
    main()
