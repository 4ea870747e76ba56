"""The last reports of the jobs that run here. The list of jobs keeps the newest of each kind; whoever follows a job as
it goes gets all of them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from backend.contract import Event

MOST_EVENTS = 64
MOST_JOBS = 8


@dataclass
class _Reports:
    """lost: the highest id that had to make room."""

    events: deque[Event] = field(default_factory=deque)
    lost: int = 0


class Recent:
    """Usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, _Reports] = OrderedDict()
        self._most = MOST_JOBS

    def follow(self, at_once: int) -> None:
        """So many jobs report at the same time."""
        self._most = max(self._most, 2 * at_once)

    def add(self, job: str, event: Event) -> None:
        with self._lock:
            reports = self._jobs.setdefault(job, _Reports())
            self._jobs.move_to_end(job)
            if len(self._jobs) > self._most:
                self._jobs.popitem(last=False)
            reports.events.append(event)
            if len(reports.events) > MOST_EVENTS:
                reports.lost = reports.events.popleft().id

    def forget_previews(self, job: str) -> None:
        """Their files are gone."""
        with self._lock:
            if (reports := self._jobs.get(job)) is not None:
                reports.events = deque(event for event in reports.events if event.type != "preview")

    def complete(self, job: str, after: int, stored: list[Event]) -> list[Event]:
        """The stored events of a job above `after`, in order, and what lay between them.

        A client that is far behind, or begins late, gets what is stored alone. Read the stored ones first: nothing that
        is newer than the last of them is added, so that nothing is overtaken.
        """
        with self._lock:
            reports = self._jobs.get(job)
            if not stored or reports is None or after < reports.lost:
                return stored
            known = {event.id for event in stored}
            between = [event for event in reports.events if after < event.id < stored[-1].id and event.id not in known]
        return sorted([*stored, *between], key=lambda event: event.id)
