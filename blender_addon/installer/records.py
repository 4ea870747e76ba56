"""The environments on disk: which are complete, which were begun, which may be started.

`<user>/environments/` holds one folder per environment, named by a hash of what it was made from. An environment has
paths of itself in it (`pyvenv.cfg`, the first line of every script), so it is made where it will lie, and is not moved
there when it is done. What makes it one that may be started is the marker `complete.json` inside, which is written
last and whole, after its modules were imported once, and taken away first when it is to be changed. `begun.json`
beside the folders says what was being made, from before the first step until after the marker.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any

from .builds import AUTOMATIC, NONE
from .events import Failure

MARKER, BEGUN, LOCK, HELD = "complete.json", "begun.json", "lock", "held"
FORMAT = 1
INSIDE = Path("Scripts/python.exe") if sys.platform == "win32" else Path("bin/python")


class Disk(Enum):
    """What lies on disk, for the locks that this add-on brings."""

    NOTHING = "nothing"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    OUTDATED = "outdated"
    BROKEN = "broken"


@dataclass(frozen=True)
class Record:
    """`complete.json`: what an environment was made from. locks: file name -> SHA-256 of the requirement files."""

    build: str
    python: str
    locks: dict[str, str]
    made: float = 0.0
    facts: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Found:
    """The state, the environment that may be started (None if none may), its record, and why it is not as wanted."""

    state: Disk
    folder: Path | None = None
    record: Record | None = None
    reason: str = ""


def python_of(folder: Path) -> Path:
    return folder / INSIDE


def name_of(locks: Mapping[str, str], python: str, build: str) -> str:
    """The folder's name, from the hashes of the locks, Python's minor version and the build of torch."""
    text = json.dumps([sorted(locks.items()), python, build])
    return f"{build}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def hash_locks(files: Sequence[Path]) -> dict[str, str]:
    """Line ends do not count: a checkout on Windows may have others."""
    return {
        path.name: hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        for path in sorted(files, key=lambda path: path.name)
    }


def read_record(folder: Path) -> Record | None:
    """The marker; None if there is none that can be read: then the environment is not complete."""
    try:
        values = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        record = Record(**values)
        record.locks.items()
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return record if record.format == FORMAT else None


def is_complete(folder: Path) -> bool:
    """Whether it has been made to the end, and its Python and the one that this was made from are still there."""
    return read_record(folder) is not None and _is_sound(folder)


def _is_sound(folder: Path) -> bool:
    try:
        settings = (folder / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    pairs = dict(line.split("=", 1) for line in settings.splitlines() if "=" in line)
    home = {name.strip(): value.strip() for name, value in pairs.items()}.get("home", "")
    return python_of(folder).is_file() and bool(home) and Path(home).is_dir()


def folders(root: Path) -> list[Path]:
    """Every environment, complete or not; a name with a dot in front is on its way out."""
    entries = root.iterdir() if root.is_dir() else ()
    return sorted(path for path in entries if path.is_dir() and not path.name.startswith("."))


def look(root: Path, locks: Mapping[str, str], build: str) -> Found:
    """What lies in `root`.

    An environment may be started if it is complete and every lock it was made from is one of `locks` unchanged: one
    without torch may be, whatever build is wanted. A wanted `auto` is content with any.
    """
    complete = {path: record for path in folders(root) if (record := read_record(path)) is not None}
    current = {
        path: record
        for path, record in complete.items()
        if all(locks.get(name) == value for name, value in record.locks.items())
    }
    usable = sorted(
        ((path, record) for path, record in current.items() if _is_sound(path)), key=lambda item: -item[1].made
    )
    for path, record in usable:
        if build in (AUTOMATIC, record.build):
            return Found(Disk.COMPLETE, path, record)
    folder, other = usable[0] if usable else (None, None)
    if (root / BEGUN).is_file() or len(complete) < len(folders(root)):
        return Found(Disk.INTERRUPTED, folder, other, "It was begun and has not been finished.")
    if other is not None:
        without = "It has no learned pipelines." if other.build == NONE else "It has another build of PyTorch."
        return Found(Disk.OUTDATED, folder, other, without)
    if current:
        path, record = next(iter(current.items()))
        return Found(Disk.BROKEN, None, record, f"The Python it was made from is gone: {_home(path)}.")
    if complete:
        return Found(Disk.OUTDATED, None, None, "It belongs to another version of the add-on.")
    return Found(Disk.NOTHING)


def _home(folder: Path) -> str:
    try:
        lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return str(python_of(folder))
    return next((line.partition("=")[2].strip() for line in lines if line.startswith("home")), str(python_of(folder)))


def write_marker(folder: Path, record: Record) -> None:
    _write(folder / MARKER, asdict(record))


def remove_marker(folder: Path) -> None:
    (folder / MARKER).unlink(missing_ok=True)


def begin(root: Path, values: dict[str, Any]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    _write(root / BEGUN, values)


def begun(root: Path) -> dict[str, Any]:
    """What was being made when it was interrupted; {} if nothing was."""
    try:
        values = json.loads((root / BEGUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def end(root: Path) -> None:
    (root / BEGUN).unlink(missing_ok=True)


def _write(path: Path, values: dict[str, Any]) -> None:
    """Whole or not at all, also if the power fails: contents first, then the name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            json.dump(values, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Lock:
    """A lock file that the operating system lets go of when its holders have died, however they died.

    Children that inherit the file hold it too (POSIX), so it is free only when the last one is gone.
    """

    def __init__(self, path: Path, shared: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("a+b")
        if not _try_lock(self._file, shared):
            self._file.close()
            raise BlockingIOError(path)

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    def release(self) -> None:
        self._file.close()


def is_locked(path: Path) -> bool:
    """Whether somebody holds it."""
    if not path.is_file():
        return False
    try:
        Lock(path).release()
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def only_one(root: Path, seconds: float) -> Iterator[Lock]:
    """Hold the lock of `root`. Raises Failure: if another process has it for longer than `seconds`."""
    until = time.monotonic() + seconds
    while True:
        try:
            lock = Lock(root / LOCK)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                message = "Another Blender is installing the backend."
                raise Failure("install-elsewhere", message, "Wait until it is done; both use the same one.") from None
            time.sleep(0.1)
    try:
        yield lock
    finally:
        lock.release()


def _try_lock(file: IO[bytes], shared: bool) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            # Windows knows no shared lock here; a file that is open cannot be renamed with its folder, which is
            # what `held` is for there.
            if not shared:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
