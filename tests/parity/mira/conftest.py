"""The reference numbers of MIRA and OpenLRM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.goldens import Goldens, reference_folder


@pytest.fixture(autouse=True)
def _inference(inference: None) -> None:
    """See `inference`."""


@pytest.fixture(scope="session")
def reference() -> Path:
    return reference_folder("mira")


@pytest.fixture(scope="session")
def golden(reference: Path) -> Goldens:
    return Goldens(reference)


@pytest.fixture(scope="session")
def manifest(reference: Path) -> Any:
    """Published configurations, keys and shapes."""
    return json.loads((reference / "manifest.json").read_text(encoding="utf-8"))
