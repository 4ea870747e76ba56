"""Collects all that an installation without a network needs: `python build_addon.py --offline DIR`.

    DIR/set_dresser-<version>-<platform>.zip    the add-on, with uv in it
    DIR/wheels/                                 every package of the locks, torch, and uv
    DIR/contents.json                           what it is for, and the sum of each package: the add-on reads it

Needs pip, and the network or a package index that pip is set to. The locks say which files may come, by their hashes;
torch comes by its version from the index of its build, and is from then on known by its sum.
"""

from __future__ import annotations

import ast
import json
import operator
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent / "blender_addon"))
from installer.builds import BUILDS, NONE, builds_for, platform_name  # type: ignore[import-not-found]
from installer.plan import all_locks  # type: ignore[import-not-found]
from installer.uv import WHEEL_TAGS  # type: ignore[import-not-found]
from installer.wheels import WHEELS, sums  # type: ignore[import-not-found]

LINUX_LIBC = range(28, 16, -1)
"""glibc 2.28 is what torch's own wheels ask for."""

TAGS = {
    "linux-x64": [*(f"manylinux_2_{minor}_x86_64" for minor in LINUX_LIBC), "manylinux2014_x86_64"],
    "linux-arm64": [*(f"manylinux_2_{minor}_aarch64" for minor in LINUX_LIBC), "manylinux2014_aarch64"],
    "windows-x64": ["win_amd64"],
    "macos-arm64": ["macosx_14_0_arm64"],
}
"""platform -> the wheels that run on it, best first."""

MARKERS = {
    "linux-x64": {"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"},
    "linux-arm64": {"sys_platform": "linux", "platform_machine": "aarch64", "platform_system": "Linux"},
    "windows-x64": {"sys_platform": "win32", "platform_machine": "AMD64", "platform_system": "Windows"},
    "macos-arm64": {"sys_platform": "darwin", "platform_machine": "arm64", "platform_system": "Darwin"},
}
"""platform -> what requirements may ask about it (PEP 508)."""

COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def this_platform() -> str:
    """The platform that this runs on."""
    return str(platform_name())


def collect(root: Path, folder: Path, platform: str, torch: str, python: str) -> None:
    """Fill `folder`/wheels. Raises SystemExit: if there is no such build, or pip fails.

    Args:
        torch: a build, or "none"; python: the version ("3.11") of the Python that will run the backend.
    """
    if torch != NONE and torch not in builds_for(platform):
        raise SystemExit(
            f"There is no torch build '{torch}' for {platform}; use {', '.join(builds_for(platform))} or none."
        )
    if torch != NONE and platform.split("-")[0] != platform_name().split("-")[0]:
        # What torch brings along depends on the system, and pip asks the one that it runs on.
        raise SystemExit(f"Packages of torch for {platform} can be collected on that system only.")
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    locks = [root / "requirements" / name for name in ("server.txt", *(("learned.txt",) if torch != NONE else ()))]
    texts = [locked_for(path.read_text(encoding="utf-8"), platform, python) for path in locks]
    with tempfile.TemporaryDirectory() as name:
        for number, text in enumerate(texts):
            lock = Path(name) / f"{number}.txt"
            lock.write_text(text, encoding="utf-8")
            _download(wheels, platform, python, "--no-deps", "--require-hashes", "-r", lock)
        if torch != NONE:
            constraints = Path(name) / "constraints.txt"
            constraints.write_text("\n".join(re.findall(r"(?m)^[\w.-]+==\S+", "\n".join(texts))), encoding="utf-8")
            index = ("--index-url", BUILDS[torch].index) if BUILDS[torch].index else ()
            torch_file = root / "requirements" / "torch.txt"
            _download(wheels, platform, python, *index, "-c", constraints, "-r", torch_file)
    fetch_uv(root, wheels, platform)
    contents = {"platform": platform, "torch": torch, "python": python, "locks": all_locks(root / "requirements")}
    contents[WHEELS] = sums(wheels)
    (folder / "contents.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")


def fetch_uv(root: Path, wheels: Path, platform: str) -> Path:
    """uv's wheel for a platform, by the hashes of uv.txt."""
    lock = root / "requirements" / "uv.txt"
    _download(wheels, platform, "3.11", "--no-deps", "--require-hashes", "-r", lock)
    match = re.search(r"(?m)^uv==(\S+)", lock.read_text(encoding="utf-8"))
    version = match[1] if match else ""
    for wheel in wheels.glob(f"uv-{version}-*.whl"):
        if WHEEL_TAGS[platform] in wheel.name:
            return wheel
    raise SystemExit(f"There is no uv for {platform}.")


def locked_for(text: str, platform: str, python: str) -> str:
    """The part of a lock for all systems that holds for one, without conditions: pip asks the system it runs on."""
    kept = []
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", text):
        head, _, rest = entry.partition("\\\n")
        requirement, _, marker = head.partition(";")
        if entry.startswith("#") or "==" not in requirement:
            continue
        if not marker.strip() or holds(marker, platform, python):
            kept.append(f"{requirement.strip()} \\\n{rest}")
    return "".join(kept)


def holds(marker: str, platform: str, python: str) -> bool:
    """Whether a condition like `sys_platform == 'win32' and python_full_version < '3.12'` is true.

    Raises SystemExit: if it asks something that is not known here.
    """
    values = {**MARKERS[platform], "python_full_version": f"{python}.99", "python_version": python}

    def value(node: ast.expr, as_version: bool) -> object:
        text = values[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
        return tuple(map(int, re.findall(r"\d+", text))) if as_version else text

    def true(node: ast.expr) -> bool:
        if isinstance(node, ast.BoolOp):
            parts = (true(part) for part in node.values)
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = node.left, node.comparators[0]
            version = any(isinstance(side, ast.Name) and side.id.startswith("python_") for side in (left, right))
            return COMPARE[type(node.ops[0])](value(left, version), value(right, version))
        raise KeyError(ast.dump(node))

    try:
        return true(ast.parse(marker.strip(), mode="eval").body)
    except (KeyError, SyntaxError, TypeError, ValueError) as error:
        raise SystemExit(f"The condition '{marker.strip()}' of a lock is not understood.") from error


def _download(wheels: Path, platform: str, python: str, *what: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--dest", str(wheels), "--implementation", "cp", "--python-version", python]
    for tag in TAGS[platform]:
        command += ["--platform", tag]
    done = subprocess.run([*command, *map(str, what)], check=False)
    if done.returncode:
        raise SystemExit("pip could not collect the packages; what it said stands above.")
