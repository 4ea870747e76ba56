"""The reference numbers of Magic123."""

from __future__ import annotations

import json
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
