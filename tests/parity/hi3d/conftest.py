"""The reference numbers of Hi3D, and the UNet of a golden set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.goldens import Golden, Goldens, part_of, reference_folder


@pytest.fixture(scope="session")
def reference() -> Path:
    pytest.importorskip("diffusers")
    return reference_folder("hi3d")


@pytest.fixture(scope="session")
def golden(reference: Path) -> Goldens:
    return Goldens(reference)


@pytest.fixture(scope="session")
def manifest(reference: Path) -> Any:
    """Published configurations, keys and shapes."""
    return json.loads(part_of(reference, "manifest.json").read_text(encoding="utf-8"))


def golden_unet(set_of_numbers: Golden) -> Any:
    """The network of a set, with its weights."""
    from models.hi3d import names
    from models.hi3d.shapes import unet_config
    from models.hi3d.unet import make_unet

    stated = set_of_numbers.json("config")
    tensors = {name: each.float() for name, each in set_of_numbers.weights(names.UNET).items()}
    shapes = {name: tuple(each.shape) for name, each in tensors.items()}
    config = unet_config(shapes, stated["num_frames"], stated["unet"]["num_head_channels"])
    network = make_unet(config)
    network.load_state_dict(names.unet_tensors(tensors, config["layers_per_block"]), strict=True)
    return network.eval()


@pytest.fixture(scope="session", params=["stage1_unet", "stage2_unet"])
def numbers(request: pytest.FixtureRequest, golden: Goldens) -> Golden:
    return golden(request.param)


@pytest.fixture(scope="session")
def unet(numbers: Golden) -> Any:
    return golden_unet(numbers)
