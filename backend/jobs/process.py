"""One child process as its server sees it: messages in, messages out, and a certain end."""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

from backend.jobs.channel import Message, encode, messages

NUDGE: Message = {"type": "nudge"}
EXIT_SECONDS = 5.0
LOG_TAIL_BYTES = 4096
logger = logging.getLogger(__name__)


class Worker(Protocol):
    """What runs jobs, as whoever gives it jobs sees it; see `WorkerProcess`. Its inbox ends with None."""

    @property
    def inbox(self) -> queue.SimpleQueue[Message | None]: ...

    @property
    def pid(self) -> int | None:
        """None on another machine."""

    @property
    def alive(self) -> bool: ...

    def send(self, message: Message) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...

    def obituary(self) -> str: ...

    def last_words(self) -> str: ...


class WorkerProcess:
    """A running `python -m <module> <pid of this process> <arguments>`.

    It is started in the thread that keeps it: on Linux the worker dies with that thread, not only with the process.
    What it says on standard error goes to `log`, never into a pipe that nobody might read.
    """

    def __init__(self, log: Path, module: str, *arguments: str) -> None:
        self._log = log
        self.inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        command = [sys.executable, "-m", module, str(os.getpid()), *arguments]
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                bufsize=0,
                cwd=Path(__file__).parents[2],
                **_apart(),
            )
        assert self._process.stdin and self._process.stdout
        self._input = self._process.stdin
        self._output = BufferedReader(self._process.stdout)  # type: ignore[type-var]
        self._reader = threading.Thread(target=self._read, name="worker output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Send; a worker that is gone shows in the inbox, as None."""
        line = encode(message)
        try:
            self._input.write(line)
        except (OSError, ValueError) as error:  # the pipe is broken, or closed on this side
            logger.info("the worker does not listen any more (%s)", error)

    def kill(self) -> None:
        """End the process and everything it has started, and wait until it is gone."""
        if sys.platform == "win32":
            self._process.kill()
        else:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # the latter on macOS, for a process that has ended
                logger.debug("the worker had gone already")
        self.close()

    def close(self) -> None:
        """Close the pipes and wait: a worker whose input is closed leaves by itself."""
        self._input.close()
        try:
            self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return
        self._reader.join(EXIT_SECONDS)
        if not self._reader.is_alive():
            self._output.close()

    def obituary(self) -> str:
        """How it ended, as the end of a sentence. Call after `close`."""
        code = self._process.returncode
        if code is None:
            return "it did not answer"
        if code < 0:
            name = next((known.name for known in signal.Signals if known == -code), str(-code))
            cause = "the system may have run out of memory" if name == "SIGKILL" else "a library has crashed"
            return f"signal {name}; {cause}"
        return f"exit code {code}"

    def last_words(self) -> str:
        """The last line of its log; empty if it said nothing."""
        with self._log.open("rb") as stream:
            stream.seek(max(0, self._log.stat().st_size - LOG_TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""

    def _read(self) -> None:
        for message in messages(self._output):
            self.inbox.put(message)
        self.inbox.put(None)


def _apart() -> dict[str, Any]:
    """A process group of its own, without a window.

    A Ctrl-C in the terminal is the server's business, and what the worker starts can be ended together with it.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    else:  # noqa: RET505 - the type checker looks at one of the two
        return {"start_new_session": True}
