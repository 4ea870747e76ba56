"""Servers that outlived their Blender.

A server leaves by itself when Blender ends, however it ends. One that hangs cannot, and would keep its memory for ever.
So Blender notes every server that it starts in `<user>/servers/<pid>.json`: the process and Blender itself, each with
the moment it began, which tells it from a later process with the same number. Never the token. What is ended here is a
process that is still the noted one while its Blender is not there any more; what cannot be proven is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ..ground.files import write_whole
from ..ground.privacy import private_folder

FOLDER = "servers"
LONGEST_NOTE = 4096
PS_SECONDS = 2.0


def note(user: Path, pid: int) -> None:
    """Remember a server that this Blender has started. Raises OSError."""
    folder = user / FOLDER
    private_folder(folder)
    blender = os.getpid()
    document = {"pid": pid, "began": began(pid), "blender": blender, "blender_began": began(blender)}
    write_whole(folder / f"{pid}.json", json.dumps(document).encode())


def forget(user: Path, pid: int) -> None:
    """A server has ended."""
    with contextlib.suppress(OSError):  # looked at again at the next start
        (user / FOLDER / f"{pid}.json").unlink(missing_ok=True)


def sweep(user: Path) -> list[int]:
    """End the servers whose Blender has gone; returns the process ids of those that were ended."""
    ended = []
    for path in sorted((user / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError):  # another Blender sweeps too, or it is another user's
            if _sweep_one(path):
                ended.append(int(path.stem))
    return ended


def _sweep_one(path: Path) -> bool:
    """Whether the server that a note tells of was ended. Raises OSError."""
    try:
        document = json.loads(path.read_bytes()[:LONGEST_NOTE])
        pid, blender = int(document["pid"]), int(document["blender"])
        server_began, blender_began = str(document["began"]), str(document["blender_began"])
    except (ValueError, KeyError, TypeError):
        path.unlink(missing_ok=True)  # no note of ours
        return False
    if not blender_began or began(blender) == blender_began:
        return False  # its Blender lives, or cannot be told from others
    ours = bool(server_began) and str(pid) == path.stem and began(pid) == server_began
    if ours:
        os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    path.unlink(missing_ok=True)
    return ours


def began(pid: int) -> str:
    """What tells a process from others that have had its number, before or after; "" if there is none or it cannot be
    told. The same for as long as the process lives."""
    if sys.platform == "win32":
        return _by_windows(pid)
    return _by_proc(pid) if Path("/proc/self/stat").exists() else _by_ps(pid)


def _by_proc(pid: int) -> str:
    """proc(5): behind the name in brackets come the state and, as the 20th of these fields, the start since boot."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _by_ps(pid: int) -> str:
    """macOS and others: the start to the second. Waits for some milliseconds, once where a server is started."""
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PS_SECONDS, check=False, env={"LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return " ".join(done.stdout.split())


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    QUERY = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
    STILL_ACTIVE = 259

    def _by_windows(pid: int) -> str:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
        kernel.GetProcessTimes.argtypes = (wintypes.HANDLE, *[ctypes.POINTER(wintypes.FILETIME)] * 4)
        kernel.GetExitCodeProcess.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD))
        kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
        handle = kernel.OpenProcess(QUERY, False, pid)
        if not handle:
            return ""
        try:
            times = [wintypes.FILETIME() for _ in range(4)]
            code = wintypes.DWORD()
            if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
                return ""
            if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != STILL_ACTIVE:
                return ""
            return f"{times[0].dwHighDateTime} {times[0].dwLowDateTime}"
        finally:
            kernel.CloseHandle(handle)
