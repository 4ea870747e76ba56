"""Files on their way between two machines, in pieces, whole at their end or not there at all.

A parcel is a folder, or files of one folder that belong together. It is put down beside its place and renamed once all
of it has come and every file has the hash that was announced, in the manner of `backend/files.py`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backend.files import PARTIAL, sync_folder

PIECE_BYTES = 4 << 20
STAGING = ".arriving-"
STALE_SECONDS = 86400.0


class Damaged(Exception):
    """What has come is not what was sent, or has no place here."""


@dataclass(frozen=True)
class Piece:
    """A part of a parcel; those of one parcel come one after another, and no others between them.

    into: the folder that is put in its place as a whole, or into which the files are put; "" for the root.
    whole: which of the two.
    name: of the file, below `into`, with slashes; one that ends with a slash is an empty folder.
    data: the bytes that follow those before.
    source: where the file lies on a disk that both share; no bytes travel then.
    digest: SHA-256 of the file, in its last piece; "" before.
    first, last: of the parcel.
    """

    into: str
    whole: bool
    name: str
    data: bytes
    source: str
    digest: str
    first: bool
    last: bool


@dataclass(frozen=True)
class Present:
    """Of the plain files, or of the folders, in a folder these are left; others go."""

    into: str
    names: tuple[str, ...]


def packed(root: Path, into: str, names: Sequence[str], *, whole: bool, shared: bool = False) -> Iterator[Piece]:
    """The pieces of a parcel. names: in order, the last one is the seal on the others where it is not `whole`.

    shared: the disk is, so that the path of a file is all that has to be told.
    Raises OSError where a file goes away meanwhile; the parcel never becomes whole then.
    """
    for number, name in enumerate(names):
        first, end = number == 0, number == len(names) - 1
        path = root / into / name
        if name.endswith("/"):
            yield Piece(into, whole, name, b"", "", "", first, end)
        elif shared:
            yield Piece(into, whole, name, b"", str(path), "", first, end)
        else:
            for data, digest in _read(path):
                yield Piece(into, whole, name, data, "", digest, first, end and bool(digest))
                first = False


def _read(path: Path) -> Iterator[tuple[bytes, str]]:
    """The bytes of a file in pieces, with its digest beside the last one."""
    hashed = hashlib.sha256()
    with path.open("rb") as stream:
        data = stream.read(PIECE_BYTES)
        while True:
            hashed.update(data)
            after = stream.read(PIECE_BYTES) if data else b""
            yield data, "" if after else hashed.hexdigest()
            if not after:
                return
            data = after


def all_below(folder: Path) -> list[str]:
    """Every file below a folder, sorted, and every folder, with a slash at its end."""
    paths = sorted(folder.rglob("*"))
    return [path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in paths]


class Arrivals:
    """Puts parcels down below `root`.

    places: first parts of the paths that may be written to; every one if left out. Others raise Damaged, and so does
        whatever leads out of `root`.
    durable: what belongs together is through to the disk when it is there.
    """

    def __init__(self, root: Path, places: Iterable[str] | None = None, *, durable: bool = True) -> None:
        self._root = root
        self._places = None if places is None else frozenset(places)
        self._durable = durable
        self._staging = root / f"{STAGING}{secrets.token_hex(4)}{PARTIAL}"
        self._names: list[str] = []
        self._hashed = hashlib.sha256()
        self._open = ""

    def sweep(self, seconds: float = STALE_SECONDS) -> None:
        """Remove what others have left that died on the way, so long ago."""
        before = time.time() - seconds
        for path in self._root.glob(f"{STAGING}*{PARTIAL}"):
            if path.stat().st_mtime <= before:
                shutil.rmtree(path, ignore_errors=True)

    def take(self, piece: Piece) -> None:
        """Raises Damaged and OSError; nothing of the parcel is there then."""
        try:
            self._take(piece)
        except BaseException:
            self.clear()
            raise

    def clear(self) -> None:
        """Remove what has come of a parcel that is not whole."""
        shutil.rmtree(self._staging, ignore_errors=True)
        self._names, self._open = [], ""

    def keep(self, present: Present) -> None:
        """Remove the others. Raises Damaged."""
        folder = self._below(self._root, present.into)
        if folder.is_dir():
            for path in folder.iterdir():
                if path.name not in present.names and not path.name.startswith("."):
                    _remove(path)

    def _take(self, piece: Piece) -> None:
        if piece.first:
            self.clear()
        path = self._below(self._staging, piece.name.rstrip("/"))
        self._below(self._root, piece.into if piece.whole else f"{piece.into}/{piece.name}".strip("/"))
        if piece.name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            if piece.source:
                _same(Path(piece.source), path)
            else:
                self._write(piece, path)
            if piece.name not in self._names:
                self._names.append(piece.name)
        if piece.last:
            self._put(piece)

    def _write(self, piece: Piece, path: Path) -> None:
        if self._open != piece.name:
            self._open, self._hashed = piece.name, hashlib.sha256()
        with path.open("ab") as stream:
            stream.write(piece.data)
            self._hashed.update(piece.data)
            if piece.digest and self._durable and not (piece.first and piece.last):
                stream.flush()
                os.fsync(stream.fileno())
        if piece.digest:
            self._open = ""
            if piece.digest != self._hashed.hexdigest():
                raise Damaged(f"{piece.name} has come damaged")

    def _put(self, piece: Piece) -> None:
        target = self._root / piece.into  # it has been looked at
        if piece.whole:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                former = target.with_name(f".{target.name}.former{PARTIAL}")
                shutil.rmtree(former, ignore_errors=True)
                target.rename(former)
                shutil.rmtree(former, ignore_errors=True)
            self._staging.rename(target)
            if self._durable:
                sync_folder(target.parent)
        else:
            target.mkdir(parents=True, exist_ok=True)
            if len(self._names) > 1:
                (target / self._names[-1]).unlink(missing_ok=True)
            for name in self._names:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (self._staging / name).replace(target / name)
            if self._durable and len(self._names) > 1:
                sync_folder(target)
        self.clear()

    def _below(self, root: Path, path: str) -> Path:
        """Raises Damaged for what is no path below `root`, or none of `places`."""
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise Damaged(f"{path!r} leads out of the folder")
        if root is self._root and self._places is not None and (not parts or parts[0] not in self._places):
            raise Damaged(f"{path!r} is none of what comes home")
        return root.joinpath(*parts)


def _same(source: Path, path: Path) -> None:
    """The same file under another name where the file system can; a copy elsewhere."""
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
