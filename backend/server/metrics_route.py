"""GET /metrics: what Prometheus asks for. Administrators alone may, as it tells of everybody's jobs."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from backend import __version__
from backend.contract import JobState
from backend.jobs.measures import known
from backend.jobs.service import JobService
from backend.pipelines import PIPELINES
from backend.prometheus import MEDIA_TYPE, Family, Sample, gauge, gauges, text
from backend.resident import resident_bytes
from backend.server.limits import asking
from backend.server.problems import documented
from backend.server.scope import check_administrator

HELD_SECONDS = 300.0
"""So long what the jobs hold counts: to measure takes a look at every file."""


class MetricsResponse(PlainTextResponse):
    media_type = MEDIA_TYPE


class Held:
    """The bytes that all jobs hold, measured now and then. Usable from any thread."""

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._when = float("-inf")
        self._bytes = 0

    def bytes(self) -> int:
        with self._lock:  # whoever comes while somebody measures waits for that, rather than doing it, too
            if time.monotonic() - self._when >= HELD_SECONDS:
                self._bytes = self._service.usage().bytes
                self._when = time.monotonic()
            return self._bytes


def add_metrics_route(app: FastAPI, service: JobService) -> None:
    held, began = Held(service), time.time()

    @app.get("/metrics", response_class=MetricsResponse, responses=documented())
    def metrics(request: Request) -> MetricsResponse:
        """The server's figures, in the text format of Prometheus."""
        check_administrator(asking(request.scope))
        return MetricsResponse(text([*_families(service, held, began), *service.measures.families()]))


def _families(service: JobService, held: Held, began: float) -> Iterator[Family]:
    """What is read at this moment. began: seconds since 1970."""
    yield Family("set_dresser_info", "gauge", "The version that runs.", [Sample(1, (("version", __version__),))])
    yield gauge("process_start_time_seconds", "When the server began, in seconds since 1970.", began)
    yield Family(
        "process_cpu_seconds_total", "counter", "Of the server process.", [Sample(round(time.process_time(), 3))]
    )
    if (memory := resident_bytes(os.getpid())) is not None:
        yield gauge("process_resident_memory_bytes", "Main memory of the server process.", memory)
    yield gauges(
        "set_dresser_worker_resident_memory_bytes",
        "Main memory of the worker process of each slot; no figure while there is none on this machine.",
        ("slot",),
        _workers(service),
    )
    workers = service.workers
    yield gauge("set_dresser_slots", "How many jobs can run at once.", len(workers))
    yield gauge("set_dresser_slots_busy", "How many of these are taken.", sum(job is not None for _, job in workers))
    yield from _list_of_jobs(service)
    yield gauge("set_dresser_held_bytes", "What the jobs hold of the disk, as of five minutes ago.", held.bytes())
    if service.keep_bytes is not None:
        yield gauge("set_dresser_keep_bytes", "Above this the oldest ended jobs are removed.", service.keep_bytes)
    free = shutil.disk_usage(service.data).free
    yield gauge("set_dresser_disk_free_bytes", "What is free where the data folder is.", free)


def _workers(service: JobService) -> dict[tuple[str, ...], float]:
    memory = {slot: resident_bytes(pid) for slot, pid in enumerate(service.worker_pids) if pid is not None}
    return {(str(slot),): count for slot, count in memory.items() if count is not None}


def _list_of_jobs(service: JobService) -> Iterator[Family]:
    counts: Counter[tuple[str, ...]] = Counter({(id, state.value): 0 for id in PIPELINES for state in JobState})
    oldest = 0.0
    for row in service.counts():
        if row.state in list(JobState):  # a damaged row is no state of its own
            counts[known(row.pipeline), row.state] += row.jobs
        if row.state == JobState.QUEUED:
            oldest = max(oldest, _seconds_since(row.oldest))
    yield gauges(
        "set_dresser_jobs",
        "Jobs in the list of the data folder, those of other servers on it among them.",
        ("pipeline", "state"),
        counts,
    )
    yield gauge("set_dresser_oldest_queued_seconds", "How long ago the oldest job came that queues.", oldest)


def _seconds_since(moment: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):  # the row is damaged; the log tells of it when it is read as a job
        return 0.0
