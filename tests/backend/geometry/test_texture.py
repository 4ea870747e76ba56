"""Textures: the object's own colours everywhere, the background's nowhere."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from backend.geometry.lens import Lens, make_lens
from backend.geometry.texture import paint

RED, GREEN = (210, 30, 20), (0, 255, 0)


def drawn(kind: str, size: int = 160, oversampling: int = 8) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A red thing on saturated green with an anti-aliased edge, and its mask: wherever it covers half a pixel."""
    large = Image.new("L", (size * oversampling, size * oversampling))
    draw = ImageDraw.Draw(large)
    at = lambda *numbers: [number * size * oversampling for number in numbers]  # noqa: E731
    if kind == "disc":
        draw.ellipse(at(0.15, 0.15, 0.85, 0.8), fill=255)
    elif kind == "ring":
        draw.ellipse(at(0.1, 0.1, 0.9, 0.9), fill=255)
        draw.ellipse(at(0.3, 0.3, 0.7, 0.7), fill=0)
    elif kind == "upright pole":
        draw.rectangle(at(0.5, 0.1, 0.5 + 1.5 / size, 0.9), fill=255)
    elif kind == "slanted pole":
        draw.line(at(0.2, 0.1, 0.6, 0.9), fill=255, width=round(2.2 * oversampling))
    elif kind == "lamp":
        draw.line(at(0.5, 0.3, 0.53, 0.85), fill=255, width=round(1.8 * oversampling))
        draw.polygon(at(0.3, 0.35, 0.7, 0.35, 0.6, 0.1, 0.4, 0.1), fill=255)
        draw.ellipse(at(0.35, 0.8, 0.7, 0.9), fill=255)
    elif kind == "cut by the picture's edge":
        draw.ellipse(at(-0.3, 0.3, 0.6, 1.4), fill=255)
    cover = np.asarray(large.resize((size, size), Image.Resampling.BOX), dtype=float)[..., None] / 255
    colours = np.rint(cover * RED + (1 - cover) * GREEN)
    image = np.dstack([colours, np.full((size, size), 255)]).astype(np.uint8)
    return image, cover[..., 0] >= 0.5


KINDS = ["disc", "ring", "upright pole", "slanted pole", "lamp", "cut by the picture's edge"]


def reached(uv: NDArray[np.float64], texture: NDArray[np.uint8], grow: int = 1) -> NDArray[np.bool_]:
    """Texels inside any face's triangle, or within `grow` texels: all that bilinear sampling can touch."""
    height, width = texture.shape[:2]
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    for corner in uv * (width, height) - 0.5:
        draw.polygon([tuple(point) for point in corner.tolist()], fill=255, outline=255)
    mask = np.asarray(canvas) > 0
    for axis in (0, 1):
        for step in range(1, grow + 1):
            mask = mask | np.roll(mask, step, axis) | np.roll(mask, -step, axis)
    return mask


def greenish(texture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """More than a fifth of the way from the object's colour to the background's."""
    along = np.subtract(GREEN, RED, dtype=float)
    return ((texture - np.array(RED, float)) @ along) / (along @ along) > 0.2


@pytest.mark.parametrize("back", ["soft", "mirror"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_background_colour_is_reached_by_any_face(kind: str, back: str) -> None:
    image, mask = drawn(kind)
    naive = greenish(image[..., :3]) & mask
    assert naive.any(), "the picture itself must have contaminated pixels for this test to mean anything"
    uv, texture = paint(image, mask, make_lens(mask), 1024, back)
    touched = reached(uv, texture, grow=2)
    assert touched.any()
    assert not (greenish(texture) & touched).any()


@pytest.mark.parametrize("kind", ["disc", "ring", "cut by the picture's edge"])
@pytest.mark.parametrize("size", [64, 200, 1024])
def test_no_background_colour_is_anywhere_so_mip_maps_cannot_bleed(kind: str, size: int) -> None:
    image, mask = drawn(kind)
    _, texture = paint(image, mask, make_lens(mask), size, "soft")
    assert max(texture.shape[:2]) <= size
    assert np.abs(texture.astype(int) - RED).max() <= 3


def test_alpha_that_hides_the_background_changes_nothing() -> None:
    image, mask = drawn("disc")
    cut_out = image.copy()
    cut_out[..., 3] = np.where(mask, 255, 0)
    lens = make_lens(mask)
    assert (paint(image, mask, lens, 512, "soft")[1] == paint(cut_out, mask, lens, 512, "soft")[1]).all()


def sheet(mask: NDArray[np.bool_]) -> Lens:
    """Two triangles in front and two behind, over the whole picture."""
    height, width = mask.shape
    pixels = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    faces = np.array([[0, 2, 1], [0, 3, 2], [0, 1, 2], [0, 2, 3]])
    return Lens(pixels, np.zeros(4), faces, np.array([False, False, True, True]))


def coordinates(height: int, width: int) -> NDArray[np.uint8]:
    """A picture whose red and green say where a pixel is."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([columns, rows, 0 * rows, 0 * rows + 255]).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(100, 60), (60, 100), (90, 90)])
@pytest.mark.parametrize("back", ["soft", "mirror"])
def test_uv_leads_to_the_texel_of_the_same_pixel(height: int, width: int, back: str) -> None:
    image = coordinates(height, width)
    lens = sheet(np.ones((height, width), bool))
    uv, texture = paint(image, np.ones((height, width), bool), lens, 1024, back)
    tall, wide = texture.shape[:2]
    for face in np.flatnonzero(~lens.back_faces):
        for weights in ([0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]):
            x, y = np.array(weights) @ lens.pixels[lens.faces[face]]
            u, v = np.array(weights) @ uv[face]
            red, green, _ = texture[int(v * tall), int(u * wide)]
            assert abs(red + 0.5 - x) <= 0.51 and abs(green + 0.5 - y) <= 0.51


def test_the_pictures_own_edge_is_not_an_outline() -> None:
    image = coordinates(50, 50)
    _, texture = paint(image, np.ones((50, 50), bool), sheet(np.ones((50, 50), bool)), 1024, "mirror")
    assert (texture[8:-8, 8:-8] == image[..., :3]).all()


def test_mirrored_backs_share_the_fronts_tile() -> None:
    image, mask = drawn("disc")
    lens = sheet(mask)
    uv, _ = paint(image, mask, lens, 512, "mirror")
    points = {
        tuple(lens.pixels[vertex]): tuple(uv[face, corner]) for (face, corner), vertex in np.ndenumerate(lens.faces)
    }
    for (face, corner), vertex in np.ndenumerate(lens.faces):
        assert points[tuple(lens.pixels[vertex])] == tuple(uv[face, corner])


def test_the_soft_back_is_the_front_at_the_rim_and_loses_detail_inside() -> None:
    rows, columns = np.mgrid[:200, :200]
    mask = np.hypot(rows - 99.5, columns - 99.5) < 90
    stripes = np.where((columns // 4) % 2, 230, 40)
    image = np.dstack([stripes, stripes, stripes, 0 * rows + 255]).astype(np.uint8)
    uv, texture = paint(image, mask, make_lens(mask), 1024, "soft")
    lens = make_lens(mask)
    front_half, back_half = np.split(texture.astype(float), 2, axis=0)
    assert uv[~lens.back_faces, :, 1].max() < 0.5 < uv[lens.back_faces, :, 1].min()
    distance = 90 - np.hypot(
        *(
            np.mgrid[: front_half.shape[0], : front_half.shape[1]]
            - (np.array(front_half.shape[:2]) / 2 - 0.5)[:, None, None]
        )
    )
    at_rim = np.abs(distance) < 1
    assert np.abs(front_half - back_half)[at_rim].mean() < 25
    middle = distance > 60
    assert front_half[middle].std() > 80 > 12 > back_half[middle].std()
    assert abs(front_half[middle].mean() - back_half[middle].mean()) < 10


def test_a_small_object_is_not_enlarged_and_a_large_one_keeps_to_the_size() -> None:
    image, mask = drawn("disc")
    _, texture = paint(image, mask, make_lens(mask), 4096, "mirror")
    assert texture.shape[0] <= 0.65 * 160 + 2 + 16 and texture.shape[1] <= 0.7 * 160 + 2 + 16
    _, small = paint(image, mask, make_lens(mask), 64, "soft")
    assert max(small.shape[:2]) in (63, 64)


def test_five_objects_of_a_megapixel_picture_take_well_under_a_second() -> None:
    rows, columns = np.mgrid[:1024, :1024]
    image = np.random.default_rng(0).integers(0, 256, (1024, 1024, 4), dtype=np.uint8)
    work = []
    for number in range(5):
        mask = np.hypot(rows - 300 - 100 * number, columns - 250 - 130 * number) < 240
        work.append((mask, make_lens(mask)))
    began = time.process_time()
    for mask, lens in work:
        paint(image, mask, lens, 1024, "soft")
    assert time.process_time() - began < 1.2  # twice the aim, for slow machines


def test_an_empty_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        paint(coordinates(9, 9), np.zeros((9, 9), bool), sheet(np.ones((9, 9), bool)), 64, "soft")
