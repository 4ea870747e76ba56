"""Pictures that are sent before the request that names them, by their hash: once, and on from where the line was cut.

An upload is a file in a folder of its user, named by its SHA-256; until it has come as a whole it has another ending.
What came of it is kept whatever becomes of the connection. It is swept when nobody has asked for it for a day.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from backend.errors import Problem
from backend.jobs.folders import storage_problem
from backend.server.shares import Shares

HASH = re.compile(r"[0-9a-f]{64}")
PARTIAL = ".partial"
KEPT_SECONDS = 86400.0
BUFFER = 1 << 20
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
logger = logging.getLogger(__name__)


class UploadView(BaseModel):
    """What has come of an upload."""

    sha256: str
    received: int = Field(description="Bytes that are here; go on with the one after them.")
    complete: bool = Field(description="Whether it is here as a whole, and can be named in a request.")


class Writer:
    """Whoever writes an upload now: one at a time. A newcomer takes over, as a connection that was cut may not have
    ended yet on this side."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.over = False


class Uploads:
    """The uploads of all users, below `root`.

    largest: bytes of one. shares: what each user may hold of the disk.
    """

    def __init__(self, root: Path, largest: int, shares: Shares) -> None:
        self.root = root
        self._largest = largest
        self._shares = shares
        self._lock = threading.Lock()
        self._writers: dict[Path, Writer] = {}

    def view(self, user: str, sha256: str) -> UploadView:
        """What there is; also of an upload of which nothing is there. It counts as used."""
        whole, partial = self._paths(user, sha256)
        for path, complete in ((whole, True), (partial, False)):
            try:
                os.utime(path)
                return UploadView(sha256=sha256, received=path.stat().st_size, complete=complete)
            except FileNotFoundError:
                continue
        return UploadView(sha256=sha256, received=0, complete=False)

    def read(self, user: str, sha256: str) -> bytes:
        """The bytes of one that is here as a whole. Raises Problem("upload-not-found")."""
        path, _ = self._paths(user, sha256)
        data = None
        try:
            os.utime(path)
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:  # the machine has failed since it came
                path.unlink()
                data = None
        except FileNotFoundError:
            logger.debug("upload %s is not here", sha256)
        except OSError as error:
            raise storage_problem(error, "The upload cannot be read") from error
        if data is None:
            raise Problem("upload-not-found", f"The picture {sha256[:12]}… was not sent, or too long ago.")
        return data

    async def receive(self, user: str, sha256: str, content_range: str, stream: AsyncIterator[bytes]) -> UploadView:
        """Take in the bytes of a request. What comes before a connection is cut is kept.

        content_range: "bytes FIRST-LAST/TOTAL".

        Raises Problem("upload-out-of-step") if they begin neither anew nor where the upload has got;
        Problem("upload-damaged") if the whole has another hash, and then none of it stays; Problem("request-invalid",
        "request-too-large", "share-used-up", "disk-full").
        """
        first, end, total = self._asked(content_range)
        view = await run_in_threadpool(self.view, user, sha256)
        if view.complete:
            return view
        _, partial = self._paths(user, sha256)
        writer, came = Writer(), first
        try:
            await run_in_threadpool(self._begin, writer, partial, first)
            dropped = 0 if first else view.received
            await run_in_threadpool(self._shares.check, user, total - first - dropped)
        except Problem:
            self._end(writer, partial)
            raise
        try:
            async for data in _buffered(stream):
                came += len(data)
                if came > end:
                    raise Problem("request-invalid", f"More bytes came than '{content_range[:60]}' announces.")
                await run_in_threadpool(self._append, writer, partial, data)
            if came == total:
                await run_in_threadpool(self._complete, writer, user, sha256)
        except ClientDisconnect:
            logger.info("the connection of an upload was cut after %d bytes", came)
            raise
        finally:
            self._end(writer, partial)
            self._shares.give_back(user, total - min(came, total))
        return await run_in_threadpool(self.view, user, sha256)

    def held(self, user: str) -> int:
        """The bytes that a user's uploads hold."""
        return sum(size for _, size, _ in _files(self._folder(user)))

    def sweep(self, now: float | None = None) -> None:
        """Remove what nobody has asked for or written to for a day. Raises OSError."""
        before = (time.time() if now is None else now) - KEPT_SECONDS
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            for path, _, used in _files(folder):
                if used < before:
                    path.unlink(missing_ok=True)

    def _asked(self, content_range: str) -> tuple[int, int, int]:
        """Where the bytes begin, where they end, and how many the upload has."""
        found = CONTENT_RANGE.fullmatch(content_range.strip())
        first, last, total = (int(number) for number in found.groups()) if found else (1, 0, 0)
        if not first <= last < total:
            detail = f"'{content_range[:60]}' does not say which bytes come."
            raise Problem("request-invalid", detail, "Send Content-Range: bytes FIRST-LAST/TOTAL, or all at once.")
        if total > self._largest:
            raise Problem("request-too-large", f"The upload has {total} bytes; {self._largest} are the limit.")
        return first, last + 1, total

    def _begin(self, writer: Writer, partial: Path, first: int) -> None:
        """Take over from whoever writes, if the next byte is `first`; what begins anew is emptied.

        A connection that was cut goes on until all that has come of it is written, unless somebody takes over.
        """
        while not self._taken_over(writer, partial, first):
            logger.debug("somebody else has taken over this upload meanwhile")
        if not first:
            with writer.lock:
                self._write(writer, partial, b"", "wb")

    def _taken_over(self, writer: Writer, partial: Path, first: int) -> bool:
        """Whether the writer is the one now; False if another newcomer was faster."""
        with self._lock:
            former = self._writers.get(partial)
        with former.lock if former else contextlib.nullcontext():
            received = partial.stat().st_size if partial.is_file() else 0
            if first not in (0, received):
                detail = f"{received} bytes are here, and byte {first} comes next."
                raise Problem("upload-out-of-step", detail, received=received)
            with self._lock:
                if self._writers.get(partial) is not former:
                    return False
                self._writers[partial] = writer
            if former:
                former.over = True
        return True

    def _end(self, writer: Writer, partial: Path) -> None:
        with self._lock:
            if self._writers.get(partial) is writer:
                del self._writers[partial]

    def _append(self, writer: Writer, partial: Path, data: bytes) -> None:
        with writer.lock:
            self._write(writer, partial, data, "ab")

    def _write(self, writer: Writer, partial: Path, data: bytes, mode: str) -> None:
        if writer.over:
            raise Problem("upload-out-of-step", "Another request goes on with this upload.")
        try:
            partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open(mode) as file:
                file.write(data)
        except OSError as error:
            raise storage_problem(error, "The upload cannot be stored") from error

    def _complete(self, writer: Writer, user: str, sha256: str) -> None:
        whole, partial = self._paths(user, sha256)
        with writer.lock:
            if writer.over:
                raise Problem("upload-out-of-step", "Another request goes on with this upload.")
            try:
                with partial.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found == sha256:
                    partial.replace(whole)
                else:
                    partial.unlink()
            except OSError as error:
                raise storage_problem(error, "The upload cannot be stored") from error
        if found != sha256:
            self._shares.forget(user)
            raise Problem("upload-damaged", f"What came has the hash {found[:12]}…, not {sha256[:12]}….")

    def _paths(self, user: str, sha256: str) -> tuple[Path, Path]:
        """Where an upload lies as a whole, and until then. Raises Problem("request-invalid")."""
        if not HASH.fullmatch(sha256):
            raise Problem("request-invalid", f"'{sha256[:80]}' is no SHA-256: 64 digits of 0 to 9 and a to f.")
        folder = self._folder(user)
        return folder / sha256, folder / (sha256 + PARTIAL)

    def _folder(self, user: str) -> Path:
        """A name that no file system folds, reserves or misreads."""
        return self.root / hashlib.sha256(user.encode()).hexdigest()[:32]


async def _buffered(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger pieces; what has come is given out before an error is."""
    waiting = bytearray()
    try:
        async for data in stream:
            waiting += data
            if len(waiting) >= BUFFER:
                yield bytes(waiting)
                waiting.clear()
    except ClientDisconnect:
        if waiting:
            yield bytes(waiting)
        raise
    if waiting:
        yield bytes(waiting)


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Files of a folder, their sizes, and when they were last used."""
    try:
        entries = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in entries:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        yield path, status.st_size, status.st_mtime
