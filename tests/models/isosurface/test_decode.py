"""Coarse-to-fine decoding: the dense result for a fraction of the queries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from torch import Tensor

from models.isosurface import Bounds, EmptySurface, Field, FieldError, decode, extract, locate
from models.isosurface.coarse_to_fine import coarse_stride
from tests.models.isosurface.fields import CHAIR, CUBE, Counted, ball, box, dense, dense_triangles, shapes, union


def assert_like_dense(field: Field, bounds: Bounds, resolution: int, coarse: int) -> int:
    """Same sign everywhere, same triangles in the same order. Returns the number of queries."""
    volume = dense(field, bounds, resolution)
    counted = Counted(field)
    grid = decode(counted, bounds, resolution, coarse=coarse)
    assert sum(counted.calls) == grid.queries
    np.testing.assert_array_equal(grid.dense().numpy() > 0, volume > 0)
    if volume.min() > 0 or volume.max() <= 0:
        with pytest.raises(EmptySurface):
            extract(grid)
        return grid.queries
    vertices, faces = dense_triangles(volume, bounds)
    mesh = extract(grid)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
    return grid.queries


@pytest.mark.parametrize("name", shapes(129))
def test_the_triangles_are_those_of_the_dense_evaluation(name: str) -> None:
    queries = assert_like_dense(shapes(129)[name], CUBE, 129, coarse=33)
    assert queries * 8 <= 129**3


def test_at_full_resolution_with_the_default_settings() -> None:
    field = shapes(257)["plate thinner than a coarse cell"]
    grid = decode(field, CUBE, 257)
    assert grid.queries * 8 <= 257**3
    vertices, faces = dense_triangles(dense(field, CUBE, 257), CUBE)
    mesh = extract(grid)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)


@pytest.mark.parametrize("name", ["torus", "chair of boxes"])
def test_full_resolution_takes_an_eighth_of_the_queries(name: str) -> None:
    assert decode(shapes(257)[name], CUBE, 257).queries * 8 <= 257**3


@pytest.mark.parametrize("scale", [1e-3, 100.0])
def test_a_scaled_field_takes_the_same_queries(scale: float) -> None:
    queries = [decode(field, CUBE, 65, coarse=17).queries for field in (CHAIR, lambda points: CHAIR(points) * scale)]
    assert abs(queries[1] - queries[0]) <= 0.01 * queries[0]


@pytest.mark.parametrize("width", [0.5, 0.12, 0.04])
@pytest.mark.parametrize("name", ["chair of boxes", "turned plate", "pole three cells thick"])
def test_a_field_that_flattens_out_loses_no_surface(name: str, width: float) -> None:
    """The coarse cell is 0.125: at a width of 0.04 the field is flat a third of a cell from the surface."""
    exact = shapes(65)[name]
    assert_like_dense(lambda points: torch.tanh(exact(points) / width), CUBE, 65, coarse=17)


def _crossed(volume: np.ndarray) -> np.ndarray:
    """Which cells the surface passes."""
    outside = np.lib.stride_tricks.sliding_window_view(volume > 0, (2, 2, 2))
    return outside.any((3, 4, 5)) & ~outside.all((3, 4, 5))


@pytest.mark.parametrize(("neck", "place", "radius"), [(0.02, 0.19, 0.06), (0.012, 0.11, 0.11)])
def test_a_pocket_at_the_end_of_a_thin_neck_is_found_whole(neck: float, place: float, radius: float) -> None:
    """An occupancy field, whose values tell nothing about distance. The pocket hides within one coarse cell (0.25).
    In the first case only the surface of the neck leads to it; in the second only its surface tells it is solid."""
    exact = union(
        box((0.0, 0.0, -0.8), (0.6, 0.6, 0.15)),
        box((place, place, -0.1), (neck, neck, 0.65)),
        ball((place, place, 0.625), radius),
    )
    assert_like_dense(lambda points: torch.where(exact(points) > 0, 1.0, -1.0), CUBE, 129, coarse=9)


@pytest.mark.parametrize("width", [0.01, 1e-6])
def test_every_piece_is_there_completely_or_not_at_all(width: float) -> None:
    """A spiral wire far thinner than a coarse cell, which a field flat from 0.01 on shows here and there only."""

    def wire(points: Tensor) -> Tensor:
        x, y, z = points.unbind(1)
        across = torch.stack([x - 0.6 * torch.cos(6 * z), y - 0.6 * torch.sin(6 * z)], dim=1).norm(dim=1) - 0.04
        return torch.maximum(across, z.abs() - 0.8)

    exact = union(wire, ball((0.0, 0.0, -0.5), 0.012), ball((-0.1, 0.07, 0.31), 0.035))
    field: Field = lambda points: (exact(points) / width).clamp(-1, 1)  # noqa: E731
    there, sparse = _crossed(dense(field, CUBE, 129)), _crossed(decode(field, CUBE, 129, coarse=17).dense().numpy())
    assert sparse.any()
    assert not (sparse & ~there).any(), "no triangle is made up"
    pieces, count = label(there)
    assert count > 1
    for piece in range(1, count + 1):
        found = sparse[pieces == piece]
        assert found.all() or not found.any()


def test_steepness_may_differ_from_place_to_place() -> None:
    """A thin steep plate beside a large body whose values rise five times slower."""
    body, plate = ball((-0.3, 0, 0), 0.5), box((0.7, 0.0, 0.0), (0.011, 0.5, 0.4))
    assert_like_dense(lambda points: torch.minimum(0.2 * body(points), plate(points)), CUBE, 65, coarse=17)


def test_a_surface_that_leaves_the_box_and_a_box_that_is_no_cube() -> None:
    bounds = Bounds.of((-0.3, -0.8, -0.2), (0.9, 0.7, 0.25))
    assert_like_dense(ball((0.2, 0.0, 0.1), 0.5), bounds, 65, coarse=17)


@pytest.mark.parametrize(("resolution", "coarse"), [(2, 65), (10, 5), (24, 9), (41, 9), (65, 3), (97, 17), (65, 65)])
def test_any_resolution_and_coarseness(resolution: int, coarse: int) -> None:
    assert_like_dense(ball((0.1, 0.2, -0.1), 0.6), CUBE, resolution, coarse)


def test_every_point_is_asked_for_once_and_has_the_coordinates_of_the_dense_lattice() -> None:
    field = Counted(CHAIR)
    bounds = Bounds.of((-1.005, -0.95, -1.1), (1.005, 1.0, 0.97))
    grid = decode(field, bounds, 65, coarse=17, chunk=1000)
    points = torch.cat(field.points)
    assert points.dtype == torch.float32
    assert max(field.calls) <= 1000
    assert len(torch.unique(points, dim=0)) == len(points) == grid.queries
    for axis in range(3):
        plane = np.linspace(bounds.minimum[axis], bounds.maximum[axis], 65, dtype=np.float32)
        assert np.isin(points[:, axis].numpy(), plane).all()


def test_evaluated_values_are_the_dense_values() -> None:
    """Every cell that the surface passes has its own eight values, none filled in."""
    volume, sparse = dense(CHAIR, CUBE, 65), decode(CHAIR, CUBE, 65, coarse=17).dense().numpy()
    crossed = _crossed(volume)
    for corner in np.ndindex(2, 2, 2):
        shifted = tuple(slice(start, start + 64) for start in corner)
        np.testing.assert_array_equal(volume[shifted][crossed], sparse[shifted][crossed])


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    decode(CHAIR, CUBE, 65, coarse=17, chunk=3000, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 10


def test_an_exception_from_progress_ends_the_work() -> None:
    class Stopped(Exception):
        pass

    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Stopped

    field = Counted(CHAIR)
    with pytest.raises(Stopped):
        decode(field, CUBE, 65, coarse=17, chunk=1000, progress=stop)
    asked = sum(field.calls)
    assert 0 < asked < decode(CHAIR, CUBE, 65, coarse=17).queries


def test_a_field_may_answer_in_half_precision_and_with_a_last_axis() -> None:
    exact = ball((0.0, 0.0, 0.0), 0.5)
    assert_like_dense(lambda points: exact(points).half().float(), CUBE, 33, coarse=9)
    grid = decode(lambda points: exact(points).half()[:, None], CUBE, 33, coarse=9)
    assert grid.values.dtype == torch.float32


@pytest.mark.parametrize(
    "field",
    [
        lambda points: points[:-1, 0],
        lambda points: points,
        lambda points: points[:, 0] / 0.0,
        lambda points: points[:, 0] * float("nan"),
    ],
)
def test_a_field_that_gives_no_finite_number_per_point_is_refused(field: Field) -> None:
    with pytest.raises(FieldError):
        decode(field, CUBE, 17, coarse=5)


@pytest.mark.parametrize(
    "wrong",
    [{"resolution": 1}, {"resolution": 514}, {"coarse": 1}, {"margin": 0.5}, {"margin": float("nan")}, {"chunk": 0}],
)
def test_a_parameter_out_of_range_is_refused_before_the_field_is_asked(wrong: dict[str, float]) -> None:
    field = Counted(CHAIR)
    with pytest.raises(ValueError):
        decode(field, CUBE, **({"resolution": 17} | wrong))
    assert not field.calls


def test_the_coarse_lattice_is_as_coarse_as_it_may_be() -> None:
    expected = {513: 8, 385: 4, 384: 4, 257: 4, 256: 4, 200: 2, 129: 2, 128: 2, 127: 1, 65: 1, 2: 1}
    assert {resolution: coarse_stride(resolution, 65) for resolution in expected} == expected
    assert coarse_stride(257, 33) == 8 and coarse_stride(2, 2) == 1


@pytest.mark.parametrize("resolution", [96, 100, 126])
@pytest.mark.parametrize("name", ["two blobs", "chair of boxes", "plate thinner than a coarse cell"])
def test_lattices_that_cannot_be_halved_take_few_queries_too(name: str, resolution: int) -> None:
    queries = assert_like_dense(shapes(129)[name], CUBE, resolution, coarse=17)
    assert queries * 5 <= resolution**3


def test_a_surface_that_leaves_the_box_ends_at_the_wall_of_an_uneven_lattice() -> None:
    assert_like_dense(ball((0.7, 0.6, 0.5), 0.6), CUBE, 60, coarse=9)
    found, _ = locate(ball((0.7, 0.6, 0.5), 0.6), CUBE, 60, coarse=9, pad=0.0)
    np.testing.assert_allclose(found.maximum, 1.0, atol=1e-6)


def _blobs(seed: int, count: int, smallest: float) -> Field:
    """A smooth field that is no distance: a level of a sum of bumps of different widths and heights."""
    random = np.random.default_rng(seed)
    centres = torch.tensor(random.uniform(-0.8, 0.8, (count, 3)), dtype=torch.float32)
    widths = torch.tensor(random.uniform(smallest, 0.4, count), dtype=torch.float32)
    heights = torch.tensor(random.uniform(0.5, 2.0, count), dtype=torch.float32)

    def field(points: Tensor) -> Tensor:
        squares = (points[:, None] - centres).square().sum(2)
        return 0.4 - (heights * torch.exp(-squares / (2 * widths**2))).sum(1)

    return field


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 6))
def test_random_sums_of_bumps_are_decoded_as_densely(seed: int, count: int) -> None:
    """Bumps no narrower than a coarse cell (0.125)."""
    assert_like_dense(_blobs(seed, count, 0.125), CUBE, 65, coarse=17)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 6))
def test_random_unions_of_boxes_and_balls_are_decoded_as_densely(seed: int, count: int) -> None:
    """Down to a tenth of a coarse cell (0.125) thick, and scattered."""
    random = np.random.default_rng(seed)
    parts: list[Field] = []
    for _ in range(count):
        x, y, z = random.uniform(-0.8, 0.8, 3).tolist()
        if random.uniform() < 0.7:
            a, b, c = np.exp(random.uniform(np.log(0.00625), np.log(0.5), 3)).tolist()
            parts.append(box((x, y, z), (a, b, c), turned=float(random.uniform(0, 1.5))))
        else:
            parts.append(ball((x, y, z), float(np.exp(random.uniform(np.log(0.02), np.log(0.5))))))
    assert_like_dense(union(*parts), CUBE, 65, coarse=17)
