"""Tiny checkpoints of both priors, written once, and pictures and views to ask them of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SIDE = 24
"""Pixels along a side of a render."""


@pytest.fixture(scope="session")
def stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from models.guidance.tiny import write_tiny_stable_diffusion

    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("guidance") / "sd15")


@pytest.fixture(scope="session")
def zero123(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror."""
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from models.guidance.tiny import write_tiny_zero123

    return write_tiny_zero123(tmp_path_factory.mktemp("guidance") / "zero123", "cc_projection")


@pytest.fixture(scope="session")
def pictures() -> Any:
    """Two renders, smooth in colour."""
    import torch

    across = torch.linspace(0.0, 1.0, SIDE)
    first = torch.stack([across.expand(SIDE, SIDE), across.expand(SIDE, SIDE).T, torch.full((SIDE, SIDE), 0.4)])
    return torch.stack([first, first.flip(0)])


@pytest.fixture(scope="session")
def views() -> Any:
    """A quarter round to the left of the picture's camera, and half round and a little from above."""
    import torch

    from models.guidance.prior import RelativeViews

    return RelativeViews(
        torch.tensor([0.0, -0.3]),
        torch.tensor([torch.pi / 2, 3.0]),
        torch.tensor([0.0, 0.1]),
        torch.tensor([torch.pi / 2, 2.83]),
    )
