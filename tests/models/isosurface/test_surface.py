"""From a field to a mesh: boxes, scale, slabs, empty fields, the reference's way."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import trimesh

from models.isosurface import Bounds, EmptySurface, decode, extract, locate, surface
from tests.models.isosurface.fields import CHAIR, CUBE, ball, box, dense, signed_volume, union

FRAME = Bounds.of(-1.005, 1.005)


def test_a_ball_has_its_size_and_place_and_faces_outwards() -> None:
    mesh = surface(ball((0.3, -0.2, 0.1), 0.25), FRAME, 65, coarse=17)
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    distances = np.linalg.norm(mesh.vertices - np.array([0.3, -0.2, 0.1]), axis=1)
    assert abs(distances - 0.25).max() < 2e-4
    assert signed_volume(mesh.vertices, mesh.faces) == pytest.approx(4 / 3 * np.pi * 0.25**3, rel=5e-3)
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).is_watertight


def test_the_second_pass_spends_the_resolution_on_the_object() -> None:
    field = ball((0.3, -0.2, 0.1), 0.1)
    one, two = (surface(field, FRAME, 65, passes=passes, coarse=17) for passes in (1, 2))
    assert one.bounds == FRAME
    assert (two.bounds.size < 0.4).all()
    assert len(two.faces) > 20 * len(one.faces)
    assert one.queries < two.queries


def test_located_box_holds_parts_that_no_lattice_point_hits() -> None:
    """The antenna is a third of a lattice cell thick and lies between the lattice points; it reaches up to 0.9."""
    cell = 2.0 / 64
    field = union(ball((0, 0, -0.4), 0.4), box((0.5 * cell, 0.5 * cell, 0.4), (cell / 6, cell / 6, 0.5)))
    volume = dense(field, CUBE, 65)
    assert np.argwhere(volume <= 0)[:, 2].max() * cell - 1 < 0.1, "the antenna is not to be seen on the lattice"
    bounds, _ = locate(field, CUBE, 65, coarse=17)
    assert bounds.maximum[2] >= 0.9
    mesh = surface(field, CUBE, 129, coarse=33)
    assert mesh.vertices[:, 2].max() == pytest.approx(0.9, abs=0.01)


def test_a_mesh_joined_from_slabs_is_the_mesh_made_at_once() -> None:
    grid = decode(CHAIR, CUBE, 65, coarse=17)
    whole, slabs = extract(grid), extract(grid, slab_points=1)
    np.testing.assert_allclose(slabs.vertices, whole.vertices, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(slabs.faces, whole.faces)


def test_slabs_join_where_the_surface_passes_exactly_through_lattice_points() -> None:
    """There several vertices lie at one place; which of them a triangle of the next slab takes does not matter."""
    grid = decode(ball((0.0, 0.0, 0.0), 0.75), CUBE, 65, coarse=17)
    assert (grid.dense() == 0).any()
    whole, slabs = extract(grid), extract(grid, slab_points=1)
    np.testing.assert_allclose(slabs.vertices[slabs.faces], whole.vertices[whole.faces], rtol=0, atol=1e-6)
    merged = trimesh.Trimesh(slabs.vertices, slabs.faces)
    merged.update_faces(merged.nondegenerate_faces())
    assert merged.is_watertight


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("reference", [False, True])
def test_a_field_without_inside_is_told_apart_by_type(passes: int, reference: bool) -> None:
    with pytest.raises(EmptySurface) as told:
        surface(lambda p: p.norm(dim=1) + 1, CUBE, 33, passes=passes, coarse=9, reference=reference)
    assert told.value.inside is False


@pytest.mark.parametrize("passes", [1, 2])
def test_a_field_without_outside_has_no_surface_either(passes: int) -> None:
    with pytest.raises(EmptySurface) as told:
        surface(lambda points: points.norm(dim=1) - 5, CUBE, 33, passes=passes, coarse=9)
    assert told.value.inside is True
    assert pickle.loads(pickle.dumps(told.value)).inside is True


def test_progress_of_both_passes_rises_to_one() -> None:
    for reference in (False, True):
        told: list[float] = []
        field = ball((0.0, 0.0, 0.0), 0.5)
        surface(field, FRAME, 33, coarse=9, chunk=2000, progress=told.append, reference=reference)
        assert told == sorted(told)
        assert told[-1] == 1.0


def test_one_or_two_passes() -> None:
    with pytest.raises(ValueError, match="passes"):
        surface(CHAIR, CUBE, 17, passes=3)


@pytest.mark.parametrize("corners", [(1.0, -1.0), ((0, 0, 0), (1, 0, 1)), (float("nan"), 1.0), (0.0, float("inf"))])
def test_bounds_are_a_box(corners: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="Not a box"):
        Bounds.of(*corners)


def test_the_reference_is_smaller_by_the_ratio_of_cells_to_points() -> None:
    field = ball((0.0, 0.0, 0.0), 0.6)
    ours = surface(field, FRAME, 33, passes=1, coarse=33)
    theirs = surface(field, FRAME, 33, passes=1, reference=True)
    ratio = np.ptp(theirs.vertices, axis=0) / np.ptp(ours.vertices, axis=0)
    np.testing.assert_allclose(ratio, 32 / 33, atol=0.01)
    assert theirs.queries == 33**3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_device_gives_the_same_triangles() -> None:
    def field(points: torch.Tensor) -> torch.Tensor:
        return points.square().sum(1) - 0.25

    here = surface(field, CUBE, 65, coarse=17)
    there = surface(field, CUBE, 65, coarse=17, device=torch.device("cuda"))
    np.testing.assert_array_equal(here.faces, there.faces)
    np.testing.assert_allclose(here.vertices, there.vertices, atol=1e-6)
