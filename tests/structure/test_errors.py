"""Every error code that a user can meet is met by a test, too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from backend.errors import ERRORS
from tests.structure.source import ROOT, sources

ADDON_ERRORS = ("SetDresserError", "Failure", "NotSetUp", "ImportFailed", "CaptureFailed")


def codes_of_addon() -> dict[str, str]:
    """code -> file, of the exceptions that the add-on raises with a code of its own."""
    found: dict[str, str] = {}
    for path in sources("blender_addon"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in ADDON_ERRORS:
                continue
            position = 0 if node.func.id == "Failure" else 2  # type: ignore[attr-defined]
            given = [*node.args[position : position + 1], *(key.value for key in node.keywords if key.arg == "code")]
            for value in given:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    found[value.value] = path.name
    return found


@pytest.fixture(scope="module")
def tested() -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for path in Path(ROOT / "tests").rglob("*.py") if path != Path(__file__)
    )


@pytest.mark.parametrize("code", ERRORS)
def test_every_code_of_the_backend_is_met_by_a_test(code: str, tested: str) -> None:
    assert any(f"{quote}{code}" in tested for quote in "\"'"), f"no test names {code}"
    kind = ERRORS[code]
    assert kind.title and kind.hint.endswith("."), "a hint is a sentence"


@pytest.mark.parametrize("code", sorted(codes_of_addon()))
def test_every_code_of_the_addon_is_met_by_a_test(code: str, tested: str) -> None:
    assert any(f"{quote}{code}" in tested for quote in "\"'"), f"no test names {code}, of {codes_of_addon()[code]}"


def test_the_reader_finds_the_codes() -> None:
    assert {"no-camera", "not-set-up", "disk-full"} <= codes_of_addon().keys()
