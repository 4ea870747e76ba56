"""`python -m bench.mira_overfit DATA OBJECT`: one object learned by heart, looked at from where it was not seen.

Every fourth view is held out. A small network of MIRA's layout, as published from encoder to decoder, is given the
first of the others as its source and trained on rays of those alone, with the published losses (colours; the solid is
not used). The figure is the PSNR of the held-out views on white: 30 dB and more is what a training loop, cameras and a
renderer that are right come to. The PSNR of some views that were trained on stands beside it: if that is no
better, it is the network or its samples that cannot show more; if it is much better, views are too few.

    python -m training.objects debian models
    python -m training.render models one --only Scopia-armchair2 --views 64 --size 128 --samples 64 --no-denoise \
        --light soft --distance 2 2.7 --elevation -5 40 --whole 0.03
    python -m bench.mira_overfit one Scopia-armchair2
"""

from __future__ import annotations

import argparse
import os
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
SUPERVISED = 16
"""Views that a step draws rays from; the source is always one of them."""

BAR = 30.0
"""dB of the held-out views."""


def config(data: Path, folder: Path, steps: int, rays: int, size: int) -> Config:
    """Of the run: planes as fine as the published ones, a small network, scattered pixels."""
    content: dict[str, dict[str, Any]] = {
        "data": {"folder": data, "picture_size": size, "scale": 0.95, "supervised": SUPERVISED},
        "run": {"folder": folder, "steps": steps, "batch": 1, "seed": SEED, "precision": "float32", "workers": 0},
        "model": {
            "encoder_width": 64,
            "encoder_layers": 1,
            "encoder_heads": 1,
            "camera_embedding": 32,
            "width": 64,
            "layers": 1,
            "heads": 2,
            "low_resolution": 32,
            "plane_channels": 32,
            "samples_per_ray": 96,
            "dropout": 0.0,
        },
        "rays": {
            "patch": 1,
            "count": rays // SUPERVISED,
            "resolution": (size, size),
            "samples": 48,
            "on_object": 0.7,
        },
        "losses": {"perceptual": 0.0, "variation": 0.0},
        # What is seen at a place is learned by the tokens there, each of which few rays meet.
        "optimiser": {
            "rate": 3e-3,
            "tokens_rate": 5.0,
            "warm_up": 50,
            "decay": 0.0,
            "averaging": 0.99,
            "least": 0.02,
        },
        "validation": {"size": size},
    }
    return Config.model_validate(content)


def divided(shown: Shown) -> tuple[Shown, tuple[int, ...], tuple[int, ...]]:
    """The object without every fourth view; which those are; and some of the others, the source not among them."""
    out = tuple(range(EVERY - 1, shown.count, EVERY))
    stays = np.setdiff1d(np.arange(shown.count), out)
    pictures = np.ascontiguousarray(shown.pictures[stays])
    boxes, lenses = shown.boxes[stays], shown.intrinsics[stays]
    learned = replace(shown, pictures=pictures, poses=shown.poses[stays], intrinsics=lenses, boxes=boxes)
    return learned, out, tuple(each - 1 for each in out[::EVERY])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mira_overfit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="rendered objects")
    parser.add_argument("object", help="name of one of them")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rays", type=int, default=768, help="of a step")
    parser.add_argument("--size", type=int, default=128, help="pixels of the views")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        settings = config(chosen.data, Path(scratch), chosen.steps, chosen.rays, chosen.size)
        views = next((each for each in open_views(chosen.data, _told) if each.name == chosen.object), None)
        if views is None:
            raise SystemExit(f"{chosen.data} has no object {chosen.object} that can be read.")
        whole = keep(views, chosen.data / views.name, Path(scratch), chosen.size)
        learned, out, others = divided(whole)
        network, source_size, _ = network_of(settings.model, SEED)
        items = Items([learned], [(0, 0)], settings, source_size, 4)
        began, used = time.monotonic(), time.process_time()

        def progress(report: Report) -> None:
            if report.step % 100 == 0:
                _told(f"{time.monotonic() - began:6.0f} s, {time.process_time() - used:.0f} s of processor  {report}")

        with Feed(items, 1, chosen.steps, SEED, 1, ALONE, 0) as feed:
            loop = Loop(
                Objective(network, feed, settings),
                optimiser_of(network, settings.optimiser),
                Settings(chosen.steps, SEED, clip=1.0, averaging=settings.optimiser.averaging, judged_every=0),
                warm_up_then_cosine(settings.optimiser.warm_up, chosen.steps, settings.optimiser.least),
            )
            loop.run(Hooks(progress=progress))
        seconds, processors = time.monotonic() - began, time.process_time() - used
        with loop.averaged():
            network.eval()
            held, trained = (
                judge(network, Case(whole, (0, *some)), settings, source_size, None).figures for some in (out, others)
            )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{chosen.object}: {chosen.steps} steps in {seconds:.0f} s, {processors:.0f} s of processor, load {load:.1f}")
    for count, title, figures in ((len(out), "held-out", held), (len(others), "trained", trained)):
        print(f"{count} {title} views: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    print(f"bar {BAR:g} dB on held-out views: {'held' if held['psnr'] >= BAR else 'NOT held'}")


def _told(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
