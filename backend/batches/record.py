"""What a batch is to make and what has come of it: `batch.json` beside the results.

It is written whole when the batch begins and when it ends. On the way each change of an entry is a line that is added
to `batch.changes`, which goes with the next whole one.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from backend.contract import GenerateRequest, ProblemDocument, Result, Strict
from backend.errors import Problem

NAME, CHANGES = "batch.json", "batch.changes"
DONE: Literal["done"] = "done"
LEFT_OUT: Literal["left out"] = "left out"


class Item(Strict):
    """One prop, or one set, of a batch: what is asked for, and the files that go with it.

    Whoever runs it reads the files, or has them sent; nothing here belongs to this machine but their paths.
    """

    folder: str = Field(description="Of its result, in that of the batch; its name in the contact sheet.")
    request: GenerateRequest
    pictures: list[str] = Field(default_factory=list, description="Paths, in the order of the request's photos.")
    instance_map: str | None = None
    depth: str | None = None

    def digest(self, files: Sequence[bytes | None]) -> str:
        """Tells whether it is still the same: the SHA-256 of what is asked for and of the files' bytes."""
        digest = hashlib.sha256(self.model_dump_json(include={"folder", "request"}).encode())
        for data in files:
            digest.update(b"-" if data is None else hashlib.sha256(data).digest())
        return digest.hexdigest()


class Entry(BaseModel):
    """A row of the table: an item, and what has come of it."""

    item: Item
    state: Literal["waiting", "running", "done", "left out"] = "waiting"
    digest: str = Field(default="", description="Of the item as it was last begun.")
    job: str | None = None
    seconds: float | None = Field(default=None, description="That all attempts of the job took.")
    objects: int | None = None
    triangles: int | None = None
    mask_iou: float | None = Field(default=None, description="The worst of its objects'; see result.json.")
    finished_early: bool = False
    warnings: list[str] = Field(default_factory=list)
    remarks: list[str] = Field(default_factory=list, description="What else the sheet says of it, a line each.")
    problem: ProblemDocument | None = None

    def begun(self, digest: str) -> Entry:
        """The row of an item that is made now; nothing is left of what was made before."""
        return Entry(item=self.item, digest=digest, state="running")

    def made(self, result: Result) -> None:
        """Note what a finished job has given."""
        self.state, self.problem = DONE, None
        self.seconds, self.finished_early = result.seconds, result.finished_early
        self.objects, self.triangles = len(result.props), sum(prop.faces for prop in result.props)
        self.mask_iou = min((prop.mask_iou for prop in result.props), default=None)
        self.warnings = [warning.message for warning in result.warnings]

    def failed(self, problem: Problem) -> None:
        """Note why there is nothing."""
        self.seconds = self.objects = self.triangles = self.mask_iou = None
        self.finished_early, self.warnings = False, []
        self.state, self.problem = LEFT_OUT, ProblemDocument.model_validate(problem.document())


class Record(BaseModel):
    """A batch. `id` is in the origin of each of its jobs, so that they are found again."""

    format: Literal[1] = 1
    id: str = Field(default_factory=lambda: secrets.token_hex(12))
    name: str
    entries: list[Entry]
    remarks: list[str] = Field(default_factory=list, description="What the sheet says of all of it, a line each.")
    edition: int = Field(default=0, description="Grows each time that it is written whole; changes are to this one.")

    @property
    def left_out(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.state == LEFT_OUT]

    def document(self) -> bytes:
        """What `read_record` reads."""
        return self.model_dump_json(indent=1).encode()

    def change(self, index: int) -> bytes:
        """A line that tells what an entry is like now; `read_record` reads it."""
        entry = self.entries[index].model_dump(mode="json", exclude={"item"})
        return json.dumps({"edition": self.edition, "index": index, "entry": entry}).encode() + b"\n"

    def _take_changes(self, lines: bytes) -> None:
        """What `change` has told since this edition was written. The last line may have been cut off. Raises
        ValueError, TypeError, LookupError."""
        for line in lines.split(b"\n")[:-1]:
            told = json.loads(line)
            if told["edition"] == self.edition:
                item = self.entries[told["index"]].item
                self.entries[told["index"]] = Entry.model_validate({**told["entry"], "item": item})

    def origin(self, entry: Entry) -> dict[str, Any]:
        """Of the job of one of its entries."""
        return {"batch": {"id": self.id, "name": self.name, "item": entry.item.folder, "digest": entry.digest}}


def read_record(folder: Path) -> Record | None:
    """The batch that was begun in a folder; None if none was. Raises Problem("request-invalid") for a damaged one."""
    try:
        record = Record.model_validate_json((folder / NAME).read_bytes())
        if (folder / CHANGES).is_file():
            record._take_changes((folder / CHANGES).read_bytes())
        return record
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError) as error:  # pydantic's are ValueErrors
        detail = f"What was begun in {folder} cannot be read: {NAME} is damaged."
        raise Problem("request-invalid", detail, "Give another folder to --out, or remove that file.") from error


def begin_record(name: str, items: Sequence[Item], former: Record | None) -> Record:
    """The batch of these items. Of what was begun before stays what is of use: an entry for an item that was there."""
    if former is None:
        return Record(name=name, entries=[Entry(item=item) for item in items])
    before = {entry.item.folder: entry for entry in former.entries}
    entries = []
    for item in items:
        old = before.get(item.folder)
        entries.append(Entry(item=item) if old is None else old.model_copy(update={"item": item}))
    return Record(id=former.id, name=name, entries=entries, edition=former.edition)
