"""Models as GET /models shows them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

from backend.contract import ProblemDocument, Strict


class ModelState(StrEnum):
    """absent -> downloading <-> partial -> ready; broken: a damaged file is there."""

    ABSENT = "absent"
    PARTIAL = "partial"
    DOWNLOADING = "downloading"
    READY = "ready"
    BROKEN = "broken"


class FileView(BaseModel):
    """One file of a model. `bytes` is null as long as the hub was not asked."""

    name: str
    bytes: int | None
    present: int = Field(description="How many of its bytes are there.")


class Activity(BaseModel):
    """What is being done with a model now."""

    kind: str = Field(description="download or verify.")
    stage: str = Field(
        description="queued, waiting (for another program), asking (the hub), checking (what is there), fetching; "
        "elsewhere: another program is at it."
    )
    file: str = Field(default="", description="The file it is at.")
    bytes: int = Field(default=0, description="How many are there, or were checked.")
    total: int = Field(default=0, description="Of how many.")
    rate: float | None = Field(default=None, description="Bytes per second over the network, of late.")
    eta: float | None = Field(default=None, description="Seconds left, at that rate.")
    message: str = Field(default="", description="A sentence: why it waits.")


class ModelView(BaseModel):
    """A model of the catalogue, and how much of it is on this machine."""

    id: str
    title: str
    repository: str = Field(description="owner/name on the hub, or of where it is from.")
    source: str = Field(description="hub, or local: it comes with this program.")
    page: str = Field(description="Address of its page, which has the licence's text.")
    revision: str | None = Field(description="Commit of the hub; null for the main branch.")
    licence: str = Field(description="SPDX expression.")
    licence_note: str = Field(description="What the licence forbids or leaves open.")
    licence_needed: bool = Field(description="Whether the licence must be accepted before the download.")
    licence_accepted: bool = Field(description="Whether it has been.")
    memory_bytes: int = Field(description="GPU memory that its weights take.")
    state: ModelState
    folder: str = Field(description="Where it lies, or would.")
    ours: bool = Field(description="Whether the server has downloaded something of it, and so can remove it.")
    bytes: int = Field(description="How many bytes are there.")
    total: int = Field(description="Of how many; about, as long as the hub was not asked.")
    files: list[FileView]
    activity: Activity | None
    problem: ProblemDocument | None = Field(description="What went wrong last, or what is broken.")
    verified: str | None = Field(description="When every file was found to be right, by this server; ISO 8601, UTC.")


class GetOptions(Strict):
    """Body of POST /models/{id}."""

    accept_licence: bool = Field(default=False, description="The user has read the licence's note and accepts it.")
