"""A job that the server has: its events are read until it has ended, and its props come in."""

from __future__ import annotations

from collections.abc import Callable

from ..ground.messages import SetDresserError
from ..state.job import JobRecord
from ..wire.client import Client, EventParser, answer
from ..wire.http_exchange import Exchange
from ..wire.http_framing import ConnectionProblem
from ..wire.tasks import Steps
from . import results
from .line import Line, told

RECONNECTIONS = 6

MOST_STREAMS, LOOK_SECONDS = 24, 0.5
"""Jobs on a studio's server that are followed; seconds between two looks at others."""

HEAD_START = 2.0
"""Seconds that the Blender which has made a job has to fetch its result, before another one with the same file does."""


def until_placed(line: Line, record: JobRecord) -> Steps[None]:
    """From a job that the server has to props in the scene."""
    yield from follow(line, record)
    looking = line.tasks.start(look(line, record), lambda error: line.desk.report(error, record.id))
    line.desk.storage_stale = True
    if record.state == "failed" and record.problem is not None:
        line.desk.report(record.problem, record.id)
    if record.awaited and (not record.found or (yield from _nobody_has_it(line, record))):
        yield from results.bring_in(line, record)
    while record.state != "done" and line.tasks.runs(looking):
        yield  # whoever waits for the end wants to know whether it can go on


def _nobody_has_it(line: Line, record: JobRecord) -> Steps[bool]:
    """Whether a result is still to be had that was made by another Blender: by one that has ended, or by one that lives
    and has the same file open. That one comes first."""
    record.arrival = "fetching"
    line.desk.changed()
    yield from line.tasks.pause(HEAD_START)
    description = yield from line.patiently(lambda client: client.job(record.id))
    record.arrival = "imported" if record.imported else ""
    record.import_when_done &= not description.get("fetched")
    line.desk.changed()
    return record.awaited


def follow(line: Line, record: JobRecord) -> Steps[None]:
    """Read the job's events until it has ended; a cut stream goes on where it was, also with a restarted server."""
    failures = 0
    while not record.ended:
        try:
            came = yield from _read_events(line, record)
        except SetDresserError as problem:
            if line.endures(problem):
                failures = 1
            elif isinstance(problem, ConnectionProblem) and failures < RECONNECTIONS:
                failures += 1
            else:
                raise
        else:
            failures = 0 if came else failures + 1
        if not record.ended:
            yield from line.tasks.pause(min(0.1 * 2**failures, 2.0))


def look(line: Line, record: JobRecord) -> Steps[None]:
    """Ask the server what can be asked of the job, which its events do not tell."""
    told((yield from line.patiently(lambda client: client.job(record.id))), record.take_chances)
    line.desk.changed()


def tell(line: Line, record: JobRecord, ask: Callable[[Client], Exchange]) -> Steps[None]:
    """Ask something of a job of the server's, whose answer is the job as it is then; a studio's server that is away is
    asked when it is back."""
    description = yield from line.patiently(ask)
    if not record.busy:  # whoever follows it hears more, and sooner
        record.take_description(description)
    line.desk.changed()


def _read_events(line: Line, record: JobRecord) -> Steps[bool]:
    """One connection's worth of events; returns whether any came."""
    yield from _take_place(line, record)
    client = yield from line.patient_client()
    if record.ended:
        return True
    parser = EventParser()
    exchange = client.events(record.id, record.last_event, parser)
    came = False
    line.streams += 1
    try:
        complete = False
        while not complete and not record.ended:
            try:
                complete = exchange.advance(line.tasks.deadline)
            finally:
                for event in parser.take():
                    former = record.state
                    record.take_event(event)
                    if record.state == "running" and former != "running":
                        # Unless it can be had, nothing is offered; a server that has gone is told of by this stream.
                        line.tasks.start(look(line, record), lambda error: line.desk.changed())
                    line.desk.changed()
                    came = True
            if not complete and not record.ended:
                yield
        if complete:
            answer(exchange)
    finally:
        line.streams -= 1
        exchange.close()
    return came


def _take_place(line: Line, record: JobRecord) -> Steps[None]:
    """A studio's server gives a user so many answers at once and no more, and streams of events are such: of many jobs
    some are followed, and the others are looked at in turn, until there is room for them or they have ended."""
    while line.desk.server.remote and line.streams >= MOST_STREAMS and not record.ended:
        others = sum(each.busy and not each.ended for each in line.desk.jobs.values()) - line.streams
        yield from line.tasks.pause(LOOK_SECONDS * max(1, others))
        record.take_description((yield from line.patiently(lambda client: client.job(record.id))))
        line.desk.changed()
