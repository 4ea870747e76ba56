"""Where the body of an answer goes: into a file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from ..ground.privacy import private_opener
from .http_framing import ConnectionProblem

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)", re.ASCII)
_TAG = re.compile(r'"([0-9a-f]{64})"')


class Sink(Protocol):
    """Takes the body of a successful answer piece by piece, after its head."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None: ...
    def write(self, data: bytes) -> None: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...


class FileSink:
    """Writes to `<path>.part` and renames when all has come, so that a file is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._file: BinaryIO | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """All of it comes, whatever the head says."""

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._file = open(self.part, self._mode, opener=private_opener)  # noqa: SIM115 - closed in _close
        self._file.write(data)

    @property
    def _mode(self) -> Literal["wb", "ab"]:
        return "wb"

    def finish(self) -> None:
        self.write(b"")
        self._close()
        self.part.replace(self.path)

    def abandon(self) -> None:
        self._close()
        self.part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ResumedFile(FileSink):
    """The same over a line that is cut: what has come is kept, and `asked` has the next request go on after it, as long
    as it is the same file. In the end the SHA-256 that the server tells as ETag is compared (docs/api.md)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count = 0
        self._tag = ""
        self._hash = hashlib.sha256()

    @property
    def asked(self) -> dict[str, str]:
        """Headers of the next request."""
        return {"Range": f"bytes={self.count}-", "If-Range": self._tag} if self.count and self._tag else {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Raises ConnectionProblem if other bytes come than were asked for."""
        if status == 206:
            found = _RANGE.fullmatch(headers.get("content-range", ""))
            if found is None or int(found[1]) != self.count or headers.get("etag") != self._tag:
                self.forget()
                message = "The server sends another part of the file than it was asked for."
                raise ConnectionProblem(message, "Import the job again.", "lost")
        else:
            self.forget()
            self._tag = headers.get("etag", "")

    @property
    def _mode(self) -> Literal["wb", "ab"]:
        return "ab" if self.count else "wb"

    def write(self, data: bytes) -> None:
        super().write(data)
        self._hash.update(data)
        self.count += len(data)

    def finish(self) -> None:
        """Raises ConnectionProblem if what came is not what the server has."""
        told = _TAG.fullmatch(self._tag)
        if told is not None and told[1] != self._hash.hexdigest():
            self.forget()
            message = "A file of the result was damaged on its way."
            raise ConnectionProblem(message, "Import the job again; it is fetched anew.", "result-damaged")
        super().finish()

    def abandon(self) -> None:
        """The line was cut; what has come stays for the next request."""
        self._close()

    def forget(self) -> None:
        """Begin anew: nothing of it stays."""
        super().abandon()
        self.count, self._tag, self._hash = 0, "", hashlib.sha256()
