"""The models as the backend tells of them.

Nothing is known until the backend has run once in this session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ground.messages import SetDresserError
from ..wire.client import ServerProblem
from ..wire.tasks import Steps

READY, PARTIAL, DOWNLOADING, BROKEN = "ready", "partial", "downloading", "broken"
AT_FAULT = ("weights-missing", "weights-damaged")
"""Codes of problems that getting a model solves."""


@dataclass(frozen=True)
class Model:
    """A model, as GET /models has it.

    state: absent, partial, downloading, ready or broken; bytes of total: what is on the disk.
    page: address of the page that has the licence.
    licence_needed: whether the licence must be accepted before the download, and has not been.
    ours: it was downloaded here, and so can be removed.
    doing: "", "download" or "verify"; stage, done, of, rate (bytes a second), eta (seconds): how far that is.
    waits: why it waits, as a sentence.
    """

    id: str
    title: str
    state: str
    page: str
    licence: str
    licence_note: str
    licence_needed: bool
    bytes: int
    total: int
    folder: str
    ours: bool
    verified: str
    problem: SetDresserError | None
    doing: str = ""
    stage: str = ""
    done: int = 0
    of: int = 0
    rate: float | None = None
    eta: float | None = None
    waits: str = ""

    @classmethod
    def of_description(cls, description: Mapping[str, Any]) -> Model:
        """Raises KeyError, TypeError or ValueError if it is not what docs/api.md promises."""
        problem, activity = description["problem"], description["activity"] or {}
        return cls(
            id=str(description["id"]),
            title=str(description["title"]),
            state=str(description["state"]),
            page=str(description["page"]),
            licence=str(description["licence"]),
            licence_note=str(description["licence_note"]),
            licence_needed=bool(description["licence_needed"]) and not description["licence_accepted"],
            bytes=int(description["bytes"]),
            total=int(description["total"]),
            folder=str(description["folder"]),
            ours=bool(description["ours"]),
            verified=str(description["verified"] or ""),
            problem=ServerProblem.from_document(problem, int(problem.get("status", 500))) if problem else None,
            doing=str(activity.get("kind", "")),
            stage=str(activity.get("stage", "")),
            done=int(activity.get("bytes", 0)),
            of=int(activity.get("total", 0)),
            rate=activity.get("rate"),
            eta=activity.get("eta"),
            waits=str(activity.get("message", "")),
        )

    @property
    def busy(self) -> bool:
        return bool(self.doing)

    @property
    def present(self) -> int:
        """How much is here, counted while it comes."""
        return self.done if self.doing == "download" and self.of else self.bytes

    @property
    def size(self) -> int:
        """How much it will be."""
        return self.of if self.doing == "download" and self.of else self.total

    def describe(self) -> dict[str, Any]:
        """As `api.models.models` says."""
        values = {name: getattr(self, name) for name in DESCRIBED}
        return {**values, "message": self.problem.message if self.problem else "", "bytes": self.present}


DESCRIBED = (
    "id", "title", "state", "licence", "licence_note", "licence_needed", "total", "folder", "ours", "verified",
    "doing", "stage", "rate", "eta",
)  # fmt: skip


class Models:
    """What is known of them, and what the user has said on the way.

    known: by id, in the backend's order; empty until it has told. problems: what went wrong with the last press of a
    button, by id. agreed: whose licence is ticked, and not yet accepted. pausing: whether nothing happens but waiting
    for the next look. acted: by id, when a button's answer came last, counted in answers (`moment`).
    """

    def __init__(self) -> None:
        self.known: dict[str, Model] = {}
        self.problems: dict[str, SetDresserError] = {}
        self.agreed: set[str] = set()
        self.pausing = False
        self.follower: Steps[Any] | None = None
        self.moment = 0
        self.acted: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        return any(model.busy for model in self.known.values())

    def problem(self, identifier: str) -> SetDresserError | None:
        """What went wrong with a model last, here or in the backend."""
        model = self.known.get(identifier)
        return self.problems.get(identifier) or (model.problem if model else None)

    def not_ready(self, identifiers: Iterable[str]) -> list[Model]:
        """Those of them that are known not to be there; what nothing is known of may be."""
        found = (self.known.get(identifier) for identifier in identifiers)
        return [model for model in found if model is not None and model.state != READY]

    def agree(self, identifier: str) -> None:
        """A click on the box beside the licence."""
        self.agreed ^= {identifier}


def needed(view: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """The ids of the models that a pipeline or a preparation needs with these parameters.

    view: as GET /pipelines has it. A property of its schema may have `weights`: value → ids.
    """
    found = list(view.get("weights", ()))
    for name, schema in view.get("parameters", {}).get("properties", {}).items():
        chosen = values.get(name, schema.get("default"))
        found += schema.get("weights", {}).get(chosen, ())
    return list(dict.fromkeys(found))


def at_fault(problem: SetDresserError | None) -> str:
    """The model that a problem says is missing or damaged; "" if it is about something else."""
    return problem.weights if isinstance(problem, ServerProblem) and problem.code in AT_FAULT else ""
