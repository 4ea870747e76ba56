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

from models.multiview.prior import CLIPPED, Prior, read_prior
from models.writing import write_safetensors, write_torch, write_whole
from training.objects.listing import ATTRIBUTION, Entry, attribution, read_list
from training.surface.examples import Example, Shapes, example, read
from training.views import ViewsError, open_views

logger = logging.getLogger("training.surface")

RATE, WARM, SLOWEST = 1e-3, 50, 0.01
BATCH, KEPT = 1, 0.99
"""Orbits of a step, and how much of the mean of all steps' weights stays in each."""

BAND, NEAR = 1.5, 3.0
"""Cells: places so far outside of the hull do not count; near the surface is what is within so many."""

RIGHT, KEPT_CLEAR = 0.15, 0.2
"""Cells: the hull is right where the true distance is no larger by more than the one; there the network's is to be
smaller by the other."""

CROSSING, AT_SURFACE = 1.0, 2.0
"""Cells from the true surface up to which a place counts so many times: a mesh is where the field is nought."""

FLAT = 0.5
"""How much a change from cell to cell counts beside a distance."""

MEASURED = 24
"""Examples that mean and spread of what is known are taken from."""

TOLD = 250
"""Steps between two lines."""

TESTED, ASKED = 12, 16
"""One model in so many is tested on, and how many of them are asked for at most."""


def error(prior: Prior, one: Example) -> tuple[Tensor, Tensor]:
    """What is learned: distances where the hull is wrong, cells, and how they change from cell to cell, which is what
    makes walls flat; and to stay below the hull where it is right.

    And what is told, `[4]`: the mean difference of the found and of the hull's distances near the true surface, and
    the share of the hull where the one and the other is inside and should not be, or is not and should be.
    """
    hull, true = one.hull.float(), one.true.float().clamp(-CLIPPED, CLIPPED)
    with torch.autocast("cpu", torch.bfloat16):
        said = prior(one.values.float(), one.sights)
    # Bounded by a function that levels out, what is wrong by much would have no gradient.
    beyond = (true.abs() >= CLIPPED) & (said * true.sign() > CLIPPED)
    said = torch.where(beyond, true, said)
    asked = hull < BAND
    right = true - hull < RIGHT
    over = (said - true).abs()
    over = torch.where(right, (said - hull.clamp(min=-CLIPPED) + KEPT_CLEAR).clamp(min=0), over)
    weight = asked * torch.where(right & (true.abs() > NEAR), 0.1, 1.0)
    weight = weight * torch.where(~right & (true.abs() < CROSSING), AT_SURFACE, 1.0)
    wrong = (over * weight).sum() / weight.sum().clamp(min=1)
    open_ = asked & ~right
    for axis in range(3):
        both = open_.narrow(axis, 1, open_.shape[axis] - 1) & open_.narrow(axis, 0, open_.shape[axis] - 1)
        wrong = wrong + FLAT / 3 * ((said - true).diff(dim=axis).abs() * both).sum() / both.sum().clamp(min=1)
    with torch.no_grad():
        pair = torch.stack([torch.maximum(said, hull), hull]).clamp(-NEAR, NEAR)
        there = asked & (true.abs() < NEAR)
        apart = (pair - true.clamp(-NEAR, NEAR)).abs()[:, there].mean(1)
        solid = ((pair < 0) != (true < 0)).flatten(1).sum(1) / (hull < 0).sum().clamp(min=1)
    return wrong, torch.cat([apart, solid])


class Shelf:
    """The examples of a folder. What `prepare` puts there meanwhile is taken in by and by.

    learned, tested: files of those to learn from, and of those that tell how far it has come. entries: of all models.
    names: of the models that are learned from.
    """

    def __init__(self, folder: Path, other: Path | None, entries: list[Entry]) -> None:
        self.entries = entries
        self.learned: list[Path] = []
        self.tested: list[Path] = []
        self.names: set[str] = set()
        self._folder, self._read = folder, set[Path]()
        others = [read(file) for file in sorted(other.glob("*.pt"))] if other is not None else []
        self._taken, self._shapes = {each.name for each in others}, Shapes(others)

    def fill(self) -> None:
        """Takes in what is new."""
        for file in sorted(set(self._folder.glob("*.pt")) - self._read):
            self._read.add(file)
            one = read(file)
            if one.name in self._taken or self._shapes.has(one):
                continue
            if zlib.crc32(one.name.encode()) % TESTED:
                self.learned.append(file)
                self.names.add(one.name)
            else:
                self.tested.append(file)


def measures(files: list[Path]) -> tuple[Tensor, Tensor]:
    """Mean and spread, `[CHANNELS]` each, of what is known of places in the hulls of some examples."""
    some = [read(file) for file in files[:: max(1, len(files) // MEASURED)]]
    values = torch.cat([each.values.float()[:, each.hull < BAND] for each in some], dim=1)
    return values.mean(1), values.std(1).clamp(min=1e-2)


def train(shelf: Shelf, out: Path, seconds: float, seed: int, begun_with: Path | None = None) -> None:
    """Writes the mean of the last steps' weights, now and then and at the end, by when the rate is at its least.

    begun_with: a folder with weights to go on with.
    """
    chance = random.Random(seed)
    torch.manual_seed(seed)
    shelf.fill()
    if not shelf.learned:
        raise SystemExit("There are too few examples to learn from.")
    prior, mean = Prior(), Prior()
    if begun_with is not None:
        prior.load_state_dict(read_prior(begun_with).state_dict())
    else:
        prior.middle, prior.spread = measures(shelf.learned)
    mean.load_state_dict(prior.state_dict())
    optimiser = torch.optim.AdamW(prior.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-3)
    begun, step = time.monotonic(), 0
    while (gone := time.monotonic() - begun) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM) * max(SLOWEST, 1 - gone / seconds)
        optimiser.zero_grad()
        for _ in range(BATCH):
            torch.autograd.backward(error(prior, read(chance.choice(shelf.learned)).changed(chance))[0] / BATCH)
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
    used = (each for each in shelf.entries if each.name in shelf.names)
    write_whole(out / ATTRIBUTION, [attribution(used).encode()])


@torch.no_grad()
def _tell(prior: Prior, shelf: Shelf, step: int, gone: float) -> None:
    pairs = [error(prior, read(each))[1] for each in shelf.tested[:ASKED]] or [torch.zeros(4)]
    found, hull, wrong, too_much = torch.stack(pairs).nanmean(0).tolist()
    words = "step %d, %.0f s, %d examples: %.3f cells, the hull %.3f; wrong solid %.3f, the hull %.3f"
    logger.info(words, step, gone, len(shelf.learned), found, hull, wrong, too_much)


def prepare(chosen: argparse.Namespace) -> None:
    """Makes the examples that are not there yet."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    for folder in chosen.views:
        for seen in open_views(folder, left_out=logger.warning):
            seed = zlib.crc32(f"{folder.name} {seen.name}".encode()) if chosen.disturbed else None
            file = chosen.out / f"{folder.name}_{seen.name}{'' if seed is None else '_disturbed'}.pt"
            if file.exists():
                continue
            try:
                write_torch(file, asdict(example(chosen.models, seen, seed)))
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
    making.add_argument("--disturbed", action="store_true", help="views that disagree as generated ones do")
    learning = ways.add_parser("train", help="examples to weights")
    learning.add_argument("models", type=Path, help="the folder of the models, whose authors are named")
    learning.add_argument("examples", type=Path, help="a folder of prepare")
    learning.add_argument("out", type=Path, help="a folder for model.safetensors and ATTRIBUTION.md")
    learning.add_argument("--unlike", type=Path, metavar="EXAMPLES", help="of models that are not to be learned")
    learning.add_argument("--minutes", type=float, default=18.0)
    learning.add_argument("--seed", type=int, default=0)
    learning.add_argument("--begin-with", type=Path, metavar="FOLDER", help="weights of a former training")
    chosen = parser.parse_args(arguments)
    if chosen.way == "prepare":
        prepare(chosen)
        return 0
    shelf = Shelf(chosen.examples, chosen.unlike, read_list(chosen.models))
    train(shelf, chosen.out, 60 * chosen.minutes, chosen.seed, chosen.begin_with)
    return 0


if __name__ == "__main__":
    sys.exit(main())
