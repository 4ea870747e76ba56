"""The prop stands upright where the photo shows it, its front towards the camera, in metres."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.camera import Camera, default_camera  # noqa: E402
from backend.contract import Photo  # noqa: E402
from backend.geometry.silhouette import mask_iou, silhouette  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.ending import placed_alone  # noqa: E402
from backend.pipelines.facing import facing  # noqa: E402
from backend.pipelines.instantmesh import INSTANTMESH, InstantMeshParameters  # noqa: E402
from backend.scene import Mesh, Prop  # noqa: E402
from backend.shot import InstanceMap, OutlineLayer, Shot  # noqa: E402
from tests.backend.instantmesh_shots import PLAIN, Kept, made, warnings  # noqa: E402
from tests.backend.ray_caster import Solid, cast, look  # noqa: E402

pytestmark = pytest.mark.usefixtures("instantmesh_models")


def ball(size: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Mesh:
    """An ellipsoid about the origin, in the units of the reconstruction."""
    import trimesh

    sphere = trimesh.creation.icosphere(3, radius=0.5)
    return Mesh(np.array(sphere.vertices) * size, np.array(sphere.faces))


def seen(solid: Solid, camera: Camera, *, depth: bool = False, box: bool = False) -> Shot:
    """A block-out as the camera sees it."""
    labels, distances = cast([solid], camera)
    picture = np.full((*labels.shape, 4), 255, np.uint8)
    matrix = np.eye(4)
    matrix[:3, :3] = solid.turn * solid.size
    matrix[:3, 3] = solid.centre
    return Shot(
        (picture,),
        InstanceMap(labels, {1: "Globe"}),
        camera,
        depth=distances if depth else None,
        boxes={1: matrix} if box else {},
    )


def placed(shot: Shot, mesh: Mesh | None = None, **parameters: Any) -> Prop:
    chosen = InstantMeshParameters.model_validate(parameters)
    return placed_alone(
        1,
        mesh or ball(),
        shot,
        Context(INSTANTMESH, 1, lambda said: None),
        yaw=facing(shot.camera, shot.whole_mask(1)),
        snap=chosen.snap,
        to_ground=chosen.to_ground,
        size=chosen.size,
    )


def front_of(prop: Prop) -> np.ndarray:
    return prop.world_from_prop[:3, :3] @ [0.0, -1.0, 0.0]


def around(azimuth: float, elevation: float, distance: float = 4.0, height: float = 0.5) -> Camera:
    """A camera on a sphere about (0, 0, height) that looks at its middle; azimuth 0 is on -y."""
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    flat = distance * math.cos(tilt)
    position = (flat * math.sin(turn), -flat * math.cos(turn), height + distance * math.sin(tilt))
    return look(position, tilt, turn, 50, 200)


@pytest.mark.parametrize("azimuth", [0, 75, 200, 301])
@pytest.mark.parametrize("elevation", [-8, 15, 55])
def test_it_is_upright_and_looks_at_the_camera(azimuth: float, elevation: float) -> None:
    camera = around(azimuth, elevation)
    prop = placed(seen(Solid("sphere", (1, 1, 1), (0, 0, 0.5)), camera))
    assert prop.world_from_prop[:3, :3] @ [0, 0, 1] == pytest.approx([0, 0, 1])
    middle = prop.world_from_prop[:3, 3]
    towards = (camera.position - middle)[:2]
    assert front_of(prop)[:2] @ towards / np.linalg.norm(towards) > math.cos(math.radians(1))


@pytest.mark.parametrize("side", [-1.2, 1.2])
def test_beside_the_middle_of_the_picture_it_looks_at_the_camera_still(side: float) -> None:
    camera = look((0, -4, 1.2), math.radians(10), 0, 35, 240)
    prop = placed(seen(Solid("sphere", (0.8, 0.8, 0.8), (side, 0, 0.4)), camera))
    towards = camera.position - [side, 0, 0.4]
    expected = math.degrees(math.atan2(towards[0], -towards[1]))
    assert abs(expected) > 15
    yaw = math.degrees(math.atan2(front_of(prop)[0], -front_of(prop)[1]))
    assert yaw == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("azimuth", [0, 130, 250])
def test_from_straight_above_and_below_it_looks_where_it_would_a_little_aside(azimuth: float) -> None:
    """Tilting the camera on by a few degrees, up to the vertical, does not turn the prop."""
    mask = np.zeros((200, 200), bool)
    mask[99:101, 99:101] = True
    for sign in (1, -1):
        near, straight = (facing(around(azimuth, sign * elevation), mask) for elevation in (80, 90))
        assert near == pytest.approx(math.remainder(azimuth, 360), abs=1e-3)
        assert math.remainder(straight - near, 360) == pytest.approx(0, abs=1), "above" if sign > 0 else "below"


@pytest.mark.parametrize("size", [0.05, 1.7, 300.0])
def test_the_size_that_is_asked_for_is_the_longest_side_exactly(size: float) -> None:
    shot = seen(Solid("sphere", (1, 1, 1), (0, 0, 0.5)), around(30, 12), depth=True)
    free, prop = placed(shot, ball((0.4, 0.7, 0.5))), placed(shot, ball((0.4, 0.7, 0.5)), size=size)
    assert np.ptp(prop.mesh.vertices, axis=0) == pytest.approx(np.array([0.4, 0.7, 0.5]) / 0.7 * size)
    assert (prop.placement, free.placement) == ("size", "depth")
    assert np.allclose(prop.world_from_prop, free.world_from_prop), "its foot stays where it stands"
    assert prop.mesh.vertices[:, 2].min() == pytest.approx(0)


@pytest.mark.parametrize("diameter", [0.3, 1.0, 2.2])
@pytest.mark.parametrize("known", [{"depth": True, "box": True}, {"depth": True}, {"box": True}])
def test_in_a_block_out_it_is_as_large_as_that(diameter: float, known: dict[str, bool]) -> None:
    solid = Solid("sphere", (diameter,) * 3, (0.3, 0.4, diameter / 2), yaw=0.4)
    shot = seen(solid, around(40, 14, 4 * diameter, diameter / 2), **known)
    prop = placed(shot)
    world = prop.world_vertices()
    assert np.ptp(world, axis=0) == pytest.approx([diameter] * 3, rel=0.04)
    middle = (world.min(axis=0) + world.max(axis=0)) / 2
    assert np.linalg.norm(middle - solid.centre) < 0.05 * diameter
    assert prop.quality["mask_iou"] > 0.95


def test_in_a_block_out_in_the_air_the_box_tells_the_size() -> None:
    solid = Solid("sphere", (0.6, 0.6, 0.6), (0, 0, 2.0))
    shot = seen(solid, look((0, -2.5, 1.8), 0.0, 0.0, 35, 240), box=True, depth=True)
    prop = placed(shot)
    assert np.ptp(prop.world_vertices(), axis=0) == pytest.approx([0.6] * 3, rel=0.05)
    assert prop.world_from_prop[:3, 3] == pytest.approx([0, 0, 1.7], abs=0.05)


def test_it_is_fitted_into_the_box_where_that_is_asked_for() -> None:
    solid = Solid("box", (1.0, 0.5, 0.8), (0, 0, 0.4))
    shot = seen(solid, around(0, 15), depth=True, box=True)
    stretched = placed(shot, snap="axes").world_vertices()
    assert np.ptp(stretched, axis=0) == pytest.approx([1.0, 0.5, 0.8], rel=0.02)
    scaled = placed(shot, snap="bounds").world_vertices()
    assert np.ptp(scaled, axis=0).max() <= 1.01
    assert np.ptp(scaled, axis=0) == pytest.approx([np.ptp(scaled[:, 0])] * 3, rel=0.01), "a ball stays one"


def test_every_object_of_a_picture_becomes_a_prop_in_its_place(views: Kept) -> None:
    solids = [Solid("sphere", (0.7, 0.7, 0.7), (x, y, 0.35)) for x, y in ((-0.8, 0.0), (0.7, 0.5))]
    camera = look((0, -4, 1.5), math.radians(15), 0, 35, 240)
    labels, depth = cast(solids, camera)
    picture = np.full((240, 240, 4), 255, np.uint8)
    for number, colour in enumerate(((200, 60, 40), (40, 60, 200)), 1):
        picture[labels == number, :3] = colour
    ids = np.array([0, 4, 9], np.uint16)[labels]
    shot = Shot((picture,), InstanceMap(ids, {4: "red", 9: "blue"}), camera, depth=depth, photos=(Photo(),))
    kept: Kept = {}
    scene, said = made(shot, PLAIN, kept=kept)
    assert [(prop.instance, prop.name) for prop in scene.props] == [(4, "red"), (9, "blue")]
    assert {code for code, _ in warnings(said)} == {"instance-small"}, "nothing is said of each other's meshes"
    for prop, solid in zip(scene.props, solids, strict=True):
        world = prop.world_vertices()
        middle = (world.min(axis=0) + world.max(axis=0)) / 2
        assert np.linalg.norm(middle - solid.centre) < 0.1 * 0.7
        assert mask_iou(silhouette(world, prop.mesh.faces, camera), ids == prop.instance) > 0.85
    assert {"sheet-4.png", "sheet-9.png"} <= kept.keys()
    assert kept["sheet-4.png"] != kept["sheet-9.png"]


def test_without_a_camera_it_stands_on_the_ground_before_the_assumed_one() -> None:
    camera = default_camera(200, 200)
    shot = replace(seen(Solid("sphere", (0.6, 0.6, 0.6), (0.2, 5, 0.3)), camera), camera_source="default")
    prop = placed(shot)
    assert prop.placement == "ground"
    assert prop.world_from_prop[2, 3] == pytest.approx(0, abs=0.02)
    assert np.ptp(prop.world_vertices(), axis=0) == pytest.approx([0.6] * 3, rel=0.05)


def test_what_stands_behind_is_as_large_as_its_whole_outline() -> None:
    """Most of a globe is hidden by a wall; as seen it could be larger or smaller."""
    camera = look((0, -4, 1.2), math.radians(10), 0, 35, 240)
    globe, wall = Solid("sphere", (0.8, 0.8, 0.8), (0, 0, 0.4)), Solid("box", (1.4, 0.1, 2), (0.5, -1, 1))
    labels, depth = cast([globe, wall], camera)
    alone, behind = cast([globe], camera)
    picture = np.full((*labels.shape, 4), 255, np.uint8)
    shot = Shot((picture,), InstanceMap(labels, {1: "Globe", 2: "Wall"}), camera, depth=depth)
    whole = replace(shot, outlines={1: OutlineLayer(alone, behind)})
    assert whole.seen(1) == pytest.approx(0.106, abs=0.01)
    prop = placed(whole)
    assert mask_iou(silhouette(prop.world_vertices(), prop.mesh.faces, camera), alone > 0) > 0.97
    assert np.allclose(np.ptp(prop.world_vertices(), axis=0), 0.8, rtol=0.03)
    prop = placed(shot)
    assert mask_iou(silhouette(prop.world_vertices(), prop.mesh.faces, camera), alone > 0) < 0.9


@pytest.mark.parametrize("turn", [(0.0, 0.0), (0.4, 0.0), (0.4, 0.7)])
def test_a_prop_of_a_block_out_has_its_axes_and_looks_at_the_camera_all_the_same(turn: tuple[float, float]) -> None:
    camera = look((0, -4, 1.2), math.radians(10), 0, 35, 240)
    solid = Solid("box", (0.8, 0.6, 1.0), (0, 0, 0.6), turn[0], turn[1])
    mesh = ball((1, 0.8, 1.2))
    prop = placed(seen(solid, camera, box=True), mesh, snap="none")
    assert np.allclose(prop.world_from_prop[:3, :3], solid.turn)
    world = prop.world_vertices()
    front = world[np.argmin(mesh.vertices[:, 1])] - world.mean(axis=0)
    towards = (camera.position - solid.centre)[:2]
    assert front[:2] @ towards / np.linalg.norm(towards) / np.linalg.norm(front) > math.cos(math.radians(2))
