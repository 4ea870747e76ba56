"""What all parity tests share. Each network has its own `reference` and `golden`, made of `goldens.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    """No gradients in any test: reference numbers are those of a forward pass; the networks leave that to callers."""
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def near() -> Callable[[Any, Any, float], None]:
    """Asserts that the largest difference is a small part of the largest number expected."""

    def check(actual: Any, expected: Any, tolerance: float) -> None:
        assert actual.shape == expected.shape
        assert actual.isfinite().all()
        difference = (actual.double() - expected.double()).abs().max()
        assert difference <= tolerance * expected.double().abs().max(), f"{difference:.2e}"

    return check


@pytest.fixture(scope="session")
def close() -> Callable[[Any, Any, float], None]:
    """Asserts that two arrays have one shape and differ nowhere by more than a tolerance."""

    def check(actual: Any, expected: Any, tolerance: float) -> None:
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        assert actual.shape == expected.shape
        assert np.isfinite(actual).all()
        assert np.abs(actual - expected).max() <= tolerance

    return check
