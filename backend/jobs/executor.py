"""What runs jobs: two small interfaces, so that the queue does not know where the work is done.

An `Executor` has slots, a `Slot` runs one job at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from backend.contract import Waiting
from backend.errors import Problem
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


class Lost(Exception):
    """What ran the job is gone, and another may do better: the job is run again, unless that was tried often enough.

    problem: what is told of the job then.
    suspect: the job may be why; otherwise a machine has gone, or the way to it.
    """

    def __init__(self, problem: Problem, *, suspect: bool) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.suspect = suspect


class Slot(Protocol):
    """Room for one job at a time, and a worker of its own.

    `run`, `warm` and `rest` are called from one thread, the slot's; the others from any.
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
        Raises Problem, `backend.pipelines.context.Cancelled`, `Parked`, `Interrupted` or `Lost`.
        """

    def nudge(self) -> None:
        """Look at `cancelled`, `crowded` and `finishing` now."""

    def answer(self, job: str, answer: dict[str, Any]) -> None:
        """Hand the running job the answer to its question."""

    def rest(self) -> None:
        """Give memory back until the next job."""

    def stop(self) -> None:
        """End for good; a running job is `Interrupted`."""


@runtime_checkable
class OnThisMachine(Protocol):
    """A slot whose worker is a process of this machine."""

    @property
    def pid(self) -> int | None:
        """Of the worker; None while there is none."""


SlotType = TypeVar("SlotType")


class Executor(Protocol[SlotType]):
    """As many jobs at once as it has slots. Everything here is called from any thread and returns soon."""

    @property
    def elsewhere(self) -> bool:
        """Whether jobs run on other machines, so that none of them can be why a server died."""

    @property
    def slots(self) -> Sequence[SlotType]:
        """Those that there are. More may come, and none goes."""

    def place(self, job: str, folder: Path, free: Sequence[SlotType]) -> SlotType | None:
        """The slot which this job is to be run in, of those that are free; None if it fits in none of them now.

        folder: of the job; its `request.json` tells what it will need.
        """

    def hindrance(self, ahead: int | None) -> Waiting | None:
        """Why no job that waits is begun at the moment although slots are free, asked after `place` found none for any.

        ahead: how many jobs run, or go before the one that is asked for; None for all that wait.
        """

    def when_changed(self, look: Callable[[], None]) -> None:
        """`look` is called, in any thread, when there are more slots, or a job would fit that did not fit before."""

    def stop(self) -> None:
        """Stop every slot."""


class OneSlot:
    """A slot that is a whole executor."""

    elsewhere = False

    @property
    def slots(self: SlotType) -> Sequence[SlotType]:
        return (self,)

    def place(self, job: str, folder: Path, free: Sequence[SlotType]) -> SlotType | None:
        return free[0]

    def hindrance(self, ahead: int | None) -> Waiting | None:
        """A slot that is free takes any job."""
        return None

    def when_changed(self, look: Callable[[], None]) -> None:
        """There is always this one."""
