"""What the server shows besides jobs."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from backend import PROTOCOL_VERSION, __version__, engine, weights
from backend.camera import Whole
from backend.contract import ProblemDocument, Strict, Waiting
from backend.errors import Problem
from backend.jobs.executor import WorkerState
from backend.jobs.service import JobService
from backend.jobs.turns import RESTING
from backend.pipelines.base import MethodInfo, PipelineInfo
from backend.preparations.base import PreparationInfo
from backend.server.scope import JobsOf
from backend.server.shares import Shares
from backend.server.users import User


class SlotView(BaseModel):
    """Room for one job at a time."""

    worker: WorkerState
    running: str | None = Field(description="The job that runs in it.")


class Health(BaseModel):
    """The server is there, and what it is doing."""

    version: str = __version__
    protocol: int = PROTOCOL_VERSION
    pid: int
    worker: WorkerState = Field(description="That of the worker which has most to do.")
    running: str | None = Field(description="The job that runs now; of several the one in the first slot.")
    slots: list[SlotView] = Field(description="As many jobs run at once.")
    queued: int | None = Field(description="How many jobs wait on this server; null if the list cannot be read.")
    usual_seconds: float | None = Field(
        description="What the jobs that wait here usually take, on average; null where nothing tells yet."
    )
    next_end_seconds: float | None = Field(
        description="In how many seconds the first of the jobs that run here ends, about; null where nothing tells."
    )
    waiting: Waiting | None = Field(description="Why those that wait are not run at the moment.")
    problem: ProblemDocument | None = Field(description="What keeps the server from its list of jobs.")

    @classmethod
    def of(cls, service: JobService) -> Health:
        """Asks the list of jobs, which may be out of reach: the server is there all the same."""
        queued, usual, next_end, problem = None, None, None, None
        try:
            queued, usual, next_end = service.queued, service.usual_seconds, service.next_end_seconds
        except Problem as error:
            problem = ProblemDocument.model_validate(error.document())
        return cls(
            pid=os.getpid(),
            worker=service.worker,
            running=next(iter(service.running), None),
            slots=[SlotView(worker=worker, running=job) for worker, job in service.workers],
            queued=queued,
            usual_seconds=usual,
            next_end_seconds=next_end,
            waiting=service.waiting,
            problem=problem,
        )


class UserHealth(Health):
    """The same where there are users: of what runs, each sees one's own."""

    own_queued: int | None = Field(description="How many of the jobs that wait are one's own; null as for `queued`.")
    user: str = Field(description="Who asks.")
    administrator: bool = Field(description="Whether they see everybody's jobs.")

    @classmethod
    def seen(cls, service: JobService, jobs: JobsOf, user: User) -> UserHealth:
        """As `Health.of`."""
        health = Health.of(service)
        try:
            running = jobs.seen([slot.running for slot in health.slots])
            own = jobs.waiting
        except Problem as error:
            problem = ProblemDocument.model_validate(error.document())
            running, own, health = [None] * len(health.slots), None, health.model_copy(update={"problem": problem})
        slots = [SlotView(worker=slot.worker, running=job) for slot, job in zip(health.slots, running, strict=True)]
        first = next((job for job in running if job is not None), None)
        who = {"user": user.name, "administrator": user.administrator}
        return cls(**{**dict(health), "running": first, "slots": slots, "own_queued": own, **who})


class Surplus(BaseModel):
    """What a limit would remove now."""

    jobs: int
    bytes: int


class StorageView(BaseModel):
    """What the jobs of the data folder hold of the disk, those of other servers among them."""

    jobs: int
    bytes: int = Field(description="Files that several jobs share are counted once.")
    keep_bytes: int | None = Field(description="Above this the oldest ended jobs are removed; null for no limit.")
    surplus: Surplus | None = Field(None, description="What the limit in question would remove; nothing is removed.")

    @classmethod
    def of(cls, service: JobService, asked: int | None = None) -> StorageView:
        used = service.usage()
        over = None if asked is None else service.surplus(asked)
        surplus = None if over is None else Surplus(jobs=over.jobs, bytes=over.bytes)
        return cls(jobs=used.jobs, bytes=used.bytes, keep_bytes=service.keep_bytes, surplus=surplus)


class UserStorage(StorageView):
    """The same where there are users: what one's own jobs hold, and for administrators all."""

    share_bytes: int | None = Field(description="What a user's jobs and uploads may hold together.")
    share_used: int = Field(description="What one's own do hold of that, as of half a minute ago.")

    @classmethod
    def seen(
        cls, service: JobService, jobs: JobsOf, user: User, shares: Shares, asked: int | None = None
    ) -> UserStorage:
        """As `StorageView.of`; the limit of the whole is the administrators'."""
        whole = StorageView.of(service, asked) if user.administrator else None
        used = jobs.usage() if whole is None else whole
        return cls(
            jobs=used.jobs,
            bytes=used.bytes,
            keep_bytes=whole.keep_bytes if whole else None,
            surplus=whole.surplus if whole else None,
            share_bytes=shares.most,
            share_used=shares.held(user.name),
        )


class StorageQuestion(Strict):
    """Query of GET /storage."""

    keep_bytes: int | None = Field(None, ge=0, le=2**63 - 1, description="A limit to try: see `surplus`.")


class StorageLimit(Strict):
    """Body of PUT /storage."""

    keep_bytes: Whole | None = Field(ge=0, le=2**63 - 1, description="null for no limit.")


class Images(BaseModel):
    """How many pictures a pipeline takes."""

    least: int
    most: int


class StageView(BaseModel):
    name: str
    weight: float = Field(description="Usual share of the time; only the ratio counts.")


class NeedsView(BaseModel):
    """What a run needs with the parameters as they are when nothing is turned."""

    memory_bytes: int = Field(description="Of the graphics card; 0 for none.")
    minutes: float | None = Field(description="About how long it takes; null where it was not measured.")
    on: str = Field(description="On what.")


class MethodView(BaseModel):
    """What pipelines and preparations have in common."""

    id: str
    version: str
    title: str
    description: str
    parameters: dict[str, Any] = Field(description="JSON schema of the parameters, an object.")
    stages: list[StageView] = Field(description="Every stage that there can be; parameters may leave some out.")
    learned: bool = Field(description="Whether it runs networks, and so wants the learned pipelines' libraries.")
    memory_bytes: int = Field(description="GPU memory it wants; 0 for none.")
    needs: NeedsView
    licence: str = Field(description="SPDX expression of code and weights together.")
    licence_note: str
    weights: list[str] = Field(description="Downloads it needs.")
    finishes_early: bool = Field(description="Whether it can be told to end early with what it has.")
    checkpoints: bool = Field(description="Whether it keeps checkpoints, from which it goes on.")
    ready: bool = Field(description="Whether it can run now: libraries and downloads are there.")


class Elevations(BaseModel):
    """Degrees from which a camera looks down at an object; below 0 it looks up."""

    least: float
    greatest: float


class PipelineView(MethodView):
    """A pipeline as GET /pipelines shows it."""

    images: Images
    most_instances: int = Field(description="How many objects it takes at once.")
    chance: bool = Field(description="Whether the seed makes a difference.")
    needs_cameras: bool = Field(description="Whether every picture must come with the camera that took it.")
    hears_words: bool = Field(description="Whether it takes words that were learned from the picture.")
    elevations: Elevations = Field(description="From where a camera should look down at an object, in degrees.")

    @classmethod
    def of(cls, info: PipelineInfo) -> PipelineView:
        return cls(
            **_common(info),
            images=Images(least=info.images[0], most=info.images[1]),
            most_instances=info.instances[1],
            chance=info.chance,
            needs_cameras=info.needs_cameras,
            hears_words=info.hears_words,
            elevations=Elevations(least=info.elevations[0], greatest=info.elevations[1]),
        )


class PreparationView(MethodView):
    """A preparation as GET /preparations shows it."""

    needs_depth: bool = Field(description="The request must bring the depth.")
    needs_instances: bool = Field(description="The request must bring an instance map.")
    finds_instances: bool = Field(description="It makes the instance map; the request must not bring one.")
    makes_picture: bool = Field(description="It makes the picture; the request must not bring one.")
    chance: bool = Field(description="Whether the seed makes a difference.")
    learns_words: bool = Field(description="All that it gives is words, for pipelines that hear them.")

    @classmethod
    def of(cls, info: PreparationInfo) -> PreparationView:
        return cls(
            **_common(info),
            needs_depth=info.needs_depth,
            needs_instances=info.needs_instances,
            finds_instances=info.finds_instances,
            makes_picture=info.makes_picture,
            chance=info.chance,
            learns_words=info.learns_words,
        )


def _common(info: MethodInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "version": info.version,
        "title": info.title,
        "description": info.description,
        "parameters": info.parameters.model_json_schema(),
        "stages": [StageView(name=stage.name, weight=stage.weight) for stage in info.stages],
        "learned": info.learned,
        "memory_bytes": info.memory_bytes,
        "needs": NeedsView(**asdict(info.needs(info.parameters.model_construct()))),
        "licence": info.licence,
        "licence_note": info.licence_note,
        "weights": list(info.weights),
        "finishes_early": info.finishes_early,
        "checkpoints": info.checkpoints,
        "ready": not (info.learned and engine.missing())
        and all(weights.present(each) == weights.State.ready for each in info.weights),
    }


class Answer(Strict):
    """Body of POST /jobs/{id}/input."""

    answer: dict[str, Any] = Field(description="What the question asked for.")


class Priority(Strict):
    """Body of POST /jobs/{id}/priority."""

    priority: Whole = Field(
        ge=RESTING,
        le=100,
        description="0 for any job that nobody has said anything of; one of -100 is not run until it has another.",
    )


class ListOptions(Strict):
    """Query of GET /jobs."""

    limit: int = Field(100, ge=1, le=1000, description="At most so many jobs.")
    before: str | None = Field(None, description="Only jobs that are older than this one, the last of a list before.")
    ended: bool | None = Field(None, description="Only jobs that have ended (true), or that have not (false).")


class DeleteOptions(Strict):
    """Query of DELETE /jobs/{id}."""

    forget: bool = Field(False, description="Remove an ended job with its files, instead of cancelling.")


class Resting(BaseModel):
    """Answer of POST /rest."""

    resting: bool = Field(description="False while a job runs or is queued: nothing happens then.")


class Leaving(BaseModel):
    """Answer of POST /shutdown."""

    leaving: bool = True
