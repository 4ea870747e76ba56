"""The models as the backend tells of them, and what is done with them: download, pause, verify, remove.

Nothing is known until the backend has run once in this session; then its list is asked for with the other lists, and
again and again while something is being done with a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import bpy

from ..ground.messages import SetDresserError, as_error
from ..wire.client import Client, ServerProblem, answer
from ..wire.http_exchange import Exchange
from ..wire.tasks import Steps

if TYPE_CHECKING:
    from ..session import Session

Asking = Callable[[Client], Exchange]

LOOK_SECONDS = 0.7
"""Between two looks while something is being done."""

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
    def of_view(cls, view: Mapping[str, Any]) -> Model:
        """Raises KeyError, TypeError or ValueError if it is not what docs/api.md promises."""
        problem, activity = view["problem"], view["activity"] or {}
        return cls(
            id=str(view["id"]),
            title=str(view["title"]),
            state=str(view["state"]),
            page=str(view["page"]),
            licence=str(view["licence"]),
            licence_note=str(view["licence_note"]),
            licence_needed=bool(view["licence_needed"]) and not view["licence_accepted"],
            bytes=int(view["bytes"]),
            total=int(view["total"]),
            folder=str(view["folder"]),
            ours=bool(view["ours"]),
            verified=str(view["verified"] or ""),
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
        """As `models_api.models` says."""
        values = {name: getattr(self, name) for name in DESCRIBED}
        return {**values, "message": self.problem.message if self.problem else "", "bytes": self.present}


DESCRIBED = (
    "id", "title", "state", "licence", "licence_note", "licence_needed", "total", "folder", "ours", "verified",
    "doing", "stage", "rate", "eta",
)  # fmt: skip


class Models:
    """What is known of them, and what the user has said on the way.

    known: by id, in the backend's order; empty until it has told. problems: what went wrong with the last press of a
    button, by id. agreed: whose licence is ticked, and not yet accepted. pausing: whether nothing happens here but
    waiting for the next look.
    """

    def __init__(self) -> None:
        self.known: dict[str, Model] = {}
        self.problems: dict[str, SetDresserError] = {}
        self.agreed: set[str] = set()
        self.pausing = False
        self._follower: Steps | None = None
        self._moment = 0
        self._acted: dict[str, int] = {}

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

    # what the backend tells

    def listener(self, session: Session) -> Callable[[Iterable[Mapping[str, Any]]], None]:
        """What takes the answer of a GET /models that is asked for now. Where a button's answer comes first, the list's
        word on that model is out of date and does not count."""
        asked = self._moment

        def hear(views: Iterable[Mapping[str, Any]]) -> None:
            self.take(session, [view for view in views if self._acted.get(str(view["id"]), 0) <= asked])

        return hear

    def take(self, session: Session, views: Iterable[Mapping[str, Any]]) -> None:
        """The list of GET /models, or some of it. While something is being done it is asked for again."""
        came = {model.id: model for model in map(Model.of_view, views)}
        before, self.known = self.known, {**self.known, **came}
        changed = any((before[key].state == READY) != (self.known[key].state == READY) for key in before)
        if self.busy and self._follower is None:
            self._follower = self._follow(session)
            session.begin(self._follower, session.report)
        if changed:  # what can run is told by the other lists
            session.refresh()
        session.changed()

    def _follow(self, session: Session) -> Steps:
        try:
            while self.busy:
                self.pausing = True
                yield from session.tasks.pause(LOOK_SECONDS)
                self.pausing = False
                client = session.server.client
                if client is None:  # a server that has gone does nothing any more, and is not started for this
                    return
                exchange, hear = client.models(), self.listener(session)
                yield from session.tasks.finish(exchange)
                hear(answer(exchange))
        finally:
            self.pausing, self._follower = False, None
            self._settle()

    def _settle(self) -> None:
        """Nobody looks any more, so nothing is known to be done; what has come stays."""
        for key, model in self.known.items():
            if model.busy:
                state = PARTIAL if model.state == DOWNLOADING else model.state
                self.known[key] = replace(model, state=state, doing="", bytes=model.present)

    # what the user wants

    def download(self, session: Session, identifier: str, accept_licence: bool) -> Steps:
        """Begin, or go on. Raises SetDresserError if Blender must not go online."""
        if not bpy.app.online_access:
            hint = (
                "Switch on Preferences > System > Network > Allow Online Access, or put the files into the folder of "
                "models by hand. What has been downloaded needs no network."
            )
            raise SetDresserError("Blender is not allowed to go online to fetch models.", hint, "offline")
        session.life.catch_up(session)
        return self._act(session, identifier, lambda client: client.get_model(identifier, accept_licence))

    def pause(self, session: Session, identifier: str) -> Steps:
        return self._act(session, identifier, lambda client: client.pause_model(identifier))

    def verify(self, session: Session, identifier: str) -> Steps:
        return self._act(session, identifier, lambda client: client.verify_model(identifier))

    def remove(self, session: Session, identifier: str) -> Steps:
        return self._act(session, identifier, lambda client: client.remove_model(identifier))

    def _act(self, session: Session, identifier: str, ask: Asking) -> Steps:
        """Begin to ask the backend; returns the task, which ends when it has answered."""

        def failed(error: Exception) -> None:
            self.problems[identifier] = as_error(error)
            session.changed()

        self.problems.pop(identifier, None)
        return session.begin(self._ask(session, identifier, ask), failed)

    def _ask(self, session: Session, identifier: str, ask: Asking) -> Steps:
        client = yield from session.ready_client()
        exchange = ask(client)
        yield from session.tasks.finish(exchange)
        view = answer(exchange)
        self._moment += 1
        self._acted[identifier] = self._moment
        self.take(session, [view])
        self.agreed.discard(identifier)


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
