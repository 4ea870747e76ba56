"""Background removal without a network: what stands out is cut out, what does not is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from backend.errors import Problem
from backend.imaging.background import Remover
from backend.imaging.reading import read_image
from tests.backend.imaging.pictures import DATA

OBJECTS = DATA / "objects"
needs_objects = pytest.mark.skipif(not OBJECTS.is_dir(), reason="the object pictures are not there")


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((mask & truth).sum() / (mask | truth).sum())


def remove_background(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return Remover("plain").find(image).mask


def scene(width: int = 480, height: int = 360, noise: float = 2.0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A mug with a handle in front of a wall that gets darker downwards, with a soft shadow; and its true mask."""
    shape = Image.new("L", (width, height))
    draw = ImageDraw.Draw(shape)
    draw.rounded_rectangle((150, 80, 300, 290), 25, fill=255)
    draw.ellipse((270, 120, 390, 250), fill=255)
    draw.ellipse((300, 150, 360, 220), fill=0)
    truth = np.asarray(shape) > 127
    wall = np.linspace(225, 170, height)[:, None, None] * np.array([1.0, 0.98, 0.95])
    wall = np.broadcast_to(wall, (height, width, 3))
    shadow = Image.new("L", (width, height))
    ImageDraw.Draw(shadow).ellipse((120, 270, 420, 320), fill=90)
    dark = np.asarray(shadow.filter(ImageFilter.GaussianBlur(14)), dtype=float)[..., None] / 255
    rows = np.mgrid[:height, :width][0]
    mug = np.stack([180 - 0.2 * rows, 60 + 0.1 * rows, 50 + 0 * rows], axis=-1)
    mug[120:150] = (40, 50, 120)
    edge = np.asarray(shape.filter(ImageFilter.GaussianBlur(0.8)), dtype=float)[..., None] / 255
    colours = edge * mug + (1 - edge) * wall * (1 - dark)
    colours = colours + np.random.default_rng(0).normal(0, noise, colours.shape)
    image = np.dstack([np.clip(colours, 0, 255), np.full((height, width), 255)]).astype(np.uint8)
    return image, truth


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
def test_an_object_is_cut_out_with_its_hole_and_without_its_shadow(noise: float) -> None:
    image, truth = scene(noise=noise)
    mask = remove_background(image)
    assert mask.shape == truth.shape and mask.dtype == np.bool_
    assert overlap(mask, truth) > 0.97
    assert not mask[185, 330]  # the hole of the handle


@pytest.mark.parametrize("scale", [0.25, 3.0])
def test_the_size_of_the_picture_does_not_matter(scale: float) -> None:
    image, truth = scene()
    size = round(480 * scale), round(360 * scale)
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    expected = np.asarray(Image.fromarray(truth).resize(size, Image.Resampling.NEAREST))
    assert overlap(remove_background(resized), expected) > 0.95


def test_alpha_is_ignored() -> None:
    image, _ = scene()
    transparent = image.copy()
    transparent[..., 3] = 0
    assert (remove_background(image) == remove_background(transparent)).all()


def nothing(kind: str) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:200, :300]
    if kind == "one colour":
        colours = np.full((200, 300, 3), 128)
    elif kind == "gradient":
        colours = np.stack([rows, columns / 2, rows / 2 + 50], axis=-1)
    elif kind == "noise":
        colours = np.random.default_rng(0).integers(0, 256, (200, 300, 3))
    elif kind == "checks":
        colours = np.repeat(((rows // 10 + columns // 10) % 2 * 200 + 20)[..., None], 3, axis=-1)
    else:
        colours = np.zeros((3, 3, 3))
    return np.dstack([colours, np.full(colours.shape[:2], 255)]).astype(np.uint8)


@pytest.mark.parametrize("kind", ["one colour", "gradient", "noise", "checks", "tiny"])
def test_a_picture_in_which_nothing_stands_out_is_refused(kind: str) -> None:
    with pytest.raises(Problem) as caught:
        remove_background(nothing(kind))
    assert caught.value.code == "background-unclear"
    assert caught.value.hint


@needs_objects
def test_a_real_chair_is_found_again_on_a_plain_background() -> None:
    image = read_image((OBJECTS / "chair_armed.png").read_bytes(), "chair")
    cover = image[..., 3:] / 255
    flat = image.copy()
    flat[..., :3] = image[..., :3] * cover + np.array([200, 190, 170]) * (1 - cover)
    assert overlap(remove_background(flat), image[..., 3] > 127) > 0.95


# Points (x, y as shares of width and height) of the object, of the background, and of holes, read off by eye.
POINTS = {
    "bird": ([(0.21, 0.17), (0.45, 0.6), (0.57, 0.12), (0.5, 0.9)], [(0.1, 0.4), (0.9, 0.3), (0.9, 0.05)]),
    "cake": ([(0.5, 0.4), (0.5, 0.55), (0.25, 0.7), (0.5, 0.25)], [(0.1, 0.2), (0.9, 0.3), (0.1, 0.95)]),
    "chair_wood": ([(0.16, 0.04), (0.7, 0.6), (0.55, 0.95)], [(0.3, 0.3), (0.8, 0.2), (0.1, 0.8), (0.75, 0.95)]),
    "fox": ([(0.45, 0.3), (0.47, 0.6), (0.42, 0.85), (0.88, 0.53)], [(0.1, 0.5), (0.8, 0.8), (0.3, 0.05)]),
    "fruit": ([(0.25, 0.5), (0.6, 0.6), (0.6, 0.15), (0.9, 0.6)], [(0.05, 0.1), (0.95, 0.95), (0.85, 0.3)]),
    "plant": ([(0.2, 0.3), (0.65, 0.2), (0.45, 0.85), (0.1, 0.57)], [(0.1, 0.1), (0.9, 0.75), (0.5, 0.03)]),
    "robot": ([(0.5, 0.25), (0.45, 0.6), (0.3, 0.88), (0.22, 0.68)], [(0.1, 0.7), (0.5, 0.85), (0.5, 0.05)]),
}


@needs_objects
@pytest.mark.parametrize("name", POINTS)
def test_real_objects_are_cut_out(name: str) -> None:
    image = read_image((OBJECTS / f"{name}.jpg").read_bytes(), name)
    mask = remove_background(image)
    height, width = mask.shape
    ours, theirs = POINTS[name]
    assert all(mask[round(y * height), round(x * width)] for x, y in ours)
    assert not any(mask[round(y * height), round(x * width)] for x, y in theirs)
