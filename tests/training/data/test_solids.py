"""From a surface to what is inside it, closed or not."""

from __future__ import annotations

import numpy as np
import trimesh

from training.solids import solid, surface_cells


def ball(radius: float = 0.7) -> np.ndarray:
    return trimesh.creation.icosphere(4, radius).triangles


def centres(side: int) -> np.ndarray:
    return (2 * np.arange(side) + 1) / side - 1


def test_a_ball_is_full_and_its_cells_are_where_it_is() -> None:
    side = 48
    filled = solid(ball() + np.array([0.1, -0.2, 0.05]), side)
    x, y, z = np.meshgrid(*[centres(side)] * 3, indexing="ij")
    distance = np.sqrt((x - 0.1) ** 2 + (y + 0.2) ** 2 + (z - 0.05) ** 2)
    cell = 2 / side
    assert filled[distance < 0.7].all() and not filled[distance > 0.7 + cell].any()


def test_a_hole_seen_from_the_side_stays_open() -> None:
    ring = trimesh.creation.torus(0.6, 0.2).triangles
    filled = solid(ring, 40)
    assert not filled[20, 20].any(), "through its middle"
    upright = ring @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert not solid(upright, 40)[20, :, 20].any()


def test_a_box_without_a_floor_is_full_and_one_without_a_side_is_a_shell() -> None:
    box = trimesh.creation.box((1.2, 1.2, 1.2))
    down = box.face_normals[:, 2] < -0.5
    aside = box.face_normals[:, 0] > 0.5
    whole = solid(box.triangles, 32).sum()
    assert solid(box.triangles[~down], 32).sum() == whole
    assert solid(box.triangles[~aside], 32).sum() < whole / 2


def test_a_table_is_open_below_its_top() -> None:
    top = trimesh.creation.box((1.8, 1.8, 0.1)).triangles + np.array([0, 0, 0.5])
    legs = [
        trimesh.creation.box((0.1, 0.1, 1)).triangles + np.array([x, y, 0]) for x in (-0.8, 0.8) for y in (-0.8, 0.8)
    ]
    filled = solid(np.concatenate([top, *legs]), 40)
    assert filled[20, 20, 30] and not filled[20, 20, 5:25].any()


def test_large_and_small_triangles_leave_no_gaps() -> None:
    wall = np.array(
        [[[-1, 0.013, -1], [1, 0.013, -1], [-1, 0.013, 1]], [[1, 0.013, -1], [1, 0.013, 1], [-1, 0.013, 1]]]
    )
    cells = surface_cells(wall, 96)
    assert cells[:, 48].all() and cells.sum() == 96 * 96
    sliver = np.array([[[-1, -1, -1], [1, 1, 1], [1, 1, 0.9999]]])
    assert surface_cells(sliver, 64)[np.arange(64), np.arange(64)].any(1).all()
    assert not surface_cells(np.zeros((0, 3, 3)), 8).any() and not solid(np.zeros((0, 3, 3)), 8).any()
    assert surface_cells(np.ones((1, 3, 3)), 8).sum() == 1, "a point is in a cell, on the border too"


def test_many_triangles_are_sampled_in_parts(monkeypatch: object) -> None:
    import training.solids

    whole = surface_cells(ball(), 48)
    monkeypatch.setattr(training.solids, "AT_ONCE", 997)
    np.testing.assert_array_equal(surface_cells(ball(), 48), whole)
