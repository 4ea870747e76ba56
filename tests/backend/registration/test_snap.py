"""Props fitted into their block-outs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.registration import Box, register, snap_to_bounds, snap_to_ground
from backend.registration.pose import upright
from backend.registration.props import stand_all
from bench.generated_scenes import make_case

Floats = NDArray[np.float64]


def moved(points: Floats, matrix: Floats) -> Floats:
    result: Floats = points @ matrix[:3, :3].T + matrix[:3, 3]
    return result


def box_at(size: tuple[float, float, float], at: tuple[float, float, float], turn: Floats | None = None) -> Box:
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if turn is None else turn
    matrix[:3, 3] = at
    return Box(matrix, np.array(size))


CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-0.5, 0.5) for z in (0.0, 3.0)])


def test_a_uniform_snap_fills_one_axis_and_stands_in_the_middle() -> None:
    box = box_at((1.0, 1.0, 1.0), (5.0, 6.0, 0.7))
    snapped = moved(CORNERS, snap_to_bounds(CORNERS, box))
    assert np.allclose(np.ptp(snapped, axis=0), np.array([2, 1, 3]) / 3)
    assert np.allclose((snapped.min(axis=0) + snapped.max(axis=0))[:2] / 2, (5, 6))
    assert snapped[:, 2].min() == pytest.approx(0.2)


def test_a_snap_per_axis_fills_the_box() -> None:
    turn = upright(0.6)
    box = box_at((1.0, 2.0, 0.5), (5.0, 6.0, 0.7), turn)
    snapped = moved(CORNERS @ upright(1.7).T, snap_to_bounds(CORNERS @ upright(1.7).T, box, per_axis=True))
    local = (snapped - box.centre) @ turn
    assert np.allclose(local.min(axis=0), -box.size / 2) and np.allclose(local.max(axis=0), box.size / 2)


def test_a_box_that_lies_on_its_side_still_has_an_underside() -> None:
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]])  # the box's y is up
    for sign in (1.0, -1.0):
        lying = turn @ np.diag([1.0, sign, sign])
        box = box_at((4.0, 2.0, 4.0), (0.0, 0.0, 1.5), lying)
        snapped = moved(CORNERS, snap_to_bounds(CORNERS, box))
        assert snapped[:, 2].min() == pytest.approx(0.5), "the box reaches from 0.5 up to 2.5"
        assert box.height == pytest.approx(2.0)


def test_a_flat_thing_keeps_its_flatness() -> None:
    rug = CORNERS * (1, 1, 0)
    snapped = moved(rug, snap_to_bounds(rug, box_at((1.0, 1.0, 0.1), (0, 0, 0.05)), per_axis=True))
    assert np.allclose(np.ptp(snapped, axis=0), (1, 1, 0)) and np.allclose(snapped[:, 2], 0)


def test_the_snap_to_the_ground_only_lifts() -> None:
    sunk = CORNERS + np.array([1, 2, -5])
    assert np.allclose(moved(sunk, snap_to_ground(sunk)), CORNERS + np.array([1, 2, 0]))


@pytest.mark.parametrize("snap", ["none", "bounds", "axes"])
def test_props_stand_upright_on_their_origin(snap: str) -> None:
    case = make_case(9)
    found = register(case.meshes, case.instances, case.camera)
    boxes = {}
    for number, mesh in case.world.items():
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        boxes[number] = box_at(tuple(1.2 * (high - low)), tuple((low + high) / 2 + (0, 0, 0.1)))
    boxes.pop(min(boxes))  # one without a block-out
    names = {number: f"thing {number}" for number in case.meshes}
    props = stand_all(case.meshes, names, found, bounds=boxes, snap=snap, to_ground=True)  # type: ignore[arg-type]
    assert [prop.instance for prop in props] == sorted(case.meshes)
    for prop in props:
        low, high = prop.mesh.vertices.min(axis=0), prop.mesh.vertices.max(axis=0)
        assert np.allclose((low + high)[:2], 0) and low[2] == pytest.approx(0)
        box = boxes.get(prop.instance)
        axes = upright(math.radians(found.yaw)) if box is None else box.pose[:3, :3]
        assert np.allclose(prop.world_from_prop[:3, :3], axes)
        world = prop.world_vertices()
        assert world[:, 2].min() == pytest.approx(0, abs=1e-9)
        if snap == "none" or box is None:
            apart = np.abs(world - case.world[prop.instance].vertices).max()
            assert apart < 0.05
        else:
            extent = np.ptp(world, axis=0)
            within = extent <= box.size * (1 + 1e-9)
            assert within.all() and (snap == "bounds" or np.allclose(extent, box.size))
