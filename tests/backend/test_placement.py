"""Props stand where their block-outs stand, or on the ground, and always behind their own pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.camera import Camera, default_camera
from backend.geometry.lens import Lens, make_lens
from backend.placement import ASSUMED_DISTANCE, FARTHEST, place, stand_up
from tests.backend.ray_caster import Solid, cast, look

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
WORLD = np.eye(3)


def placed(solids: list[Solid], camera: Camera, thickness: float = 1.0, world_from_box: Floats | None = None) -> Floats:
    labels, depth = cast(solids, camera)
    mask = labels > 0
    lens = make_lens(mask, 128, thickness=thickness)
    vertices, how, _ = place(lens, camera, mask, depth, world_from_box)
    assert how == "depth"
    return vertices


def compare(vertices: Floats, solids: list[Solid]) -> tuple[float, Floats]:
    """Distance of the bounding boxes' centres over the true diagonal, and the ratio of the dimensions."""
    bounds = [solid.extent(WORLD) for solid in solids]
    low, high = np.min([low for low, _ in bounds], axis=0), np.max([high for _, high in bounds], axis=0)
    found_low, found_high = vertices.min(axis=0), vertices.max(axis=0)
    centre = np.linalg.norm((found_low + found_high - low - high) / 2) / np.linalg.norm(high - low)
    return float(centre), (found_high - found_low) / (high - low)


def random_view(kind: str, seed: int) -> tuple[Solid, Camera]:
    """A solid on the ground, wholly in the picture, of which the camera sees more than one face."""
    random = np.random.default_rng(seed)
    while True:
        size = random.uniform(0.2, 2.0, 3)
        if kind != "box":
            size[1] = size[0]
        if kind == "sphere":
            size[2] = size[0]
        solid = Solid(kind, tuple(size), (0, 0, size[2] / 2), random.uniform(-math.pi, math.pi))
        pitch, yaw = math.radians(random.uniform(0, 45)), random.uniform(-math.pi, math.pi)
        focal, diagonal = random.uniform(24, 85), np.linalg.norm(size)
        ahead = np.array([-math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), -math.sin(pitch)])
        target = np.array(solid.centre) + random.uniform(-0.12, 0.12, 3) * diagonal
        camera = look(tuple(target - ahead * diagonal * focal / 36 / random.uniform(0.35, 0.7)), pitch, yaw, focal)
        seen = cast([solid], camera)[0] > 0
        beside = np.abs(solid.turn.T @ (camera.position - np.array(solid.centre))) > size / 2
        whole = not (seen[0].any() or seen[-1].any() or seen[:, 0].any() or seen[:, -1].any())
        if whole and (kind != "box" or beside.sum() > 1):
            return solid, camera


@pytest.mark.parametrize("kind", ["box", "sphere", "cylinder"])
def test_props_stand_at_their_block_outs_place_and_size(kind: str) -> None:
    errors, ratios = [], []
    for seed in range(40):
        solid, camera = random_view(kind, seed)
        error, ratio = compare(placed([solid], camera), [solid])
        errors.append(error)
        ratios.append(ratio)
    assert max(errors) < 0.05
    assert np.median(errors) < 0.01
    assert np.quantile(np.abs(np.array(ratios) - 1), 0.95) < 0.15


def furniture(
    parts: list[tuple[str, tuple[float, float, float], tuple[float, float, float]]], yaw: float
) -> list[Solid]:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return [Solid(kind, size, (x * cos - y * sin, x * sin + y * cos, z), yaw) for kind, size, (x, y, z) in parts]


FURNITURE = {
    "table": [("box", (1.4, 0.8, 0.05), (0.0, 0.0, 0.725))]
    + [("box", (0.06, 0.06, 0.7), (x, y, 0.35)) for x in (-0.65, 0.65) for y in (-0.35, 0.35)],
    "chair": [("box", (0.45, 0.45, 0.05), (0.0, 0.0, 0.45)), ("box", (0.45, 0.05, 0.5), (0.0, 0.2, 0.7))]
    + [("box", (0.05, 0.05, 0.45), (x, y, 0.22)) for x in (-0.2, 0.2) for y in (-0.2, 0.2)],
    "lamp": [
        ("cylinder", (0.3, 0.3, 0.03), (0.0, 0.0, 0.015)),
        ("cylinder", (0.03, 0.03, 1.3), (0.0, 0.0, 0.65)),
        ("cylinder", (0.4, 0.4, 0.3), (0.0, 0.0, 1.4)),
    ],
    "rug": [("box", (2.0, 1.4, 0.02), (0.0, 0.0, 0.01))],
}


@pytest.mark.parametrize("yaw", [0.1, 0.5, 1.2])
@pytest.mark.parametrize("name", FURNITURE)
def test_composed_block_outs_keep_place_and_size(name: str, yaw: float) -> None:
    solids = furniture(FURNITURE[name], yaw)
    vertices = placed(solids, look((0.3, -3.5, 1.6), math.radians(16), 0.05, 40, 512))
    error, ratio = compare(vertices, solids)
    assert error < 0.05
    if name == "rug":
        assert np.ptp(vertices[:, 2]) < 0.04
        ratio = ratio[:2]
    assert np.abs(ratio - 1).max() < 0.2


def test_a_box_behind_another_keeps_its_distance() -> None:
    front, behind = Solid("box", (0.5, 0.5, 0.5), (-0.4, 0, 0.25), 0.3), Solid("box", (1, 0.6, 1), (0, 1.2, 0.5), -0.2)
    camera = look((0, -3.5, 1.5), math.radians(14), 0, 40, 384)
    labels, depth = cast([front, behind], camera)
    mask = labels == 2
    vertices, how, quality = place(make_lens(mask), camera, mask, depth)
    assert how == "depth"
    assert quality["known"] == 1
    assert compare(vertices, [behind])[0] < 0.05


def test_every_vertex_stays_behind_its_own_pixel() -> None:
    solid, camera = random_view("box", 5)
    labels, depth = cast([solid], camera)
    mask = labels > 0
    lens = make_lens(mask)
    for known in (depth, None):
        pixels, distance = camera.project(place(lens, camera, mask, known)[0])
        assert np.abs(pixels - lens.pixels).max() < 1e-6
        assert distance.min() > 0


def test_the_back_never_comes_before_the_front() -> None:
    for kind in ("box", "sphere", "cylinder"):
        solid, camera = random_view(kind, 11)
        labels, depth = cast([solid], camera)
        mask = labels > 0
        lens = make_lens(mask)
        inner = np.count_nonzero(lens.offset > 0)
        for known in (depth, None):
            distance = camera.project(place(lens, camera, mask, known)[0])[1]
            front, back = distance[lens.offset < 0], distance[-inner:]
            assert (back > front).all()


def test_thickness_is_the_artists() -> None:
    solid, camera = random_view("sphere", 3)
    thin, round_ = (np.ptp(camera.project(placed([solid], camera, factor))[1]) for factor in (0.4, 1.0))
    assert thin == pytest.approx(0.4 * round_, rel=0.15)


def test_a_box_seen_from_straight_ahead_is_neither_flat_nor_endless() -> None:
    solid = Solid("box", (1.0, 0.5, 2.0), (0, 0, 1.0))
    vertices = placed([solid], look((0, -4, 1.0), 0, 0, 35))
    assert 0.1 < np.ptp(vertices[:, 1]) < 1.0
    assert compare(vertices, [solid])[0] < 0.15


def box_of(solids: list[Solid]) -> Floats:
    """The box around solids, along the axes of the first: 4x4, from the cube between -0.5 and 0.5."""
    turn = solids[0].turn
    bounds = [solid.extent(turn.T) for solid in solids]
    low, high = np.min([low for low, _ in bounds], axis=0), np.max([high for _, high in bounds], axis=0)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag(high - low), turn @ ((low + high) / 2)
    return matrix


def test_a_known_box_gives_the_depth_that_one_visible_face_hides() -> None:
    solid, camera = Solid("box", (0.6, 2.0, 0.8), (0, 0, 0.4)), look((0, -4, 0.4), 0, 0, 35)
    guessed = compare(placed([solid], camera), [solid])
    known = compare(placed([solid], camera, world_from_box=box_of([solid])), [solid])
    assert guessed[0] > 0.1
    assert known[0] < 0.01
    assert np.abs(known[1] - 1).max() < 0.05


def test_a_known_box_gives_round_things_their_far_side_and_not_its_corners() -> None:
    for yaw in (0.1, 0.5, 1.2):
        solids = furniture(FURNITURE["lamp"], yaw)
        camera = look((0.3, -3.5, 1.6), math.radians(16), 0.05, 40, 512)
        error, ratio = compare(placed(solids, camera, world_from_box=box_of(solids)), solids)
        assert error < 0.005
        assert np.abs(ratio - 1).max() < 0.03


@pytest.mark.parametrize("kind", ["box", "sphere", "cylinder"])
def test_a_known_box_makes_no_place_worse(kind: str) -> None:
    for seed in range(15):
        solid, camera = random_view(kind, seed)
        seen = compare(placed([solid], camera), [solid])[0]
        known = compare(placed([solid], camera, world_from_box=box_of([solid])), [solid])[0]
        assert known < seen + 0.005


def lamp_mask(camera: Camera) -> Mask:
    mask = np.zeros((camera.height, camera.width), dtype=bool)
    mask[200:240, 100:160] = mask[240:330, 128:133] = mask[330:340, 110:150] = True
    return mask


@pytest.mark.parametrize("pitch", [5, 20, 45, 70, 90])
def test_without_depth_the_lowest_point_stands_on_the_ground(pitch: float) -> None:
    camera = look((1.0, -2.0, 1.7), math.radians(pitch), 0.4, 35, 400)
    mask = lamp_mask(camera)
    vertices, how, quality = place(make_lens(mask), camera, mask)
    assert how == "ground"
    assert quality == {}
    assert vertices[:, 2].min() == pytest.approx(0, abs=0.01)
    assert np.isfinite(vertices).all()


def test_without_depth_the_middle_is_upright_and_the_foot_is_at_its_pixel() -> None:
    camera = default_camera(400, 400)
    mask = lamp_mask(camera)
    lens = make_lens(mask)
    vertices = place(lens, camera, mask)[0]
    rim = vertices[lens.offset == 0]
    assert np.linalg.svd(rim[:, :2] - rim[:, :2].mean(axis=0))[1][1] < 1e-6
    foot = rim[rim[:, 2].argmin()]
    assert camera.project(foot)[0][1] == pytest.approx(340, abs=0.5)


@pytest.mark.parametrize(
    ("camera", "why"),
    [
        (look((0, 0, 1.6), math.radians(-40), 0, 50, 400), "all of the mask is above the horizon"),
        (look((0, 0, -1.0), math.radians(30), 0, 50, 400), "the camera is under the ground"),
        (look((0, 0, 900.0), math.radians(30), 0, 50, 400), "the ground is too far away"),
    ],
)
def test_where_no_ground_is_met_a_distance_is_assumed(camera: Camera, why: str) -> None:
    mask = lamp_mask(camera)
    lens = make_lens(mask)
    vertices, how, _ = place(lens, camera, mask)
    assert how == "assumed", why
    rim = camera.project(vertices[lens.offset == 0])[1]
    assert np.allclose(rim, ASSUMED_DISTANCE)
    assert ASSUMED_DISTANCE < FARTHEST


def test_depth_that_knows_nothing_of_the_mask_leaves_the_ground() -> None:
    camera = default_camera(400, 400)
    mask = lamp_mask(camera)
    lens = make_lens(mask)
    for nothing in (np.nan, 0.0, -1.0, np.inf):
        depth = np.full(mask.shape, nothing, dtype=np.float32)
        vertices, how, _ = place(lens, camera, mask, depth)
        assert how == "ground"
        assert np.allclose(vertices, place(lens, camera, mask)[0])


@pytest.mark.parametrize("known", [1, 5, 40])
def test_a_few_known_pixels_still_give_the_distance(known: int) -> None:
    camera = default_camera(400, 400)
    mask = lamp_mask(camera)
    depth = np.full(mask.shape, np.nan, dtype=np.float32)
    depth.ravel()[np.flatnonzero(mask)[:known]] = 2.5
    vertices, how, _ = place(make_lens(mask), camera, mask, depth)
    assert how == "depth"
    distance = camera.project(vertices)[1]
    assert np.median(distance) == pytest.approx(2.5, rel=0.1)
    assert 1.2 < distance.min() < distance.max() < 5.0


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (3, 3)])
def test_tiny_masks_are_placed_too(size: tuple[int, int]) -> None:
    camera = default_camera(200, 200)
    mask = np.zeros((200, 200), dtype=bool)
    mask[120 : 120 + size[0], 90 : 90 + size[1]] = True
    for depth in (None, np.where(mask, np.float32(3), np.float32(np.nan))):
        vertices, how, _ = place(make_lens(mask), camera, mask, depth)
        assert how == ("ground" if depth is None else "depth")
        assert np.isfinite(vertices).all()


def lens_and_world(camera: Camera) -> tuple[Lens, Floats]:
    mask = lamp_mask(camera)
    lens = make_lens(mask)
    return lens, place(lens, camera, mask)[0]


@pytest.mark.parametrize("yaw", [0.0, 1.0, 2.5, -2.0])
def test_a_prop_stands_up_facing_the_camera(yaw: float) -> None:
    camera = look((2.0, 1.0, 1.7), math.radians(15), yaw, 35, 400)
    _, world = lens_and_world(camera)
    local, matrix = stand_up(world, camera)
    assert np.allclose(local @ matrix[:3, :3].T + matrix[:3, 3], world)
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3))
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
    assert np.allclose(matrix[2, :3], (0, 0, 1))
    low, high = local.min(axis=0), local.max(axis=0)
    assert np.allclose((low + high)[:2], 0, atol=1e-9)
    assert low[2] == pytest.approx(0, abs=1e-12)
    towards = camera.position - matrix[:3, 3]
    towards[2] = 0
    assert -matrix[:3, 1] @ towards / np.linalg.norm(towards) > 0.999


def test_a_prop_seen_from_straight_above_has_its_front_at_the_pictures_lower_edge() -> None:
    camera = look((0, 0, 3.0), math.pi / 2, 0.7, 35, 400)
    points = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0.5], [-1, 1, 0.5]], dtype=float)
    local, matrix = stand_up(points, camera)
    assert np.allclose(-matrix[:3, 1], -camera.matrix[:3, 1], atol=1e-9)
    assert np.allclose(local @ matrix[:3, :3].T + matrix[:3, 3], points)
