"""`python -m bench.mira_overfit DATA OBJECT`: one object learned by heart, looked at from where it was not seen.

Every fourth view is held out. A small network is given the first of the others as its source and trained on rays of
those alone, with the published losses (colours; the solid is not used). The figure is the PSNR of the held-out views on
white: 30 dB and more is what a training loop, cameras and a renderer that are right come to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.optimisation.hooks import Hooks, Report
from models.optimisation.loop import Loop, Settings, warm_up_then_cosine
from models.optimisation.processes import ALONE
from training.feed import Feed
from training.mira.bank import Shown, keep
from training.mira.config import Config
from training.mira.items import Items
from training.mira.objective import Objective
from training.mira.starting import network_of, optimiser_of
from training.mira.validation import Case, judge
from training.views import open_views

EVERY = 4
SEED = 1


def config(data: Path, folder: Path, steps: int, rays: int, size: int) -> Config:
    """Of the run: fine planes, a small network, scattered pixels."""
    content: dict[str, dict[str, Any]] = {
        "data": {"folder": data, "picture_size": size, "scale": 0.8, "supervised": 4},
        "run": {"folder": folder, "steps": steps, "batch": 1, "seed": SEED, "precision": "float32", "workers": 0},
        "model": {
            "encoder_width": 64,
            "encoder_layers": 1,
            "encoder_heads": 1,
            "camera_embedding": 32,
            "width": 64,
            "layers": 1,
            "heads": 2,
            "low_resolution": 24,
            "plane_channels": 24,
            "samples_per_ray": 96,
            "dropout": 0.0,
        },
        "rays": {"patch": 1, "count": rays // 4, "resolution": (size, size), "samples": 64, "on_object": 0.7},
        "losses": {"perceptual": 0.0, "variation": 0.0},
        "optimiser": {"rate": 3e-3, "warm_up": 50, "decay": 0.0, "averaging": 0.99, "least": 0.02},
        "validation": {"size": size},
    }
    return Config.model_validate(content)


def divided(shown: Shown) -> tuple[Shown, tuple[int, ...]]:
    """The object without every fourth view, and which those are."""
    out = tuple(range(EVERY - 1, shown.count, EVERY))
    stays = np.setdiff1d(np.arange(shown.count), out)
    pictures = np.ascontiguousarray(shown.pictures[stays])
    boxes, lenses = shown.boxes[stays], shown.intrinsics[stays]
    return replace(shown, pictures=pictures, poses=shown.poses[stays], intrinsics=lenses, boxes=boxes), out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mira_overfit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="rendered objects")
    parser.add_argument("object", help="name of one of them")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rays", type=int, default=512, help="of a step")
    parser.add_argument("--size", type=int, default=128, help="pixels of the views")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        settings = config(chosen.data, Path(scratch), chosen.steps, chosen.rays, chosen.size)
        (views,) = (each for each in open_views(chosen.data) if each.name == chosen.object)
        whole = keep(views, chosen.data / views.name, Path(scratch), chosen.size)
        learned, out = divided(whole)
        network, source_size, _ = network_of(settings.model, SEED)
        items = Items([learned], [(0, 0)], settings, source_size, 4)
        began = time.monotonic()

        def told(report: Report) -> None:
            if report.step % 100 == 0:
                sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {report}\n")

        with Feed(items, 1, chosen.steps, SEED, 1, ALONE, 0) as feed:
            loop = Loop(
                Objective(network, feed, settings),
                optimiser_of(network, settings.optimiser),
                Settings(chosen.steps, SEED, clip=1.0, averaging=settings.optimiser.averaging, judged_every=0),
                warm_up_then_cosine(settings.optimiser.warm_up, chosen.steps, settings.optimiser.least),
            )
            loop.run(Hooks(progress=told))
        with loop.averaged():
            judged = judge(network.eval(), Case(whole, (0, *out)), settings, source_size, None)
    seconds = time.monotonic() - began
    figures = ", ".join(f"{name} {value:.3f}" for name, value in judged.figures.items())
    print(f"{chosen.object}: {chosen.steps} steps in {seconds:.0f} s; {len(out)} held-out views: {figures}")


if __name__ == "__main__":
    main()
