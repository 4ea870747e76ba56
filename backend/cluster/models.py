"""Models on the machines of a cluster: each has a folder of its own, which is filled from the server's.

A file that is there already, by download or by hand or on a disk that machines share, is used if its hash is that of
the server's file, and replaced if not. What was hashed once is remembered beside the models.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from backend.cluster.parcels import Arrivals, Piece, packed
from backend.downloads.folder import HubFile, ModelFolder, Record
from backend.files import replace_whole
from backend.weights import State, look, own_folder, row_of
from backend.weights.revisions import revision_of

HASHES = ".hashes.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFile:
    """name: below the model's folder, with slashes. digest: SHA-256."""

    name: str
    bytes: int
    digest: str


@dataclass(frozen=True)
class Model:
    """A model as the server has it.

    home: its folder below a folder of models.
    revision: see `backend/weights/revisions.py`.
    """

    id: str
    home: str
    revision: str | None
    files: tuple[ModelFile, ...]


class Hashes:
    """SHA-256 of large files, remembered by path, length and time of the last change; beyond this process once they are
    kept, see `keep`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[object]] = {}
        self._keeping = threading.Lock()
        self._is_kept = True
        try:
            known = json.loads(file.read_bytes())
            self._known = known if isinstance(known, dict) else {}
        except FileNotFoundError:
            logger.debug("nothing was hashed here before")
        except (OSError, ValueError) as error:
            logger.warning("what was hashed before cannot be read: %s", error)

    def of(self, path: Path) -> str:
        """Raises OSError."""
        status = path.stat()
        seen = [status.st_size, status.st_mtime_ns]
        known = self._known.get(str(path))
        if isinstance(known, list) and known[:2] == seen:
            return str(known[2])
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._known[str(path)] = [*seen, digest]
        self._is_kept = False
        return digest

    def keep(self) -> None:
        """Write down what was hashed since it was written last."""
        with self._keeping:
            if self._is_kept:
                return
            self._is_kept = True
            try:
                replace_whole(self._file, json.dumps(dict(self._known), indent=1).encode())
            except OSError as error:
                self._is_kept = False
                logger.warning("what was hashed is not remembered: %s", error)


def model(identifier: str, hashes: Hashes) -> Model | None:
    """A model that is complete on this machine; None of one that is not, or comes with this program. Raises OSError."""
    row, seen = row_of(identifier), look(identifier)
    if row.source == "local" or seen.state is not State.ready or seen.place is None:
        return None
    folder = seen.place.folder
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if not hidden and path.is_file() and (row.source == "own" or _belongs(name, row.files)):
            found.append(ModelFile(name, path.stat().st_size, hashes.of(path)))
    hashes.keep()
    return Model(identifier, row.home, revision_of(identifier), tuple(found))


def _belongs(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def pieces(wanted: Model, names: Iterable[str]) -> Iterator[Piece]:
    """The files of a model of this machine, on their way to another. Raises OSError."""
    place = look(wanted.id).place
    if place is None:
        raise FileNotFoundError(f"{wanted.id} has gone")
    for name in names:
        for piece in packed(place.folder, "", [name], whole=False):
            yield Piece(wanted.home, False, piece.name, piece.data, "", piece.digest, piece.first, piece.last)


class NodeModels:
    """The folder of models of a machine that runs jobs: the one that SET_DRESSER_MODELS names."""

    def __init__(self) -> None:
        root = own_folder()
        assert root is not None
        self._root = root
        self._hashes = Hashes(root / HASHES)
        self._arrivals = Arrivals(root)
        self._arrivals.sweep()

    def missing(self, wanted: Model) -> list[str]:
        """The files that are not here, or are others, in order. Raises OSError."""
        folder = self._root / wanted.home
        missing = [file.name for file in wanted.files if not self._is_here(folder / file.name, file)]
        self._hashes.keep()
        return missing

    def _is_here(self, path: Path, file: ModelFile) -> bool:
        return path.is_file() and path.stat().st_size == file.bytes and self._hashes.of(path) == file.digest

    def take(self, piece: Piece) -> None:
        """Raises Damaged and OSError."""
        self._arrivals.take(piece)

    def note(self, wanted: Model) -> None:
        """Remember which revision a model is that is complete now, where nobody has. Raises OSError."""
        if wanted.revision is not None and revision_of(wanted.id) != wanted.revision:
            row = row_of(wanted.id)
            files = [HubFile(file.name, file.bytes, f"sha256:{file.digest}") for file in wanted.files]
            ModelFolder(self._root, row).write(Record(row.repository, wanted.revision, files))
