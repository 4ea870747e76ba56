"""The worker process: `python -m backend.jobs.worker <pid of the server> <slot> <slots>`. Runs the jobs it is told to,
one at a time. The last two say which of how many workers it is, see `backend/devices.py: work_beside`.

Standard input: {"type": "run", "job", "folder"}, {"type": "cancel", "job"}, {"type": "finish", "job"},
{"type": "answer", "job", "answer"}, and {"type": "park", "job"}, which ends a job that waits for an answer.
Standard output: {"type": "ready"}, and of a job: begun, progress, warning, preview, question (with "data"), and at last
done (with "finished_early"), parked, cancelled, or failed (with "problem"); and cards (with "count"), how many graphics
cards workers can use side by side, once it has had to know. What anything prints goes to the job's
log.txt instead.

It ends the moment its input closes, also in the middle of a computation: it never outlives its server.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import queue
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from backend import devices
from backend.contract import Preview, Progress, Warning
from backend.errors import Problem
from backend.jobs.channel import Message, encode, messages
from backend.jobs.child import die_with, leave, take_pipes
from backend.jobs.executor import Parked
from backend.jobs.folders import NO_SPACE
from backend.jobs.run import run_job
from backend.pipelines import PIPELINES
from backend.pipelines.context import Cancelled
from backend.residency import residency
from backend.resident import give_back

ANSWER_SECONDS = 0.1
THOUGHT_SECONDS = 60.0
"""After so long without an answer what is held on the device goes: the artist may want its memory for the viewport."""

logger = logging.getLogger(__name__)


class Worker:
    """Takes messages in one thread and runs jobs in the main one."""

    def __init__(self, commands: BinaryIO, replies: BinaryIO) -> None:
        self._commands = commands
        self._replies = replies
        self._sending = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[str, Path]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, dict[str, Any] | None]] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._finishing: set[str] = set()
        self._cards: int | None = None

    def serve(self) -> NoReturn:
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        warm()
        self._send({"type": "ready"})
        while True:
            job, folder = self._jobs.get()
            self._send({"type": "begun", "job": job})
            self._send_last({**self._attempt(job, folder), "job": job})
            give_back()

    def _read(self) -> NoReturn:
        for message in messages(self._commands):
            match message:
                case {"type": "run", "job": str(job), "folder": str(folder)}:
                    # What was wanted of an earlier attempt may have come when that had just ended.
                    self._cancelled.clear()
                    self._finishing.clear()
                    self._jobs.put((job, Path(folder)))
                case {"type": "cancel", "job": str(job)}:
                    self._cancelled.add(job)
                case {"type": "finish", "job": str(job)}:
                    self._finishing.add(job)
                case {"type": "answer", "job": str(job), "answer": dict(answer)}:
                    self._answers.put((job, answer))
                case {"type": "park", "job": str(job)}:
                    self._answers.put((job, None))
        leave()

    def _attempt(self, job: str, folder: Path) -> Message:
        """The job's last message."""
        try:
            with log_to(folder / "log.txt"):
                return outcome(lambda: self._run(job, folder))
        except OSError as error:  # there is not even a log
            gone = Problem("inputs-gone", "The folder of this job is not there any more.")
            return {"type": "failed", "problem": problem_of(error if folder.is_dir() else gone).document()}

    def _run(self, job: str, folder: Path) -> bool:
        while not self._answers.empty():  # one that came when its job was being put aside
            self._answers.get()

        def cancelled() -> bool:
            return job in self._cancelled

        def report(said: Progress | Warning | Preview) -> None:
            if (cards := devices.cards()) != self._cards:
                self._cards = cards
                self._send({"type": "cards", "count": cards})
            self._send({"type": type(said).__name__.lower(), "job": job, "data": said.model_dump()})

        def answer(question: dict[str, Any]) -> dict[str, Any]:
            self._send({"type": "question", "job": job, "data": question})
            asked = time.monotonic()
            while not cancelled():
                try:
                    asker, reply = self._answers.get(timeout=ANSWER_SECONDS)
                except queue.Empty:
                    if time.monotonic() - asked > THOUGHT_SECONDS and residency.clear():
                        logger.info("no answer yet: the networks that were held have gone")
                    continue
                if asker == job and reply is None:
                    raise Parked
                if asker == job and reply is not None:
                    return reply
            raise Cancelled

        return run_job(job, folder, report, cancelled, answer, lambda: job in self._finishing).finished_early

    def _send_last(self, message: Message) -> None:
        """A problem can carry what a pipeline has put into it, JSON or not."""
        try:
            self._send(message)
        except ValueError:
            logger.exception("the end of a job cannot be told")
            problem = Problem("internal", "The pipeline failed with an error that cannot be passed on.")
            self._send({"type": "failed", "job": message["job"], "problem": problem.document()})

    def _send(self, message: Message) -> None:
        line = encode(message)
        with self._sending:
            self._replies.write(line)
            self._replies.flush()


def outcome(work: Callable[[], bool]) -> Message:
    """Do the work, which tells whether it was ended early, and say how it ended. Whatever it raises becomes a message:
    the worker goes on."""
    try:
        early = work()
    except Cancelled:
        return {"type": "cancelled"}
    except Parked:
        return {"type": "parked"}
    except BaseException as error:  # noqa: BLE001 - told to the user and logged by problem_of
        return {"type": "failed", "problem": problem_of(error).document()}
    return {"type": "done", "finished_early": early}


def problem_of(error: BaseException) -> Problem:
    """What a user can be told of an exception; the traceback goes to the log."""
    if isinstance(error, Problem):
        logger.info("%s", error)
        return error
    identity = secrets.token_hex(4)
    logger.error("error %s", identity, exc_info=error)
    if any(kind.__name__ in ("MemoryError", "OutOfMemoryError") for kind in type(error).__mro__):
        return Problem("out-of-memory", "The memory of this machine was not enough for the job.", log=identity)
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return Problem("disk-full", "No space was left to write the result.", log=identity)
    detail = f"The pipeline failed with an unexpected {type(error).__name__}; log.txt tells more under {identity}."
    return Problem("internal", detail, log=identity)


def warm() -> None:
    """Import what jobs need, of those pipelines that run no networks; the others load when they are used."""
    for info in PIPELINES.values():
        if not info.learned:
            try:
                info.load()
            except Exception:  # a broken pipeline fails its own jobs, not everybody's
                logger.exception("the pipeline %s cannot be loaded", info.id)


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Standard output and error of the process, C libraries and children included, go to the end of a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    before = os.dup(2)
    try:
        _redirect(descriptor)
        yield
    finally:
        _redirect(before)
        os.close(descriptor)
        os.close(before)


def _redirect(descriptor: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def main() -> NoReturn:
    server, slot, slots = map(int, sys.argv[1:4])
    die_with(server)
    devices.work_beside(slot, slots)
    commands, replies = take_pipes()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    faulthandler.enable()
    Worker(commands, replies).serve()


if __name__ == "__main__":
    main()
