"""The HTTP contract: thin endpoints over `JobService`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any, BinaryIO

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from backend import __version__
from backend.contract import AgainRequest, GenerateRequest, JobView
from backend.downloads.manager import Downloads
from backend.errors import Problem
from backend.jobs.service import JobService
from backend.pipelines import PIPELINES
from backend.preparations import preparations as all_preparations
from backend.server import documents, problems
from backend.server.entrance import Entrance
from backend.server.limits import Limits, Pace, asking
from backend.server.metrics_route import add_metrics_route
from backend.server.middleware import BodyLimit, Guard, Who
from backend.server.models_routes import add_model_routes
from backend.server.problems import ANY_TIME_OF_USERS, documented
from backend.server.scope import JobsOf, check_administrator
from backend.server.shares import Shares
from backend.server.sheet_routes import add_sheet_route
from backend.server.static_pages import StaticPages
from backend.server.stream import stream
from backend.server.transfer_routes import add_file_routes, add_upload_routes, swept
from backend.server.upload import FORM, SentBefore, key_of, read_form, received_form
from backend.server.uploads import Uploads
from backend.server.users import User
from backend.server.views import (
    Answer,
    DeleteOptions,
    Health,
    Leaving,
    ListOptions,
    PipelineView,
    PreparationView,
    Priority,
    Resting,
    StorageLimit,
    StorageQuestion,
    StorageView,
    UserHealth,
    UserStorage,
)

LARGEST_UPLOAD = 256_000_000
UPLOADS = "uploads"
CHUNK = 1 << 18
MEDIA_TYPES = {".glb": "model/gltf-binary", ".json": "application/json", ".mp4": "video/mp4", ".png": "image/png"}
LAST_EVENT = 2**63 - 1


def create_app(
    service: JobService,
    downloads: Downloads,
    *,
    entrance: Entrance,
    port: int,
    who: Who,
    leave: Callable[[], None],
    limits: Limits | None = None,
) -> FastAPI:
    """The server's application.

    service, downloads: started and stopped by the caller.
    entrance: how the server is reached. port: the one that clients connect to; part of the Host they must name.
    who: every request carries a token as `Authorization: Bearer <token>`; this tells whose.
    leave: called once the answer to POST /shutdown is on its way; must return at once.
    limits: of each user, where there are several; None for whoever started the server.
    """
    shares = Shares(lambda user: service.usage(user).bytes + uploads.held(user), limits.disk if limits else None)
    largest = limits.upload if limits else LARGEST_UPLOAD
    uploads = Uploads(service.data / UPLOADS, largest, shares)

    def jobs_of(request: Request) -> JobsOf:
        return JobsOf(service, asking(request.scope), shares, limits.jobs if limits else None)

    def sent_by(user: User) -> SentBefore:
        return SentBefore(functools.partial(uploads.read, user.name), largest)

    app = FastAPI(
        title="Set Dresser",
        version=__version__,
        description="Block out a set with boxes, press one button: the boxes become props.",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=(lambda app: swept(uploads)) if limits else None,
        # No middleware for other origins: no web page has business here.
    )
    app.router.route_class = documents.DocumentRoute
    app.add_middleware(BodyLimit, limit=largest, small=documents.LONGEST, uploads=("/jobs", "/uploads/"))
    if limits:
        app.add_middleware(Pace, rate=limits.requests)
    app.add_middleware(
        Guard,
        hosts=entrance.hosts(port),
        who=who,
        users=limits is not None,
        elsewhere=entrance.listen is not None,
        pages=StaticPages() if entrance.listen is not None else None,
    )
    problems.install(app)
    _add_server_routes(app, service, jobs_of, shares, leave)
    _add_job_routes(app, service, jobs_of, sent_by if limits else None)
    if limits:
        add_file_routes(app, jobs_of, MEDIA_TYPES)
        add_upload_routes(app, uploads)
    else:
        _add_file_route(app, jobs_of)
    add_sheet_route(app, jobs_of)
    add_model_routes(app, downloads)
    add_metrics_route(app, service)
    _complete_openapi(app, users=limits is not None)
    return app


def _add_server_routes(
    app: FastAPI,
    service: JobService,
    jobs_of: Callable[[Request], JobsOf],
    shares: Shares,
    leave: Callable[[], None],
) -> None:
    quick = anyio.CapacityLimiter(2)  # its own threads: the others may all be busy

    users = shares.most is not None

    @app.get("/health", response_model=UserHealth if users else Health, responses=documented())
    async def health(request: Request) -> Health:
        """Whether the server is there, and what it is doing."""
        if users:
            return await run_sync(UserHealth.seen, service, jobs_of(request), asking(request.scope), limiter=quick)
        return await run_sync(Health.of, service, limiter=quick)

    @app.get("/pipelines", responses=documented())
    def pipelines() -> list[PipelineView]:
        """Every pipeline, with the schema of its parameters."""
        return [PipelineView.of(info) for info in PIPELINES.values()]

    @app.get("/preparations", responses=documented())
    def preparations() -> list[PreparationView]:
        """Everything that can be done to a shot before a pipeline gets it, in the order in which it is done."""
        return [PreparationView.of(info) for info in all_preparations().values()]

    @app.post("/rest", status_code=202, responses=documented())
    def rest(request: Request) -> Resting:
        """Have the workers leave that are not needed now, to give their memory back; the next job starts another."""
        check_administrator(asking(request.scope))
        return Resting(resting=service.rest())

    @app.get("/storage", response_model=UserStorage if users else StorageView, responses=documented())
    def storage(question: Annotated[StorageQuestion, Query()], request: Request) -> StorageView:
        """What the jobs hold of the disk, and what a limit would remove of it."""
        if question.keep_bytes is not None:
            check_administrator(asking(request.scope))
        if users:
            return UserStorage.seen(service, jobs_of(request), asking(request.scope), shares, question.keep_bytes)
        return StorageView.of(service, question.keep_bytes)

    @app.put("/storage", responses=documented("request-too-large"))
    def limit_storage(limit: StorageLimit, request: Request) -> StorageView:
        """Set what the jobs may hold, until this server ends; old ones are removed soon after the answer."""
        check_administrator(asking(request.scope))
        service.limit(limit.keep_bytes)
        return StorageView.of(service)

    @app.post("/shutdown", status_code=202, responses=documented())
    async def shutdown(request: Request) -> Leaving:
        """End the server in good order; what runs is put back in the queue for the next one."""
        check_administrator(asking(request.scope))
        leave()
        return Leaving()


def _add_job_routes(
    app: FastAPI,
    service: JobService,
    jobs_of: Callable[[Request], JobsOf],
    sent_by: Callable[[User], SentBefore] | None,
) -> None:
    missing = documented("job-not-found")
    taking_in = anyio.CapacityLimiter(1)  # the pictures of one job in memory are enough

    @app.post(
        "/jobs",
        status_code=201,
        openapi_extra=FORM,
        responses=documented(
            "request-too-large",
            "image-too-large",
            "image-unreadable",
            "pipeline-unknown",
            "weights-missing",
            "key-reused",
        ),
    )
    async def submit(request: Request, response: Response, key: Annotated[str | None, Depends(key_of)]) -> JobView:
        """Check everything, store it, queue it; or tell of the job that was asked for by the same key before."""
        async with received_form(request), taking_in:
            form = await read_form(request, sent_by(asking(request.scope)) if sent_by else None)
            job = await run_in_threadpool(jobs_of(request).submit, *form, key=key)
        response.headers["Location"] = f"/jobs/{job.id}"
        return job

    @app.post(
        "/jobs/{job}/again",
        status_code=201,
        responses=documented(
            "job-not-found",
            "inputs-gone",
            "request-too-large",
            "pipeline-unknown",
            "weights-missing",
            "disk-full",
            "key-reused",
        ),
    )
    async def again(
        job: str,
        changes: AgainRequest,
        request: Request,
        response: Response,
        key: Annotated[str | None, Depends(key_of)],
    ) -> JobView:
        """A new job with the inputs of another one, and what is to be different."""
        async with taking_in:
            made = await run_in_threadpool(jobs_of(request).again, job, changes, key=key)
        response.headers["Location"] = f"/jobs/{made.id}"
        return made

    @app.get("/jobs", responses=missing)
    def jobs(options: Annotated[ListOptions, Query()], request: Request) -> list[JobView]:
        """The newest jobs first; those of other servers on the same data folder are among them."""
        return jobs_of(request).newest(options.limit, options.before, options.ended)

    @app.get("/jobs/{job}", responses=missing)
    def job_view(job: str, request: Request) -> JobView:
        """One job."""
        return jobs_of(request).get(job)

    @app.get(
        "/jobs/{job}/events",
        response_class=StreamingResponse,
        responses={**missing, 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    def events(
        job: str, request: Request, last_event_id: Annotated[int, Header(ge=0, le=LAST_EVENT)] = 0
    ) -> StreamingResponse:
        """Server-sent events, from the first or from the one after Last-Event-ID; ends when the job has ended."""
        jobs_of(request).get(job)
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(stream(service, job, last_event_id), media_type="text/event-stream", headers=headers)

    @app.post("/jobs/{job}/finish", responses=documented("job-not-found", "finish-not-possible"))
    def finish(job: str, request: Request) -> JobView:
        """Have a running job end early with the best it has."""
        return jobs_of(request).finish(job)

    @app.post("/jobs/{job}/priority", responses=documented("job-not-found", "request-too-large"))
    def prioritise(job: str, body: Priority, request: Request) -> JobView:
        """Have a job of a user go before the others of the same user that wait, or after them."""
        return jobs_of(request).prioritise(job, body.priority)

    @app.post(
        "/jobs/{job}/continue",
        responses=documented(
            "job-not-found", "inputs-gone", "continue-not-possible", "pipeline-unknown", "weights-missing"
        ),
    )
    async def go_on(job: str, request: Request) -> JobView:
        """Queue a job again that failed, was cancelled or finished early, to go on from its newest checkpoint."""
        async with taking_in:
            return await run_in_threadpool(jobs_of(request).go_on, job)

    @app.post(
        "/jobs/{job}/input",
        responses=documented("job-not-found", "input-not-expected", "answer-invalid", "request-too-large"),
    )
    def answer(job: str, body: Answer, request: Request) -> JobView:
        """Answer the question of a job in `needs_input`."""
        return jobs_of(request).answer(job, body.answer)

    @app.delete(
        "/jobs/{job}",
        response_model=JobView,
        responses={**documented("job-not-found", "job-not-finished"), 204: {"description": "The job is forgotten."}},
    )
    def cancel(job: str, options: Annotated[DeleteOptions, Query()], request: Request) -> JobView | Response:
        """Cancel a job. With `forget=true` remove an ended job with its files instead."""
        if options.forget:
            jobs_of(request).delete(job)
            return Response(status_code=204)
        return jobs_of(request).cancel(job)


def _add_file_route(app: FastAPI, jobs_of: Callable[[Request], JobsOf]) -> None:
    """Whole files, for whoever is on this machine; `transfer_routes` has those that go over slow lines."""

    @app.get(
        "/jobs/{job}/files/{name}",
        response_class=StreamingResponse,
        responses={
            **documented("job-not-found", "job-not-finished", "file-not-found"),
            200: {"content": {kind: {"schema": {}} for kind in MEDIA_TYPES.values()}},
        },
    )
    def file(job: str, name: str, request: Request) -> StreamingResponse:
        """A file of the result, one of `files`; on the way, a picture that its question or a preview mentions."""
        path = jobs_of(request).file(job, name)
        try:
            opened = path.open("rb")
            size = os.fstat(opened.fileno()).st_size  # of this very file: another may take its place at any moment
        except OSError as error:
            raise Problem("file-not-found", f"The file '{name[:40]}' cannot be read any more.") from error
        kind = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        return StreamingResponse(_chunks(opened), media_type=kind, headers={"Content-Length": str(size)})


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _complete_openapi(app: FastAPI, *, users: bool) -> None:
    """Add to the description what the framework cannot see: the token, the model inside the form, and what `users` may
    meet anywhere."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            components = document["components"]
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            request = GenerateRequest.model_json_schema(ref_template="#/components/schemas/{model}")
            components["schemas"].update(request.pop("$defs"), GenerateRequest=request)
            document["security"] = [{"token": []}]
            for operation in (each for path in document["paths"].values() for each in path.values() if users):
                for status, answer in documented(*ANY_TIME_OF_USERS).items():
                    operation["responses"].setdefault(str(status), answer)
        return app.openapi_schema or document

    app.openapi = openapi  # type: ignore[method-assign]
