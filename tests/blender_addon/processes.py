"""Blender processes of their own, each with a hard end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests.blender_addon.conftest import HERE, ROOT

SECONDS = 120.0

_A_PROPERTY_OF_PYTHON = """
import bpy
class Group(bpy.types.PropertyGroup):
    number: bpy.props.IntProperty(get=lambda group: 0)
bpy.utils.register_class(Group)
bpy.utils.unregister_class(Group)
"""


@cache
def can_end() -> bool:
    """Whether this Blender, as a module, lets a process end in which a property had a function of Python's. 4.2.23 does
    not, with nothing of ours in it; later ones do."""
    return (
        subprocess.run([sys.executable, "-c", _A_PROPERTY_OF_PYTHON], capture_output=True, timeout=60).returncode == 0
    )


def ended_well(code: int) -> bool:
    """Whether that is the exit code of a good end, or of a good end in a Blender that crashes after it."""
    return code == 0 or (code == -signal.SIGSEGV and not can_end())


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
    assert ended_well(process.returncode), f"exit code {process.returncode}\n{output[-4000:]}"
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
