"""A root at work: its own processes and mounts, which all end with it; the network is this machine's.

Processes live in a PID namespace whose first process is not Blender, so that whatever outlives Blender is seen.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gui.root import Root

STAGE = Path("/stage")
"""Where a root sees the folder that it shares with the test."""

SETUP = """
set -e
root=$1; stage=$2; shift 2
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" "$root/stage"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount --bind "$stage" "$root/stage"
for path; do mkdir -p "$root$path"; mount --bind "$path" "$root$path"; done
for path in /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
  if [ -e "$path" ] && [ -e "$root$path" ]; then mount --bind "$path" "$root$path"; fi
done
exec chroot "$root" bash -c 'while :; do sleep 600 & wait; done'
"""
"""The last line is the first process of the namespace: it does nothing but bury orphans."""

PASSED_ON = (
    "PIP_",
    "UV_",
    "SSL_CERT_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""How this machine reaches a package index."""


class Late(AssertionError):
    """Something has not come in time."""


@dataclass(frozen=True)
class Process:
    """A process of a machine: `pid` is the number here, `inner` the one that it sees itself."""

    pid: int
    inner: int
    command: str


class Machine:
    """One root, running. Use it as a context manager.

    Args:
        stage: folder that both sides see; the root sees it as /stage.
        shown: folders of this machine that the root sees at the same place.
    """

    def __init__(self, root: Root, stage: Path, shown: Sequence[Path] = ()) -> None:
        self.root, self.stage = root, stage
        self._shown = [str(path) for path in shown]
        self._unshare: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._children: list[subprocess.Popen[Any]] = []
        self.variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(STAGE / "home"),
            "XDG_RUNTIME_DIR": str(STAGE / "home"),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "GALLIUM_DRIVER": "llvmpipe",
            "PYTHONUNBUFFERED": "1",
            **{name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)},
        }

    def __enter__(self) -> Machine:
        (self.stage / "home").mkdir(parents=True, exist_ok=True)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
        setup = ["bash", "-c", SETUP, "-", str(self.root.path), str(self.stage), *self._shown]
        self._unshare = subprocess.Popen([*command, *setup], stdin=subprocess.DEVNULL)
        try:
            until(self._is_up, "the root's first process", 20.0)
        except BaseException:
            self._unshare.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the first process; the kernel kills all others with it."""
        assert self._unshare is not None
        if self._init:
            os.kill(self._init, signal.SIGKILL)
        self._unshare.kill()
        self._unshare.wait(10)
        for child in self._children:
            child.wait(10)

    def _is_up(self) -> bool:
        assert self._unshare is not None
        if self._unshare.poll() is not None:
            raise AssertionError(f"the root cannot be entered: unshare ended with {self._unshare.returncode}")
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children or not _command_of(int(children[0])).startswith("bash -c while"):
            return False
        self._init = int(children[0])
        return True

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """A process in it. Keyword arguments are Popen's."""
        child = subprocess.Popen(self._inside(command), **options)
        self._children.append(child)
        return child

    def run(self, command: Sequence[str], seconds: float = 20.0) -> bytes:
        """A short command to its end; what it wrote. Raises CalledProcessError, TimeoutExpired."""
        return subprocess.run(self._inside(command), capture_output=True, timeout=seconds, check=True).stdout

    def _inside(self, command: Sequence[str]) -> list[str]:
        enter = ["nsenter", "--target", str(self._init), "--mount", "--pid", "--root", "--"]
        values = [f"{name}={value}" for name, value in self.variables.items()]
        return [*enter, "env", "-i", "--chdir=/", *values, *command]

    def processes(self) -> list[Process]:
        """All that live in it, less its first process and what that sleeps with. The dead that nobody has buried yet
        do not count."""
        space = (Path("/proc") / str(self._init) / "ns/pid").readlink()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == self._init:
                continue
            try:
                if (folder / "ns/pid").readlink() != space:
                    continue
                status = (folder / "status").read_text()
            except OSError:  # it ended while we looked
                continue
            values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            pause = int(values["PPid"]) == self._init and values["Name"].strip() == "sleep"
            if pause or values["State"].split()[0] in "ZX":
                continue
            found.append(Process(int(folder.name), int(values["NSpid"].split()[-1]), _command_of(int(folder.name))))
        return found


def until(done: Callable[[], Any], what: str, seconds: float, pause: float = 0.05) -> Any:
    """Look again and again; what `done` returned when it was true. Raises Late."""
    end = time.monotonic() + seconds
    while not (value := done()):
        if time.monotonic() > end:
            raise Late(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return value


def unhurried(seconds: float) -> float:
    """Seconds to wait for what a quiet machine does in so many: as many times that as processes share a core."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def clear(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _command_of(pid: int) -> str:
    try:
        return (
            (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        )
    except OSError:
        return ""
