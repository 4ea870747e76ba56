"""The backend's lists, fetched again: one fetch at a time, and the last word is the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..state.telling import LISTS
from ..wire.tasks import Steps
from . import jobs

if TYPE_CHECKING:
    from ..session import Session


class Lists:
    """Whoever asks while they are being fetched has them fetched once more afterwards: two fetches at once could
    overtake each other."""

    def __init__(self) -> None:
        self._task: Steps | None = None
        self._again = False

    def refresh(self, session: Session) -> None:
        if self._task is not None and session.tasks.runs(self._task):
            self._again = True
        else:
            self._task = session.begin(self._fetch(session), lambda error: session.report(error, LISTS))

    def _fetch(self, session: Session) -> Steps:
        self._again = True
        while self._again:
            self._again = False
            yield from jobs.refresh(session)
        session.settle(LISTS)
