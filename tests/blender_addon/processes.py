"""Blender processes of their own, each with a hard end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.blender_addon.conftest import HERE, ROOT

SECONDS = 120.0


def start(program: str, *arguments: object, python: Path, user: Path) -> subprocess.Popen[str]:
    """`driven.py` in a process of its own, with Blender settings in `user` and `python` for the backend."""
    user.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "BLENDER_USER_RESOURCES": str(user),
        "SET_DRESSER_PYTHON": str(python),
        "SET_DRESSER_PLUGINS": "box_pipeline",
        "SET_DRESSER_ROOT": str(ROOT),
    }
    command = [sys.executable, str(HERE / "driven.py"), program, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=user
    )


def drive(program: str, *arguments: object, python: Path, user: Path) -> list[dict[str, Any]]:
    """Run it to its end, which must be a good one; returns what it told."""
    with start(program, *arguments, python=python, user=user) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, f"exit code {process.returncode}\n{output[-4000:]}"
    return [told for line in output.splitlines() if (told := read(line)) is not None]


def listen(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next thing it tells; the test's own time limit ends a process that tells nothing."""
    assert process.stdout is not None
    heard = []
    for line in process.stdout:
        if (told := read(line)) is not None:
            return told
        heard.append(line)
    raise AssertionError("it ended without a word:\n" + "".join(heard[-40:]))


def read(line: str) -> dict[str, Any] | None:
    return json.loads(line[1:]) if line.startswith("@") else None


def descendants(pid: int) -> list[int]:
    """The process and all that it has started."""
    found = [pid]
    for parent in found:
        done = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False, timeout=10)
        found += [int(child) for child in done.stdout.split()]
    return found
