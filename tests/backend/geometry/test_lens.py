"""Any mask becomes a closed, outward, smooth surface with the mask's own topology."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from backend.camera import Camera
from backend.geometry.inflation import inflate
from backend.geometry.lens import Lens, make_lens
from backend.geometry.planar import clean_mask, mesh_mask, triangle_areas
from backend.geometry.silhouette import mask_iou, silhouette

Mask = NDArray[np.bool_]
JOINED = np.ones((3, 3))


def disc(radius: float, size: int) -> Mask:
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    return x * x + y * y < radius * radius


def ring(size: int) -> Mask:
    return disc(size * 0.45, size) & ~disc(size * 0.2, size)


def slanted_strip(size: int, slope: float, half_width: float) -> Mask:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.abs(y - size / 2 - slope * (x - size / 2)) < half_width * np.hypot(1, slope)


def solid(lens: Lens) -> trimesh.Trimesh:
    """The lens as a mesh in space: x right, y up, z towards the viewer; one unit is a pixel."""
    vertices = np.column_stack([lens.pixels[:, 0], -lens.pixels[:, 1], -lens.offset])
    return trimesh.Trimesh(vertices, lens.faces, process=False)


def topology(mask: Mask) -> tuple[int, int]:
    """Components, joined at corners too, and holes, joined along edges only."""
    return ndimage.label(mask, JOINED)[1], ndimage.label(~np.pad(mask, 1))[1] - 1


def check_sound(mask: Mask, detail: int, speck: int) -> None:
    lens = make_lens(mask, detail, speck)
    mesh = solid(lens)
    bodies, holes = topology(clean_mask(mask, speck))
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.body_count == bodies
    assert mesh.euler_number == 2 * (bodies - holes)
    assert all(body.volume > 0 for body in mesh.split(only_watertight=False))
    assert np.isfinite(lens.offset).all()
    assert (triangle_areas(lens.pixels, lens.faces[lens.back_faces]) > 0).all()
    assert (triangle_areas(lens.pixels, lens.faces[~lens.back_faces]) < 0).all()
    _, uses = np.unique(lens.faces[~lens.back_faces], return_counts=True)
    assert uses.sum() == 3 * (~lens.back_faces).sum() == 3 * lens.back_faces.sum()


@settings(max_examples=150, deadline=None)
@given(
    mask=arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)).filter(np.any),
    detail=st.sampled_from([2, 5, 16, 64]),
    speck=st.sampled_from([0, 3, 16]),
)
def test_any_small_mask_becomes_a_sound_mesh(mask: Mask, detail: int, speck: int) -> None:
    check_sound(mask, detail, speck)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    grain=st.floats(0, 6),
    cover=st.floats(0.05, 0.95),
    detail=st.sampled_from([4, 12, 40, 150]),
)
def test_any_noise_becomes_a_sound_mesh(seed: int, grain: float, cover: float, detail: int) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((61, 83)), grain)
    check_sound(noise < np.quantile(noise, cover), detail, 0)


PATTERNS = {
    "one pixel": np.ones((1, 1), dtype=bool),
    "one row": np.ones((1, 40), dtype=bool),
    "full frame": np.ones((48, 64), dtype=bool),
    "checkerboard": np.indices((17, 20)).sum(axis=0) % 2 == 0,
    "diagonal": np.eye(30, dtype=bool),
    "crossed diagonals": np.eye(31, dtype=bool) | np.eye(31, dtype=bool)[::-1],
    "hole of one pixel": np.pad(np.zeros((1, 1), dtype=bool), 5, constant_values=True),
    "ring": ring(60),
    "comb": np.tile(np.arange(60) % 4 < 2, (30, 1)) | (np.arange(30)[:, None] < 3),
    "grille": (np.indices((60, 60)) % 6 == 0).any(axis=0),
    "touching corners": np.kron(np.eye(4, dtype=bool), np.ones((9, 9), dtype=bool)),
    "thin strip": slanted_strip(120, 0.37, 0.6),
}


@pytest.mark.parametrize("detail", [4, 32, 256])
@pytest.mark.parametrize("name", PATTERNS)
def test_hard_patterns_become_sound_meshes(name: str, detail: int) -> None:
    check_sound(PATTERNS[name], detail, 0)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        make_lens(np.zeros((5, 5), dtype=bool))


def test_specks_go_pinholes_close_and_the_largest_part_stays() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[5:25, 5:25] = mask[40:43, 40:43] = mask[50, 50] = True
    mask[10, 10] = mask[14:20, 14:20] = False
    assert topology(clean_mask(mask, 32)) == (1, 1)
    assert topology(clean_mask(mask, 5)) == (2, 1)
    assert topology(clean_mask(mask, 0)) == (3, 2)
    assert clean_mask(mask[40:43, 40:43], 1000).all()
    assert (clean_mask(mask, 0) == mask).all()


@pytest.mark.parametrize("thickness", [0.5, 1.0, 2.0])
def test_a_disc_becomes_a_ball(thickness: float) -> None:
    planar = mesh_mask(disc(50, 120))
    radius = np.linalg.norm(planar.vertices - 60, axis=1)
    expected = thickness * np.sqrt(np.maximum(50**2 - radius**2, 0))
    inner = radius < 45
    assert np.allclose(inflate(planar, thickness)[inner], expected[inner], rtol=0.03)


@pytest.mark.parametrize("half_width", [4, 10, 25])
def test_thickness_follows_the_width(half_width: int) -> None:
    planar = mesh_mask(np.ones((2 * half_width, 400), dtype=bool))
    assert inflate(planar).max() == pytest.approx(np.sqrt(2) * half_width, rel=0.04)


@pytest.mark.parametrize("size", [80, 300])
@pytest.mark.parametrize("slope", [0.05, 0.15, 0.4, 0.9])
def test_a_slanted_edge_has_no_staircase(slope: float, size: int) -> None:
    half_width = size / 5
    planar = mesh_mask(slanted_strip(size, slope, half_width), detail=512)
    x, y = planar.vertices[planar.boundary].T - size / 2
    inside = (np.abs(x) < size / 2 - 12) & (np.abs(y) < size / 2 - 12)
    away = np.abs(np.abs(y - slope * x) / np.hypot(1, slope) - half_width)[inside]
    assert np.quantile(away, 0.95) < 0.25


@pytest.mark.parametrize("size", [(8, 400), (8, 60), (40, 40)])
def test_corners_do_not_make_the_edges_swing_out(size: tuple[int, int]) -> None:
    planar = mesh_mask(np.ones(size, dtype=bool))
    low, high = planar.vertices.min(axis=0), planar.vertices.max(axis=0)
    assert low == pytest.approx((0, 0), abs=0.15)
    assert high == pytest.approx(size[::-1], abs=0.15)


def pinhole(width: int, height: int) -> Camera:
    rows = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    return Camera(fx=500, fy=500, cx=width / 2, cy=height / 2, width=width, height=height, world_from_camera=rows)


@pytest.mark.parametrize("detail", [64, 256])
@pytest.mark.parametrize("name", ["disc", "ring", "strip", "small"])
def test_the_front_covers_the_mask(name: str, detail: int) -> None:
    masks = {"disc": disc(150, 400), "ring": ring(300), "strip": slanted_strip(300, 0.3, 8), "small": disc(11.5, 40)}
    mask = masks[name]
    lens = make_lens(mask, detail)
    camera = pinhole(mask.shape[1], mask.shape[0])
    covered = silhouette(camera.unproject(lens.pixels, np.full(len(lens.pixels), 2.0)), lens.faces, camera)
    assert mask_iou(covered, mask) > 0.97


def test_a_thin_pole_survives_a_coarse_grid() -> None:
    mask = np.zeros((800, 500), dtype=bool)
    mask[20:200, 100:400] = mask[740:780, 100:400] = True
    mask[200:740, 249:252] = True
    mesh = solid(make_lens(mask, detail=32))
    assert mesh.body_count == 1
    pole = np.abs(mesh.vertices[(mesh.vertices[:, 1] < -300) & (mesh.vertices[:, 1] > -700)] - (250.5, 0, 0))
    assert 1.2 < pole[:, 0].max() < 1.8
    assert pole[:, 2].max() == pytest.approx(np.sqrt(2) * 1.5, rel=0.2)


def test_detail_buys_triangles_and_large_masks_stay_light() -> None:
    mask = disc(400, 1000)
    counts = [len(make_lens(mask, detail).faces) for detail in (64, 256, 1024)]
    assert counts[0] < counts[1] < counts[2]
    assert counts[1] < 20_000


def test_moving_the_mask_moves_the_mesh() -> None:
    mask = ring(40)
    here, there = make_lens(np.pad(mask, ((3, 20), (5, 9)))), make_lens(np.pad(mask, ((13, 10), (0, 14))))
    assert np.allclose(here.pixels + np.array([-5, 10]), there.pixels)
    assert np.allclose(here.offset, there.offset)
