"""The reference numbers of Magic123."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parity.goldens import Goldens, part_of, reference_folder


@pytest.fixture(scope="session")
def reference() -> Path:
    return reference_folder("magic123")


@pytest.fixture(scope="session")
def golden(reference: Path) -> Goldens:
    return Goldens(reference)


@pytest.fixture(scope="session")
def manifest(reference: Path) -> Any:
    """Published keys and shapes."""
    return json.loads(part_of(reference, "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def near() -> Callable[[Any, Any, float], None]:
    """Asserts that the largest difference is a small part of the largest number expected."""

    def check(actual: Any, expected: Any, tolerance: float) -> None:
        assert actual.shape == expected.shape
        assert actual.isfinite().all()
        difference = (actual.double() - expected.double()).abs().max()
        assert difference <= tolerance * expected.double().abs().max(), f"{difference:.2e}"

    return check
