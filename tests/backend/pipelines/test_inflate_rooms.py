"""Rooms of boxes that stand before each other: every prop is whole, fills its block-out and turns with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from scipy import ndimage

from backend.camera import Camera
from backend.geometry.silhouette import mask_iou, silhouette
from backend.pipelines.context import Context
from backend.pipelines.inflate import INFLATE, InflateParameters
from backend.pipelines.inflate.run import run
from backend.scene import Prop, Scene
from backend.shot import InstanceMap, OutlineLayer, Shot
from tests.backend.ray_caster import Solid, cast, look

Floats = NDArray[np.float64]

COLOURS = np.array(
    [
        *((220, 30, 30), (30, 200, 30), (40, 60, 230), (220, 210, 30)),
        *((210, 40, 210), (30, 210, 210), (240, 240, 240), (10, 10, 10)),
    ]
)
GROUND = (120, 120, 120)


def turned_box(chance: np.random.Generator, place: tuple[float, float, float]) -> Solid:
    """A box of any size and any turn."""
    yaw, tilt, roll = chance.uniform(-math.pi, math.pi, 3)
    return Solid("box", tuple(chance.uniform(0.4, 1.4, 3)), place, yaw, tilt, roll)


def room(seed: int, size: int = 320) -> tuple[list[Solid], Camera]:
    """Eight boxes, each seen and at least three of them hidden by a third or more."""
    chance = np.random.default_rng(seed)
    camera = look((0, -7.5, 2.6), math.radians(14), 0, 42, size)
    while True:
        solids = []
        for _ in range(8):
            box = turned_box(chance, (*chance.uniform((-1.8, -1.6), (1.8, 2.4)), chance.uniform(0.3, 0.9)))
            upright = replace(box, tilt=0.0, roll=0.0, centre=(*box.centre[:2], box.size[2] / 2))
            solids.append(upright if chance.random() < 0.6 else box)
        labels = cast(solids, camera)[0]
        alone = [int(np.count_nonzero(cast([solid], camera)[0])) for solid in solids]
        shares = np.bincount(labels.ravel(), minlength=9)[1:] / alone
        border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        if shares.min() > 0.03 and np.count_nonzero(shares < 0.66) >= 3 and not border.any():
            return solids, camera


def captured(solids: list[Solid], camera: Camera) -> Shot:
    """What the add-on sends: the picture with soft edges, what is seen, and the whole of each object in a layer."""
    labels, depth = cast(solids, camera)
    colours = np.vstack([GROUND, COLOURS])[labels]
    image = np.full((*labels.shape, 4), 255, np.uint8)
    image[..., :3] = ndimage.uniform_filter(colours.astype(float), (3, 3, 1)).round()
    outlines, boxes = {}, {}
    for number, solid in enumerate(solids, 1):
        alone, behind = cast([solid], camera)
        outlines[number] = OutlineLayer(alone * np.uint16(number), behind)
        boxes[number] = solid.world_from_box
    names = {number: f"Box {number}" for number in outlines}
    return Shot((image,), InstanceMap(labels, names), camera, depth=depth, boxes=boxes, outlines=outlines)


def inflated(shot: Shot) -> Scene:
    context = Context(INFLATE, seed=0, report=lambda said: None)
    return run(shot, InflateParameters(texture_size=64, resolution=128), context)


def overlap(prop: Prop, shot: Shot) -> float:
    """With the whole outline of its block-out."""
    covered = silhouette(prop.world_vertices(), prop.mesh.faces, shot.camera)
    return mask_iou(covered, shot.outlines[prop.instance].labels > 0)


@pytest.mark.parametrize("seed", range(8))
def test_what_stands_behind_is_whole(seed: int) -> None:
    solids, camera = room(seed)
    shot = captured(solids, camera)
    scene = inflated(shot)
    assert len(scene.props) == 8
    for prop, solid in zip(scene.props, solids, strict=True):
        assert overlap(prop, shot) >= 0.97, f"box {prop.instance}, of which {shot.seen(prop.instance):.0%} is seen"
        mesh = trimesh.Trimesh(prop.mesh.vertices, prop.mesh.faces, process=False)
        assert mesh.is_watertight and mesh.body_count == 1
        # No notch: as much as the box, and nowhere out of it.
        assert mesh.volume > 0.85 * np.prod(solid.size)
        local = (prop.world_vertices() - solid.centre) @ solid.turn
        assert (np.abs(local) < np.array(solid.size) / 2 + 0.03 * np.linalg.norm(solid.size)).all()
        assert prop.mesh.texture is not None
        away = np.abs(prop.mesh.texture.astype(int) - COLOURS[prop.instance - 1]).max(axis=2)
        assert np.mean(away > 40) < 0.01, "the colours of what stands before it, or of the ground, are not on it"


def test_without_whole_outlines_it_is_as_large_as_what_is_seen() -> None:
    solids, camera = room(0)
    shot = captured(solids, camera)
    photograph = replace(shot, outlines={}, boxes={})
    props = inflated(photograph).props
    assert min(overlap(prop, shot) for prop in props) < 0.6
    for prop in props:
        covered = silhouette(prop.world_vertices(), prop.mesh.faces, camera)
        assert mask_iou(covered, shot.instances.mask(prop.instance)) > 0.9


@pytest.mark.parametrize("seed", range(8))
def test_a_prop_turns_with_its_block_out_and_is_as_large(seed: int) -> None:
    chance = np.random.default_rng(100 + seed)
    camera = look((0, -4, 1.8), math.radians(16), 0, 35, 320)
    solid = turned_box(chance, (0, 0, 0.7))
    if seed % 2:
        solid = replace(solid, tilt=0.0, roll=0.0)
    (prop,) = inflated(captured([solid], camera)).props
    turn = prop.world_from_prop[:3, :3].T @ solid.turn
    assert math.degrees(math.acos(min(1.0, (np.trace(turn) - 1) / 2))) < 0.1
    assert np.ptp(prop.mesh.vertices, axis=0) == pytest.approx(np.array(solid.size), rel=0.03)
    low, high = prop.mesh.vertices.min(axis=0), prop.mesh.vertices.max(axis=0)
    down = int(np.argmax(np.abs(solid.turn[2])))
    foot = np.where(np.arange(3) == down, low if solid.turn[2, down] > 0 else high, (low + high) / 2)
    assert np.allclose(foot, 0, atol=1e-9), "the origin is the middle of the side it stands on"


def test_a_mirrored_block_out_gives_no_mirrored_prop() -> None:
    camera = look((0, -4, 1.8), math.radians(16), 0, 35, 320)
    solid = Solid("box", (1.0, 0.6, 0.8), (0, 0, 0.4), 0.5)
    shot = captured([solid], camera)
    mirrored = solid.world_from_box @ np.diag([1.0, -1.0, 1.0, 1.0])
    (prop,) = inflated(replace(shot, boxes={1: mirrored})).props
    assert np.linalg.det(prop.world_from_prop[:3, :3]) == pytest.approx(1)
    assert np.ptp(prop.mesh.vertices, axis=0) == pytest.approx(np.array(solid.size), rel=0.03)


def test_thickness_is_still_the_artists_where_the_box_is_known() -> None:
    camera = look((0, -4, 1.8), math.radians(16), 0, 35, 320)
    shot = captured([Solid("box", (1.0, 0.6, 0.8), (0, 0, 0.4), 0.5)], camera)
    context = Context(INFLATE, seed=0, report=lambda said: None)
    volumes = []
    for thickness in (0.3, 1.0):
        (prop,) = run(shot, InflateParameters(texture_size=64, thickness=thickness), context).props
        volumes.append(trimesh.Trimesh(prop.mesh.vertices, prop.mesh.faces, process=False).volume)
    assert volumes[0] < 0.5 * volumes[1]
