"""How well a picture keeps outlines: high for a picture of the scene itself, chance level for any other."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from backend.imaging.instances import read_instances
from backend.preparations.imagine.outlines import LOST, agreement
from tests.backend.preparations.imagine.room import room

ROOT = Path(__file__).resolve().parents[4]
SCENES = Path(os.environ.get("SET_DRESSER_DATA", ROOT.parent / "shared" / "data")) / "scenes"
FOUND = sorted(path.name.removesuffix("_rgb.png") for path in SCENES.glob("*_rgb.png"))
with_scenes = pytest.mark.skipif(len(FOUND) < 2, reason="no pictures of scenes (SET_DRESSER_DATA)")
SIDE = 512


@cache
def scene(name: str) -> tuple[Image.Image, np.ndarray]:
    picture = Image.open(SCENES / f"{name}_rgb.png").convert("RGB")
    labels = read_instances((SCENES / f"{name}_seg.png").read_bytes(), [], picture.size).labels
    small = Image.fromarray(labels.astype(np.int32)).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    return picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.asarray(small).astype(np.uint16)


def painted(labels: np.ndarray, size: int) -> np.ndarray:
    """Every instance in a colour of its own."""
    colours = np.array([[70, 80, 90], [200, 60, 60], [60, 170, 80], [230, 200, 60]], np.uint8)
    return colours[labels].reshape(size, size, 3)


@with_scenes
@pytest.mark.parametrize("name", FOUND)
def test_a_picture_agrees_with_its_own_map_and_with_no_other(name: str) -> None:
    picture, labels = scene(name)
    pixels = np.asarray(picture)
    own = agreement(pixels, labels)
    assert own.overall > 0.75
    assert min(own.instances.values()) > LOST + 0.2
    following = [FOUND[(FOUND.index(name) + step) % len(FOUND)] for step in (1, 2, 3)]
    others = [agreement(pixels, scene(other)[1]) for other in following if other != name]
    assert max(other.overall for other in others) < 0.1
    assert max(kept for other in others for kept in other.instances.values()) < LOST - 0.15
    assert agreement(pixels, np.roll(labels, (40, -30), (0, 1))).overall < 0.15


@with_scenes
@pytest.mark.parametrize("name", FOUND)
def test_the_more_a_picture_is_blurred_the_less_it_keeps(name: str) -> None:
    picture, labels = scene(name)
    kept = [
        agreement(np.asarray(picture.filter(ImageFilter.GaussianBlur(radius))), labels).overall
        for radius in (0, 3, 6, 16)
    ]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 0.2


def test_an_instance_that_is_not_in_the_picture_is_told_from_those_that_are() -> None:
    labels = room(256).instances.labels
    without = np.where(labels == 2, 0, labels)
    found = agreement(painted(without, 256), labels)
    assert found.instances[2] < LOST < 0.9 < min(found.instances[1], agreement(painted(labels, 256), labels).overall)


def test_outlines_need_no_difference_in_brightness() -> None:
    """Two colours of one brightness: grey values would show nothing."""
    labels = np.zeros((128, 128), np.uint16)
    labels[40:90, 30:100] = 1
    picture = np.where(labels[..., None] == 1, (180, 96, 96), (84, 130, 84)).astype(np.uint8)
    grey = picture @ np.array([0.2126, 0.7152, 0.0722])
    assert abs(grey[60, 60] - grey[10, 10]) < 8
    assert agreement(picture, labels).overall > 0.95


@pytest.mark.parametrize("kind", ["noise", "plain", "stripes"])
def test_a_picture_without_the_scene_is_worth_nothing(kind: str) -> None:
    labels = room(256).instances.labels
    picture = np.full((256, 256, 3), 120, np.uint8)
    if kind == "noise":
        picture = np.random.default_rng(3).integers(0, 256, picture.shape).astype(np.uint8)
    elif kind == "stripes":
        picture[:, np.arange(256) // 8 % 2 == 0] = 30
    assert agreement(picture, labels).overall < 0.05


def test_the_size_of_the_picture_hardly_matters() -> None:
    small, large = (room(size).instances.labels for size in (192, 1536))
    assert agreement(painted(small, 192), small).overall == pytest.approx(
        agreement(painted(large, 1536), large).overall, abs=0.05
    )


def test_nothing_is_said_of_what_has_no_outline() -> None:
    labels = np.zeros((64, 64), np.uint16)
    labels[30, 30] = 5
    found = agreement(np.zeros((64, 64, 4), np.uint8), labels)
    assert found.instances == {}
    assert agreement(np.zeros((64, 64, 4), np.uint8), np.ones((64, 64), np.uint16)).overall == 0
