"""What the attempts at a job have taken, in its folder, so that a result tells the time of all of them.

The file is written anew now and then and when an attempt ends; of one that is killed the last half second is not known.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, NonNegativeInt

from backend.contract import Seconds, StageTime
from backend.files import replace_whole
from backend.jobs.folders import SPENT
from backend.pipelines.context import Context

NOTE_SECONDS = 0.5
logger = logging.getLogger(__name__)


class Times(BaseModel):
    """Of all attempts together. stages: in the order in which they were first entered."""

    attempts: NonNegativeInt = 0
    seconds: Seconds = 0.0
    stages: dict[str, Seconds] = {}

    def and_of(self, context: Context) -> Times:
        """With those of an attempt as far as it has come."""
        stages = dict(self.stages)
        for row in context.stage_times():
            stages[row.stage] = stages.get(row.stage, 0.0) + row.seconds
        return Times(attempts=self.attempts + 1, seconds=self.seconds + context.elapsed, stages=stages)

    @property
    def timings(self) -> list[StageTime]:
        return [StageTime(stage=stage, seconds=seconds) for stage, seconds in self.stages.items()]


class Spent:
    """The times of a job's attempts: those before, and the running one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SPENT
        self._context: Context | None = None
        self._next = 0.0
        self.before = self._read()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """However the block ends, what it took is noted."""
        try:
            yield
        finally:
            self._note()

    def follow(self, context: Context) -> None:
        """This is the running attempt."""
        self._context = context

    def look(self) -> None:
        """Note what it has taken, if that was not done just now."""
        if time.monotonic() >= self._next:
            self._note()

    def _note(self) -> None:
        if self._context is None:
            return
        self._next = time.monotonic() + NOTE_SECONDS
        try:
            replace_whole(self._path, self.before.and_of(self._context).model_dump_json().encode())
        except OSError as error:  # a full disk, or the folder is gone: the result merely tells less
            logger.warning("what the job has taken is not noted: %s", error)

    def _read(self) -> Times:
        try:
            return Times.model_validate(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return Times()
        except (OSError, ValueError, RecursionError) as error:  # pydantic's and json's are ValueErrors
            logger.warning("what earlier attempts have taken cannot be read: %s", error)
            return Times()
