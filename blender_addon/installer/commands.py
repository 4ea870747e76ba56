"""Runs the tools: a process at a time, watched, logged, and ended with everything it has started."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from .events import tell
from .failures import explain, silent, without_credentials

TAIL = 60
LOOKS = 0.2
"""Seconds between two looks at a silent process."""


class Stopped(Exception):
    """Whoever started the program wants it to end, or has died."""


class Lifeline:
    """Standard input, read in a thread of its own: when it closes, the program and all it has started end."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def watch(self, stream: IO[bytes], seconds: float = 3.0) -> None:
        """Begin. If the program has not ended by itself `seconds` after the end, it ends here."""

        def wait() -> None:
            while stream.read(64):
                pass
            self.closed.set()
            with self._guard:
                if self._child is not None:
                    kill_family(self._child)
            time.sleep(seconds)
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()

    def check(self) -> None:
        if self.closed.is_set():
            raise Stopped

    @contextlib.contextmanager
    def tied(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        """The child ends with the lifeline, and in any case when this is left."""
        with self._guard:
            self._child = child
        try:
            self.check()
            yield
        finally:
            with self._guard:
                self._child = None
            kill_family(child)
            child.wait()


class Progress:
    """Reports what is being done, and how many bytes have come to rest in some folders."""

    INTERVAL = 0.5

    def __init__(self, total: int) -> None:
        self.step, self.text = "", ""
        self._places: Sequence[Path] = ()
        self._written, self._total = 0, total
        self._speeds: deque[tuple[float, int]] = deque(maxlen=12)
        self._next = 0.0

    def measure(self, *places: Path) -> None:
        """The folders that grow: what lies in them from an earlier time counts as done."""
        self._places, self._written = places, self._measure()
        self._speeds.clear()

    def begin(self, step: str, text: str) -> None:
        self.step, self.text = step, text
        self.report()

    def report(self) -> None:
        now = time.monotonic()
        self._speeds.append((now, self._written))
        (first, less), (last, more) = self._speeds[0], self._speeds[-1]
        rate = (more - less) / (last - first) if last > first else 0.0
        written = min(self._written, self._total)
        tell("step", step=self.step, text=self.text, written=written, total=self._total, rate=max(0.0, rate))

    def look(self) -> bool:
        """Measure and report if it is time to; whether anything has grown."""
        if time.monotonic() < self._next:
            return False
        began, before = time.monotonic(), self._written
        self._written = self._measure()
        # Many small files take long to count; never spend more than a tenth of the time on that.
        self._next = time.monotonic() + max(self.INTERVAL, 10 * (time.monotonic() - began))
        self.report()
        return self._written != before

    def _measure(self) -> int:
        return sum(size_of(place) for place in self._places)


class Tools:
    """Runs commands, one after another."""

    def __init__(self, lifeline: Lifeline, progress: Progress, log: Path, lock: int | None, silence: float) -> None:
        self._lifeline, self._progress = lifeline, progress
        self._lock, self._silence = lock, silence
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("a", encoding="utf-8")

    def note(self, text: str) -> None:
        """A line for the log, without credentials."""
        self._log.write(without_credentials(text) + "\n")
        self._log.flush()

    def run(
        self,
        command: Sequence[str | Path],
        variables: Mapping[str, str],
        doing: str,
        heard: Callable[[str], str] = lambda line: "",
    ) -> str:
        """Run to the end and return what it said, standard error included.

        Args:
            doing: for messages: "Installing the packages"; heard: a line of output -> what to show, "" for no change.

        Raises Failure, Stopped.
        """
        self._lifeline.check()
        self.note("\n$ " + " ".join("…" if "\n" in str(part) else str(part) for part in command))
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        said: deque[str] = deque(maxlen=TAIL)
        try:
            child = start(command, variables, self._lock)
        except OSError as error:
            raise explain(str(error), doing, "it cannot be started") from error
        assert child.stdout is not None
        reader = threading.Thread(target=_read_lines, args=(child.stdout, lines), daemon=True)
        with self._lifeline.tied(child):
            reader.start()
            sign_of_life = time.monotonic()
            while True:
                try:
                    line = lines.get(timeout=LOOKS)
                except queue.Empty:
                    line = ""
                if line is None:
                    break
                if line:
                    sign_of_life = time.monotonic()
                    said.append(line)
                    self.note(line)
                    self._progress.text = heard(line) or self._progress.text
                if self._progress.look():
                    sign_of_life = time.monotonic()
                self._lifeline.check()
                if time.monotonic() - sign_of_life > self._silence:
                    raise silent(doing, self._silence, "\n".join(said))
            code = child.wait()
        self._lifeline.check()
        output = without_credentials("\n".join(said))
        if code:
            raise explain(output, doing, f"signal {-code}" if code < 0 else f"exit code {code}")
        return output


def start(command: Sequence[str | Path], variables: Mapping[str, str], lock: int | None) -> subprocess.Popen[bytes]:
    """A process that ends with this one, and holds the lock file as long as it lives."""
    arguments = list(map(str, command))
    if sys.platform == "win32":  # the job object of `join_job` ends it, and no console window opens
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(variables),
        start_new_session=True,
        pass_fds=() if lock is None else (lock,),
        preexec_fn=_die_with_parent if _LIBC is not None else None,
    )


def kill_family(child: subprocess.Popen[bytes]) -> None:
    """Kill a process of `start` and what it has started. Nothing that it holds open needs a good-bye."""
    if sys.platform == "win32":
        # Its children belong to the job and end with this program.
        if child.poll() is None:
            child.kill()
        return
    if child.returncode is None:  # not collected yet, so its number is still its own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def size_of(folder: Path) -> int:
    """Bytes of the files below; a file that goes away meanwhile does not count."""
    total = 0
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return 0
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                total += size_of(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def _read_lines(stream: IO[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        if text := line.decode("utf-8", "replace").rstrip():
            lines.put(text)
    lines.put(None)


def _find_libc() -> object:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


_LIBC = _find_libc()
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Linux: the kernel kills this process when its parent dies, however that dies (prctl(2), PR_SET_PDEATHSIG)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # type: ignore[attr-defined]


def join_job() -> None:
    """Windows: put this process into a job that the system ends, with all in it, when the process is gone.

    The one handle of the job is this process's and is never closed: JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE.
    """
    if sys.platform != "win32":
        return
    import ctypes
    from ctypes import wintypes

    class Basic(ctypes.Structure):
        _fields_ = [
            ("PerProcessUserTimeLimit", ctypes.c_int64),
            ("PerJobUserTimeLimit", ctypes.c_int64),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        ]

    class Extended(ctypes.Structure):
        _fields_ = [
            ("BasicLimitInformation", Basic),
            ("IoInfo", ctypes.c_uint64 * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        ]

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = wintypes.HANDLE
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
    kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    job = kernel.CreateJobObjectW(None, None)
    limits = Extended()
    limits.BasicLimitInformation.LimitFlags = 0x2000
    extended_information = 9
    kernel.SetInformationJobObject(job, extended_information, ctypes.byref(limits), ctypes.sizeof(limits))
    kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())
