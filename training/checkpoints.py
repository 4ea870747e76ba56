"""The checkpoints of a training run: numbered folders, each whole or not there at all, the newest few."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

NAME = re.compile(r"step-(\d+)")
KEPT = 3


class Checkpoints:
    """In a folder, which is made if need be. One process writes, any number may read.

    Args:
        kept: how many stay.
    """

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self.folder, self.kept = folder, max(kept, 1)

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Lets `write` fill an empty folder, puts that in place under the step's number, and removes the oldest.

        Raises:
            OSError: nothing new is left behind, and those before stay.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*.partial"):
            shutil.rmtree(left)  # of a process that was killed: this one alone writes here
        beside, place = self.folder / f".{os.getpid()}.partial", self.folder / f"step-{step:08d}"
        beside.mkdir()
        try:
            write(beside)
            if place.exists():
                shutil.rmtree(place)
            beside.replace(place)
        except BaseException:
            shutil.rmtree(beside)
            raise
        for _, old in self.all()[: -self.kept]:
            shutil.rmtree(old)

    def all(self) -> list[tuple[int, Path]]:
        """(step, folder) of each, by number."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted((int(match[1]), each) for each in found if (match := NAME.fullmatch(each.name)))

    def latest(self) -> Path | None:
        """The folder of the one with the highest number; None if there is none."""
        found = self.all()
        return found[-1][1] if found else None
