"""What runs jobs: a small interface, so that the queue does not know where the work is done."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from backend.jobs.cooling import Cooling


class WorkerState(StrEnum):
    """asleep -> starting -> ready <-> busy; back to asleep when idle, cancelled by force, or dead."""

    ASLEEP = "asleep"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"


class Report(NamedTuple):
    """Something a running job says. `data` is a Progress, a Warning, a Preview, or the question."""

    type: Literal["progress", "warning", "preview", "question"]
    data: dict[str, Any]


class Interrupted(Exception):
    """The executor was stopped while the job ran; the job is neither done nor at fault."""


class Parked(Exception):
    """The job waits for an answer and was put aside; it is run again, from its beginning, once it has one."""


class Executor(Protocol):
    """Runs one job at a time.

    `run`, `warm` and `rest` are called from one thread, the queue's; the others from any.
    """

    @property
    def state(self) -> WorkerState: ...

    @property
    def cooling(self) -> Cooling | None:
        """Why no job should be run now; None again once a worker has started, which `warm` tries."""

    def warm(self) -> None:
        """Get ready before the first job asks for it. A failure shows when a job is run."""

    def run(
        self,
        job: str,
        folder: Path,
        report: Callable[[Report], None],
        cancelled: Callable[[], bool],
        crowded: Callable[[], bool],
        finishing: Callable[[], bool],
    ) -> bool:
        """Run the job in `folder` until its result is written; whether it was ended early.

        `report` is called in this thread; `cancelled` is asked now and then, and at once after `nudge()`, and so are
        `finishing`, whether the user wants an early end, and `crowded` while the job waits for an answer: whether it
        should make room.
        Raises Problem, `backend.pipelines.context.Cancelled`, `Parked` or `Interrupted`.
        """

    def nudge(self) -> None:
        """Look at `cancelled`, `crowded` and `finishing` now."""

    def answer(self, job: str, answer: dict[str, Any]) -> None:
        """Hand the running job the answer to its question."""

    def rest(self) -> None:
        """Give memory back until the next job."""

    def stop(self) -> None:
        """End for good; a running job is `Interrupted`."""
