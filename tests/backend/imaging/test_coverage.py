"""Cut-out pictures: what is of glass belongs to the object, what is a shadow or a fading edge does not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from backend.contract import GenerateRequest
from backend.errors import Problem
from backend.imaging.intake import check_inputs, make_shot
from backend.shot import Shot
from tests.backend.imaging.pictures import saved

WIDTH, HEIGHT = 480, 360
YELLOW = (235, 215, 120)


def coverage(*shapes: tuple[str, tuple[int, int, int, int]]) -> np.ndarray:
    """Shapes drawn with soft edges, 0 to 1."""
    image = Image.new("L", (WIDTH * 4, HEIGHT * 4))
    for kind, box in shapes:
        getattr(ImageDraw.Draw(image), kind)(tuple(4 * side for side in box), fill=255)
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)) / 255


DISC = coverage(("ellipse", (120, 60, 360, 300)))


def shot(alpha: np.ndarray, colour: tuple[int, int, int] | np.ndarray = YELLOW) -> Shot:
    pixels = np.empty((HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.rint(alpha * 255)
    data, request = saved(Image.fromarray(pixels)), GenerateRequest(pipeline="inflate")
    check_inputs(request, [data], None, None)
    return make_shot(request, [data], None, None)


def area(found: Shot) -> int:
    assert found.instance_source == "alpha"
    return int(found.instances.mask(1).sum())


@pytest.mark.parametrize("clearness", [1.0, 0.7, 0.4, 0.2, 0.1])
def test_a_disc_of_glass_is_a_disc(clearness: float) -> None:
    found = shot(DISC * clearness)
    assert area(found) == pytest.approx(45352, rel=0.004)
    assert not found.remarks


def test_the_clear_body_of_a_bottle_belongs_to_its_cap() -> None:
    body = coverage(("rectangle", (160, 90, 320, 340)), ("rectangle", (215, 60, 265, 95)))
    cap = coverage(("rectangle", (210, 20, 270, 62)))
    found = shot(np.maximum(body * 0.4, cap))
    assert area(found) == pytest.approx(np.count_nonzero(np.maximum(body, cap) > 0.5), rel=0.004)
    assert found.instances.mask(1)[200, 240] and found.instances.mask(1)[40, 240] and not found.remarks


def test_a_shadow_is_left_out_and_told() -> None:
    under = coverage(("ellipse", (100, 280, 380, 350)))
    colour = np.where((DISC > 0)[..., None], YELLOW, 0)
    soft = ndimage.gaussian_filter(under, 12)
    for shadow in (under, soft):
        found = shot(np.maximum(DISC, 0.4 * shadow), colour)
        assert area(found) == pytest.approx(45352, rel=0.02)
        assert [remark.code for remark in found.remarks] == ["half-transparent"]


@pytest.mark.parametrize("width", [2, 6, 20])
def test_a_fading_edge_stays_where_half_of_it_is(width: int) -> None:
    alpha = ndimage.gaussian_filter(DISC, width)
    assert area(shot(alpha)) == np.count_nonzero(np.rint(alpha * 255) > 127)


def test_colour_below_transparency_changes_nothing() -> None:
    for below in (0, 255):
        assert area(shot(DISC, np.where((DISC > 0)[..., None], YELLOW, below))) == 45352


def test_hair_and_other_thin_half_transparent_things_are_no_glass() -> None:
    lines = np.zeros_like(DISC)
    lines[::3] = 0.3
    whole = shot(np.maximum(DISC, np.where(DISC > 0, DISC, lines)))
    assert area(whole) == 45352


def test_what_hardly_covers_anything_is_transparent_everywhere() -> None:
    with pytest.raises(Problem) as caught:
        shot(DISC * 0.04)
    assert caught.value.code == "image-empty"
