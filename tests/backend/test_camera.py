"""The camera: what is projected comes back, rigid means rigid, and the assumed camera stands as documented."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.camera import DEFAULT_FIELD_OF_VIEW, DEFAULT_HEIGHT, Camera, default_camera


def rotation(quaternion: tuple[float, ...]) -> np.ndarray:
    """3x3 of a quaternion w, x, y, z of any length but zero."""
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose(turn: np.ndarray, position: Any = (0, 0, 0)) -> Any:
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = position
    return tuple(map(tuple, matrix.tolist()))


unit = st.floats(-1, 1)
quaternions = st.tuples(unit, unit, unit, unit).filter(lambda numbers: np.linalg.norm(numbers) > 0.1)
positions = st.tuples(*[st.floats(-100, 100)] * 3)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    width, height = draw(st.integers(1, 8192)), draw(st.integers(1, 8192))
    focal = draw(st.floats(0.2, 20)) * max(width, height)
    return Camera(
        fx=focal,
        fy=focal * draw(st.floats(0.5, 2)),  # pixels that are not square
        cx=width * draw(st.floats(-1, 2)),  # shifted lenses
        cy=height * draw(st.floats(-1, 2)),
        width=width,
        height=height,
        world_from_camera=pose(rotation(draw(quaternions)), draw(positions)),
    )


@given(cameras(), unit, unit, st.floats(0.01, 1000))
def test_a_pixel_comes_back_from_the_world(camera: Camera, across: float, down: float, depth: float) -> None:
    pixel = np.array([across * camera.width, down * camera.height])
    back, distance = camera.project(camera.unproject(pixel, depth))
    assert np.allclose(back, pixel, atol=1e-6 * max(camera.width, camera.height) * max(1, 100 / depth))
    assert math.isclose(float(distance), depth, rel_tol=1e-9, abs_tol=1e-9)


@given(cameras(), st.tuples(unit, unit, st.floats(0.01, 100)))
def test_a_point_comes_back_from_the_picture(camera: Camera, ahead: tuple[float, float, float]) -> None:
    local = np.array([ahead[0], ahead[1], -ahead[2]])
    point = camera.matrix[:3, :3] @ local + camera.position
    pixel, depth = camera.project(point)
    assert math.isclose(float(depth), ahead[2], rel_tol=1e-9, abs_tol=1e-9)
    assert np.allclose(camera.unproject(pixel, depth), point, atol=1e-8)


@given(cameras(), st.floats(0, 1000))
def test_points_beside_or_behind_the_camera_have_no_pixel(camera: Camera, behind: float) -> None:
    direction = camera.matrix[:3, 2]
    pixel, depth = camera.project(camera.position + direction * behind)
    assert depth <= 1e-9
    assert depth > 0 or np.isnan(pixel).all()


@given(cameras(), st.integers(1, 5), st.integers(1, 5))
def test_arrays_of_any_shape_are_taken(camera: Camera, rows: int, columns: int) -> None:
    pixels = np.random.default_rng(0).uniform(0, 100, (rows, columns, 2))
    points = camera.unproject(pixels, np.full((rows, columns), 2.0))
    assert points.shape == (rows, columns, 3)
    back, depth = camera.project(points)
    assert back.shape == (rows, columns, 2) and depth.shape == (rows, columns)


def test_depth_is_planar_and_the_axes_are_blenders() -> None:
    camera = Camera(fx=100, fy=100, cx=50, cy=40, width=100, height=80, world_from_camera=pose(np.eye(3), (1, 2, 3)))
    assert np.allclose(camera.unproject([50, 40], 5), [1, 2, -2])  # -Z looks ahead
    assert np.allclose(camera.unproject([150, 40], 5), [6, 2, -2])  # right in the picture is +X
    assert np.allclose(camera.unproject([50, -60], 5), [1, 7, -2])  # up in the picture is +Y; still 5 ahead
    assert np.allclose(camera.directions([150, 40]), [1, 0, -1])


@given(quaternions, positions)
def test_every_rigid_pose_is_accepted_and_survives_json(quaternion: tuple[float, ...], position: Any) -> None:
    camera = Camera(fx=1, fy=1, cx=0, cy=0, width=1, height=1, world_from_camera=pose(rotation(quaternion), position))
    assert Camera.model_validate_json(camera.model_dump_json()) == camera


NAN = float("nan")


@pytest.mark.parametrize(
    "turn",
    [
        np.eye(3) * 1.01,
        np.diag([1, 1, -1]),
        np.diag([2, 1, 0.5]),
        np.array([[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]),
        np.zeros((3, 3)),
        np.diag([1, 1, NAN]),
        np.diag([1, 1, np.inf]),
        np.eye(3) * 1e200,
    ],
    ids=["scale", "mirror", "stretch", "shear", "zero", "NaN", "infinite", "overflow"],
)
def test_poses_that_are_not_rigid_are_refused(turn: np.ndarray) -> None:
    with pytest.raises(ValidationError):
        Camera(fx=1, fy=1, cx=0, cy=0, width=1, height=1, world_from_camera=pose(turn))


@pytest.mark.parametrize(
    "wrong",
    [
        {"fx": 0},
        {"fy": -1},
        {"fx": NAN},
        {"cx": float("inf")},
        {"cy": NAN},
        {"width": 0},
        {"height": 70000},
        {"width": 1.5},
        {"lens": "panoramic"},
        {"world_from_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]},
        {"world_from_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]},
        {"world_from_camera": [[1, 0, 0, NAN], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
    ],
    ids=str,
)
def test_cameras_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    good = default_camera(64, 48).model_dump()
    Camera.model_validate(good)
    with pytest.raises(ValidationError):
        Camera.model_validate(good | wrong)


@given(st.integers(1, 65536), st.integers(1, 65536))
def test_the_default_camera_stands_as_documented(width: int, height: int) -> None:
    camera = default_camera(width, height)
    assert np.allclose(camera.position, (0, 0, DEFAULT_HEIGHT))
    centre = camera.directions([width / 2, height / 2])
    assert np.allclose(centre, [0, math.cos(math.radians(12)), -math.sin(math.radians(12))])
    ends = [[0, height / 2], [width, height / 2]] if width >= height else [[width / 2, 0], [width / 2, height]]
    first, last = (camera.directions(end) / np.linalg.norm(camera.directions(end)) for end in ends)
    assert math.isclose(math.acos(float(first @ last)), DEFAULT_FIELD_OF_VIEW, rel_tol=1e-6)
    assert camera.directions([width, height / 2])[0] > 0  # the right of the picture is the world's +X
    assert camera.directions([width / 2, 0])[2] > camera.directions([width / 2, height])[2]  # its top is up
