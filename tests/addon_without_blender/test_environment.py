"""Which Python runs the backend, and where the backend is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from blender_addon.backend_process.environment import NotSetUp, backend_folder, find_python
from blender_addon.installer import records


def test_the_chosen_python_counts_before_the_variable_and_that_before_the_private_one(tmp_path: Path) -> None:
    def environment(name: str) -> Path:
        inside = tmp_path / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        inside.parent.mkdir(parents=True)
        inside.touch()
        return inside

    chosen, variable, private = environment("a"), environment("b"), environment("c")
    variables = {"SET_DRESSER_PYTHON": str(variable)}
    assert find_python(str(chosen), tmp_path / "c", variables) == chosen
    assert find_python(str(tmp_path / "a"), tmp_path / "c", variables) == chosen
    assert find_python("", tmp_path / "c", variables) == variable
    with pytest.raises(NotSetUp):
        find_python(" ", tmp_path / "c", {})
    (tmp_path / "c" / "pyvenv.cfg").write_text(f"home = {tmp_path}\n")
    records.write_marker(tmp_path / "c", records.Record("none", "3.11", {}))
    assert find_python(" ", tmp_path / "c", {}) == private


@pytest.mark.parametrize(("chosen", "variables"), [("nowhere/python", {}), ("", {"SET_DRESSER_PYTHON": "nowhere"})])
def test_a_python_that_is_not_there_is_named(tmp_path: Path, chosen: str, variables: dict[str, str]) -> None:
    with pytest.raises(NotSetUp, match="nowhere") as caught:
        find_python(chosen, tmp_path, variables)
    assert caught.value.hint


def test_without_any_python_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotSetUp, match="No Python") as caught:
        find_python("", tmp_path, {})
    assert "preferences" in caught.value.hint


def test_the_bundle_counts_before_the_checkout(tmp_path: Path) -> None:
    addon = tmp_path / "addon"
    with pytest.raises(NotSetUp, match="missing"):
        backend_folder(addon)
    for folder in (tmp_path, addon / "bundle"):
        (folder / "backend").mkdir(parents=True)
        (folder / "backend" / "__main__.py").touch()
        assert backend_folder(addon) == folder
