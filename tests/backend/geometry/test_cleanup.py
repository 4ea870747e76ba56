"""Raw triangles of a field become a mesh to work with: closed, outwards, small, and still the same shape."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from backend.errors import Problem
from backend.geometry.cleanup import Cleaned, clean

Floats = NDArray[np.float64]
Field = Callable[[Floats, Floats, Floats], Floats]


def ball(centre: tuple[float, float, float], radius: float) -> Field:
    return lambda x, y, z: np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2) - radius


def box(centre: tuple[float, float, float], half: tuple[float, float, float]) -> Field:
    def distance(*point: Floats) -> Floats:
        beyond = np.stack([abs(point[axis] - centre[axis]) - half[axis] for axis in range(3)])
        return np.linalg.norm(beyond.clip(0), axis=0) + beyond.max(axis=0).clip(max=0)

    return distance


def union(*parts: Field) -> Field:
    return lambda x, y, z: np.minimum.reduce([part(x, y, z) for part in parts])


def without(whole: Field, hole: Field) -> Field:
    return lambda x, y, z: np.maximum(whole(x, y, z), -hole(x, y, z))


def torus(x: Floats, y: Floats, z: Floats) -> Floats:
    return np.hypot(np.hypot(x, y) - 0.6, z) - 0.25


LEGS = [box((x, y, -0.4), (0.05, 0.05, 0.4)) for x in (-0.45, 0.45) for y in (-0.45, 0.45)]
CHAIR = union(box((0, 0, 0), (0.5, 0.5, 0.05)), box((0, 0.45, 0.4), (0.5, 0.05, 0.42)), *LEGS)
PLATE = box((0, 0, 0), (0.8, 0.6, 0.03))
SHAPES = {"ball": ball((0, 0, 0), 0.8), "torus": torus, "chair": CHAIR, "plate": PLATE}


def march(field: Field, points: int = 129) -> tuple[Floats, NDArray[np.int32]]:
    """The zero set in the cube from -1 to 1, negative inside, facing outwards; open where it leaves the cube."""
    axis = np.linspace(-1, 1, points)
    vertices, faces, _, _ = marching_cubes(field(*np.meshgrid(axis, axis, axis, indexing="ij")), 0.0)
    return vertices.astype(float) * (2 / (points - 1)) - 1, faces


def solid(cleaned: Cleaned) -> trimesh.Trimesh:
    """The mesh, after it was seen that it is closed and turned outwards."""
    mesh = trimesh.Trimesh(cleaned.vertices, cleaned.faces, process=False)
    assert cleaned.watertight and mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    assert np.isin(np.arange(len(mesh.vertices)), mesh.faces).all()
    return mesh


def diagonal(vertices: Floats) -> float:
    return float(np.linalg.norm(np.ptp(vertices, axis=0)))


@pytest.mark.parametrize("target", [4000, 1000])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_stays_when_the_triangles_go(shape: str, target: int) -> None:
    vertices, faces = march(SHAPES[shape])
    mesh = solid(clean(vertices, faces, target_faces=target, smallest_piece=0.01))
    assert target * 0.9 <= len(mesh.faces) <= target
    whole = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.volume == pytest.approx(abs(whole.volume), rel=0.02)
    there, _ = cKDTree(trimesh.sample.sample_surface(mesh, 200_000, seed=1)[0]).query(vertices)
    back = np.abs(SHAPES[shape](*mesh.triangles_center.T))
    assert max(there.max(), back.max()) < 0.008 * diagonal(vertices)
    assert max(there.mean(), back.mean()) < 0.002 * diagonal(vertices)


def test_more_triangles_stay_where_fewer_would_cost_the_shape() -> None:
    vertices, faces = march(CHAIR)
    mesh = solid(clean(vertices, faces, target_faces=8, smallest_piece=0.01))
    assert 8 < len(mesh.faces) < 1000
    there, _ = cKDTree(trimesh.sample.sample_surface(mesh, 200_000, seed=1)[0]).query(vertices)
    assert there.max() < 0.03 * diagonal(vertices)


def test_a_budget_of_nothing_keeps_every_triangle() -> None:
    vertices, faces = march(torus, 65)
    cleaned = clean(vertices, faces, target_faces=0, smallest_piece=0.01)
    assert len(cleaned.faces) == len(faces) and cleaned.removed_pieces == 0
    np.testing.assert_allclose(np.sort(cleaned.vertices, axis=0), np.sort(vertices, axis=0))


def test_specks_go_and_a_lamp_shade_stays() -> None:
    shade = without(without(ball((0, 0, 0.4), 0.45), ball((0, 0, 0.4), 0.42)), box((0, 0, -0.5), (1, 1, 0.9)))
    foot = box((0, 0, -0.6), (0.4, 0.4, 0.3))
    specks = [ball((0.8 * x, 0.8 * y, 0.1), 0.03) for x in (-1, 1) for y in (-1, 1)]
    vertices, faces = march(union(foot, shade, *specks), 193)
    cleaned = clean(vertices, faces, target_faces=5000, smallest_piece=0.02)
    mesh = solid(cleaned)
    assert cleaned.removed_pieces == 4 and mesh.body_count == 2
    assert mesh.bounds[1][2] == pytest.approx(0.85, abs=0.01)
    volumes = sorted(part.volume for part in mesh.split())
    assert volumes[0] < 0.1 * volumes[1], "the shade must be thin for this test to mean anything"


def test_the_largest_piece_stays_whatever_is_asked() -> None:
    vertices, faces = march(union(ball((-0.5, 0, 0), 0.3), ball((0.5, 0, 0), 0.29)), 65)
    cleaned = clean(vertices, faces, target_faces=0, smallest_piece=1.0)
    assert cleaned.removed_pieces == 1
    assert solid(cleaned).bounds[1][0] < 0


def test_the_wall_of_a_hollow_goes_as_nobody_can_see_it() -> None:
    vertices, faces = march(without(ball((0, 0, 0), 0.8), ball((0, 0, 0), 0.6)), 65)
    cleaned = clean(vertices, faces, target_faces=0, smallest_piece=0.01)
    assert cleaned.removed_pieces == 1
    assert solid(cleaned).volume == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=0.01)


def test_what_is_inside_out_is_turned() -> None:
    vertices, faces = march(torus, 65)
    turned = clean(vertices, faces[:, ::-1], target_faces=0, smallest_piece=0.01)
    assert solid(turned).volume == pytest.approx(2 * np.pi**2 * 0.6 * 0.25**2, rel=0.02)


@pytest.mark.parametrize("target", [0, 2000])
def test_where_the_surface_leaves_the_box_it_is_closed_flat(target: int) -> None:
    posts = [box((side, 0, 0.5), (0.2, 0.3, 0.9)) for side in (-0.5, 0.5)]
    fork = union(*posts, box((0, 0, -0.3), (0.6, 0.3, 0.1)))
    gutter = without(box((0, 0, 0.5), (0.6, 0.5, 0.9)), box((0, 0.3, 0.5), (0.4, 0.5, 2)))
    for field, area in ((fork, 2 * 0.4 * 0.6), (gutter, 1.2 * 1.0 - 0.8 * 0.7)):
        vertices, faces = march(field)
        assert not trimesh.Trimesh(vertices, faces, process=False).is_watertight
        mesh = solid(clean(vertices, faces, target_faces=target, smallest_piece=0.01))
        assert mesh.bounds[1][2] == pytest.approx(1, abs=1e-3)
        lid = mesh.area_faces[mesh.triangles[..., 2].min(axis=1) > 0.999]
        assert lid.sum() == pytest.approx(area, rel=0.03)


def test_triangles_without_common_vertices_are_joined() -> None:
    vertices, faces = march(torus, 65)
    soup = vertices[faces].reshape(-1, 3)
    cleaned = clean(soup, np.arange(len(soup)).reshape(-1, 3), target_faces=0, smallest_piece=0.01)
    assert len(solid(cleaned).vertices) == len(vertices)


def test_boxes_that_touch_along_an_edge_become_two() -> None:
    one, other = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 1, 1))
    other.apply_translation((1, 1, 0))
    both = one + other
    cleaned = clean(both.vertices, both.faces, target_faces=0, smallest_piece=0.0)
    mesh = solid(cleaned)
    assert mesh.body_count == 2 and mesh.volume == pytest.approx(2, rel=0.05)
    stored = np.unique(mesh.vertices.astype(np.float32), axis=0)
    assert len(stored) == len(mesh.vertices), "what merges vertices by position must not join them again"


def test_the_same_input_gives_the_same_mesh() -> None:
    vertices, faces = march(CHAIR, 97)
    one, two = (clean(vertices, faces, target_faces=900, smallest_piece=0.01) for _ in range(2))
    assert one.vertices.tobytes() == two.vertices.tobytes() and one.faces.tobytes() == two.faces.tobytes()


def test_the_place_and_size_of_a_thing_do_not_matter() -> None:
    vertices, faces = march(torus, 65)
    near = solid(clean(vertices, faces, target_faces=800, smallest_piece=0.01))
    far = solid(clean(vertices * 1e-3 + 50, faces, target_faces=800, smallest_piece=0.01))
    assert len(far.faces) == len(near.faces) and far.volume == pytest.approx(near.volume * 1e-9, rel=1e-3)


@given(
    st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=3, max_size=8),
    st.lists(st.tuples(*[st.integers(0, 7)] * 3), min_size=1, max_size=12),
    st.sampled_from([0, 4]),
)
@settings(max_examples=60, deadline=None)
def test_no_triangles_whatever_come_back_empty_or_open(places: list, corners: list, target: int) -> None:
    vertices = np.array(places, dtype=float)
    faces = np.array(corners) % len(vertices)
    try:
        cleaned = clean(vertices, faces, target_faces=target, smallest_piece=0.01)
    except Problem as problem:
        assert problem.code == "geometry-failed"
        return
    assert len(cleaned.faces) and np.isfinite(cleaned.vertices).all()
    assert cleaned.watertight == trimesh.Trimesh(cleaned.vertices, cleaned.faces, process=False).is_watertight
    assert cleaned.watertight


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_vertex_takes_only_its_triangles(broken: float) -> None:
    vertices, faces = march(ball((0, 0, 0), 0.8), 65)
    vertices[100] = broken
    mesh = solid(clean(vertices, faces, target_faces=0, smallest_piece=0.01))
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=0.01)


@pytest.mark.parametrize("faces", [np.empty((0, 3), dtype=int), np.array([[0, 0, 1], [2, 1, 1]])])
def test_what_is_no_surface_is_refused(faces: NDArray[np.int64]) -> None:
    with pytest.raises(Problem) as caught:
        clean(np.eye(3), faces, target_faces=0, smallest_piece=0.01)
    assert caught.value.code == "geometry-failed"


def test_a_quarter_million_triangles_take_seconds() -> None:
    vertices, faces = march(torus, 257)
    assert len(faces) > 250_000
    began = time.process_time()
    solid(clean(vertices, faces, target_faces=20_000, smallest_piece=0.01))
    assert time.process_time() - began < 6
