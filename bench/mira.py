"""`python -m bench.mira`: seconds, points and peak memory of OpenLRM's and MIRA's stages, beside the published way.

Needs no weights: the networks are random, as large as `openlrm-base-1.1`, and their field is a closed surface. The
published way asks for density and colour at every point of the lattice and at every sample of every ray; it is reckoned
from a part of the work, which is the same for every object. Every measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench import mira_stages
from bench.mira_stages import SIZES, Size
from models.lrm.cameras import ORBIT_VIEWS
from models.lrm.decoding import SINGLE_VIEW_THRESHOLD

POINTS_BAR, FILM_BAR, MEMORY_BAR, COLOUR_BAR = 8.0, 2.5, 1e9, 2 / 255
"""How many times fewer points a mesh and a film ask for, bytes above the weights that a mesh takes, and by how much a
colour of the film may differ."""

SAME = 1e-4
"""How far apart two meshes may be that are the same but for rounding, in a box of side 2."""

TITLES = {
    "encode": "picture to tokens",
    "planes": "tokens to planes",
    "mesh": "planes to mesh",
    "mesh published": "planes to mesh, published way",
    "video": "film",
    "video published": "film, published way",
    "training": "a training step, rays in chunks",
    "training whole": "a training step, rays all at once",
}
"""The rows, by the names of docs/benchmarks.md."""

PLANES, MESH = "planes.pt", "mesh.pt"
PARTS = ("networks", "mesh", "mesh published", "video", "video published", "training", "training whole")


def alone(part: str, size: Size, device: torch.device, planes: Path, mesh: Path, whole: bool) -> dict[str, Any]:
    """One measurement in this process. planes, mesh: files, of "networks" and of "mesh"."""
    if part == "networks":
        return mira_stages.networks(size, device, planes)
    if part == "mesh":
        return mira_stages.mesh(size, device, planes, mesh)
    if part == "mesh published":
        return mira_stages.published_mesh(size, device, planes, mesh if whole else None)
    if part == "video":
        return mira_stages.video(size, device, planes)
    if part == "video published":
        return mira_stages.published_video(size, device, planes)
    return mira_stages.training(size, device, chunked=part == "training")


def measure(amount: str, device: str, whole: bool, together: bool) -> dict[str, dict[str, Any]]:
    """All measurements by part, each in a process of its own, or all in this one."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / PLANES, Path(folder) / MESH
        for part in PARTS:
            if together:
                figures[part] = alone(part, SIZES[amount], torch.device(device), *files, whole)
                continue
            command = [sys.executable, "-m", "bench.mira", "--alone", part, folder, "--amount", amount]
            command += ["--device", device, *(["--whole"] if whole else [])]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            figures[part] = json.loads(done.stdout)
    return figures


def rows(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Stages by the keys of `TITLES`, each with its figures and the points that it asked for."""
    found = {name: stage | {"queries": None} for name, stage in figures["networks"]["stages"].items()}
    for part in PARTS[1:]:
        (stage,) = figures[part]["stages"].values()
        found[part] = stage | {"queries": figures[part].get("queries")}
    video = figures["video"]
    share = video["queries_of_small"] / video["published_of_small"]
    found["video"]["queries"] = round(share * found["video published"]["queries"]) + video["queries_of_space"]
    return found


def table(found: dict[str, dict[str, Any]] | None) -> str:
    """A Markdown table; without figures it says that nothing was run."""
    lines = [["stage", "time", "processor time", "peak memory above what was there", "points"], ["---"] * 5]
    for name, title in TITLES.items():
        if found is None:
            lines.append([title, *["not run"] * 4])
            continue
        stage = found[name]
        peak = "–" if stage["peak"] is None else f"{stage['peak'] / 1e9:.2f} GB"
        points = "" if stage["queries"] is None else f"{stage['queries'] / 1e6:,.1f} M"
        lines.append([title, f"{stage['seconds']:.1f} s", f"{stage['processor']:.1f} s", peak, points])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def verdict(found: dict[str, dict[str, Any]], figures: dict[str, dict[str, Any]]) -> list[str]:
    """The bars, and whether they were held."""
    fewer = {name: found[f"{name} published"]["queries"] / found[name]["queries"] for name in ("mesh", "video")}
    apart, peak = figures["video"]["apart"], found["mesh"]["peak"]
    said = [
        _held(f"The mesh asks for {fewer['mesh']:.1f} times fewer points", fewer["mesh"] >= POINTS_BAR),
        _held(f"the film of {ORBIT_VIEWS} pictures for {fewer['video']:.1f} times fewer", fewer["video"] >= FILM_BAR),
        _held(f"its colours differ by {apart * 255:.3f} of 255 at most", apart <= COLOUR_BAR),
    ]
    if peak is not None:
        said.append(_held(f"the mesh takes {peak / 1e9:.2f} GB above planes and weights", peak <= MEMORY_BAR))
    if "apart" in figures["mesh published"]:
        by, others = (figures["mesh published"][name] for name in ("apart", "faces"))
        sentence = f"the whole lattice gives {others:,} triangles, their vertices within {by:.1e} of these"
        said.append(_held(sentence, by <= SAME))
    return said


def _held(sentence: str, held: bool) -> str:
    return f"{sentence}: the bar is {'held' if held else 'NOT held'}."


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mira", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--amount", choices=list(SIZES), default="full", help="least: whether it works, in seconds")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--whole", action="store_true", help="ask for the whole lattice, and compare the triangles")
    parser.add_argument("--together", action="store_true", help="all in this process; peaks then mean little")
    parser.add_argument("--alone", nargs=2, metavar=("PART", "FOLDER"), help="one part in this process, as JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    size = SIZES[chosen.amount]
    if chosen.alone:
        part, folder = chosen.alone[0], Path(chosen.alone[1])
        files = folder / PLANES, folder / MESH
        print(json.dumps(alone(part, size, torch.device(chosen.device), *files, chosen.whole)))
        return
    threads, config, step = torch.get_num_threads(), size.config, size.training
    print(f"OpenLRM, {chosen.amount} amount, {chosen.device}, {threads} threads, PyTorch {torch.__version__}")
    if chosen.amount != "full":
        print("*** Tiny networks: these are NOT the times of the published ones. ***")
    print(f"Width {config.width}, {config.layers} layers, source of {size.source}².")
    print(f"Mesh of {size.resolution}³ points at level {SINGLE_VIEW_THRESHOLD}.")
    print(
        f"Film of {ORBIT_VIEWS} pictures of {size.side}², {config.samples_per_ray} samples a ray, {size.filmed} drawn."
    )
    print(f"Training: width {step.config.width}, {step.config.layers} layers, {step.views} squares of {step.region}²,")
    print(f"{step.config.samples_per_ray} samples a ray, {step.rays} rays in a chunk.")
    sys.stdout.flush()
    figures = measure(chosen.amount, chosen.device, chosen.whole, chosen.together)
    found = rows(figures)
    print(table(found))
    print("\n".join(verdict(found, figures)))
    mesh, weights = figures["mesh"], figures["networks"]["weights"]
    print(f"{mesh['faces']:,} triangles, {mesh['vertices']:,} vertices; {weights / 1e9:.2f} GB of weights.")
    if chosen.device == "cpu":
        print(f"\nOn a graphics card:\n{table(None)}")
    if chosen.json:
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
        settings = {"amount": chosen.amount, "device": chosen.device}
        document = {"machine": machine, "date": datetime.now(UTC).date().isoformat(), **settings, "figures": figures}
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        part_of_file = chosen.json.with_suffix(".part")
        part_of_file.write_text(json.dumps(document, indent=1), encoding="utf-8")
        part_of_file.replace(chosen.json)


if __name__ == "__main__":
    main()
