"""The objects of a run: opened, kept in the cache, and divided into those that teach and those that judge."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from models.optimisation.chance import generator
from models.optimisation.processes import Processes
from training.mira.bank import DataError, Shown, Views, keep
from training.mira.config import Data

OPENERS = 4
"""Threads that decode pictures."""
logger = logging.getLogger(__name__)

Open = Callable[[Path], Sequence[Views]]


@dataclass(frozen=True)
class Objects:
    """Those that are trained on, and those that are held out; by name."""

    trained: list[Shown]
    held_out: list[Shown]


def objects_of(settings: Data, cache: Path, seed: int, open_views: Open, processes: Processes) -> Objects:
    """All objects of a run. Ones that cannot be used are told of and left out.

    Args:
        cache: see `bank.keep`.
        open_views: reads a folder of objects.
        processes: each puts its share into the cache.

    Raises:
        DataError: there is no folder, nothing usable in it, or nothing left to train on.
    """
    root = settings.folder
    if not root.is_dir():
        raise DataError(f"{root} is no folder. Render objects into it first (python -m training.render).")
    found = sorted(open_views(root), key=lambda each: each.name)
    if not found:
        raise DataError(f"{root} holds no rendered objects. Render some first (python -m training.render).")
    share = found[processes.rank :: processes.size]
    _kept(share, root, cache, settings.picture_size)
    processes.any(False, torch.device("cuda" if torch.cuda.is_available() and processes.size > 1 else "cpu"))
    shown = _kept(found, root, cache, settings.picture_size, told=processes.rank == 0)
    if not shown:
        raise DataError(f"{root}: none of its {len(found)} objects can be used; the log says why.")
    out = held_out([each.name for each in shown], settings.held_out, seed)
    trained = [each for each in shown if each.name not in out]
    if not trained:
        raise DataError(f"All {len(shown)} objects of {root} are held out, so there are none to train on.")
    return Objects(trained, [each for each in shown if each.name in out])


def held_out(names: Sequence[str], which: Path | float, seed: int) -> set[str]:
    """Names of the objects that are not trained on.

    Raises:
        DataError: the file does not say.
    """
    if isinstance(which, float | int):
        order = torch.randperm(len(names), generator=generator(seed, "held out")).tolist()
        return {sorted(names)[each] for each in order[: round(len(names) * which)]}
    try:
        content = json.loads(which.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{which} cannot be read: {error}") from error
    listed = content.get("held_out") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise DataError(f"{which} has no list of names under 'held_out'.")
    return set(listed)


def _kept(found: Sequence[Views], root: Path, cache: Path, longest: int, told: bool = False) -> list[Shown]:
    def one(views: Views) -> Shown | str:
        try:
            return keep(views, root / views.name, cache, longest)
        except (DataError, ValueError, OSError) as error:
            return f"{views.name} is left out: {error}"

    with ThreadPoolExecutor(OPENERS) as pool:
        results = list(pool.map(one, found))
    for each in results:
        if isinstance(each, str) and told:
            logger.warning(each)
    return [each for each in results if isinstance(each, Shown)]
