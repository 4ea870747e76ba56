"""The contact sheet of jobs that belong together: whoever has sent them names them, and gets a zip of its files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from pydantic import Field

from backend.batches.record import LEFT_OUT, Entry, Item, Record
from backend.batches.sheet import sheet_files
from backend.contract import GenerateRequest, JobState, JobView, ProblemDocument, Result, Strict
from backend.errors import Problem
from backend.server.problems import documented
from backend.server.scope import JobsOf

MOST_ROWS = 300
PICTURE, RESULT = "thumbnail.png", "result.json"
Line = Annotated[str, Field(max_length=1000)]


class SheetProblem(Strict):
    """Why there is no job."""

    message: Line
    hint: Line = ""
    code: Annotated[str, Field(max_length=64)] = ""


class SheetRow(Strict):
    """One part of a sheet."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    job: Annotated[str, Field(max_length=64)] | None = Field(None, description="Its id; left out where there is none.")
    remarks: Annotated[list[Line], Field(max_length=300)] = Field(
        default_factory=list, description="What else is said of it, a line each."
    )
    problem: SheetProblem | None = Field(None, description="Why there is no job.")


class SheetRequest(Strict):
    """Body of POST /contact-sheet."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    rows: Annotated[list[SheetRow], Field(min_length=1, max_length=MOST_ROWS)]
    remarks: Annotated[list[Line], Field(max_length=20)] = Field(
        default_factory=list, description="What is said of all of it, a line each."
    )
    pipeline: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Of the rows without a job; the others know theirs."
    )


def add_sheet_route(app: FastAPI, jobs_of: Callable[[Request], JobsOf]) -> None:
    one_at_a_time = anyio.CapacityLimiter(1)  # it has many pictures in memory

    @app.post(
        "/contact-sheet",
        response_class=Response,
        responses={**documented("request-too-large"), 200: {"content": {"application/zip": {"schema": {}}}}},
    )
    async def contact_sheet(sheet: SheetRequest, request: Request) -> Response:
        """A zip with `contact-sheet.html`, the same as `contact-sheet.png` (several of a long one) and `batch.csv`. A
        job that is not there, or not one's own, is told as left out."""
        mine = jobs_of(request)
        data = await run_sync(lambda: _packed(mine, sheet), limiter=one_at_a_time)
        return Response(data, media_type="application/zip")


def _packed(jobs: JobsOf, sheet: SheetRequest) -> bytes:
    record = Record(
        name=sheet.name, remarks=sheet.remarks, entries=[_entry(jobs, row, sheet.pipeline) for row in sheet.rows]
    )

    def prop_picture(entry: Entry) -> Path | None:
        return None if entry.job is None else _file(jobs, entry.job, PICTURE)

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in sheet_files(record, prop_picture, linked=False).items():
            archive.writestr(name, data)
    return packed.getvalue()


def _entry(jobs: JobsOf, row: SheetRow, pipeline: str) -> Entry:
    """A row of the table. What is removed at this very moment counts as removed."""
    if row.job is None:
        entry = _empty(row, pipeline)
        if row.problem is not None:
            told = row.problem
            document = ProblemDocument(
                type="about:blank", title=told.message, status=409, detail=told.message, code=told.code, hint=told.hint
            )
            entry.state, entry.problem = LEFT_OUT, document
        return entry
    try:
        view = jobs.get(row.job)
        entry = _empty(row, view.pipeline, jobs.first_picture(row.job))
        _take(jobs, entry, view)
    except Problem as problem:
        entry = _empty(row, pipeline)
        entry.failed(problem)
    entry.job = row.job
    return entry


def _empty(row: SheetRow, pipeline: str, picture: Path | None = None) -> Entry:
    pictures = [] if picture is None else [str(picture)]
    item = Item(folder=row.name, request=GenerateRequest.model_validate({"pipeline": pipeline}), pictures=pictures)
    return Entry(item=item, remarks=row.remarks)


def _take(jobs: JobsOf, entry: Entry, view: JobView) -> None:
    """What has come of a job. Raises Problem."""
    if view.state == JobState.DONE or view.finished_early:
        try:
            entry.made(Result.model_validate_json(jobs.file(view.id, RESULT, taken=False).read_bytes()))
        except (OSError, ValueError) as error:
            raise Problem("file-not-found", f"The job's {RESULT} cannot be read any more.") from error
    elif view.state.ended:
        told = view.problem
        entry.failed(Problem.from_document(told.model_dump()) if told else Problem("cancelled", "It was cancelled."))
    else:
        entry.state = "waiting" if view.state == JobState.QUEUED else "running"


def _file(jobs: JobsOf, job: str, name: str) -> Path | None:
    try:
        return jobs.file(job, name, taken=False)
    except Problem:
        return None
