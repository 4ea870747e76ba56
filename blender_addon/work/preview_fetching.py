"""Fetches what running jobs show: one picture at a time, at most two a second, and only what is newest by then."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from ..backend_process.server_process import ServerState
from ..capture import pictures
from ..ground.slices import Slices
from ..state.desk import Desk
from ..state.job import JobRecord
from ..state.previews import Preview
from ..wire.tasks import Steps
from . import preview_images, results
from .line import Line

INTERVAL = 0.5
"""Seconds from the beginning of one fetch to that of the next."""

MOST_PIXELS = 1024
"""Along a side. The contract says 512; whatever is larger would hold Blender while it is decoded."""

MOST_BYTES = 4 * 1024 * 1024
"""Of a picture; one of 512 by 512 pixels that cannot be compressed has a quarter of that."""


class PreviewFetching:
    """Which previews are shown, and the one fetch that goes on.

    fetched: the revision of each (job, slot) that was asked for last. Older ones are never asked for, and one that
        could not be had is not asked for again: the next one comes soon.
    slices: how long showing each of them held Blender.
    """

    def __init__(self) -> None:
        self.fetched: dict[preview_images.Key, int] = {}
        self.slices = Slices()
        self.pausing = False
        self._begun = -INTERVAL
        self._task: Steps[Any] | None = None

    def show(self, line: Line) -> None:
        """Begin to fetch what is new, and let go of what jobs showed that do not run any more."""
        wanted = _wanted(line.desk)
        preview_images.keep(wanted)
        self.fetched = {key: revision for key, revision in self.fetched.items() if key in wanted}
        if line.desk.server.state is not ServerState.READY or self._newest(line.desk) is None:
            return
        if self._task is None or not line.tasks.runs(self._task):
            # A job whose picture cannot be had is as good a job; the picture before it stays.
            self._task = line.tasks.start(self._fetch(line), lambda error: line.desk.changed())

    def _newest(self, desk: Desk) -> tuple[JobRecord, Preview] | None:
        """What is to be fetched next: of the slot that has waited longest."""
        wanted = _wanted(desk)
        news = [key for key, (_, preview) in wanted.items() if preview.revision > self.fetched.get(key, -1)]
        return wanted[min(news, key=lambda key: self.fetched.get(key, -1))] if news else None

    def _fetch(self, line: Line) -> Steps[None]:
        while self._newest(line.desk) is not None:
            yield from self._pause()
            found = self._newest(line.desk)  # there may be a newer one by now, or none
            if found is None:
                return
            record, preview = found
            key = record.id, preview.slot
            self._begun, self.fetched[key] = time.monotonic(), preview.revision
            path = path_of(record, preview)
            path.parent.mkdir(parents=True, exist_ok=True)
            come = path.with_suffix(".come")
            client = yield from line.ready_client()
            yield from line.finish(client.download(record.id, preview.file, come, MOST_BYTES))
            try:
                pictures.check_png(come, MOST_PIXELS)  # before it takes the place of a good one
                come.replace(path)
            finally:
                come.unlink(missing_ok=True)
            if key in _wanted(line.desk):
                with line.holding(self.slices):
                    preview_images.show(key, path)
                line.desk.changed()

    def _pause(self) -> Steps[None]:
        self.pausing = True
        try:
            while time.monotonic() < self._begun + INTERVAL:
                yield
        finally:
            self.pausing = False


def path_of(record: JobRecord, preview: Preview) -> Path:
    """Where a slot's picture lies here; a newer one takes its place."""
    return results.folder_of(record.id) / "previews" / f"{hashlib.sha256(preview.slot.encode()).hexdigest()[:16]}.png"


def _wanted(desk: Desk) -> dict[preview_images.Key, tuple[JobRecord, Preview]]:
    """The previews of all jobs that have not ended, those that were painted last first."""
    going_on = [record for record in desk.jobs.values() if not record.ended]
    return {(job.id, each.slot): (job, each) for job in going_on for each in reversed(job.previews.values())}
