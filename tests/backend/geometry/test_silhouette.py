"""The silhouette is what the definition says: the pixels whose centres the projected triangles contain."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.camera import Camera, default_camera
from backend.geometry.silhouette import mask_iou, silhouette

WIDTH, HEIGHT = 12, 9
TILTED = default_camera(WIDTH, HEIGHT)
quarter_pixels = st.tuples(st.integers(-16, 4 * WIDTH + 16), st.integers(-16, 4 * HEIGHT + 16))


def by_definition(triangles: list[list[tuple[int, int]]]) -> np.ndarray:
    """The pixels covered by triangles in quarter pixels, by exact arithmetic, one pixel at a time."""
    covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for corners in triangles:
        points = [(Fraction(x, 4), Fraction(y, 4)) for x, y in corners]
        edges = list(zip(points, points[1:] + points[:1], strict=True))
        if _side(points[0], points[1], points[2]) == 0:
            continue
        for row, column in np.ndindex(HEIGHT, WIDTH):
            centre = (column + Fraction(1, 2), row + Fraction(1, 2))
            sides = [_side(start, end, centre) for start, end in edges]
            covered[row, column] |= min(sides) >= 0 or max(sides) <= 0
    return covered


def _side(start: tuple, end: tuple, point: tuple) -> Fraction:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def scene_of(corners: list[tuple[int, int]], depths: list[float]) -> np.ndarray:
    """World points seen at quarter-pixel positions, at any depth."""
    return TILTED.unproject(np.array(corners) / 4, np.array(depths))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_covered_are_the_pixels_whose_centres_the_triangles_contain(data: st.DataObject) -> None:
    corners = data.draw(st.lists(quarter_pixels, min_size=3, max_size=8))
    depths = data.draw(st.lists(st.floats(0.1, 50), min_size=len(corners), max_size=len(corners)))
    index = st.integers(0, len(corners) - 1)
    faces = data.draw(st.lists(st.tuples(index, index, index), min_size=1, max_size=6))
    seen = silhouette(scene_of(corners, depths), np.array(faces), TILTED)
    np.testing.assert_array_equal(seen, by_definition([[corners[corner] for corner in face] for face in faces]))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_tessellated_square_has_no_cracks(seed: int) -> None:
    chance = np.random.default_rng(seed)
    camera = default_camera(64, 64)
    inner = chance.uniform(8, 56, (40, 2))
    inner[::2] = np.floor(inner[::2]) + 0.5  # corners exactly on pixel centres are where cracks open
    square = np.array([[8, 8], [56, 8], [56, 56], [8, 56]], dtype=float)
    points = np.concatenate([square, np.unique(inner, axis=0)])
    from scipy.spatial import Delaunay

    faces = Delaunay(points).simplices
    seen = silhouette(camera.unproject(points, chance.uniform(1, 9, len(points))), faces, camera)
    expected = np.zeros((64, 64), dtype=bool)
    expected[8:56, 8:56] = True
    np.testing.assert_array_equal(seen, expected)


def test_winding_does_not_matter() -> None:
    points = scene_of([(4, 4), (40, 8), (20, 30)], [1, 2, 3])
    front, back = (silhouette(points, np.array([face]), TILTED) for face in ((0, 1, 2), (0, 2, 1)))
    assert front.any()
    np.testing.assert_array_equal(front, back)


def test_a_huge_triangle_covers_the_whole_picture() -> None:
    points = scene_of([(-100000, -90000), (400000, -90000), (-100000, 900000)], [1, 1, 1])
    assert silhouette(points, np.array([[0, 1, 2]]), TILTED).all()


def test_what_stands_outside_the_picture_is_not_seen() -> None:
    corners = [(-40, 4), (-20, 30), (-8, 8), (100, 4), (80, 9), (90, 30), (10, -9), (30, -20), (20, -4)]
    assert not silhouette(scene_of(corners, [1] * 9), np.arange(9).reshape(3, 3), TILTED).any()


def test_what_stands_behind_the_camera_is_not_seen() -> None:
    behind = TILTED.unproject(np.array([[2, 2], [9, 3], [5, 7]]), np.array([-1.0, -2.0, -3.0]))
    assert not silhouette(behind, np.array([[0, 1, 2]]), TILTED).any()


def test_a_floor_that_reaches_behind_the_camera_is_seen_up_to_the_horizon() -> None:
    level = Camera(
        fx=50, fy=50, cx=32, cy=24, width=64, height=48,
        world_from_camera=((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 1), (0, 0, 0, 1)),
    )  # fmt: skip
    far = 1e7
    floor = np.array([[-far, -far, 0], [far, -far, 0], [far, far, 0], [-far, far, 0]])
    expected = np.zeros((48, 64), dtype=bool)
    expected[24:] = True
    for faces in ([[0, 1, 2], [0, 2, 3]], [[2, 1, 0], [3, 0, 2]], [[1, 2, 3], [3, 0, 1]]):
        np.testing.assert_array_equal(silhouette(floor, np.array(faces), level), expected)


def test_triangles_without_area_or_with_broken_corners_cover_nothing() -> None:
    points = scene_of([(4, 4), (12, 12), (20, 20), (30, 4)], [1, 1, 1, 1])
    assert not silhouette(points, np.array([[0, 0, 3], [2, 2, 2]]), TILTED).any()
    assert silhouette(points, np.array([[0, 2, 3]]), TILTED).any()
    points[3] = np.nan
    assert not silhouette(points, np.array([[0, 2, 3]]), TILTED).any()


def test_an_empty_mesh_covers_nothing() -> None:
    seen = silhouette(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), TILTED)
    assert seen.shape == (HEIGHT, WIDTH) and not seen.any()


def test_a_ball_looks_like_a_disc_and_takes_less_than_its_share_of_time() -> None:
    camera = default_camera(1024, 1024)
    ball = trimesh.creation.icosphere(subdivisions=5)
    distance = 4.0
    vertices = ball.vertices + camera.position + camera.matrix[:3, :3] @ (0, 0, -distance)
    faces = np.concatenate([ball.faces, ball.faces])[:30000]
    began = time.process_time()
    seen = silhouette(vertices, faces, camera)
    seconds = time.process_time() - began
    radius = camera.fx / np.sqrt(distance**2 - 1)
    rows, columns = np.mgrid[:1024, :1024] + 0.5
    disc = np.hypot(columns - 512, rows - 512) < radius
    assert mask_iou(seen, disc) > 0.997
    assert seconds < 1.0, f"30,000 triangles took {seconds:.2f} s; 0.05 s on an idle machine"


def test_mask_iou() -> None:
    left, right = np.zeros((2, 4), dtype=bool), np.zeros((2, 4), dtype=bool)
    assert mask_iou(left, right) == 1.0
    left[:, :3], right[:, 1:] = True, True
    assert mask_iou(left, right) == pytest.approx(4 / 8)
    assert mask_iou(left, left) == 1.0
    assert mask_iou(left, ~left) == 0.0
