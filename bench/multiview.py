"""`python -m bench.multiview MODELS VIEWS`: surfaces of orbits of furniture beside the truth and the visual hull.

MODELS and VIEWS are the folders of `bench.multiview_data`. Every surface is made from sixteen views twice: as they are,
and disturbed as generated ones are. The F-scores are those of what can be seen from outside, of both surfaces, at 1 and
2 % of the longest side; of all of both surfaces they stand beside. PSNR is of pictures on white.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from backend.weights import locate
from bench.multiview_data import HELD_OUT, TRIED, Task, task, tasks
from bench.multiview_measures import DENSITY, Sampled, f_scores, is_watertight, picture_noise
from models.multiview import Prior, Surface, read_prior, reconstruct
from models.writing import write_json
from training.surface.disturbing import disturbed

WAYS = ("hull", "learned", "disturbed")
TITLES = {
    "hull": "visual hull",
    "learned": "learned",
    "disturbed": "learned, views disturbed",
}
"""The rows, by the names of docs/multiview.md."""

F1_BAR, F2_BAR, ORBIT_BAR, UNSEEN_BAR, SECONDS_BAR, DISTURBED_BAR = 0.75, 0.90, 27.0, 22.0, 240.0, 0.85
CLEARLY = 0.03
"""By how much the learned surface is to be better than the visual hull."""


@dataclass(frozen=True)
class Figures:
    """Of one surface. f1, f2: F-scores at 1 and 2 %. plain1, plain2: of all of both surfaces. orbit, unseen: PSNR, dB.
    told: whether the wrong view was found and no other; None where there is none."""

    name: str
    elevation: float
    way: str
    f1: float
    f2: float
    plain1: float
    plain2: float
    orbit: float
    unseen: float
    watertight: bool
    seconds: float
    told: bool | None


def measured(found: Task, truth: Sampled, way: str, size: int, prior: Prior, seed: int) -> tuple[Figures, Surface]:
    """Makes a surface and measures it."""
    orbit = found.orbit.at_most(size)
    shown, wrong = disturbed(orbit, seed) if way == "disturbed" else (orbit, None)
    begun = time.perf_counter()
    with torch.no_grad():
        surface = reconstruct(shown, prior=None if way == "hull" else prior)
    seconds = time.perf_counter() - begun
    near, plain = f_scores(Sampled.of(surface.vertices, surface.faces, len(truth.points) // DENSITY), truth)
    figures = Figures(
        found.name, found.elevation, way, near[0].f, near[1].f, plain[0].f, plain[1].f,
        picture_noise(surface, orbit), picture_noise(surface, found.unseen.at_most(size)),
        is_watertight(surface.faces), seconds,
        None if wrong is None else surface.report["left_out"] == [wrong],
    )  # fmt: skip
    return figures, surface


def means(found: Sequence[Figures], way: str) -> dict[str, float]:
    """Over all surfaces of a way."""
    mine = [each for each in found if each.way == way]
    names = ("f1", "f2", "plain1", "plain2", "orbit", "unseen", "seconds")
    mean = {name: sum(getattr(each, name) for each in mine) / len(mine) for name in names}
    return mean | {
        "watertight": sum(each.watertight for each in mine),
        "longest": max(each.seconds for each in mine),
        "told": sum(bool(each.told) for each in mine),
        "count": len(mine),
    }


def table(found: Sequence[Figures]) -> str:
    """A Markdown table."""
    lines = [
        ["surface", "F at 1 %", "at 2 %", "all, 1 %", "all, 2 %", "PSNR, orbit", "PSNR, unseen", "closed", "time"],
        ["---"] * 9,
    ]
    for way, title in TITLES.items():
        if not any(each.way == way for each in found):
            lines.append([title, *["not run"] * 8])
            continue
        mean = means(found, way)
        lines.append(
            [title, *(f"{mean[name]:.3f}" for name in ("f1", "f2", "plain1", "plain2"))]
            + [f"{mean[name]:.1f} dB" for name in ("orbit", "unseen")]
            + [f"{mean['watertight']:.0f} of {mean['count']:.0f}", f"{mean['seconds']:.0f} s"]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def verdict(found: Sequence[Figures]) -> list[str]:
    """The bars, and whether they were held."""
    said = []
    ways = {each.way for each in found}
    if "learned" in ways:
        mine = means(found, "learned")
        said += [
            _held(f"F at 1 % is {mine['f1']:.3f}", mine["f1"] >= F1_BAR),
            _held(f"F at 2 % is {mine['f2']:.3f}", mine["f2"] >= F2_BAR),
            _held(f"the orbit drawn again has {mine['orbit']:.1f} dB", mine["orbit"] >= ORBIT_BAR),
            _held(f"unseen views have {mine['unseen']:.1f} dB", mine["unseen"] >= UNSEEN_BAR),
            _held(f"{mine['watertight']:.0f} of {mine['count']:.0f} are closed", mine["watertight"] == mine["count"]),
            _held(f"the longest took {mine['longest']:.0f} s", mine["longest"] <= SECONDS_BAR),
        ]
        if "hull" in ways:
            hull = means(found, "hull")
            better = [mine[name] - hull[name] for name in ("f1", "f2")]
            sentence = f"that is better than the visual hull by {better[0]:.3f} and {better[1]:.3f}"
            said.append(_held(sentence, min(better) >= CLEARLY))
    if "disturbed" in ways:
        mine = means(found, "disturbed")
        said.append(_held(f"of disturbed views F at 2 % is {mine['f2']:.3f}", mine["f2"] >= DISTURBED_BAR))
        said.append(f"The wrong view, and no other, was left out {mine['told']:.0f} of {mine['count']:.0f} times.")
    return said


def _held(sentence: str, held: bool) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}: the bar is {'held' if held else 'NOT held'}."


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.multiview", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, help="a folder of python -m training.objects debian")
    parser.add_argument("views", type=Path, help="a folder of python -m bench.multiview_data")
    parser.add_argument("--tried", action="store_true", help="the models that settings are chosen on")
    parser.add_argument("--every", action="store_true", help="every model at every elevation, not one in turn")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--size", type=int, default=512, help="of the views, pixels")
    parser.add_argument("--names", nargs="+", metavar="MODEL", help="only these")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all figures there; what is there is not repeated"
    )
    parser.add_argument("--meshes", type=Path, metavar="FOLDER", help="keep the surfaces there, as files of torch")
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="of the network; default: the one that comes along"
    )
    chosen = parser.parse_args(arguments)
    prior = read_prior(chosen.weights or locate("hull-prior"))
    known = _read(chosen.json)
    there = tasks(chosen.models, chosen.views, TRIED if chosen.tried else HELD_OUT, chosen.every)
    there = [each for each in there if chosen.names is None or each[0] in chosen.names]
    print(f"{len(there)} orbits at {chosen.size}², {torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    for number, (name, elevation) in enumerate(there):
        done = {each.way for each in known if (each.name, each.elevation) == (name, elevation)}
        if done.issuperset(chosen.ways):
            continue
        found = task(chosen.models, chosen.views, name, elevation)
        truth = Sampled.of(found.vertices, found.faces)
        for way in chosen.ways:
            if way in done:
                continue
            figures, surface = measured(found, truth, way, chosen.size, prior, number)
            known.append(figures)
            print(_line(figures), flush=True)
            _write(chosen.json, known, chosen.size)
            if chosen.meshes:
                chosen.meshes.mkdir(parents=True, exist_ok=True)
                kept = {"vertices": surface.vertices, "faces": surface.faces, "colours": surface.colours}
                torch.save(kept, chosen.meshes / f"{name}-{elevation:g}-{way}.pt")
    print(table(known))
    print("\n".join(verdict(known)))


def _line(figures: Figures) -> str:
    return (
        f"{figures.name} {figures.elevation:g}° {figures.way}: F {figures.f1:.3f} {figures.f2:.3f}, all "
        f"{figures.plain1:.3f} {figures.plain2:.3f}, PSNR {figures.orbit:.1f} {figures.unseen:.1f}, "
        f"{figures.seconds:.0f} s{'' if figures.watertight else ', OPEN'}"
        f"{'' if figures.told is None else ', wrong view found' if figures.told else ', wrong view NOT found'}"
    )


def _read(file: Path | None) -> list[Figures]:
    if file is None or not file.is_file():
        return []
    return [Figures(**each) for each in json.loads(file.read_text(encoding="utf-8"))["figures"]]


def _write(file: Path | None, known: list[Figures], size: int) -> None:
    if file is not None:
        machine: dict[str, Any] = {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"machine": machine, "size": size, "figures": [asdict(each) for each in known]})


if __name__ == "__main__":
    main()
