"""The small picture of a result is what the camera saw, cut to what is there."""

from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image

from backend.camera import default_camera
from backend.geometry.thumbnail import SIDE, thumbnail
from backend.scene import Mesh, Prop, Scene
from tests.backend.shapes import ball, standing

CAMERA = default_camera(640, 480)


def picture(scene: Scene, closed: list[bool] | None = None) -> np.ndarray:
    data = thumbnail(scene, CAMERA, closed)
    assert data.startswith(b"\x89PNG")
    pixels = np.array(Image.open(io.BytesIO(data)))
    assert pixels.shape == (SIDE, SIDE, 4)
    return pixels


def test_it_shows_the_texture_of_what_is_in_front() -> None:
    back = ball(0.5)
    back.texture = np.full_like(back.texture, (30, 200, 30))
    scene = Scene([standing(back, 2, "back", (0.9, 6.0, 0)), standing(ball(0.5), 1, "front", (0, 4.0, 0))])
    pixels = picture(scene, [True, True]).astype(int)
    seen = pixels[..., 3] == 255
    red, green, blue = (pixels[..., channel] for channel in range(3))
    is_red, is_green = seen & (red > 2 * green) & (red > 2 * blue), seen & (green > 2 * red)
    assert is_red.sum() > 2 * is_green.sum() > 0
    is_blue = seen & (blue > 2 * red)
    assert 0 < is_blue.sum() < 0.3 * is_red.sum(), "of the half that is turned away the top can be seen from above"
    assert np.argwhere(is_blue)[:, 0].mean() < np.argwhere(is_red)[:, 0].min() + 0.2 * SIDE
    assert np.argwhere(is_red)[:, 1].mean() < np.argwhere(is_green)[:, 1].mean(), "left stays left"
    assert np.argwhere(is_red)[:, 0].max() > np.argwhere(is_green)[:, 0].max(), "what is near reaches lower"


def test_it_is_cut_to_what_is_there_and_transparent_around() -> None:
    pixels = picture(Scene([standing(ball(0.05), 1, "small", (1.0, 6.0, 0.4))]), [True])
    rows, columns = np.nonzero(pixels[..., 3])
    assert np.ptp(rows) > 0.85 * SIDE and np.ptp(columns) > 0.85 * SIDE
    border = np.concatenate([pixels[0, :, 3], pixels[-1, :, 3], pixels[:, 0, 3], pixels[:, -1, 3]])
    assert not border.any()
    assert len(np.unique(pixels[..., 3])) > 3, "its edge is smooth"


def test_backs_of_open_meshes_are_drawn_and_untextured_ones_are_grey() -> None:
    corners = np.array([[-1, 0, 0], [1, 0, 0], [1, 0, 2], [-1, 0, 2]], dtype=float)
    turned_away = Mesh(corners, np.array([[0, 2, 1], [0, 3, 2]]))
    pixels = picture(Scene([standing(turned_away, at=(0, 5, 0))]))
    seen = pixels[pixels[..., 3] == 255]
    assert len(seen) > 0.5 * SIDE**2
    assert (np.ptp(seen[:, :3].astype(int), axis=1) == 0).all() and 60 < seen[:, 0].mean() < 230


def test_what_lies_behind_or_far_outside_harms_nothing() -> None:
    far = ball(0.5)
    scene = Scene(
        [standing(ball(0.5), 1, at=(0, 5, 0)), standing(far, 2, at=(0, -4, 0)), standing(far, 3, at=(900, 5, 0))]
    )
    assert (picture(scene)[..., 3] == 255).sum() > 0.01 * SIDE**2
    assert not picture(Scene([standing(far, at=(0, -4, 0))]))[..., 3].any()


def test_a_dense_scene_takes_no_time_that_is_noticed() -> None:
    """About 0.1 s on one idle core; the bound only keeps it from becoming a stage of its own."""
    props: list[Prop] = [standing(ball(0.4, 5), n + 1, at=((n % 5 - 2) * 0.9, 5 + n // 5, 0)) for n in range(10)]
    assert sum(len(prop.mesh.faces) for prop in props) > 200_000
    began = time.process_time()
    picture(Scene(props), [True] * 10)
    assert time.process_time() - began < 1.0
