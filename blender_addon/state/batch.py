"""A batch: a list of jobs with a common name, and the pictures that they are made of. Plain values that outlive this
Blender as JSON.

A shot is what is captured at once: what a camera sees at a frame, or what several see of one block-out. An entry is
what becomes one job: a shot, which of its block-outs are made, and a seed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..capture import best_views
from ..capture.best_views import View
from ..capture.photos import PlannedPhotos
from ..ground.messages import SetDresserError
from ..ground.references import Place, Reference
from ..installer.records import Lock
from ..wire.tasks import Steps
from . import origin

FORMAT = 1
WAITING, TAKEN, SENT, LEFT_OUT, CANCELLED = "waiting", "taken", "sent", "left out", "cancelled"


@dataclass
class Shot:
    """Pictures that are taken at once.

    name: what the panel calls it. cameras: who takes it; none of one that was taken when the batch was made.
    frame: where the scene stands meanwhile; None for as it stands.
    block_outs: numbers in the batch's list, in the order of their ids in the picture.
    alone: each camera takes a picture of its own, of the block-outs alone, which count as one.
    state: "waiting", "taken", or "left out" with a problem.
    views: block-out -> how the picture shows it.
    planned: pictures that were asked for in this Blender, and that no other one can take.
    """

    name: str
    cameras: list[Reference] = field(default_factory=list)
    frame: int | None = None
    block_outs: list[int] = field(default_factory=list)
    alone: bool = False
    state: str = WAITING
    views: dict[int, View] = field(default_factory=dict)
    problem: SetDresserError | None = None
    planned: PlannedPhotos | None = None

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "cameras": [origin.written(each) for each in self.cameras],
            "frame": self.frame,
            "block_outs": self.block_outs,
            "alone": self.alone,
            "state": self.state,
            "views": {str(number): view.document() for number, view in self.views.items()},
            "problem": _problem_document(self.problem),
        }

    @classmethod
    def read(cls, document: dict[str, Any]) -> Shot:
        return cls(
            name=str(document["name"]),
            cameras=[origin.read_reference(each) for each in document["cameras"]],
            frame=None if document["frame"] is None else int(document["frame"]),
            block_outs=[int(each) for each in document["block_outs"]],
            alone=bool(document["alone"]),
            state=str(document["state"]),
            views={int(number): best_views.read(view) for number, view in document["views"].items()},
            problem=_read_problem(document["problem"]),
        )


@dataclass
class Entry:
    """What becomes one job.

    key: tells it from the others of the batch, wherever its job is met.
    shot: number of its shot. only: the block-outs that are made, all of the shot if none is named.
    reasons: why they are made of this shot, a line each.
    state: "waiting" until the server has it, "sent", "left out" with a problem, "cancelled".
    job: the server's id. outcome: how the job has ended, as far as that was heard.
    """

    key: str
    name: str
    shot: int
    only: list[int] = field(default_factory=list)
    seed: int = 0
    reasons: list[str] = field(default_factory=list)
    state: str = WAITING
    job: str = ""
    outcome: str = ""
    problem: SetDresserError | None = None

    def document(self) -> dict[str, Any]:
        plain = ("key", "name", "shot", "only", "seed", "reasons", "state", "job", "outcome")
        return {**{name: getattr(self, name) for name in plain}, "problem": _problem_document(self.problem)}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Entry:
        texts = {name: str(document[name]) for name in ("key", "name", "state", "job", "outcome")}
        return cls(
            **texts,
            shot=int(document["shot"]),
            only=[int(each) for each in document["only"]],
            seed=int(document["seed"]),
            reasons=[str(each) for each in document["reasons"]],
            problem=_read_problem(document["problem"]),
        )


@dataclass
class Batch:
    """All of a batch.

    file: the one it was made in, as `references.this_file` tells it; "" for one that was never saved.
    block_outs: what becomes props. place: where they stand.
    request: "pipeline", "parameters", "prepare" of all jobs; seeds: each entry is made once with every one.
    options: "import_when_done", "hide_block_outs", "keep_moves", "height", "place_at" of all jobs, and "quality" of the
        pictures.
    choosing: entries are known once all shots are taken, and which of them shows each block-out best.
    begun: something was sent, or may have been.
    paused, cancelled: what the artist wants.
    folder: where it is kept. task, sending: what goes on by itself, and the entry that is on its way.
    message, fraction: what the panel says of the picture that is being taken.
    away: another file is open. lock: held while this Blender works on it. unfolded: its parts are shown.
    searched: its jobs were looked for in the server's whole list. told: this Blender has had its jobs rest, end
        or go on as it does; not yet where it was read. asked: whether what goes on was asked for; wished: it is to go
        on after that.
    """

    name: str
    file: str
    place: Place
    block_outs: list[Reference]
    request: dict[str, Any]
    seeds: list[int]
    options: dict[str, Any]
    shots: list[Shot] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    choosing: bool = False
    begun: bool = False
    paused: bool = False
    cancelled: bool = False
    problem: SetDresserError | None = None
    created: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    folder: Path = Path()
    task: Steps[Any] | None = None
    sending: Entry | None = None
    message: str = ""
    fraction: float = 0.0
    away: bool = False
    lock: Lock | None = None
    unfolded: bool = False
    searched: bool = False
    told: bool = True
    asked: bool = False
    wished: bool = False

    @property
    def untaken(self) -> list[Shot]:
        """Shots whose pictures are still to be taken."""
        return [shot for shot in self.shots if shot.state == WAITING]

    @property
    def unsent(self) -> list[Entry]:
        """Entries that the server is still to have, and can have now."""
        return [each for each in self.entries if each.state == WAITING and self.shots[each.shot].state == TAKEN]

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left to be done here; its jobs may still run."""
        return not (self.untaken or self.choosing or any(each.state == WAITING for each in self.entries))

    def shot_folder(self, number: int) -> Path:
        return self.folder / "shots" / str(number)

    def of_job(self, entry: Entry) -> dict[str, str]:
        """What a job's origin says of the batch."""
        return {"id": self.id, "name": self.name, "item": entry.key}

    def file_opened(self, same: bool) -> None:
        """Another file is open, or the `same` one again."""
        if same:
            self.place, self.block_outs = self.place.reopened(), [each.reopened() for each in self.block_outs]
            for shot in self.shots:
                shot.cameras = [each.reopened() for each in shot.cameras]
        self.away = not same

    def document(self) -> dict[str, Any]:
        """What `read` reads."""
        place = self.place
        plain = ("id", "name", "file", "created", "request", "seeds", "options", "choosing", "begun", "paused")
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in (*plain, "cancelled")},
            "scene": origin.written(place.scene),
            "layer": [origin.text(place.layer), place.number, place.count],
            "block_outs": [origin.written(each) for each in self.block_outs],
            "shots": [each.document() for each in self.shots],
            "entries": [each.document() for each in self.entries],
        }


def read(document: dict[str, Any], folder: Path) -> Batch:
    """What `Batch.document` has written, with references as in a file that was opened again.

    Raises KeyError, TypeError, ValueError, AttributeError: for anything else.
    """
    if document["format"] != FORMAT:
        raise ValueError("another version has written it")
    layer, number, count = document["layer"]
    plain: dict[str, Any] = {name: str(document[name]) for name in ("id", "name", "file", "created")}
    plain |= {name: bool(document[name]) for name in ("choosing", "begun", "paused", "cancelled")}
    plain |= {name: dict(document[name]) for name in ("request", "options")}
    batch = Batch(
        **plain,
        place=Place(origin.read_reference(document["scene"]), str(layer), int(number), int(count)),
        block_outs=[origin.read_reference(each) for each in document["block_outs"]],
        seeds=[int(each) for each in document["seeds"]],
        shots=[Shot.read(each) for each in document["shots"]],
        entries=[Entry.read(each) for each in document["entries"]],
        folder=folder,
        told=False,
    )
    numbers = range(len(batch.block_outs))
    for entry in batch.entries:
        if not 0 <= entry.shot < len(batch.shots) or not all(each in numbers for each in entry.only):
            raise ValueError("an entry names what is not there")
    if not all(each in numbers for shot in batch.shots for each in (*shot.block_outs, *shot.views)):
        raise ValueError("a shot names what is not there")
    return batch


def _problem_document(problem: SetDresserError | None) -> dict[str, str] | None:
    return None if problem is None else {name: getattr(problem, name) for name in ("message", "hint", "code")}


def _read_problem(document: dict[str, str] | None) -> SetDresserError | None:
    return None if document is None else SetDresserError(*(str(document[name]) for name in ("message", "hint", "code")))


def made_of(batch: Batch, entry: Entry) -> dict[int, Reference]:
    """The block-outs that an entry makes, by their ids in its picture."""
    shot = batch.shots[entry.shot]
    if shot.alone:
        return {1: batch.block_outs[shot.block_outs[0]]}
    return {shot.block_outs.index(number) + 1: batch.block_outs[number] for number in entry.only or shot.block_outs}


# which entries there are


def choose(batch: Batch, liked: tuple[float, float], most_objects: int) -> None:
    """Once all shots are taken or left out: make the entries. Each block-out that any shot shows is made once, of the
    shot that shows it best; what has an entry keeps it.

    liked: the elevations that the pipeline likes. most_objects: that it takes at once.
    """
    taken = [number for number, shot in enumerate(batch.shots) if shot.state == TAKEN]
    of_shot: dict[int, list[tuple[int, str]]] = {}
    made = {number for entry in batch.entries for number in entry.only}
    for block_out in (number for number in range(len(batch.block_outs)) if number not in made):
        views = [batch.shots[number].views.get(block_out, best_views.View(0.0)) for number in taken]
        ranked = best_views.ranked(views, liked)
        if ranked:
            why = best_views.reason(views, ranked[0], liked)
            of_shot.setdefault(taken[ranked[0]], []).append((block_out, why))
    for number in sorted(of_shot):
        chosen = of_shot[number]
        for begin in range(0, len(chosen), most_objects):
            part = chosen[begin : begin + most_objects]
            reasons = [f"{batch.block_outs[each].name}: {batch.shots[number].name}, {why}" for each, why in part]
            add_entries(batch, number, [each for each, _ in part], reasons)
    batch.choosing = False


def add_entries(batch: Batch, shot: int, only: Iterable[int], reasons: Iterable[str] = ()) -> None:
    """An entry of a shot for each seed."""
    for seed in batch.seeds:
        name = batch.shots[shot].name + (f", seed {seed}" if len(batch.seeds) > 1 else "")
        key = f"{len(batch.entries):04d}"
        batch.entries.append(Entry(key, name, shot, list(only), seed, list(reasons)))


def unseen(batch: Batch) -> list[str]:
    """Names of the block-outs that no entry makes, once it is known which entries there are."""
    made = {number for each in batch.entries for number in each.only or batch.shots[each.shot].block_outs}
    return [] if batch.choosing else [each.name for n, each in enumerate(batch.block_outs) if n not in made]
