"""Starts, watches and ends the backend process. Nothing here waits; `poll()` moves it on."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from ..ground.messages import SetDresserError
from ..ground.privacy import private_folder, private_opener
from ..installer.events import NO_WINDOW
from ..wire.client import PROTOCOL_VERSION, Client
from ..wire.endpoints import Endpoint
from . import leftovers, start_failures
from .environment import Environment

START_SECONDS = 60.0
"""A second or two is usual; a first start on a slow disk with a virus scanner may take many."""
GRACE_SECONDS = 3.0
STARTS_PER_MINUTE = 3
HANDSHAKE_LIMIT = 64 * 1024
LOG_TAIL_BYTES = 4096
LOGS_KEPT = 5
LINES_TOLD, LINES_EXPLAINED = 5, 40


class ServerState(Enum):
    STOPPED = "The backend is not running; it starts when it is needed."
    STARTING = "The backend is starting."
    READY = "The backend is ready."
    STOPPING = "The backend is stopping."
    UNREACHABLE = "The backend does not answer."
    CRASHED = "The backend ended unexpectedly."
    INCOMPATIBLE = "Add-on and backend do not belong together."


class ServerProcess:
    """The backend as this Blender's child.

    It lives as long as its standard input is open and its parent alive, so that it ends with Blender however Blender
    ends. Its standard output is an unnamed temporary file, read for the handshake: a pipe cannot be asked without
    waiting on every system, and a file without a name is gone when the last process that has it open is.

    After `poll()`: `state`, and `problem` if it is UNREACHABLE, CRASHED or INCOMPATIBLE. `environment`: what it was
    started with last.

    remote, asking, away, met, user, administrator: as of a `StudioServer`, which others reach too; see there.
    """

    remote = asking = away = met = False
    user = ""
    administrator = True

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state = ServerState.STOPPED
        self.problem: SetDresserError | None = None
        self.client: Client | None = None
        self.environment: Environment | None = None
        self.version = ""
        self.pid: int | None = None
        self.log: Path | None = None
        self._clock = clock
        self._cause = ""
        self._starts: deque[float] = deque(maxlen=STARTS_PER_MINUTE)
        self._process: subprocess.Popen[bytes] | None = None
        self._output: BinaryIO | None = None
        self._after: ServerState | None = None
        self._token = ""
        self._since = 0.0
        self._escalated = 0

    @property
    def running(self) -> bool:
        """Whether there is a process, in whatever state."""
        return self._process is not None

    @property
    def token(self) -> str:
        """What every request carries; "" before the first start. For whoever must leave it out of a text."""
        return self._token

    def may_restart(self) -> bool:
        """Whether another start would stay within three a minute."""
        return len(self._starts) < STARTS_PER_MINUTE or self._clock() - self._starts[0] >= 60.0

    def start(self, environment: Environment) -> None:
        """Start the process, unless there is one. Raises SetDresserError if it cannot even be started."""
        if self.running:
            return
        if not self.may_restart():
            wait = 60.0 - (self._clock() - self._starts[0])
            message = f"The backend was started {STARTS_PER_MINUTE} times within a minute. {self._cause}".rstrip()
            raise self._fail(
                SetDresserError(message, f"Look into its log; it may start again in {wait:.0f} s.", "breaker")
            )
        self._starts.append(self._clock())
        self._since, self._escalated = self._clock(), 0
        self.problem = self._after = None
        self.environment = environment
        self._token = secrets.token_urlsafe(32)
        try:
            environment.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log = _new_log(environment.user / "logs")
            self._output = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed in _clean_up
            with open(self.log, "wb", opener=private_opener) as log:
                self._process = self._spawn(environment, self._output, log)
            self.pid = self._process.pid
            leftovers.note(environment.user, self.pid)
        except OSError as error:
            self._clean_up()
            raise self._fail(start_failures.explain_refusal(error)) from error
        self.state = ServerState.STARTING
        self._hand_over_token(self._process)

    def poll(self) -> ServerState:
        """Look once what has become of it."""
        process = self._process
        if process is None:
            return self.state
        if process.poll() is not None:
            self._ended(process.returncode)
        elif self.state is ServerState.STARTING:
            self._look_for_handshake()
        elif self.state is ServerState.STOPPING:
            self._press(process)
        return self.state

    def try_again(self) -> None:
        """Nothing to do: a process is asked all the time."""

    def take_answer(self, problem: SetDresserError | None) -> None:
        """What asking it how it is has come to: None if it has answered, otherwise why it has not."""
        if problem is None and self.state is ServerState.UNREACHABLE:
            self.state, self.problem = ServerState.READY, None
        elif problem is not None and self.state is ServerState.READY:
            self.state, self.problem = ServerState.UNREACHABLE, problem

    def stop(self) -> None:
        """Ask it to end. `poll()` does the rest: after 3 s it is terminated, after another 3 s killed."""
        if self._process is None:
            if self.state is not ServerState.INCOMPATIBLE:
                self.state, self.problem = ServerState.STOPPED, None
            return
        self._close_input(self._process)
        self.client = None
        if self.state is not ServerState.STOPPING:
            self.state, self._since = ServerState.STOPPING, self._clock()

    def end_now(self, seconds: float = 2.0) -> None:
        """End it before Blender does: the only place that waits, and not longer than `seconds`."""
        process = self._process
        if process is None:
            return
        self.stop()
        for press, share in ((process.terminate, 0.5), (process.kill, 0.25), (None, 0.25)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds * share)
                break
            if press is not None:
                press()
        self.poll()

    def last_log_lines(self, count: int = 5) -> list[str]:
        """The end of the backend's log."""
        if self.log is None or not self.log.is_file():
            return []
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
        return [line.rstrip() for line in lines if line.strip()][-count:]

    def _spawn(self, environment: Environment, output: BinaryIO, log: BinaryIO) -> subprocess.Popen[bytes]:
        command = [str(environment.python), "-P", "-m", "backend", "serve", "--data", str(environment.data)]
        command += ["--watch-stdin", "--parent-pid", str(os.getpid()), "--token-stdin"]
        if environment.idle_seconds is not None:
            command += ["--idle-seconds", f"{environment.idle_seconds:g}"]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=log,
            bufsize=0,
            # Not the add-on's folder: on Windows a process's current folder cannot be removed or updated.
            cwd=environment.user,
            env=_variables(environment),
            creationflags=NO_WINDOW,
        )

    def _hand_over_token(self, process: subprocess.Popen[bytes]) -> None:
        """Through standard input: the command line and the environment can be read by others. A pipe takes 44 bytes
        without waiting; if the process is gone already, `poll` tells how it ended."""
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            process.stdin.write(self._token.encode() + b"\n")

    def _look_for_handshake(self) -> None:
        assert self._output is not None
        text = _read_from_start(self._output, HANDSHAKE_LIMIT)
        line, newline, _ = text.partition(b"\n")
        if newline:
            self._read_handshake(line)
        elif self._clock() - self._since > START_SECONDS or len(text) == HANDSHAKE_LIMIT:
            message = f"The backend did not report within {START_SECONDS:.0f} seconds."
            self._give_up(ServerState.CRASHED, SetDresserError(message, "Look into its log.", "start-timeout"))

    def _read_handshake(self, line: bytes) -> None:
        try:
            handshake = json.loads(line)
            port, protocol = int(handshake["port"]), int(handshake["protocol"])
            version = str(handshake.get("version", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            text = line[:200].decode("utf-8", "replace")
            message = "What was started is not Set Dresser's backend."
            hint = "Check the Python in the add-on's preferences; its environment may print something at start."
            self._give_up(ServerState.CRASHED, SetDresserError(message, hint, "handshake-invalid", text))
            return
        if protocol != PROTOCOL_VERSION:
            message = f"The add-on speaks protocol {PROTOCOL_VERSION}, the backend {version} speaks {protocol}."
            hint = "Install the same version of both, then restart Blender."
            self._give_up(ServerState.INCOMPATIBLE, SetDresserError(message, hint, "protocol-mismatch"))
            return
        self.version = version
        self.client = Client(Endpoint(port), self._token)
        self.state = ServerState.READY

    def _give_up(self, state: ServerState, problem: SetDresserError) -> None:
        """End the process and stay in `state`, whatever its exit code."""
        problem.details = "\n".join([problem.details, *self.last_log_lines()]).strip()
        self.stop()
        self.problem = problem
        self._after = state

    def _press(self, process: subprocess.Popen[bytes]) -> None:
        waited = self._clock() - self._since
        if waited > GRACE_SECONDS and self._escalated == 0:
            self._escalated = 1
            process.terminate()
        elif waited > 2 * GRACE_SECONDS and self._escalated == 1:
            self._escalated = 2
            process.kill()

    def _ended(self, code: int) -> None:
        wanted, starting = self.state is ServerState.STOPPING, self.state is ServerState.STARTING
        lines = self.last_log_lines(LINES_EXPLAINED if starting else LINES_TOLD)
        self._clean_up()
        self.client = None
        if self._after is not None:
            self.state, self._after = self._after, None
        elif wanted:
            self.state = ServerState.STOPPED
        else:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            # One that was killed has said nothing of it: its last line is about something else.
            last = f" Its last words: {lines[-1][:300]}" if lines and code >= 0 else ""
            hint = "Start it again; finished jobs are safe. If it ends again, look into its log."
            generic = SetDresserError(f"The backend ended ({how}).{last}", hint, "backend-ended", "\n".join(lines))
            problem = (start_failures.explain(code, lines) if starting else None) or generic
            self._cause = problem.message
            self._fail(problem)

    def _fail(self, problem: SetDresserError) -> SetDresserError:
        self.state, self.problem = ServerState.CRASHED, problem
        return problem

    def _clean_up(self) -> None:
        if self._process is not None:
            self._close_input(self._process)
        if self.pid is not None and self.environment is not None:
            leftovers.forget(self.environment.user, self.pid)
        self._process = None
        self.pid = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def _close_input(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()


def _new_log(folder: Path) -> Path:
    """A log for this Blender in `folder`; only the newest few of others are kept."""
    private_folder(folder)
    mine = folder / f"backend-{os.getpid()}.log"
    others = sorted(set(folder.glob("backend-*.log")) - {mine}, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[LOGS_KEPT - 1 :]:
        with contextlib.suppress(OSError):  # on Windows another Blender may still write to it
            path.unlink()
    return mine


def _read_from_start(file: BinaryIO, count: int) -> bytes:
    """The child shares the file's position, so reading must not move it while the child writes."""
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), count, 0)
    # Windows: the handshake is one write, so the file is either empty (and this moves nothing) or has it all.
    file.seek(0)
    return file.read(count)


def _variables(environment: Environment) -> dict[str, str]:
    """The process's environment: this one's, less what would lead another Python astray."""
    misleading = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in misleading}
    if environment.models is not None:
        kept["SET_DRESSER_MODELS"] = str(environment.models)
    if not environment.online:
        kept["SET_DRESSER_OFFLINE"] = "1"
    return {
        **kept,
        "PYTHONPATH": str(environment.backend),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "PYTHONPYCACHEPREFIX": str(environment.user / "pycache"),
    }
