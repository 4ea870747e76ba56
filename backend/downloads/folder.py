"""A model's folder below the folder of models: what the hub says belongs there, what is there, what we have put there.

    <models>/<owner>/<name>/…                      the files, as the repository has them
    <models>/<owner>/<name>/.download/record.json  what belongs there, and which files were downloaded
    <models>/<owner>/<name>/.download/*.incomplete what has come of a file, named by what it will be
    <models>/.locks/<owner>--<name>.lock           held by whoever works on the folder

A file appears under its name only when it is complete and its hash is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from backend.errors import Problem
from backend.files import write_together
from backend.weights import Weights
from backend.weights.revisions import HIDDEN, RECORD

BLOCK = 1 << 20
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class HubFile:
    """One file of a repository.

    path: inside the repository, with slashes.
    bytes: its length.
    digest: "sha256:…" of the content (Git LFS), or "git:…", the name that Git gives to a small file.
    """

    path: str
    bytes: int
    digest: str

    @property
    def partial_name(self) -> str:
        return f"{self.digest.partition(':')[2]}.incomplete"

    def hash(self) -> hashlib._Hash:
        """A hash that has the digest once it was fed the whole content."""
        if self.digest.startswith("sha256:"):
            return hashlib.sha256()
        # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects: a header, then the content.
        return hashlib.sha1(b"blob %d\0" % self.bytes, usedforsecurity=False)

    def matches(self, hashed: hashlib._Hash) -> bool:
        return self.digest.partition(":")[2] == hashed.hexdigest()


@dataclass
class Record:
    """What belongs into a folder and what was put there by us.

    commit: of the repository that `files` describe.
    fetched: paths of the files that were downloaded here; no other file is ever removed or replaced.
    """

    repository: str
    commit: str
    files: list[HubFile]
    fetched: list[str] = field(default_factory=list)


class ModelFolder:
    """The folder of one model below `models`; nothing is made before `begin`."""

    def __init__(self, models: Path, weights: Weights) -> None:
        owner, _, name = weights.home.partition("/")
        self.weights = weights
        self.root = models / owner / name
        self._hidden = self.root / HIDDEN
        self._lock_path = models / ".locks" / f"{owner}--{name}.lock"

    # who works on it

    @contextmanager
    def locked(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the folder against every other process.

        waiting: called once if somebody else holds it; then it is waited for. Without it that is Problem("model-busy").
        """
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_path, thread_local=False)
        try:
            lock.acquire(timeout=2 * LOOK_SECONDS, poll_interval=LOOK_SECONDS / 4)
        except Timeout:
            if waiting is None:
                name = self.weights.repository
                raise Problem("model-busy", f"{name} is being downloaded or checked by another program.") from None
            waiting()
            lock.acquire(poll_interval=LOOK_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether some process works on the folder now."""
        if not self._lock_path.exists():
            return False
        lock = FileLock(self._lock_path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    # what belongs there

    def record(self) -> Record | None:
        """What is known of the folder; None if it was never downloaded into, or the record is unreadable."""
        try:
            known = json.loads((self._hidden / RECORD).read_bytes())
            files = [HubFile(**each) for each in known.pop("files")]
            return Record(files=files, **known)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # made anew by the next download; files that are right are recognised by their hashes

    def write(self, record: Record) -> None:
        write_together(self._hidden, {RECORD: json.dumps(asdict(record), indent=1).encode()})

    def begin(self, commit: str, files: list[HubFile]) -> Record:
        """The record of a download of these files. What was fetched before and does not belong there now is removed."""
        before = self.record()
        ours = {} if before is None else {each.path: each for each in before.files if each.path in before.fetched}
        wanted = {each.path: each for each in files}
        fetched = []
        for path, known in ours.items():
            target = self.path(path)
            if wanted.get(path) == known and self.holds(known):
                fetched.append(path)
            else:
                target.unlink(missing_ok=True)
        partials = {each.partial_name for each in files}
        for stale in self._hidden.glob("*.incomplete"):
            if stale.name not in partials:
                stale.unlink()
        record = Record(self.weights.repository, commit, files, fetched)
        self.write(record)
        return record

    def path(self, path: str) -> Path:
        """Where a file of the repository belongs. Raises ValueError for a path that would lead elsewhere."""
        parts = PurePosixPath(path).parts
        plain = parts and all(part not in ("..", ".", HIDDEN) and not set(part) & set('\\:*?"<>|\0') for part in parts)
        if not plain or path.startswith("/"):
            raise ValueError(f"{path!r} is not a path inside a repository")
        return self.root.joinpath(*parts)

    def partial(self, file: HubFile) -> Path:
        """Where a file grows."""
        return self._hidden / file.partial_name

    # what is there

    def holds(self, file: HubFile) -> bool:
        """Whether a file of the right length is there, under its name."""
        with suppress(OSError):
            return self.path(file.path).stat().st_size == file.bytes
        return False

    def bytes_of(self, file: HubFile) -> int:
        """How much of a file is there."""
        if self.holds(file):
            return file.bytes
        with suppress(OSError):
            return min(file.bytes, self.partial(file).stat().st_size)
        return 0

    def finish(self, record: Record, file: HubFile) -> None:
        """Give a complete file its name. The record says first that it is ours, so that no crash makes it foreign."""
        if file.path not in record.fetched:
            record.fetched.append(file.path)
            self.write(record)
        target = self.path(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.partial(file).replace(target)
        if sys.platform != "win32":
            descriptor = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def drop(self, record: Record, file: HubFile) -> None:
        """Remove a file that was fetched and is not what it should be."""
        self.path(file.path).unlink(missing_ok=True)
        record.fetched.remove(file.path)
        self.write(record)

    def remove(self) -> None:
        """Remove what was downloaded, and the folders that are empty then. Files of others stay."""
        record = self.record()
        for path in record.fetched if record else []:
            self.path(path).unlink(missing_ok=True)
        if self._hidden.is_dir():
            shutil.rmtree(self._hidden)
        below = sorted((path for path in self.root.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*below, self.root, self.root.parent):
            with suppress(OSError):  # not empty
                folder.rmdir()


def hash_of(path: Path, file: HubFile, tell: Callable[[int], None]) -> hashlib._Hash:
    """The hash of what a path holds; `tell` gets the number of bytes of each block."""
    hashed = file.hash()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            hashed.update(block)
            tell(len(block))
    return hashed
