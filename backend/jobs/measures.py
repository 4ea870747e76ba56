"""What is counted of the jobs while this process runs them, for Prometheus.

It begins at 0 with the process, as counters of Prometheus do: whoever reads them sees that they have fallen, and goes
on from there. How many jobs there are in each state is no counter; that is read from the list.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from backend.contract import JobState, JobView, Seconds, StageTime
from backend.errors import ERRORS
from backend.pipelines import PIPELINES
from backend.preparations import preparations
from backend.prometheus import Counter, Family, Histogram

OTHER = "other"
"""Stands for every value of a label that is not one of ours, so that there are only so many."""

RESULT = Path("output", "result.json")
FIRST_BEGIN = 2
"""Id of the event that tells of it: the first tells that the job queues."""

STAGE_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
JOB_BOUNDS = (1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 43200.0)
QUEUE_BOUNDS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
"""Seconds."""

logger = logging.getLogger(__name__)


class _Times(BaseModel):
    """What a result tells of the time it took."""

    timings: list[StageTime]
    seconds: Seconds


class Measures:
    """Usable from any thread."""

    def __init__(self) -> None:
        ends = [(pipeline, state.value) for pipeline in PIPELINES for state in JobState if state.ended]
        self._ended = Counter(
            "set_dresser_jobs_ended_total",
            "Jobs that have ended, by what became of them; one that is continued ends again.",
            ("pipeline", "state"),
            ends,
        )
        self._failures = Counter(
            "set_dresser_failures_total", "Jobs that have failed, by the code of the error.", ("pipeline", "code")
        )
        self._queue = Histogram(
            "set_dresser_queue_seconds",
            "From when a job came to when it was begun for the first time.",
            ("pipeline",),
            QUEUE_BOUNDS,
        )
        self._jobs = Histogram(
            "set_dresser_job_seconds",
            "What jobs that are done have taken, all attempts together.",
            ("pipeline",),
            JOB_BOUNDS,
        )
        self._stages = Histogram(
            "set_dresser_stage_seconds",
            "What the stages of jobs that are done have taken, all attempts together.",
            ("pipeline", "stage"),
            STAGE_BOUNDS,
        )

    def families(self) -> list[Family]:
        return [each.family() for each in (self._ended, self._failures, self._queue, self._jobs, self._stages)]

    def begun(self, job: JobView) -> None:
        """A job was taken from the queue. How long it waits between two attempts is not how long the queue is."""
        if job.last_event == FIRST_BEGIN and job.started is not None:
            waited = datetime.fromisoformat(job.started) - datetime.fromisoformat(job.created)
            self._queue.observe(max(0.0, waited.total_seconds()), known(job.pipeline))

    def ended(self, pipeline: str, state: JobState, code: str) -> None:
        """A job has ended, and that is written down. code: of the error, where it failed."""
        self._ended.add(known(pipeline), state.value)
        if state == JobState.FAILED:
            self._failures.add(known(pipeline), code if code in ERRORS else OTHER)

    def done(self, job: JobView, folder: Path) -> None:
        """A job is done, and its result lies in its folder."""
        try:
            times = _Times.model_validate_json((folder / RESULT).read_bytes())
        except (OSError, ValueError) as error:  # pydantic's are ValueErrors
            logger.info("what job %s has taken is not counted: %s", job.id, error)
            return
        pipeline = known(job.pipeline)
        self._jobs.observe(times.seconds, pipeline)
        stages = _stages_of(job.pipeline)
        for row in times.timings:
            self._stages.observe(row.seconds, pipeline, row.stage if row.stage in stages else OTHER)


def known(pipeline: str) -> str:
    """A pipeline as the value of a label: one that there is. The list also has jobs of those that there were."""
    return pipeline if pipeline in PIPELINES else OTHER


def _stages_of(pipeline: str) -> set[str]:
    methods = [*preparations().values(), *([PIPELINES[pipeline]] if pipeline in PIPELINES else [])]
    return {stage.name for method in methods for stage in method.stages}
