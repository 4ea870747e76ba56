"""The objects of a run: opened, kept in the cache, and divided into those that teach and those that judge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from models.optimisation.processes import Processes
from training.config import DataError
from training.mira.bank import Shown, Views, keep
from training.mira.config import Data
from training.split import divided
from training.views import ViewsError

OPENERS = 4
"""Threads that decode pictures."""
logger = logging.getLogger(__name__)

Open = Callable[[Path, Callable[[str], None]], Sequence[Views]]
"""A folder, and who is told of each object in it that cannot be read → those that can."""


@dataclass(frozen=True)
class Objects:
    """Those that are trained on, and those that are held out, in groups."""

    trained: list[Shown]
    held_out: dict[str, list[Shown]]


def objects_of(settings: Data, cache: Path, seed: int, open_views: Open, processes: Processes) -> Objects:
    """All objects of a run. Ones that cannot be used are told of and left out.

    Args:
        cache: see `bank.keep`.
        open_views: reads a folder of objects.
        processes: each puts its share into the cache.

    Raises:
        DataError: there is no folder, nothing usable in it, or nothing left to train on.
        OSError: the cache cannot be written.
    """
    root, first = settings.folder, processes.rank == 0
    try:
        found = sorted(open_views(root, logger.warning if first else _nobody), key=lambda each: each.name)
    except ViewsError as error:
        raise DataError(str(error)) from error
    share = found[processes.rank :: processes.size]
    _kept(share, root, cache, settings.picture_size)
    processes.any(False, torch.device("cuda" if torch.cuda.is_available() and processes.size > 1 else "cpu"))
    shown = _kept(found, root, cache, settings.picture_size, told=first)
    if not shown:
        raise DataError(f"{root}: none of its {len(found)} objects can be used; the log says why.")
    by_name = {each.name: each for each in shown}
    trained, groups = divided(list(by_name), settings.held_out, seed)
    if not trained:
        why = "hold out fewer" if isinstance(settings.held_out, float) else "make that split again"
        raise DataError(
            f"{root}: none of {len(shown)} objects is to be trained on (data.held_out is {settings.held_out}); {why}."
        )
    if (left := len(by_name) - len(trained) - sum(map(len, groups.values()))) and first:
        logger.warning("%d objects are left out: %s does not have them, or for neither.", left, settings.held_out)
    return Objects(
        [by_name[name] for name in trained], {group: [by_name[name] for name in some] for group, some in groups.items()}
    )


def _nobody(sentence: str) -> None:
    """Another process tells it."""


def _kept(found: Sequence[Views], root: Path, cache: Path, longest: int, told: bool = False) -> list[Shown]:
    def one(views: Views) -> Shown | str:
        try:
            return keep(views, root / views.name, cache, longest)
        except (DataError, ViewsError, ValueError) as error:
            return f"{views.name} is left out: {error}"

    with ThreadPoolExecutor(OPENERS) as pool:
        results = list(pool.map(one, found))
    for each in results:
        if isinstance(each, str) and told:
            logger.warning(each)
    return [each for each in results if isinstance(each, Shown)]
