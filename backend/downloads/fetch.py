"""One model made complete, or checked. Everything here may be killed at any moment and is begun again later."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backend.downloads.folder import BLOCK, HubFile, ModelFolder, Record, hash_of
from backend.downloads.hub import Hub
from backend.downloads.patience import Patience, Transient
from backend.errors import Problem
from backend.weights import Sight, Weights, faults, look

MOST_DAMAGED = 3
SPARE_BYTES = 100_000_000


@dataclass(frozen=True)
class Retries:
    """How stubborn a download is.

    listing, file: attempts in a row, for the list of files and for each of them.
    first, longest: seconds to wait, see `Patience`.
    """

    listing: int = 4
    file: int = 8
    first: float = 0.5
    longest: float = 30.0


@dataclass
class Progress:
    """What a task tells of itself.

    stage: waiting (for another program), asking, checking, fetching.
    file: the one it is at, "" between files.
    bytes, total: of the whole model, or of what is to be checked.
    received: bytes that came over the network in this task.
    message: why it waits.
    """

    stage: str = "asking"
    file: str = ""
    bytes: int = 0
    total: int = 0
    received: int = 0
    message: str = ""


class Fetcher:
    """A download, or a check, of one model.

    Args:
        weights: the model.
        models: the folder of models.
        hub: where it comes from; called when something must be asked, and then once.
        tell: gets the progress after every change, and must be quick.
    """

    def __init__(
        self,
        weights: Weights,
        models: Path,
        hub: Callable[[], Hub],
        tell: Callable[[Progress], None],
        retries: Retries | None = None,
    ) -> None:
        self._weights = weights
        self._folder = ModelFolder(models, weights)
        self._make_hub = hub
        self._told = tell
        self._retries = retries or Retries()
        self._progress = Progress()

    # a download

    def get(self) -> None:
        """Make the model complete in its folder.

        Raises:
            Problem: see the rows of `backend/errors.py` about the hub; disk-full, weights-foreign.
            OSError: the folder cannot be written.
        """
        with self._folder.locked(lambda: self._tell(stage="waiting", message="Another program is at work on it.")):
            hub = self._make_hub()
            try:
                self._get(hub)
            finally:
                hub.close()

    def _get(self, hub: Hub) -> None:
        record = self._list(hub)
        missing = self._missing(record)
        self._demand_space(missing)
        for file in missing:
            self._fetch(hub, record, file)
        if wrong := faults(self._folder.root, self._weights):
            name = self._weights.repository
            path = wrong[0].file.relative_to(self._folder.root).as_posix()
            what = f"Everything of {name} has come, and yet {path} {wrong[0].what}."
            raise Problem("hub-not-found", what, "Its page may say what has changed; report it with the log.")

    def _list(self, hub: Hub) -> Record:
        self._tell(stage="asking", total=self._weights.bytes)
        commit, files = self._listing(hub, self._weights.revision)
        for file in files:
            try:
                self._folder.path(file.path)
            except ValueError as error:
                raise Problem("hub-failed", f"The hub lists a file that cannot be kept: {error}.") from error
            known = self._weights.digests.get(file.path)
            if known is not None and file.digest != f"sha256:{known}":
                what = f"{file.path} of {self._weights.repository} is announced with other content than it should have."
                raise Problem("download-damaged", what, "It may have been replaced; do not use it, and report this.")
        return self._folder.begin(commit, files)

    def _missing(self, record: Record) -> list[HubFile]:
        """What has to come. What somebody else has put there is taken if its hash is right."""
        files = record.files
        self._tell(stage="checking", total=sum(file.bytes for file in files))
        for file in files:
            path = self._folder.path(file.path)
            if file.path in record.fetched or not path.exists():
                continue
            self._tell(file=file.path)
            if not self._folder.holds(file) or not file.matches(hash_of(path, file, lambda count: None)):
                what = f"{path} is not the file of {self._weights.repository}, and was not downloaded from here."
                raise Problem("weights-foreign", what, "Move it away, then start the download again.")
        self._tell(file="", bytes=sum(self._folder.bytes_of(file) for file in files))
        return [file for file in files if not self._folder.holds(file)]

    def _demand_space(self, missing: list[HubFile]) -> None:
        needed = sum(file.bytes - self._folder.bytes_of(file) for file in missing)
        free = shutil.disk_usage(self._folder.root).free
        if needed and needed + SPARE_BYTES > free:
            what = f"{needed / 1e9:.2f} GB are still to come, and {self._folder.root} has {free / 1e9:.2f} GB left."
            raise Problem("disk-full", what, "Free some space, or choose another folder of models.")

    def _fetch(self, hub: Hub, record: Record, file: HubFile) -> None:
        """One file under its name, complete and right."""
        for _ in range(MOST_DAMAGED):
            with self._folder.partial(file).open("a+b") as partial:
                hashed = self._fill(hub, record.commit, file, partial)
                os.fsync(partial.fileno())
            if file.matches(hashed):
                self._folder.finish(record, file)
                return
            self._folder.partial(file).unlink()
            self._add(-file.bytes)
        what = f"{file.path} of {self._weights.repository} came {MOST_DAMAGED} times, and never as it was announced."
        raise Problem("download-damaged", what)

    def _fill(self, hub: Hub, commit: str, file: HubFile, partial: BinaryIO) -> hashlib._Hash:
        """Bring a partial file to its full length; the hash of all of it."""
        self._tell(stage="checking", file=file.path)
        hashed, size = _resume(file, partial)
        self._tell(stage="fetching")
        patience = self._patience(self._retries.file)
        while size < file.bytes:
            before = size
            try:
                with hub.content(commit, file, size) as content:
                    skip = size - content.start  # a server that takes no ranges begins anew
                    for chunk in content.chunks:
                        new = chunk[skip:][: file.bytes - size]
                        skip = max(0, skip - len(chunk))
                        partial.write(new)
                        partial.flush()
                        hashed.update(new)
                        size += len(new)
                        self._add(len(new), received=len(chunk))
                if size < file.bytes:  # it ended without having said how long it would be
                    raise Transient(Problem("hub-failed", f"The hub's storage ended {file.path} early."))
            except Transient as failure:
                if size > before:
                    patience.reward()
                patience.wait(failure)
                self._tell(message="")
        return hashed

    # a check

    def verify(self) -> None:
        """Hash every file. Damaged ones that were downloaded here are removed, so that the next download replaces them.

        Raises:
            Problem: weights-missing, weights-damaged; and those of `get` if the hub has to be asked, which is so for a
                model that was not downloaded here.
        """
        with self._folder.locked():
            record, seen = self._folder.record(), look(self._weights.id)
            if record is None or (seen.place and seen.place.folder != self._folder.root):
                self._verify_foreign(seen)
                return
            damaged = self._damaged(record.files, self._folder.path)
            ours = [file for file in damaged if file.path in record.fetched]
            for file in ours:
                self._folder.drop(record, file)
            incomplete = not all(self._folder.holds(file) for file in record.files)
            self._judge(damaged, removed=ours == damaged, incomplete=incomplete)

    def _verify_foreign(self, seen: Sight) -> None:
        """A model that lies elsewhere, or was put there by hand: nothing of it is touched."""
        if seen.place is None:
            raise Problem("weights-missing", f"{self._weights.repository} is not on this computer.")
        place = seen.place.folder
        snapshot = place.name if place.parent.name == "snapshots" else None
        hub = self._make_hub()
        try:
            self._tell(stage="asking")
            revision = snapshot or self._weights.revision
            _, files = self._listing(hub, revision)
        finally:
            hub.close()
        there = [file for file in files if (place / file.path).is_file()]
        damaged = self._damaged(there, lambda path: place / path)
        self._judge(damaged, removed=False, incomplete=seen.fault is not None)

    def _damaged(self, files: list[HubFile], path_of: Callable[[str], Path]) -> list[HubFile]:
        """Those of the files that are there and are not what they should be."""
        self._tell(stage="checking", bytes=0, total=sum(file.bytes for file in files))
        damaged = []
        for file in files:
            path = path_of(file.path)
            self._tell(file=file.path)
            if path.exists() and not file.matches(hash_of(path, file, self._add)):
                damaged.append(file)
        return damaged

    def _judge(self, damaged: list[HubFile], removed: bool, incomplete: bool) -> None:
        name = self._weights.repository
        if damaged:
            names = ", ".join(file.path for file in damaged)
            gone = " and removed" if removed else ""
            hint = "Download the model again; only what is missing is fetched."
            hint = (
                hint if removed else "Replace these files by those of the hub, or remove them and download the model."
            )
            raise Problem("weights-damaged", f"Damaged files of {name} were found{gone}: {names}.", hint)
        if incomplete:
            raise Problem("weights-missing", f"What is there of {name} is sound, but it is not complete.")

    # telling, waiting

    def _listing(self, hub: Hub, revision: str | None) -> tuple[str, list[HubFile]]:
        patience = self._patience(self._retries.listing)
        while True:
            try:
                return hub.listing(revision)
            except Transient as failure:
                patience.wait(failure)
                self._tell(message="")

    def _patience(self, attempts: int) -> Patience:
        retries = self._retries
        return Patience(attempts, retries.first, retries.longest, lambda message: self._tell(message=message))

    def _add(self, count: int, received: int = 0) -> None:
        self._tell(bytes=self._progress.bytes + count, received=self._progress.received + received)

    def _tell(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self._progress, name, value)
        self._told(self._progress)


def _resume(file: HubFile, partial: BinaryIO) -> tuple[hashlib._Hash, int]:
    """The hash of what has come before, and its length; the file stands at its end."""
    partial.seek(0, os.SEEK_END)
    if partial.tell() > file.bytes:
        partial.truncate(0)
    partial.seek(0)
    hashed, size = file.hash(), 0
    while block := partial.read(BLOCK):
        hashed.update(block)
        size += len(block)
    return hashed, size
