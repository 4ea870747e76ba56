"""GET /jobs/{id}/events: a job's events as a stream (server-sent events, HTML standard section 9.2)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from backend.contract import Event
from backend.jobs.service import JobService

HEARTBEAT_SECONDS = 10.0
LOOK_SECONDS = 1.0
HEARTBEAT = ": still here\n\n"


def encode(event: Event) -> str:
    """One event; JSON has no line breaks of its own."""
    return f"id: {event.id}\nevent: {event.type}\ndata: {json.dumps(event.data, separators=(',', ':'))}\n\n"


async def stream(service: JobService, job: str, after: int) -> AsyncIterator[str]:
    """Every event with an id above `after`, each once, until the job ends or the server leaves.

    Between events a comment every ten seconds shows that the connection lives. Events of jobs that another server
    runs are looked for once a second.
    """
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    said = time.monotonic()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(changed.set)

    with service.news.listener(wake, job):
        while not service.closing:
            changed.clear()
            events, last = await run_in_threadpool(service.recent_events, job, after)
            if events:
                after = events[-1].id
                yield "".join(map(encode, events))
                said = time.monotonic()
            if last:
                return
            if events:
                continue
            if time.monotonic() - said >= HEARTBEAT_SECONDS:
                yield HEARTBEAT
                said = time.monotonic()
            try:
                await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue  # look again: other processes make no news here
