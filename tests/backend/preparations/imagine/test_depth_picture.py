"""What the painter sees of the depth, and that nothing moves on the way to its size and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.preparations.imagine.depth_picture import depth_picture, resized, working_size
from tests.backend.preparations.imagine.room import room


def test_near_is_white_and_nothing_is_black() -> None:
    depth = np.full((40, 60), np.nan, np.float32)
    for step in range(5):
        depth[10:30, 5 + 10 * step : 15 + 10 * step] = 2.0 + step
    picture = depth_picture(depth, (60, 40))
    row = [float(picture[20, 10 + 10 * step, 0]) for step in range(5)]
    assert row == sorted(row, reverse=True)
    assert row[0] == 1.0
    assert row[-1] > 0.15  # the outline of the farthest thing can be seen
    assert picture[5, 5, 0] == 0
    assert np.allclose(
        np.diff(row), np.diff([1 / (2.0 + step) for step in range(5)]) * (row[0] - row[-1]) / (1 / 2 - 1 / 6)
    )


@given(
    st.floats(0.01, 100),
    st.integers(1, 40),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_it_is_a_picture_and_does_not_depend_on_the_unit(unit: float, width: int, height: int, chance) -> None:
    generator = np.random.default_rng(chance.randrange(2**32))
    depth = generator.uniform(0.5, 50, (height, width)).astype(np.float32)
    depth[generator.random(depth.shape) < 0.3] = np.nan
    depth[height // 2, width // 2] = 3.0
    picture = depth_picture(depth, (24, 16))
    assert picture.shape == (16, 24, 3)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert (picture == picture[..., :1]).all()
    assert np.allclose(picture, depth_picture(depth * np.float32(unit), (24, 16)), atol=1e-4)


def test_fine_differences_survive() -> None:
    depth = np.linspace(4.0, 4.5, 1000, dtype=np.float32)[None].repeat(8, axis=0)
    assert len(np.unique(depth_picture(depth, (1000, 8)))) > 900  # of which 8 bits would keep 256


def test_a_speck_before_the_lens_does_not_darken_the_rest() -> None:
    depth = np.linspace(3.0, 6.0, 10000, dtype=np.float32).reshape(100, 100)
    clean = depth_picture(depth, (100, 100))
    depth[50, 50] = 0.01
    assert np.abs(depth_picture(depth, (100, 100)) - clean)[:45].max() < 0.02


def test_a_depth_without_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is seen"):
        depth_picture(np.full((4, 4), np.nan, np.float32), (8, 8))


@given(st.integers(64, 8192), st.floats(0.3, 3.0), st.sampled_from([512, 1024]))
def test_the_working_size_has_the_shape_of_the_shot_and_the_pixels_of_the_model(
    width: int, aspect: float, native: int
) -> None:
    height = max(round(width / aspect), 1)
    found = working_size((width, height), native)
    assert found[0] % 8 == 0 == found[1] % 8
    assert found[0] * found[1] == pytest.approx(native**2, rel=0.03)
    assert found[0] / found[1] == pytest.approx(width / height, rel=0.03)


@pytest.mark.parametrize("native", [512, 1024])
@pytest.mark.parametrize("size", [(1920, 1080), (333, 517), (96, 96), (1500, 400)])
def test_an_edge_stays_where_it_is_on_the_way_to_the_working_size_and_back(size: tuple[int, int], native: int) -> None:
    width, height = size
    for share in (0.25, 0.5, 0.77):
        place = round(share * width)
        depth = np.full((height, width), 4.0, np.float32)
        depth[:, place:] = 2.0
        control = depth_picture(depth, working_size(size, native))
        back = resized((control * 255).round().astype(np.uint8), size)[height // 2, :, 0] / 255.0
        # Where the picture crosses the middle, in pixels from the left border.
        found = width - back.sum() if back[0] < 0.5 else back.sum()
        assert found == pytest.approx(place, abs=0.5)


def test_a_room_shows_its_things() -> None:
    shot = room(128)
    assert shot.depth is not None
    picture = depth_picture(shot.depth, (128, 128))[..., 0]
    outside = np.isnan(shot.depth)
    assert outside.any()
    assert picture[outside].max() == 0
    nearest = np.unravel_index(np.nanargmin(shot.depth), shot.depth.shape)
    assert picture[nearest] > 0.99
