"""`python -m bench.multiview_data MODELS OUT`: what `bench.multiview` measures on, rendered.

MODELS is a folder of `python -m training.objects debian`. Each of the models here gets orbits as Hi3D's are, and beside
each orbit eight views that no reconstruction is shown: four from 15 degrees above the orbit, four from 15 below.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from models.multiview.views import Views
from training.objects.listing import Entry, read_list
from training.render.blender import find_blender
from training.render.run import render_all
from training.render.settings import DEFAULTS, Settings
from training.surface.examples import model_of, views_of
from training.views import open_views

ELEVATIONS = (0.0, 10.0, 20.0)
BESIDE = 15.0
ORBIT, UNSEEN = 16, 4

TRIED = (
    "BlendSwap-CC-0-oakChair",
    "BlendSwap-CC-0-couch",
    "Scopia-desk_table",
    "BlendSwap-CC-BY-dresserWithDrawers",
    "Scopia-table_lamp",
    "BlendSwap-CC-0-bed1",
)
"""Models that the settings were chosen on; none of them is measured."""

HELD_OUT = (
    "BlendSwap-CC-0-chair2",
    "Scopia-beige_sofa",
    "KatorLegaz-cafe-table",
    "BlendSwap-CC-0-bookcase",
    "BlendSwap-CC-0-modernArmchair",
    "KatorLegaz-mid-century-sofa",
    "Scopia-round-table",
    "BlendSwap-CC-BY-wardrobe",
    "Scopia-chair4",
    "BlendSwap-CC-0-bed3",
    "BlendSwap-CC-BY-coffeeTable",
    "BlendSwap-CC-0-lamp2",
    "KatorLegaz-dining-chair",
    "Scopia-leather_sofa",
    "BlendSwap-CC-0-desk",
    "BlendSwap-CC-BY-tvStand",
    "BlendSwap-CC-BY-chairWithCushion",
    "BlendSwap-CC-0-winchesterArmchair",
    "Scopia-office_chair",
    "BlendSwap-CC-0-refrigerator",
)
"""Models that are measured, and that nothing was chosen on."""


@dataclass(frozen=True)
class Task:
    """An orbit around a model, eight views beside it, and the truth: vertices `[N, 3]`, faces `[F, 3]` int64."""

    name: str
    elevation: float
    orbit: Views
    unseen: Views
    vertices: Tensor
    faces: Tensor


def settings(elevation: float, unseen: bool, size: int, samples: int) -> Settings:
    """Of the rendering: an orbit, or the rings beside it."""
    rings = (elevation - BESIDE, elevation + BESIDE) if unseen else (elevation,)
    return replace(
        DEFAULTS["hi3d"],
        elevations=rings,
        azimuths=UNSEEN if unseen else ORBIT,
        size=size,
        samples=samples,
        denoise=False,
        light="soft",
        solid=0,
    )


def folder(out: Path, elevation: float, unseen: bool) -> Path:
    """Where an orbit at an elevation is, or what is beside it."""
    return out / f"{'unseen' if unseen else 'orbit'}-{elevation:g}"


def elevations_of(index: int, every: bool) -> tuple[float, ...]:
    """Which orbits the model of a number gets: all, or one, in turn."""
    return ELEVATIONS if every else (ELEVATIONS[index % len(ELEVATIONS)],)


def render(
    models: Path, out: Path, names: tuple[str, ...], every: bool, size: int, samples: int, processes: int
) -> None:
    """Renders what is not there yet."""
    known = {entry.name: entry for entry in read_list(models)}
    missing = [name for name in names if name not in known]
    if missing:
        raise SystemExit(
            f"There is no {', '.join(missing)} in {models}. Run: python -m training.objects debian {models}"
        )
    for elevation in ELEVATIONS:
        entries: list[Entry] = [
            known[name] for index, name in enumerate(names) if elevation in elevations_of(index, every)
        ]
        for unseen in (False, True):
            report = render_all(
                find_blender(), settings(elevation, unseen, size, samples), models, entries,
                folder(out, elevation, unseen), processes, lambda name: print(name, flush=True),
            )  # fmt: skip
            if report.broken:
                raise SystemExit(f"Blender could not render {report.broken}")


def tasks(models: Path, out: Path, names: tuple[str, ...], every: bool) -> list[tuple[str, float]]:
    """Names and elevations of the tasks that are rendered."""
    wanted = [(name, each) for index, name in enumerate(names) for each in elevations_of(index, every)]
    return [(name, each) for name, each in wanted if (folder(out, each, True) / name).is_dir()]


def task(models: Path, out: Path, name: str, elevation: float) -> Task:
    """One of them, read."""
    seen, beside = (
        next(found for found in open_views(folder(out, elevation, unseen)) if found.name == name)
        for unseen in (False, True)
    )
    return Task(name, elevation, views_of(seen), views_of(beside), *model_of(models, seen.metadata))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.multiview_data", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tried", action="store_true", help="the models that settings are chosen on")
    parser.add_argument("--every", action="store_true", help="every model at every elevation, not one in turn")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) // 2))
    chosen = parser.parse_args(arguments)
    names = TRIED if chosen.tried else HELD_OUT
    render(chosen.models, chosen.out, names, chosen.every, chosen.size, chosen.samples, chosen.processes)


if __name__ == "__main__":
    main()
