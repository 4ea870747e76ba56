"""What a pipeline sees of its checkpoints. The files are the business of `backend/jobs/checkpoints.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.contract import Warning
from backend.pipelines.time_left import Advance

Write = Callable[[Path], None]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` steps: what its method has written into `folder`.

    fraction: how far the whole run had come, 0 to 1.
    warnings: what the user had been told by then.
    """

    step: int
    folder: Path
    fraction: float = 0.0
    warnings: tuple[Warning, ...] = ()


class CheckpointKeeper(Protocol):
    """Where the checkpoints of a run are kept."""

    def save(self, step: int, write: Write, fraction: float, warnings: list[Warning]) -> None: ...

    def latest(self) -> Checkpoint | None: ...

    def part(self, name: str) -> CheckpointKeeper: ...


class Nowhere:
    """Keeps nothing: a run that nobody can resume."""

    def save(self, step: int, write: Write, fraction: float, warnings: list[Warning]) -> None:
        return None

    def latest(self) -> Checkpoint | None:
        return None

    def part(self, name: str) -> CheckpointKeeper:
        return self


class Checkpoints:
    """`context.checkpoints`: states of a long run that outlive its process.

    A method that resumes from one must go on as if it had never stopped, to the bit: what it draws by chance comes from
    the seed and the step, or its generators' states are part of the checkpoint.
    """

    def __init__(self, keeper: CheckpointKeeper, advance: Advance, warnings: list[Warning]) -> None:
        self._keeper = keeper
        self._advance = advance
        self._warnings = warnings

    def save(self, step: int, write: Write) -> None:
        """Keep the state after `step` steps, whole or not at all; the newest two are kept.

        write: is given an empty folder and writes files into it.

        A full disk does not end the run: it is told, and the checkpoints before stay.
        """
        self._keeper.save(step, write, self._advance.fraction, self._warnings)

    def latest(self) -> Checkpoint | None:
        """The newest one that is whole, of this attempt or an earlier one; None if the run begins at its beginning."""
        found = self._keeper.latest()
        if found is not None:
            self._advance.resumes(found.fraction)
            self._warnings += [warning for warning in found.warnings if warning not in self._warnings]
        return found

    def part(self, name: str) -> Checkpoints:
        """Those of one part of the run, with steps of its own, beside those of every other part.

        For a run that is several long works, one after the other: what was done of one stays while the next goes on.

        name: a plain word, the same in every attempt.
        """
        return Checkpoints(self._keeper.part(name), self._advance, self._warnings)
