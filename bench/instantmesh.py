"""`python -m bench.instantmesh`: seconds and peak memory of InstantMesh's stages, the surface beside the dense way.

Needs no weights: the networks are random and as large as the published ones. What follows the views is run; the views
themselves are counted in operations on the meta device, with the memory that the plans predict, because one photo takes
hours on a CPU. Every measurement is a process of its own, so that none finds the memory of another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from backend.devices import Device
from backend.pipelines.instantmesh.plans import view_plans
from backend.pipelines.instantmesh.turntable import FRAMES
from bench import flexicubes
from bench.instantmesh_sizes import PARAMETERS
from bench.instantmesh_stages import FILMED, SIZES, Size, operations, reconstruction

MEMORY_BAR = 1.5e9
"""Bytes above the weights that the reconstruction at the published size may take; the published code takes 16 GB."""

DENSE = [64]
TITLES = {
    "encode": "six views to planes",
    "surface": "planes to surface",
    "clean": "clean and decimate",
    "texture": "unwrap and bake",
    "turntable": f"turntable of {FRAMES} pictures, reckoned from {FILMED}",
}
"""The rows, by the names of docs/benchmarks.md."""


def measure(size: str, device: str) -> dict[str, Any]:
    """`reconstruction` in a process of its own."""
    command = [sys.executable, "-m", "bench.instantmesh", "--alone", "--config", size, "--device", device]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def stages_table(figures: dict[str, Any] | None) -> str:
    """A Markdown table; without figures it says that nothing was run."""
    lines = [["stage", "time", "processor time", "peak memory above what was there"], ["---"] * 4]
    for name, title in TITLES.items():
        if figures is None:
            lines.append([title, *["not run"] * 3])
            continue
        stage = figures["stages"][name]
        peak = "–" if stage["peak"] is None else f"{stage['peak'] / 1e9:.2f} GB"
        lines.append([title, f"{stage['seconds']:.1f} s", f"{stage['processor']:.1f} s", peak])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def views_table(counts: dict[str, float]) -> str:
    """Operations of each part at the published size."""
    lines = [["views, published size", "TFLOP", "time"], ["---"] * 3]
    lines += [[name, f"{count:.2f}" if count < 100 else f"{count:.0f}", "not run"] for name, count in counts.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plans_table() -> str:
    """What the memory plans predict for the making of views, 16 bit."""
    lines = [["plan on a graphics card", "predicted memory", "measured"], ["---"] * 3]
    card = Device("cuda", "Card", 0, 0, bfloat16=True)
    lines += [[plan.sentence, f"{plan.needs_bytes / 1e9:.2f} GB", "not run"] for plan in view_plans(PARAMETERS, card)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def verdict(figures: dict[str, Any]) -> str:
    """The bar, and whether it was held."""
    peaks, weights = [figures["stages"][name]["peak"] for name in ("encode", "surface")], figures["sizes"]["weights"]
    if None in peaks:
        return "This system does not tell the peak memory of a process."
    peak = max(peaks)
    held = "held" if peak <= MEMORY_BAR else "NOT held"
    return (
        f"Reconstruction: {peak / 1e9:.2f} GB above {weights / 1e9:.2f} GB of weights;"
        f" the bar of {MEMORY_BAR / 1e9} GB is {held}."
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instantmesh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", choices=list(SIZES), default="official")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument(
        "--dense", type=int, nargs="*", default=DENSE, metavar="N", help="grids on which the dense way is run, too"
    )
    parser.add_argument("--alone", action="store_true", help="the stages in this process, as JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    size: Size = SIZES[chosen.config]
    if chosen.alone:
        stages, sizes = reconstruction(size, chosen.device)
        print(json.dumps({"stages": {name: asdict(stage) for name, stage in stages.items()}, "sizes": sizes}))
        return
    threads = torch.get_num_threads()
    print(
        f"InstantMesh, {chosen.config} configuration, {chosen.device}, {threads} threads, PyTorch {torch.__version__}"
    )
    if chosen.config != "official":
        print(f"*** The {chosen.config.upper()} configuration: these are NOT the times of the published networks. ***")
    print(f"Grid of {size.resolution}³, {size.faces:,} triangles, texture of {size.texture}². Random weights, 32 bit.")
    print("Memory of the first two stages counts above the libraries and the weights, of the others above their begin.")
    print(f"{FILMED} pictures of the turntable are drawn, all of them reckoned, without encoding.", flush=True)
    figures = measure(chosen.config, chosen.device)
    print(stages_table(figures))
    sizes = figures["sizes"]
    print(f"{sizes['surface']:,} triangles of the surface, {sizes['faces']:,} in the end, {sizes['charts']:,} charts.")
    print(verdict(figures), flush=True)
    if chosen.device == "cpu":
        print("\nOn a graphics card:")
        print(stages_table(None))
    print()
    dense = flexicubes.compare([], chosen.dense, chosen.device) if chosen.dense else {}
    counts = operations()
    print(f"\n{views_table(counts)}\n\n{plans_table()}")
    if chosen.json:
        settings = {"configuration": chosen.config, "device": chosen.device}
        _write(chosen.json, {**settings, **figures, "dense": dense, "operations": counts})


def _write(path: Path, figures: dict[str, Any]) -> None:
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
    document = {"machine": machine, "date": datetime.now(UTC).date().isoformat(), **figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1), encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main()
