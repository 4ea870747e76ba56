"""`python -m training.split FOLDER`: which objects of a data set are learned from, and which are kept for measuring.

By shape, not by name: names repeat without being the same thing, and the same thing comes under several names. Objects
whose solids agree, stretched to the same box, are of one cluster, and so is whatever is like one of them. Of small
clusters whole ones are held out (`hard`: nothing like it was learned from), and of large ones single objects (`near`).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.optimisation.chance import generator
from models.writing import write_json
from training.config import DataError
from training.views import ViewsError, open_views

SPLIT = "split.json"
SIDE = 24
FILLED = 0.25
"""The part of a coarse cell from which on it counts: a surface one fine cell thick must not vanish."""

ALIKE, ASPECT = 0.72, 1.25
SMALL, LARGE = 2, 5
HARD, NEAR = (10, 70), (40, 20)
"""Unless it is said how many: one in so many objects is held out, and no more than that."""

AT_ONCE = 512
logger = logging.getLogger("training.split")


@dataclass(frozen=True)
class Split:
    """Names of objects.

    Attributes:
        train: to learn from.
        hard: held out, whole clusters of at most `SMALL` objects.
        near: held out, single objects of clusters of at least `LARGE`.
        left_out: like something in `hard`, and come later than the split was made: of no use to either.
    """

    train: tuple[str, ...]
    hard: tuple[str, ...]
    near: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def box_cells(solid: NDArray[np.bool_], side: int = SIDE) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """[side³] cells of a solid's own box, and the lengths of the box, the longest 1.

    Args:
        solid: [n, n, n], not empty.
    """
    lengths = []
    cells = solid.astype(np.float32)
    for axis in range(3):
        there = np.nonzero(solid.any(tuple(other for other in range(3) if other != axis)))[0]
        first, last = int(there[0]), int(there[-1]) + 1
        lengths.append(float(last - first))
        cells = np.moveaxis(_resampled(np.moveaxis(cells, axis, 0), first, last, side), 0, axis)
    return (cells >= FILLED).ravel(), np.array(lengths) / max(lengths)


def agreement(cells: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[A, B] intersection over union, the better of each with the other and with its mirror image in x.

    Args:
        cells: [A, side³].
        others: [B, side³].
    """
    best = np.zeros((len(cells), len(others)), np.float32)
    mirrored = others.reshape(-1, SIDE, SIDE, SIDE)[:, ::-1].reshape(len(others), -1)
    b = others.sum(1, dtype=np.float32)
    for start in range(0, len(cells), AT_ONCE):
        rows = cells[start : start + AT_ONCE].astype(np.float32)
        a = rows.sum(1)[:, None]
        for each in (others, mirrored):
            both = rows @ each.astype(np.float32).T
            best[start : start + AT_ONCE] = np.maximum(best[start : start + AT_ONCE], both / (a + b - both))
    return best


def clusters(cells: NDArray[np.bool_], lengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """[N] the number of each object's cluster: alike in shape and in proportions, or joined by others that are.

    Args:
        cells: [N, side³].
        lengths: [N, 3].
    """
    alike = agreement(cells, cells) > ALIKE
    logs = np.log(lengths)
    alike &= np.abs(logs[:, None] - logs).max(2) < np.log(ASPECT)
    leader = np.arange(len(cells))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = int(leader[index])
        return index

    for first, second in zip(*np.nonzero(np.triu(alike, 1)), strict=True):
        leader[find(int(second))] = find(int(first))
    return np.array([find(index) for index in range(len(cells))])


def split(
    names: list[str], groups: NDArray[np.int64], hard: int, near: int, seed: int, before: Split | None = None
) -> Split:
    """Draws what is held out.

    Args:
        groups: [N], the cluster of each name.
        hard, near: how many at most; all of a `hard` cluster, so one more may be.
        before: an earlier split, of which everything held out stays so; nothing more is held out then.
    """
    members: dict[int, list[str]] = {}
    for name, group in zip(names, groups.tolist(), strict=True):
        members.setdefault(group, []).append(name)
    draw = np.random.default_rng(seed)
    if before is None:
        held: list[str] = []
        small = [each for each in members.values() if len(each) <= SMALL]
        for index in draw.permutation(len(small)):
            if len(held) < hard:
                held += small[index]
        large = [name for each in members.values() if len(each) >= LARGE for name in each]
        close = [large[index] for index in draw.permutation(len(large))[:near]]
    else:
        held, close = list(before.hard), list(before.near)
    taken = {*held, *close}
    shadow = {name for each in members.values() if set(each) & set(held) for name in each} - taken
    train = [name for name in names if name not in taken and name not in shadow]
    return Split(*(tuple(sorted(each)) for each in (train, held, close, shadow)))


def read_split(file: Path) -> Split:
    """What `python -m training.split` wrote.

    Raises:
        ViewsError: it is something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Split(*(tuple(map(str, content[name])) for name in ("train", "hard", "near", "left_out")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ViewsError(f"{file} is not a split: {error}. Make it with `python -m training.split`.") from error


def divided(names: Sequence[str], which: Path | float, seed: int) -> tuple[list[str], dict[str, list[str]]]:
    """Which of the objects are trained on, and which are held out, by group.

    Args:
        which: the file that `training.split` writes, or the share that is held out by chance.

    Raises:
        DataError: the file does not say.
    """
    if isinstance(which, float | int):
        order = torch.randperm(len(names), generator=generator(seed, "held out")).tolist()
        out = {names[each] for each in order[: round(len(names) * which)]}
        return [name for name in names if name not in out], {"held_out": [name for name in names if name in out]}
    try:
        split = read_split(which)
    except ViewsError as error:
        raise DataError(str(error)) from error
    there = set(names)
    groups = {"hard": split.hard, "near": split.near}
    return sorted(there & set(split.train)), {group: sorted(there & set(some)) for group, some in groups.items()}


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m training.split", description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a data set with solids")
    parser.add_argument("--hard", type=int, metavar="N", help="objects unlike all others (default: 10 %%, 70 at most)")
    parser.add_argument("--near", type=int, metavar="N", help="objects like others (default: 2.5 %%, 20 at most)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--afresh", action="store_true", help="forget an earlier split of the folder")
    chosen = parser.parse_args(arguments)
    file = chosen.folder / SPLIT
    try:
        before = read_split(file) if file.is_file() and not chosen.afresh else None
        result, count = _split_folder(chosen.folder, chosen.hard, chosen.near, chosen.seed, before)
        write_json(file, {name: list(getattr(result, name)) for name in ("train", "hard", "near", "left_out")})
    except (ViewsError, OSError) as error:
        logger.error("%s", error)
        return 1
    logger.info(
        "%d clusters; %d to learn from, held out: %d hard, %d near; left out: %d.",
        *(count, len(result.train), len(result.hard), len(result.near), len(result.left_out)),
    )
    return 0


def _split_folder(
    folder: Path, hard: int | None, near: int | None, seed: int, before: Split | None
) -> tuple[Split, int]:
    names, cells, lengths = [], [], []
    for each in open_views(folder, logger.warning):
        try:
            solid = each.solid()
        except ViewsError as error:
            logger.warning("%s is left out: %s", each.name, error)
            continue
        if solid is None or not solid.any():
            raise ViewsError(f"{each.folder} has no solid, so it cannot be told what it is like. Render with --solid.")
        filled, sides = box_cells(solid)
        names.append(each.name)
        cells.append(filled)
        lengths.append(sides)
    if not names:
        raise ViewsError(f"{folder}: none of its objects can be used; the lines above say why.")
    groups = clusters(np.stack(cells), np.stack(lengths))
    counts = [
        min(most, len(names) // share) if given is None else given
        for given, (share, most) in ((hard, HARD), (near, NEAR))
    ]
    result = split(names, groups, max(counts[0], int(hard is None)), counts[1], seed, before)
    if not result.train:
        raise ViewsError(
            f"Of the {len(names)} objects in {folder} none is left to learn from. "
            "Hold out fewer with --hard and --near and --afresh, or render more models."
        )
    return result, len(set(groups.tolist()))


def _resampled(cells: NDArray[np.float32], first: int, last: int, side: int) -> NDArray[np.float32]:
    """Means over `side` equal parts of [first, last] along the first axis: differences of the running sum."""
    sums = np.concatenate([np.zeros_like(cells[:1]), np.cumsum(cells, axis=0)])
    at = np.linspace(first, last, side + 1)
    below = np.minimum(at.astype(int), len(cells) - 1)
    part = (at - below).astype(np.float32).reshape(-1, *[1] * (cells.ndim - 1))
    running = sums[below] + part * cells[below]
    return np.asarray(np.diff(running, axis=0) / ((last - first) / side), np.float32)


if __name__ == "__main__":
    sys.exit(main())
