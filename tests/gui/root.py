"""A folder with a Debian suite's own Blender in it, and all that a window needs: X, software OpenGL, xdotool.

Built once by debootstrap, from the mirror that this machine's apt is set to, and used again. Nothing is mounted in it
from outside a running `Machine`, so that it can be removed like any folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("SET_DRESSER_BLENDER_ROOTS") or PROJECT / "build" / "blender-roots")
SUITES = ("trixie", "sid")
PACKAGES = (
    *("blender", "xvfb", "xauth", "xdotool", "imagemagick", "libgl1-mesa-dri", "libegl-mesa0", "libgl1", "libegl1"),
    *("python3-numpy", "python3-requests", "python3-venv", "fonts-dejavu-core", "ca-certificates"),
)
OPTIONAL = ("python3-cattr", "python3-zstandard", "python3-fastjsonschema")
"""What Blender's own extensions import in some suites: taken where the suite has them."""

PROGRAMS = ("unshare", "nsenter", "chroot", "mount")
COMPLETE = ".set-dresser-root"
"""Marks a root that was built to its end, with what was asked for."""

SMALL = "\n".join(
    ["force-unsafe-io", *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "info", "locale"))]
)
MIRROR = ("apt-get", "indextargets", "--format", "$(CREATED_BY)|$(RELEASE)|$(SITE)")


class CannotBuild(Exception):
    """Why there is no root; a sentence."""


@dataclass(frozen=True)
class Root:
    path: Path
    suite: str
    version: str  # of its Blender: "4.3.2"


def hindrance() -> str:
    """Why this machine can neither build nor run a root; "" if it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "it needs root: Blender runs in a Debian system of its own (debootstrap, chroot, namespaces)"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"it needs {', '.join(missing)}" if missing else ""


def find_or_build(suite: str) -> Root:
    """The root of a suite, built if need be, which takes a minute or two and 1.2 GB. Raises CannotBuild."""
    PLACE.mkdir(parents=True, exist_ok=True)
    path = PLACE / suite
    with _alone(PLACE / f".{suite}.lock"):
        if not _is_complete(path):
            _build(suite, path)
    _, version = (path / COMPLETE).read_text(encoding="utf-8").splitlines()
    return Root(path, suite, version)


def _is_complete(path: Path) -> bool:
    mark = path / COMPLETE
    return mark.is_file() and mark.read_text(encoding="utf-8").splitlines()[0] == " ".join(PACKAGES)


def _build(suite: str, path: Path) -> None:
    if shutil.which("debootstrap") is None or shutil.which("apt-get") is None:
        raise CannotBuild("it needs debootstrap and apt: install them, or name a folder with finished roots")
    mirror, log = _mirror(), PLACE / f"{suite}.log"
    part = PLACE / f".{suite}.part"
    for folder in (part, path):
        _remove(folder)
    print(f"Building a root with {suite}'s Blender; a minute or two. The log is {log}.", flush=True)
    scripts = Path("/usr/share/debootstrap/scripts")
    known = [] if (scripts / suite).exists() else [str(scripts / "sid")]
    with log.open("w", encoding="utf-8") as stream:
        _run(["debootstrap", "--variant=minbase", suite, str(part), mirror, *known], stream, log)
        (part / "etc/dpkg/dpkg.cfg.d/small").write_text(SMALL + "\n", encoding="utf-8")
        daemons = part / "usr/sbin/policy-rc.d"
        daemons.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")  # no package may start a daemon
        daemons.chmod(0o755)
        _take_settings(part)
        _in_root(part, ["apt-get", "-q", "update"], stream, log)
        there = [name for name in OPTIONAL if _has_package(part, name)]
        install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *PACKAGES, *there]
        _in_root(part, install, stream, log)
        _in_root(part, ["apt-get", "clean"], stream, log)
    told = subprocess.run(
        _command(part, ["blender", "--version"]), capture_output=True, text=True, timeout=60, check=False
    )
    lines = [line for line in told.stdout.splitlines() if line.startswith("Blender ")]
    if not lines:
        raise CannotBuild(f"{suite}'s Blender does not start: {told.stderr.strip()[-300:]}")
    for waste in ("var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(part / waste, ignore_errors=True)
    (part / COMPLETE).write_text(f"{' '.join(PACKAGES)}\n{lines[0].split()[1]}\n", encoding="utf-8")
    part.rename(path)


def _mirror() -> str:
    """Where this machine's own packages come from, and the suites with them. Raises CannotBuild."""
    for refresh in (False, True):
        if refresh:
            subprocess.run(["apt-get", "-qq", "update"], check=False, timeout=300)
        told = subprocess.run(MIRROR, capture_output=True, text=True, timeout=60, check=False).stdout
        for kind, release, site in (line.split("|") for line in told.splitlines() if line.count("|") == 2):
            aside = any(word in release for word in ("security", "updates", "backports"))
            if kind == "Packages" and not aside and site.startswith("http"):
                return site
    raise CannotBuild("this machine's apt has no Debian mirror")


def _take_settings(part: Path) -> None:
    """How this machine reaches its mirror: names, proxies, dates."""
    for name in ("etc/resolv.conf", "etc/hosts"):
        if Path("/", name).is_file():
            shutil.copyfile(Path("/", name), part / name)
    for path in Path("/etc/apt/apt.conf.d").glob("*"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "Acquire::" in text and "Languages" not in text and "GzipIndexes" not in text:
            shutil.copyfile(path, part / "etc/apt/apt.conf.d" / path.name)


def _has_package(part: Path, name: str) -> bool:
    command = _command(part, ["apt-cache", "show", name])
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def _in_root(part: Path, command: list[str], stream: object, log: Path) -> None:
    _run(_command(part, command), stream, log)


def _command(part: Path, command: list[str]) -> list[str]:
    """A command in the root, in a mount namespace of its own: what is mounted goes with it."""
    values = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
    enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" env -i "$@"'
    return ["unshare", "--mount", "--", "sh", "-c", enter, str(part), *values, *command]


def _run(command: list[str], stream: object, log: Path) -> None:
    done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, timeout=1800, check=False)  # type: ignore[call-overload]
    if done.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise CannotBuild(f"{' '.join(command[:2])} failed (see {log}): " + " / ".join(last))


def _remove(folder: Path) -> None:
    """A half-built root. Its own mounts are gone with the processes that made them."""
    if folder.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True, timeout=300)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
