"""Notices that the program that started the server is gone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

POLL_SECONDS = 0.5
STANDARD_INPUT = 0
LONGEST_LINE = 4096


def read_line() -> str:
    """The first line of standard input, read byte by byte so that whoever reads on misses nothing."""
    line = bytearray()
    while len(line) < LONGEST_LINE and (byte := os.read(STANDARD_INPUT, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode("utf-8", "replace").strip()


def when_input_closes(leave: Callable[[], None]) -> None:
    """Call `leave` when standard input ends. The thread may block for ever: it must not be waited for."""

    def watch() -> None:
        # Not sys.stdin: its lock, held here at exit, would abort the interpreter.
        while os.read(STANDARD_INPUT, LONGEST_LINE):
            pass
        leave()

    threading.Thread(target=watch, name="standard input", daemon=True).start()


def when_process_ends(pid: int, leave: Callable[[], None]) -> None:
    """Call `leave` when the process is gone; at once if it is gone already."""
    process = ParentProcess(pid)

    def watch() -> None:
        stopped = threading.Event()
        while process.alive():
            stopped.wait(POLL_SECONDS)
        leave()

    threading.Thread(target=watch, name="parent process", daemon=True).start()


def end_with_parent_while_starting(arguments: Sequence[str]) -> None:
    """Have `serve --parent-pid PID` end at once if that process ends before `has_started` was called.

    There is nothing to leave in good order yet.
    """
    if list(arguments[:1]) == ["serve"] and "--parent-pid" in arguments[:-1]:
        pid = arguments[arguments.index("--parent-pid") + 1]
        if pid.isdecimal():
            when_process_ends(int(pid), lambda: None if _started.is_set() else os._exit(1))


def has_started() -> None:
    """From now on the server itself sees to its end."""
    _started.set()


_started = threading.Event()

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    SYNCHRONIZE = 0x00100000
    WAIT_TIMEOUT = 0x00000102

    class ParentProcess:
        """A process by handle: it stays the same process even if its number is given to another."""

        def __init__(self, pid: int) -> None:
            self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            self._kernel.OpenProcess.restype = wintypes.HANDLE
            self._kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
            self._kernel.WaitForSingleObject.argtypes = (wintypes.HANDLE, wintypes.DWORD)
            self._handle = self._kernel.OpenProcess(SYNCHRONIZE, False, pid)

        def alive(self) -> bool:
            return bool(self._handle) and self._kernel.WaitForSingleObject(self._handle, 0) == WAIT_TIMEOUT

else:

    class ParentProcess:
        """A process by number. A zombie is dead, and so is a number that was given to another process."""

        def __init__(self, pid: int) -> None:
            self._pid = pid
            self._is_parent = os.getppid() == pid
            self._identity = self._look()

        def alive(self) -> bool:
            if self._is_parent and os.getppid() != self._pid:
                return False  # this process was handed to another parent, so its own has ended
            identity = self._look()
            return identity is not None and identity == self._identity

        def _look(self) -> str | None:
            """What tells this process from others with its number (Linux: when it started); None if it is gone."""
            try:
                os.kill(self._pid, 0)
            except ProcessLookupError:
                return None
            except PermissionError:
                return "another user's"
            try:
                # proc(5): after the name in brackets come the state and, as the 20th of these fields, the start.
                fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                return "unknown" if not Path("/proc/self/stat").exists() else None
            return None if fields[0] in "ZX" else fields[19]
