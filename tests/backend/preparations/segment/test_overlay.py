"""The picture with its objects coloured."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.imaging.instances import read_instances
from backend.imaging.png import as_png
from backend.preparations.segment import MOST_OBJECTS
from backend.preparations.segment.overlay import colour_of, overlay, palette

SCENES = sorted((Path(os.environ.get("SET_DRESSER_DATA", "../shared/data")) / "scenes").glob("*_seg.png"))


def oklab(colour: tuple[int, int, int]) -> np.ndarray:
    """Oklab the other way round than the code goes, from sRGB (Ottosson 2020)."""
    value = np.array(colour) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    mixed = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return mixed @ np.cbrt(cones @ linear)


def test_sixty_colours_can_be_told_apart_and_the_first_ones_at_a_glance() -> None:
    colours = np.array([oklab(colour) for colour in palette()])
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + np.eye(len(colours))
    assert len(colours) == MOST_OBJECTS
    assert distance.min() > 0.04, "twice what is just noticeable in Oklab"
    assert distance[:8, :8].min() > 0.14
    assert np.hypot(colours[:, 1], colours[:, 2]).min() > 0.09, "none is grey"
    assert colour_of(1) == colour_of(1 + MOST_OBJECTS) == palette()[0]


def test_objects_are_tinted_outlined_and_the_rest_is_dimmed() -> None:
    picture = np.full((300, 400, 3), (200, 120, 40), dtype=np.uint8)
    labels = np.zeros((300, 400), dtype=np.uint16)
    labels[100:280, 20:180], labels[100:280, 180:380] = 1, 5
    drawn = overlay(picture, labels, {1: "", 5: ""}).astype(int)
    assert drawn[20, 300].mean() < 0.7 * picture.mean(), "the background is dimmed"
    for label, (row, column) in {1: (120, 60), 5: (120, 350)}.items():
        expected = 0.45 * np.array(colour_of(label)) + 0.55 * picture[0, 0]
        np.testing.assert_allclose(drawn[row, column], expected, atol=2)
    assert tuple(drawn[250, 179]) == colour_of(1) and tuple(drawn[250, 180]) == colour_of(5), "each has its own line"
    assert tuple(drawn[99, 100]) == (0, 0, 0), "around them goes a dark one"
    edge_rows = drawn[101:279, 20]
    assert (edge_rows == colour_of(1)).all(), "the outline has no gaps where the work is cut into strips"


def test_a_name_is_written_on_its_object_and_not_over_another() -> None:
    picture = np.zeros((400, 600, 3), dtype=np.uint8)
    labels = np.zeros((400, 600), dtype=np.uint16)
    labels[50:350, 50:290], labels[50:350, 310:550] = 1, 2
    plain, named = (overlay(picture, labels, names) for names in ({1: "", 2: ""}, {1: "table lamp", 2: "椅子"}))
    changed = (plain != named).any(axis=2)
    assert changed[:, :290].any() and changed[:, 310:].any()
    rows, _ = np.nonzero(changed)
    assert abs(rows.mean() - 200) < 20, "in the middle of the object"
    too_many = {number: f"object {number}" for number in range(1, 31)}
    labels = np.repeat(np.arange(1, 31, dtype=np.uint16), 20)[None].repeat(400, 0)
    assert overlay(picture, labels, too_many).shape == picture.shape


def test_labels_that_were_kept_can_be_given_as_an_instance_map() -> None:
    labels = np.zeros((30, 50), dtype=np.uint16)
    labels[3:9, 5:20], labels[10:29, 30:49] = 7, 300
    again = read_instances(as_png(labels), [], (50, 30))
    np.testing.assert_array_equal(again.labels, labels)
    colours = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(as_png(colours)))), colours)


@pytest.mark.skipif(not SCENES, reason="the example pictures are not there (SET_DRESSER_DATA)")
def test_on_real_pictures_objects_stand_out_from_the_rest() -> None:
    for file in SCENES[:3]:
        picture = np.asarray(Image.open(str(file).replace("_seg", "_rgb")).convert("RGB"))
        scene = read_instances(file.read_bytes(), [], (picture.shape[1], picture.shape[0]))
        drawn = overlay(picture, scene.labels, dict.fromkeys(scene.names, ""))
        spread = drawn.max(axis=2).astype(int) - drawn.min(axis=2)
        assert np.median(spread[scene.labels > 0]) > 2.5 * np.median(spread[scene.labels == 0]), file.name
