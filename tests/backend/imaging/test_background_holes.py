"""Ground that is seen through an object: opened only if its colour says so and a closer look doubts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from backend.imaging.background.holes import open_holes
from tests.backend.imaging.test_background import overlap

SIDE = 240
BOX = (10, 10, 230, 230)


def frame(pane: tuple[int, int, int] | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A picture frame before a blurred room, through which the room is seen, or a pane; and the frame's mask."""
    patches = np.random.default_rng(3).integers(150, 205, (5, 5, 3), dtype=np.uint8)
    room = Image.fromarray(patches).resize((SIDE, SIDE), Image.Resampling.NEAREST).filter(ImageFilter.GaussianBlur(14))
    image = np.asarray(room).copy()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40:200, 40:200] = True
    if pane:
        image[45:195, 45:195] = pane
    else:
        mask[45:195, 45:195] = False
    image[40:45, 40:200] = image[195:200, 40:200] = (60, 40, 30)
    image[40:200, 40:45] = image[40:200, 195:200] = (60, 40, 30)
    return image, mask


def filled() -> NDArray[np.float32]:
    """What a network says that fills the frame in."""
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[40:200, 40:200] = 1
    return cover


class Look:
    """A closer look that sees the same of the object everywhere, and counts."""

    def __init__(self, cover: float) -> None:
        self.cover, self.boxes = cover, list[Any]()

    def __call__(self, colours: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        self.boxes.append(box)
        return np.full(colours.shape[:2], self.cover, np.float32)


def test_the_room_that_is_seen_through_a_frame_is_ground() -> None:
    image, truth = frame()
    look = Look(0.1)
    cover = open_holes(image, filled(), BOX, look)
    assert overlap(cover > 0.5, truth) >= 0.9, "the frame is five pixels wide"
    assert 1 <= len(look.boxes) <= 3


@pytest.mark.parametrize(
    ("pane", "seen", "looks"), [(None, 1.0, 1), ((20, 60, 140), 0.0, 0)], ids=["a sure network", "another colour"]
)
def test_one_witness_alone_opens_nothing(pane: tuple[int, int, int] | None, seen: float, looks: int) -> None:
    image, _ = frame(pane)
    look = Look(seen)
    assert (open_holes(image, filled(), BOX, look) == filled()).all()
    assert len(look.boxes) == looks


@pytest.mark.parametrize(("side", "looks"), [(9, 0), (14, 1)])
def test_an_opening_that_hardly_counts_is_not_worth_a_look(side: int, looks: int) -> None:
    image, _ = frame(pane=(60, 40, 30))
    image[60 : 60 + side, 50 : 50 + side] = image[60, 30]
    look = Look(0.0)
    cover = open_holes(image, filled(), BOX, look)
    assert len(look.boxes) == looks and (cover[65, 55] < 0.5) == (looks > 0)


@pytest.mark.parametrize("value", [0.0, 1.0], ids=["no object", "no ground"])
def test_without_an_object_or_without_ground_the_cover_stays(value: float) -> None:
    image, _ = frame()
    cover = np.full((SIDE, SIDE), value, np.float32)
    assert (open_holes(image, cover, (0, 0, SIDE, SIDE), Look(0.0)) == cover).all()


def test_the_rim_of_what_is_opened_is_soft_and_nothing_else_changes() -> None:
    image, truth = frame()
    soft = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.0)))
    before = filled()
    before[10:20, 60:70] = 0.07
    cover = open_holes(soft, before, BOX, Look(0.0))
    assert ((cover > 0.1) & (cover < 0.9)).sum() > 200
    assert cover[15, 65] == before[15, 65] and (cover <= before).all() and overlap(cover > 0.5, truth) > 0.85
