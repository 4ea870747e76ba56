"""What is known of a job, between the press of the button and the props in the scene."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..answers.questions import Question
from ..ground.messages import SetDresserError, as_error
from ..ground.references import Place, Reference
from ..wire.client import ServerEvent, ServerProblem
from ..wire.tasks import Steps
from . import origin, previews
from .previews import Preview

ENDED = ("done", "failed", "cancelled")
UNSENT = ("preparing", "capturing", "sending")
"""States before the server has it."""

PROVISIONAL = "new-"

RESTING = -100
"""The priority of a job that waits and is not run until it has another one."""


@dataclass
class JobRecord:
    """What is known of a job.

    id: the server's; until the server has it, one of our own ("new-1").
    state: "preparing", "capturing" and "sending" here, then the server's: queued, running, needs_input, done, failed,
        cancelled.
    stage, message, fraction, eta: its progress; eta in seconds, None while unknown.
    warnings: what the user should know, as {"code", "message", "hint", "instance"}: what was noticed here when its
        pictures were taken, and what the server tells.
    block_outs: instance id -> reference to the block-out (`Reference`), never the object itself.
    one_with: further objects that are one block-out with the only one in `block_outs`.
    left_out: block-outs that were asked for and are not in the result.
    request: what was asked for beside the pictures, if it was asked for here.
    folder: where the result's files are kept, once they have been fetched.
    arrival: "", "fetching", "waiting" (for a moment in which Blender can import), or "imported".
    props: the objects that the last import made; import_count counts imports.
    import_when_done: whether its props are to come in by themselves; only into the file it was made in.
    place: the scene that the props belong to, and the layer in which block-outs are hidden; None for the one in sight.
    found: whether it is from another Blender, this one has only heard of it.
    origin: where it was made, as the server keeps it; {} in a file that was never saved. away: another file is open.
    height, place_at: of a set whose camera was assumed; None for what the panel says when the props come in.
    question: what it asks, while it is in needs_input.
    files: names of the files that the server has of it, once it has ended.
    thumbnail: "", "fetching", "ready", or "missing" if it could not be had.
    variant_of: instance id -> the prop that its new prop is a variant of; only these instances are imported then.
    last_event: number of the last event that is known; following starts after it.
    can_finish: whether it can end early with what it has; can_continue: whether it can go on although it has ended.
    finished_early: whether it was ended so. finishing, continuing: that was asked for, and has not come yet.
    result_imported: whether the result that it has now was imported: one that is continued has another one later.
    previews: what it shows while it runs, by slot, the newest last.
    batch: {"id", "name", "item"} of one that is part of a batch; {} for any other. resting: it waits in the queue, and
        goes on resting there until it is told otherwise.
    """

    id: str
    name: str = ""
    pipeline: str = ""
    state: str = "preparing"
    created: str = ""
    position: int | None = None
    stage: str = ""
    message: str = ""
    fraction: float = 0.0
    eta: float | None = None
    problem: SetDresserError | None = None
    noticed: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    block_outs: dict[int, Any] = field(default_factory=dict)
    one_with: list[Reference] = field(default_factory=list)
    left_out: list[Reference] = field(default_factory=list)
    request: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    arrival: str = ""
    props: list[Reference] = field(default_factory=list)
    import_count: int = 0
    import_when_done: bool = False
    hide_block_outs: bool = True
    keep_moves: bool = True
    height: float | None = None
    place_at: str | None = None
    place: Place | None = None
    found: bool = False
    origin: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    last_event: int = 0
    cancelling: bool = False
    task: Steps[Any] | None = None
    question: Question | None = None
    files: list[str] = field(default_factory=list)
    thumbnail: str = ""
    variant_of: dict[int, Reference] = field(default_factory=dict)
    can_finish: bool = False
    can_continue: bool = False
    finished_early: bool = False
    finishing: bool = False
    continuing: bool = False
    result_imported: bool = False
    previews: dict[str, Preview] = field(default_factory=dict)
    batch: dict[str, str] = field(default_factory=dict)
    resting: bool = False

    @property
    def imported(self) -> list[str]:
        """What the objects of the last import were called when they came."""
        return [prop.name for prop in self.props]

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def busy(self) -> bool:
        """Whether something still happens to it by itself."""
        return self.task is not None or self.continuing

    @property
    def sent(self) -> bool:
        """Whether the server has it."""
        return not self.id.startswith(PROVISIONAL)

    @property
    def has_result(self) -> bool:
        """Whether there are props of it to import: also those of an early end, if what came after did not end well."""
        return self.state == "done" or (self.ended and self.finished_early)

    @property
    def awaited(self) -> bool:
        """Whether its props are still to come in by themselves."""
        wanted = self.import_when_done and not self.away and not self.result_imported
        return self.state == "done" and wanted and self.problem is None

    @property
    def asks(self) -> bool:
        """Whether it waits for an answer that nobody has sent yet."""
        return self.question is not None and not self.question.sending

    def take_description(self, description: Mapping[str, Any]) -> None:
        """What the server's list says about it; nothing if its events have told more since."""
        last_event = int(description["last_event"])
        if last_event < self.last_event:
            return
        self.last_event = last_event
        self.id = str(description["id"])
        self.name = str(description.get("name") or "")
        self.pipeline = str(description.get("pipeline") or "")
        self.created = str(description.get("created") or "")
        self.position = description.get("position")
        self.resting = description.get("priority") == RESTING
        self._take_progress(description.get("progress"))
        self._take_state(str(description["state"]), description.get("problem"))
        self._take_question(description.get("question"))
        self._take_files(description.get("files"))
        self.take_chances(description)
        self.previews = previews.of_descriptions(description.get("previews"))

    def take_event(self, event: ServerEvent) -> None:
        """What an event says about it; kinds of events that are not known are left aside."""
        self.last_event = max(self.last_event, event.id)
        if event.type == "warning":
            self.warnings.append(event.data)
        elif event.type == "state":
            self._take_state(str(event.data.get("state", self.state)), event.data.get("problem"))
            self._take_files(event.data.get("files"))
        elif event.type == "progress":
            self._take_progress(event.data)
        elif event.type == "needs_input":
            self._take_question(event.data.get("question"))
        elif event.type == "preview":
            previews.add(self.previews, event.data)

    def take_chances(self, description: Mapping[str, Any]) -> None:
        """What can be asked of it, which no event tells, and how far it was before; nothing if it has gone on since."""
        if description["state"] == self.state:
            if self.state == "running" and not self.stage:
                self._take_progress(description.get("progress"))
            self.can_finish = bool(description.get("can_finish"))
            self.can_continue = bool(description.get("can_continue"))
            self.finished_early = bool(description.get("finished_early"))

    def go_on(self) -> None:
        """Its question was answered."""
        self._take_state("running", None)

    def put_back(self) -> None:
        """Its server has left; it goes on when there is one again."""
        self.message = ""
        self._take_state("queued", None)

    def describe_origin(self, file: str) -> dict[str, Any]:
        """Where it is made, for the server to keep; `file`: the one that is open."""
        batch = {"batch": self.batch} if self.batch else {}
        if not file or self.place is None:
            return batch
        members = (
            "block_outs",
            "one_with",
            "variant_of",
            "import_when_done",
            "hide_block_outs",
            "keep_moves",
            "height",
        )
        known = {name: getattr(self, name) for name in (*members, "place_at", "batch")}
        return origin.Origin(file, self.place, **known).document() or batch

    def take_origin(self, description: Mapping[str, Any]) -> None:
        """What the server's list says of where a job was made, before anything was known of it here. Its props are
        wanted as long as nobody has had them."""
        self.origin = description.get("origin") or {}
        self.batch = origin.batch_of(self.origin)
        found = origin.read(self.origin)
        if found is not None:
            self.import_when_done = found.import_when_done and not description.get("fetched")
            self.hide_block_outs, self.keep_moves = found.hide_block_outs, found.keep_moves
            self.height, self.place_at = found.height, found.place_at

    def come_home(self, file: str) -> None:
        """If the file that is open is the one it was made in, it finds there again what it stands for."""
        found = origin.read(self.origin)
        self.away = found is None or found.file != file
        if found is not None and not self.away:
            self.block_outs, self.variant_of = dict(found.block_outs), dict(found.variant_of)
            self.one_with, self.place = list(found.one_with), found.place

    def file_opened(self, same: bool) -> None:
        """Another file is open, or the `same` one again: what belonged to another one must not land in it."""
        if same:
            self.block_outs = {number: each.reopened() for number, each in self.block_outs.items()}
            self.variant_of = {number: each.reopened() for number, each in self.variant_of.items()}
            self.one_with = [each.reopened() for each in self.one_with]
            self.left_out = [each.reopened() for each in self.left_out]
            self.props = [each.reopened() for each in self.props]
            self.place = self.place and self.place.reopened()
        else:
            self.block_outs, self.variant_of, self.place = {}, {}, None
            self.one_with, self.left_out, self.props, self.away = [], [], [], True
        self.arrival = ""

    def fail(self, error: Exception) -> None:
        self.state = "failed"
        self.problem = as_error(error)

    def _take_question(self, document: Any) -> None:
        if not isinstance(document, dict) or self.state != "needs_input":
            return
        if self.question is None or self.question.document != document:
            self.question = Question(self.id, document)

    def _take_state(self, state: str, problem: Any) -> None:
        if state != "needs_input":
            self.question = None
        if state != self.state:
            self.can_finish = self.can_continue = False
        if state == "queued":
            self.stage, self.message, self.fraction, self.eta = "", "", 0.0, None
        elif state == "done":
            self.fraction, self.eta = 1.0, None
        self.state = state
        if isinstance(problem, dict):
            self.problem = ServerProblem.from_document(problem, int(problem.get("status", 500)))

    def _take_files(self, names: Any) -> None:
        if self.ended and isinstance(names, list):
            self.files = [str(name) for name in names]

    def _take_progress(self, progress: Any) -> None:
        if not isinstance(progress, dict):
            return
        self.stage = str(progress.get("stage", ""))
        self.message = str(progress.get("message", ""))
        fraction, eta = _number(progress.get("fraction")), _number(progress.get("eta"))
        self.fraction = self.fraction if fraction is None else min(max(fraction, 0.0), 1.0)
        self.eta = eta


def _number(value: Any) -> float | None:
    """None for what is no number that anything could be drawn of."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
