"""`python -m training.surface`: the small network that takes away of a visual hull what is likely not there.

`prepare MODELS VIEWS --out EXAMPLES` makes an example of each orbit of `python -m training.render`, and goes on where
it was; `train MODELS EXAMPLES OUT` learns from them for some minutes and writes `model.safetensors`. Models that have
the shape of one of the examples in `--unlike` are not learned from, and a twelfth of the others tells how far it has
come.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
import zlib
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from models.multiview.prior import Prior
from models.writing import write_safetensors, write_torch, write_whole
from training.objects.listing import ATTRIBUTION, Entry, attribution, read_list
from training.surface.examples import Example, example, read, unlike
from training.views import ViewsError, open_views

logger = logging.getLogger("training.surface")

RATE, WARM, SLOWEST = 1.5e-3, 50, 0.02
BATCH, KEPT = 1, 0.99
"""Orbits of a step, and how much of the mean of all steps' weights stays in each."""

CLIPPED, BAND = 3.0, 1.5
"""Cells: distances beyond are all one, and places so far outside of the hull do not count."""

TOLD = 200
"""Steps between two lines."""

TESTED, ASKED = 12, 16
"""One model in so many is tested on, and how many of them are asked for at most."""


def error(prior: Prior, one: Example) -> tuple[Tensor, Tensor]:
    """What is learned: the mean difference of distances near the true or the found surface, cells. And the same, of the
    found and of the hull's distances, `[2]`, near the true surface alone."""
    hull, true = one.hull.float(), one.true.float().clamp(-CLIPPED, CLIPPED)
    with torch.autocast("cpu", torch.bfloat16):
        more = prior(one.values.float()[None])[0]
    found = (hull + more.float()).clamp(-CLIPPED, CLIPPED)
    near = (hull < BAND) & ((true.abs() < CLIPPED) | (found.detach().abs() < CLIPPED))
    wrong = (found - true).abs()[near].sum() / near.sum().clamp(min=1)
    there = (hull < BAND) & (true.abs() < CLIPPED)
    both = torch.stack([found.detach(), hull.clamp(-CLIPPED, CLIPPED)])
    return wrong, (both - true).abs()[:, there].mean(1)


class Shelf:
    """The examples of a folder. What `prepare` puts there meanwhile is taken in by and by.

    learned, tested: those to learn from, and those that tell how far it has come. entries: of all models.
    """

    def __init__(self, folder: Path, other: Path | None, entries: list[Entry]) -> None:
        self.entries = entries
        self.learned: list[Example] = []
        self.tested: list[Example] = []
        self._folder, self._read = folder, set[Path]()
        self._others = [read(file) for file in sorted(other.glob("*.pt"))] if other is not None else []

    def fill(self) -> None:
        """Reads what is new."""
        files = sorted(set(self._folder.glob("*.pt")) - self._read)
        self._read.update(files)
        taken = {each.name for each in self._others}
        fresh = unlike([each for each in map(read, files) if each.name not in taken], self._others)
        for each in fresh:
            (self.learned if zlib.crc32(each.name.encode()) % TESTED else self.tested).append(each)


def train(shelf: Shelf, out: Path, seconds: float, seed: int) -> None:
    """Writes the mean of the last steps' weights, now and then and at the end, by when the rate is at its least."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    shelf.fill()
    if not shelf.learned:
        raise SystemExit("There are too few examples to learn from.")
    prior, mean = Prior(), Prior()
    mean.load_state_dict(prior.state_dict())
    optimiser = torch.optim.AdamW(prior.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-3)
    begun, step = time.monotonic(), 0
    while (gone := time.monotonic() - begun) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM) * max(SLOWEST, 1 - gone / seconds)
        optimiser.zero_grad()
        for _ in range(BATCH):
            torch.autograd.backward(error(prior, chance.choice(shelf.learned).changed(chance))[0] / BATCH)
        if bool(torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0).isfinite()):  # else it is passed over
            optimiser.step()
        step += 1
        with torch.no_grad():
            for own, new in zip(mean.parameters(), prior.parameters(), strict=True):
                own.lerp_(new, 1 - min(KEPT, (step + 1) / (step + 10)))
        if step % TOLD == 0:
            shelf.fill()
            _tell(mean, shelf, step, gone)
            _write(mean, shelf, out)
    _write(mean, shelf, out)


def _write(prior: Prior, shelf: Shelf, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: each.half() for name, each in prior.state_dict().items()}
    write_safetensors(out / "model.safetensors", weights)
    names = {each.name for each in shelf.learned}
    write_whole(out / ATTRIBUTION, [attribution(each for each in shelf.entries if each.name in names).encode()])


@torch.no_grad()
def _tell(prior: Prior, shelf: Shelf, step: int, gone: float) -> None:
    pairs = [error(prior, each)[1] for each in shelf.tested[:ASKED]] or [torch.zeros(2)]
    found, hull = torch.stack(pairs).nanmean(0).tolist()
    count = len(shelf.learned)
    logger.info("step %d, %.0f s, %d examples: %.3f cells, the hull %.3f", step, gone, count, found, hull)


def prepare(chosen: argparse.Namespace) -> None:
    """Makes the examples that are not there yet."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    for folder in chosen.views:
        for seen in open_views(folder, left_out=logger.warning):
            file = chosen.out / f"{folder.name}_{seen.name}.pt"
            if file.exists():
                continue
            try:
                write_torch(file, asdict(example(chosen.models, seen)))
            except (ValueError, ViewsError) as wrong:
                logger.warning("%s is left out: %s", seen.name, wrong)


def main(arguments: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m training.surface", description=__doc__)
    ways = parser.add_subparsers(dest="way", required=True)
    making = ways.add_parser("prepare", help="orbits and models to examples")
    making.add_argument("models", type=Path, help="a folder of python -m training.objects")
    making.add_argument("views", type=Path, nargs="+", help="folders of python -m training.render, an orbit each")
    making.add_argument("--out", type=Path, required=True)
    learning = ways.add_parser("train", help="examples to weights")
    learning.add_argument("models", type=Path, help="the folder of the models, whose authors are named")
    learning.add_argument("examples", type=Path, help="a folder of prepare")
    learning.add_argument("out", type=Path, help="a folder for model.safetensors and ATTRIBUTION.md")
    learning.add_argument("--unlike", type=Path, metavar="EXAMPLES", help="of models that are not to be learned")
    learning.add_argument("--minutes", type=float, default=18.0)
    learning.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.way == "prepare":
        prepare(chosen)
        return 0
    train(Shelf(chosen.examples, chosen.unlike, read_list(chosen.models)), chosen.out, 60 * chosen.minutes, chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
