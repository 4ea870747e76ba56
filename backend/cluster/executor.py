"""Jobs on the machines of a Ray cluster: the `Executor` of a server that has one.

A slot is that of one machine with another kind of worker: the same messages come from farther away. Nothing here, nor
anything else that the server imports, knows Ray.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.cluster.bridge import Bridge, RemoteWorker
from backend.cluster.machines import CPU, GPU, GRAPHICS_MEMORY
from backend.cluster.needs import Wanted, wanted_of
from backend.contract import Waiting
from backend.errors import Problem
from backend.jobs.cooling import Cooling
from backend.jobs.executor import Interrupted, Lost, Report, WorkerState
from backend.jobs.local import LocalSlot
from backend.jobs.process import Worker

MOST_SLOTS = 256
REMEMBERED = 20
"""Of how many jobs the times are remembered, to tell how long others will wait."""

EARLY = 0.05
"""Below this fraction of a job nothing is concluded from it."""

NAMES = {CPU: "processor core", GPU: "graphics card", GRAPHICS_MEMORY: "graphics card with enough memory"}
NEVER_BEGUN = ("full", "away", "lost", "not-started")
"""Causes that say nothing of a job which was not begun: it goes back to its place in the queue."""

logger = logging.getLogger(__name__)


class RaySlot(LocalSlot):
    """A slot with a worker somewhere in a cluster.

    number: of the slot. times: takes the seconds that each job has taken.
    """

    def __init__(self, log: Path, grace_seconds: float, number: int, bridge: Bridge, times: deque[float]) -> None:
        super().__init__(log, grace_seconds, (), lambda count: None)
        self._number = number
        self._bridge = bridge
        self._times = times
        self._asked = Wanted()
        self._remote: RemoteWorker | None = None
        self._began: float | None = None
        self._fraction = 0.0
        self._placed = False

    @property
    def cooling(self) -> Cooling | None:
        """While the cluster cannot be reached; the bridge itself tries that again."""
        return self._bridge.cooling

    @property
    def resources(self) -> Mapping[str, float]:
        """What the worker has, and the one that is about to begin will have; nothing where there is none."""
        if self._placed:
            return self._asked.resources
        worker = self._remote
        return worker.resources if worker is not None and worker.alive else {}

    @property
    def is_beginning(self) -> bool:
        """Whether a job was given to it whose worker takes resources that the cluster still shows as free."""
        worker = self._remote
        return self._placed and (worker is None or not worker.alive or not worker.counted)

    def will_run(self, wanted: Wanted) -> None:
        """The job that is run next asks for this."""
        self._asked = wanted
        self._placed = True
        self.will_hold(wanted.networks)

    def warm(self) -> None:
        """Where a worker will be wanted, and with which resources, the first job tells."""

    def run(
        self,
        job: str,
        folder: Path,
        report: Callable[[Report], None],
        cancelled: Callable[[], bool],
        crowded: Callable[[], bool],
        finishing: Callable[[], bool],
    ) -> bool:
        def told(said: Report) -> None:
            self._began = self._began or time.monotonic()
            if said.type == "progress":
                self._fraction = said.data["fraction"]
            report(said)

        self._began, self._fraction = None, 0.0
        try:
            worker = self._remote
            if worker is not None and worker.alive and worker.resources != self._asked.resources:
                self._drop(kill=False)
            early = super().run(job, folder, told, cancelled, crowded, finishing)
            if self._began is not None:
                self._times.append(time.monotonic() - self._began)
            return early
        finally:
            self._placed, self._began = False, None

    def stop(self) -> None:
        """The worker itself ends with the bridge."""
        with self._lock:
            self._stopped = True
        if (worker := self._remote) is not None:
            worker.has_ended("ended", "The server ends.")

    def seconds_left(self, usual: float | None) -> float | None:
        """How long the job that runs will take, by its progress, otherwise by what is `usual`; None if nobody knows."""
        began = self._began
        if began is None:
            return usual
        taken = time.monotonic() - began
        if self._fraction >= EARLY:
            return taken * (1 - self._fraction) / self._fraction
        return None if usual is None else max(usual - taken, 0.0)

    def _begin(self) -> Worker:
        self._remote = self._bridge.open(self._number, lambda: self._asked)
        return self._remote

    def _start_failed(self, reason: str) -> Exception:
        worker = self._remote
        if worker is None or worker.cause in NEVER_BEGUN:
            return Interrupted(reason)
        return Lost(Problem("worker-start-failed", reason or "No worker has started in time."), suspect=False)

    def _death(self, begun: bool, cancelling: bool) -> Exception:
        worker = self._remote
        error = super()._death(begun, cancelling)
        if worker is None or not isinstance(error, Problem):
            return error
        if not begun and worker.cause in NEVER_BEGUN:
            return Interrupted(error.detail)
        return Lost(
            Problem("worker-died", worker.last_words() or error.detail), suspect=begun and worker.cause == "died"
        )


class RayExecutor:
    """The `Executor` of a cluster.

    log: file for what the process says that talks to the cluster.
    jobs: the folder of all jobs.
    address: HOST:PORT of the cluster's head, or "auto" for the one that runs on this machine.
    slots: how many jobs run at once; if left out as many as there are graphics cards in the cluster, and where there is
        none as machines.
    shared_disk: the machines see the data folder under the same path as this one.
    """

    elsewhere = True

    def __init__(
        self,
        log: Path,
        jobs: Path,
        address: str,
        *,
        grace_seconds: float = 5.0,
        slots: int | None = None,
        shared_disk: bool = False,
    ) -> None:
        self._log = log
        self._grace = grace_seconds
        self._fixed = slots
        self._look: Callable[[], None] = lambda: None
        self._slots: tuple[RaySlot, ...] = ()
        self._times: deque[float] = deque(maxlen=REMEMBERED)
        self._refused = Wanted()
        self._bridge = Bridge(log, address, jobs, shared_disk, self._changed)
        self._grow(slots or 1)
        self._bridge.start()

    @property
    def slots(self) -> Sequence[RaySlot]:
        return self._slots

    def when_changed(self, look: Callable[[], None]) -> None:
        self._look = look

    def place(self, job: str, folder: Path, free: Sequence[RaySlot]) -> RaySlot | None:
        """As on one machine, the slot whose worker holds what the job needs; it must have the resources that the job
        asks for, or a machine must have room for them once the worker that is there has left."""
        machines = self._bridge.machines
        if machines is None:
            return None
        wanted = wanted_of(folder, machines)
        fitting = [slot for slot in free if slot.resources == wanted.resources or self._has_room(wanted, slot)]
        if not fitting:
            self._refused = wanted
            return None
        chosen = min(
            fitting, key=lambda slot: (slot.resources not in ({}, wanted.resources), slot.moves(wanted.networks))
        )
        chosen.will_run(wanted)
        return chosen

    def _has_room(self, wanted: Wanted, slot: RaySlot) -> bool:
        """Whether some machine can take the job in a new worker, in place of the one that this slot may have."""
        if self._bridge.is_full:
            return False
        free = [dict(machine.free) for machine in self._bridge.machines or ()]
        for other in self._slots:
            if other.is_beginning:
                _take(free, other.resources)
        for machine in free:  # which of them the worker of this slot is on is not known here
            for name, amount in slot.resources.items():
                machine[name] = machine.get(name, 0.0) + amount
        return _take(free, wanted.resources)

    def hindrance(self, ahead: int | None) -> Waiting | None:
        machines = self._bridge.machines
        if machines is None:
            detail = f"The cluster at {self._bridge.address} is being asked what it has free."
            return Waiting(detail=detail, hint="The jobs begin by themselves.", until=None)
        if not machines:
            trouble = self._bridge.trouble or "There is none."
            detail = f"No machine of the cluster can begin a job. {trouble}"
            hint = "The jobs wait, and it is tried again. Look after the machines of the cluster."
            return Waiting(detail=detail, hint=hint, until=None)
        lacking = [
            NAMES[name]
            for name, amount in self._refused.resources.items()
            if not any(machine.free.get(name, 0.0) >= amount for machine in machines)
        ]
        count = f"its {len(machines)} machines have" if len(machines) != 1 else "its one machine has"
        detail = f"The cluster is full: {count} no {' and no '.join(lacking) or 'room'} free."
        seconds = self._estimate(ahead or 0)
        if seconds is None:
            hint = "The jobs begin by themselves; how long others keep it nobody can tell."
            return Waiting(detail=detail, hint=hint, until=None)
        minutes = max(round(seconds / 60), 1)
        hint = f"The jobs begin by themselves, the next in about {minutes} min."
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        return Waiting(detail=detail, hint=hint, until=until.isoformat(timespec="seconds").replace("+00:00", "Z"))

    def _estimate(self, ahead: int) -> float | None:
        """Seconds until a job begins that so many go before, by those that run here; None where that tells nothing."""
        usual = statistics.mean(self._times) if self._times else None
        left = [slot.seconds_left(usual) for slot in self._slots if slot.state == WorkerState.BUSY]
        known = sorted(seconds for seconds in left if seconds is not None)
        if not known or len(known) < len(left):
            return None
        rounds, place = divmod(max(ahead - len(known), 0), len(known))
        if rounds and usual is None:
            return None
        return known[place] + rounds * (usual or 0.0)

    def stop(self) -> None:
        for slot in self._slots:
            slot.stop()
        self._bridge.stop()

    def _changed(self) -> None:
        machines = self._bridge.machines
        if self._fixed is None and machines:
            cards = sum(int(machine.total.get(GPU, 0)) for machine in machines)
            self._grow(min(cards or len(machines), MOST_SLOTS))
        self._look()

    def _grow(self, count: int) -> None:
        for number in range(len(self._slots), count):
            self._slots = (*self._slots, RaySlot(self._log, self._grace, number, self._bridge, self._times))


def _take(free: list[dict[str, float]], resources: Mapping[str, float]) -> bool:
    """Take so much from the machine that has most free of those that have it; whether there is one."""
    fitting = [each for each in free if all(each.get(name, 0.0) >= amount for name, amount in resources.items())]
    if not fitting:
        return False
    machine = max(fitting, key=lambda each: each.get(CPU, 0.0))
    for name, amount in resources.items():
        machine[name] = machine.get(name, 0.0) - amount
    return True
