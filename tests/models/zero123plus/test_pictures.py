"""Photos are framed without losing a pixel, sheets are taken apart and put together."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from models.zero123plus.pictures import (
    AZIMUTHS,
    ELEVATIONS,
    as_pixels,
    cut_out,
    on_white,
    prepared,
    split,
    tile,
)


def rectangle(height: int, width: int, top: int, left: int, rows: int, columns: int) -> Any:
    """Opaque numbers 1 … on nothing."""
    picture = np.zeros((height, width, 4), np.uint8)
    inside = picture[top : top + rows, left : left + columns]
    inside[..., 0] = 1 + np.arange(rows * columns).reshape(rows, columns) % 255
    inside[..., 3] = 255
    return picture


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 9), st.integers(0, 9), st.floats(0.2, 1.0))
def test_every_visible_pixel_is_kept_in_the_middle_of_a_square(
    rows: int, columns: int, top: int, left: int, fill: float
) -> None:
    found = cut_out(rectangle(rows + 12, columns + 12, top, left, rows, columns), fill)
    side = len(found)
    assert found.shape == (side, side, 4)
    assert side == int(max(rows, columns) / fill)
    there = np.argwhere(found[..., 3])
    first, last = there.min(0), there.max(0)
    np.testing.assert_array_equal(last - first + 1, [rows, columns])
    # Two centrings, each within half a pixel.
    assert np.abs((first + last + 1) / 2 - side / 2).max() <= 1.0
    np.testing.assert_array_equal(
        found[first[0] : last[0] + 1, first[1] : last[1] + 1, 0],
        1 + np.arange(rows * columns).reshape(rows, columns) % 255,
    )


def test_only_the_reference_loses_the_last_row_and_column() -> None:
    photo = rectangle(20, 20, 3, 4, 10, 6)
    assert (cut_out(photo)[..., 3] > 0).sum() == 60
    assert (cut_out(photo, reference=True)[..., 3] > 0).sum() == 9 * 5


def test_what_is_not_opaque_is_laid_on_white() -> None:
    photo = np.zeros((1, 3, 4), np.uint8)
    photo[0, :, 3] = 0, 128, 255
    assert on_white(photo)[0, :, 0].tolist() == [255, 127, 0]


def test_a_photo_without_opacity_is_padded_and_not_cropped() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (10, 16, 3), np.uint8)
    found = prepared(photo)
    assert found.shape == (16, 16, 3)
    np.testing.assert_array_equal(found[3:13], photo)
    assert (found[:3] == 255).all() and (found[13:] == 255).all()
    assert prepared(photo, reference=True) is photo


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (0, 4, 3), (4, 4, 5)])
def test_what_is_no_photo_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a photo is uint8"):
        prepared(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="a photo is uint8"):
        prepared(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]


def test_a_photo_of_nothing_is_refused() -> None:
    nothing = np.zeros((5, 5, 4), np.uint8)
    one = rectangle(5, 5, 2, 2, 1, 1)
    assert prepared(one).shape == (1, 1, 3)
    for photo, reference in ((nothing, False), (nothing, True), (one, True)):
        with pytest.raises(ValueError, match="nothing of the photo is visible"):
            prepared(photo, reference=reference)
    with pytest.raises(ValueError, match="fill"):
        prepared(one, fill=0.0)


def test_a_sheet_is_two_views_wide_and_three_high() -> None:
    views = np.arange(6 * 4 * 5 * 3).reshape(6, 4, 5, 3)
    sheet = tile(views)
    assert sheet.shape == (12, 10, 3)
    np.testing.assert_array_equal(sheet[4:8, 5:], views[3])
    np.testing.assert_array_equal(split(sheet), views)
    with pytest.raises(ValueError, match="6 views, not 5"):
        tile(views[:5])
    with pytest.raises(ValueError, match="cannot be divided"):
        split(sheet[:11])


def test_each_view_has_a_camera() -> None:
    assert len(AZIMUTHS) == len(ELEVATIONS) == 6


def test_stored_pixels_are_the_nearest() -> None:
    values = np.linspace(-0.1, 1.1, 1001, dtype=np.float32)
    pixels = as_pixels(values)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels / 255 - np.clip(values, 0, 1)).max() <= 1 / 510 + 1e-6
