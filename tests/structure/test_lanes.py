"""`make test` leaves no file of tests out and runs none twice, however its targets share them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.structure.source import ROOT

MAKE = shutil.which("make")


def commands(make: str, target: str) -> list[list[str]]:
    """What a target would run, as words; all that has to be made first counts as made."""
    made = [f"--assume-old={path}" for path in (".venv/.dev", ".venv/.server", ".venv-bpy-4.5/.ready")]
    asked = [make, "--dry-run", "--no-print-directory", *made, target]
    return [line.split() for line in subprocess.check_output(asked, cwd=ROOT, text=True).splitlines()]


def collected(words: list[str]) -> list[Path]:
    """The files of tests that a command of pytest's goes through."""
    ignored = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
    places = [word for word in words if word.startswith("tests/")]
    found = [path for place in places for path in sorted((ROOT / place).rglob("test_*.py"))]
    return [path for path in found if not any(path.is_relative_to(ROOT / place) for place in ignored)]


@pytest.mark.skipif(MAKE is None, reason="there is no make")
def test_every_file_of_tests_is_run_once() -> None:
    assert MAKE
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (together,) = re.findall(r"tests\.together \S+ (.*)", makefile)  # a dry run of `test` itself would start it
    targets = together.split()
    assert len(targets) == len(set(targets)) > 4
    counted = Counter(
        path for target in targets for words in commands(MAKE, target) if "pytest" in words for path in collected(words)
    )
    assert set(counted) == set((ROOT / "tests").rglob("test_*.py"))
    assert set(counted.values()) == {1}


@pytest.mark.skipif(MAKE is None, reason="there is no make")
def test_targets_that_the_guides_name_are_there() -> None:
    rules = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"^make ((?:[a-z-]+ )*[a-z-]+)|`make ([a-z-]+)", text, flags=re.MULTILINE)
        assert {word for pair in named for word in " ".join(pair).split()} <= rules, page
