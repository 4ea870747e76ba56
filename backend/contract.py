"""The wire: what a request, a job, an event and a result look like. docs/api.md is drawn from these models."""

from __future__ import annotations

import json
import math
import operator
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from backend.camera import LARGEST_COORDINATE, Camera, Matrix, Whole

Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Channel = Annotated[Whole, Field(ge=0, le=255)]
Id = Annotated[Whole, Field(ge=1, le=65535)]
"""Of an object in an instance map."""

Seconds = Annotated[float, Field(ge=0)]
LARGEST_ORIGIN = 4096
"""Bytes, as JSON without spaces in UTF-8."""


def _is_small(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if size > LARGEST_ORIGIN:
        raise ValueError(f"has {size} bytes as JSON; {LARGEST_ORIGIN} are the limit")
    return value


Origin = Annotated[
    dict[str, Any],
    AfterValidator(_is_small),
    Field(description="Where the client had it from, in its own words: kept with the job, told again, never read."),
]
MAXIMUM_SEED = 2**31 - 1
MAXIMUM_INSTANCES = 1000
"""Objects of one instance map."""


class Strict(BaseModel):
    """Base of everything that comes in: unknown fields are refused, nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InstanceLabel(Strict):
    """One row of the label table: which value in the instance map is which object.

    Grey and palette maps are looked up by `id` (the pixel value or palette index); maps in RGB by `color`.
    `world_from_box` is the block-out's box where there is one: a 4x4 matrix, row major, that takes the cube from
    -0.5 to 0.5 to the box in the world, in metres; its first three columns are perpendicular.
    """

    id: Id
    name: Name = ""
    color: tuple[Channel, Channel, Channel] | None = None
    world_from_box: Matrix | None = None

    @field_validator("world_from_box")
    @classmethod
    def _is_a_box(cls, value: Matrix | None) -> Matrix | None:
        if value is not None:
            # A request has a thousand of them: in plain Python one takes a tenth of what it takes in numpy.
            if any(abs(given - wanted) > 1e-6 for given, wanted in zip(value[3], (0, 0, 0, 1), strict=True)) or any(
                abs(number) > LARGEST_COORDINATE for row in value for number in row
            ):
                raise ValueError("the last row must be 0 0 0 1, and no number may be beyond a million")
            sides = [[row[column] for row in value[:3]] for column in range(3)]
            lengths = [math.hypot(*side) for side in sides]
            if min(lengths) <= 0:
                raise ValueError("the sides must have a length and be perpendicular")
            axes = [[number / length for number in side] for side, length in zip(sides, lengths, strict=True)]
            if any(
                abs(sum(map(operator.mul, axes[one], axes[other]))) > 1e-3 for one, other in ((0, 1), (0, 2), (1, 2))
            ):
                raise ValueError("the sides must have a length and be perpendicular")
        return value


class Photo(Strict):
    """What is known of one picture where several show the same object.

    `azimuth` tells from which side it was taken: degrees round the object counter-clockwise seen from above, so that a
    camera that moved to its own right has a larger one. Only differences count. None if it is not known.

    `camera` took it, all of them in one world; of the first picture it is the same as the request's `camera`.
    """

    name: Name = ""
    azimuth: Annotated[float, Field(ge=-360, le=360)] | None = None
    camera: Camera | None = None


class OutlineFiles(NamedTuple):
    """One layer of whole outlines as it came: an instance map, and its depth where there is one."""

    outlines: bytes
    depth: bytes | None = None


class GenerateRequest(Strict):
    """`request` of POST /jobs, `request.json` of a job: everything but the pictures."""

    pipeline: Annotated[str, Field(min_length=1, max_length=64, description="Identifier from GET /pipelines.")]
    parameters: dict[str, Any] = Field(default_factory=dict, description="The pipeline's own parameters.")
    seed: Annotated[Whole, Field(ge=0, le=MAXIMUM_SEED, description="Where chance starts from.")] = 0
    camera: Camera | None = Field(None, description="The camera that took the first picture; assumed if left out.")
    instances: Annotated[list[InstanceLabel], Field(max_length=MAXIMUM_INSTANCES)] = Field(
        default_factory=list, description="Label table of the instance map."
    )
    photos: Annotated[list[Photo], Field(max_length=100)] = Field(
        default_factory=list, description="What is known of each picture, in order; nothing if left out."
    )
    only: Annotated[list[Id], Field(max_length=MAXIMUM_INSTANCES)] = Field(
        default_factory=list,
        description="Ids of the instance map that are to be made, where not all are; the others count as background.",
    )
    prepare: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="What is done to the shot first: identifier from GET /preparations -> its parameters. One that "
        "`makes_picture` stands in for the picture and all that belongs to it.",
    )
    name: Name = Field("", description="What the user calls this shot.")
    origin: Origin = Field(default_factory=dict)

    @field_validator("photos")
    @classmethod
    def _one_camera_for_one_picture(cls, value: list[Photo], info: ValidationInfo) -> list[Photo]:
        given, first = info.data.get("camera"), value[0].camera if value else None
        if given is not None and first is not None and given != first:
            raise ValueError("the first photo's camera and the request's differ; leave one of them out")
        return value

    def cameras(self, count: int) -> list[Camera | None]:
        """The camera of each of `count` pictures, None where it is not known."""
        known = [photo.camera for photo in self.photos] or [None] * count
        return [known[0] or self.camera, *known[1:]] if known else []


class AgainRequest(Strict):
    """Body of POST /jobs/{id}/again: what is to be different; what is left out stays as it was.

    With another pipeline its own defaults count for the parameters, not the former pipeline's values. The origin is
    that of whoever asks, never the former one.
    """

    pipeline: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    parameters: dict[str, Any] | None = None
    prepare: dict[str, dict[str, Any]] | None = None
    seed: Annotated[Whole, Field(ge=0, le=MAXIMUM_SEED)] | None = None
    only: Annotated[list[Id], Field(max_length=MAXIMUM_INSTANCES)] | None = None
    origin: Origin = Field(default_factory=dict)

    def applied_to(self, request: GenerateRequest) -> GenerateRequest:
        """The new request."""
        changes = {name: value for name, value in self if value is not None}
        if self.pipeline not in (None, request.pipeline):
            changes.setdefault("parameters", {})
        return request.model_copy(update=changes)


class JobState(StrEnum):
    """queued -> running <-> needs_input -> done / failed / cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    NEEDS_INPUT = "needs_input"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class ProblemDocument(BaseModel):
    """An RFC 9457 problem document (media type application/problem+json)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="urn:set-dresser:problem:<code>")
    title: str
    status: int
    detail: str = Field(description="A sentence: what is wrong with this input.")
    code: str
    hint: str = Field(description="A sentence: what to do.")


class Warning(BaseModel):
    """Something the user should know although the job went on."""

    code: str
    message: str
    hint: str = ""
    instance: int | None = None


class Progress(BaseModel):
    """Where a running job is. `fraction` counts over all stages; `eta` is in seconds, None while unknown."""

    stage: str
    stage_index: int
    stage_count: int
    fraction: Annotated[float, Field(ge=0, le=1)]
    elapsed: Seconds
    eta: Seconds | None = None
    message: str = ""


class Preview(BaseModel):
    """A picture of what a running job has come to so far. `slot` names its place; the next one there replaces it.

    `file` is had by GET /jobs/{id}/files/{file}; `revision` grows with each picture of the job.
    """

    slot: str
    revision: int
    caption: str
    file: str


class Event(BaseModel):
    """One server-sent event of a job. `id` grows within the job, from 1."""

    id: int
    type: Literal["state", "progress", "warning", "preview", "needs_input"]
    data: dict[str, Any]


class Waiting(BaseModel):
    """Why queued jobs are not run at the moment, and until when (ISO 8601, UTC); null where nobody can tell."""

    detail: str
    hint: str
    until: str | None


class JobView(BaseModel):
    """A job as GET /jobs and GET /jobs/{id} show it. Times are ISO 8601, UTC."""

    id: str
    name: str
    pipeline: str
    state: JobState
    created: str
    started: str | None = None
    finished: str | None = None
    progress: Progress | None = None
    problem: ProblemDocument | None = None
    files: list[str] = Field(default_factory=list)
    question: dict[str, Any] | None = Field(None, description="What it asks, while it is in needs_input.")
    position: int | None = Field(None, description="How many jobs run before this one, while it is queued.")
    waiting: Waiting | None = Field(None, description="Why nothing is run at the moment, while it is queued.")
    last_event: int = Field(0, description="Id of its last event.")
    previews: list[Preview] = Field(default_factory=list, description="The newest of each slot.")
    can_finish: bool = Field(False, description="Whether it runs, and can be told to end early with what it has.")
    can_continue: bool = Field(False, description="Whether it ended on its way and can go on from a checkpoint.")
    finished_early: bool = Field(False, description="Whether its files are those of a run that was ended early.")
    fetched: bool = Field(False, description="Whether somebody has had the `scene.glb` that it has now.")
    origin: dict[str, Any] = Field(default_factory=dict, description="That of its request.")
    user: str = Field("", description="Whose it is; empty where the server knows no users.")
    priority: int = Field(0, description="Among the queued jobs of its user those of the highest go first.")


class InputRecord(BaseModel):
    """One file that the job started from."""

    role: Literal["image", "instances", "depth", "outlines", "outline_depths"]
    sha256: str
    width: int
    height: int


class PropRecord(BaseModel):
    """One row of the label table in result.json: instance -> label -> glTF node -> mesh statistics."""

    id: int
    name: str
    node: str
    vertices: int
    faces: int
    bodies: int
    watertight: bool
    volume: float = Field(description="Cubic metres.")
    dimensions: tuple[float, float, float] = Field(description="Along the world's X, Y, Z, metres.")
    origin: tuple[float, float, float] = Field(description="Bottom centre in the world, metres.")
    mask_pixels: int
    mask_iou: float = Field(
        description="Silhouette from the input camera against the whole outline where that is known, otherwise against "
        "the mask of what is seen, 0 to 1."
    )
    seen: float | None = Field(
        None, description="Share of its whole outline that others leave to be seen, 0 to 1; null where it is unknown."
    )
    placement: str
    quality: dict[str, Any] = Field(default_factory=dict)


class StageTime(BaseModel):
    stage: str
    seconds: Seconds


class PipelineVersion(BaseModel):
    id: str
    version: str


class WeightsRecord(BaseModel):
    """A model that was used."""

    id: str
    repository: str
    source: Literal["hub", "local", "own"] = Field(
        description="local: it comes with the backend; own: the user has put it there."
    )
    revision: str | None = Field(description="Commit of the hub's repository; null where nobody can tell.")


class Result(BaseModel):
    """result.json: all that is needed to make the scene again, and what was measured."""

    format: Literal[1] = 1
    job: str
    name: str
    created: str
    pipeline: PipelineVersion
    parameters: dict[str, Any]
    seed: int
    inputs: list[InputRecord]
    camera: Camera
    camera_source: Literal["request", "default"]
    instance_source: Literal["map", "alpha", "background", "whole", "found"]
    background: dict[str, Any] = Field(
        default_factory=dict,
        description="How the background of the first picture was removed, where it was: `way` (network, plain, none), "
        "`network`, and `agreement`, how far network and plain ground gave the same outline, 0 to 1.",
    )
    prepared: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Of each preparation, in order: its version and parameters, and what came of it.",
    )
    instances: list[InstanceLabel] = Field(default_factory=list, description="Label table of the request.")
    photos: list[Photo] = Field(default_factory=list, description="What the request told of each picture.")
    only: list[int] = Field(default_factory=list, description="Ids that were made, where not all were.")
    props: list[PropRecord]
    record: dict[str, Any] = Field(default_factory=dict, description="What the pipeline measured of the whole.")
    weights: list[WeightsRecord] = Field(default_factory=list, description="The models that were used.")
    warnings: list[Warning]
    timings: list[StageTime] = Field(description="A row for each stage, all attempts together.")
    seconds: Seconds = Field(description="That all attempts took; what lay between them is not counted.")
    attempts: int = Field(1, description="More than one where it was cut off and went on, or waited for an answer.")
    finished_early: bool = Field(False, description="Whether the user ended it early: what it had come to then.")
    peak_memory_bytes: int | None
    versions: dict[str, str]
    device: dict[str, str]
