"""The rasteriser: each pixel's middle belongs to exactly one triangle of a surface, the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay
from torch import Tensor

from models.lrm.cameras import spherical_poses
from models.rendering import Camera, rasterise, rasteriser
from tests.models.rendering.solids import SOLIDS, ball


def tiling(seed: int, size: int, step: float) -> tuple[Tensor, Tensor]:
    """Random triangles that tile a square around a picture; the corners lie on multiples of a step."""
    random = np.random.default_rng(seed)
    points = random.uniform(-2, size + 2, (40, 2))
    points = np.unique(
        np.round(np.concatenate([points, [[-3, -3], [-3, size + 3], [size + 3, -3], [size + 3] * 2]]) / step) * step,
        axis=0,
    )
    return torch.from_numpy(points), torch.from_numpy(Delaunay(points).simplices.astype(np.int64))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), step=st.sampled_from([0.5, 0.25, 1 / 256, 1e-6]))
def test_triangles_that_tile_a_picture_cover_each_pixel_exactly_once(seed: int, step: float) -> None:
    """Also where edges and corners go through the middles of pixels, as they do at a step of one half."""
    points, faces = tiling(seed, 12, step)
    times = torch.zeros(12 * 12)
    for face in faces:
        times[rasterise(points, face[None], 12, 12).pixel] += 1
    assert (times == 1).all()
    assert len(rasterise(points, faces, 12, 12).pixel) == 12 * 12


def brute_force(clip: Tensor, faces: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """For every pixel and triangle, in floating point: how far inside the pixel's middle is, and how deep there."""
    flat = clip[:, :3] / clip[:, 3:]
    x, y = (1 + flat[:, 0]) * width / 2, (1 - flat[:, 1]) * height / 2
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    shares = []
    for corner in range(3):
        one, two = faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        across, down = x[one, None, None] - columns, y[one, None, None] - rows
        shares.append(across * (y[two, None, None] - rows) - down * (x[two, None, None] - columns))
    weights = torch.stack(shares) / torch.stack(shares).sum(0)
    depth = (weights * flat[faces.T, 2][..., None, None]).sum(0)
    return weights.amin(0), (1 + depth) / 2


def test_the_nearest_triangle_is_seen_and_its_place_is_on_the_ray() -> None:
    torch.manual_seed(0)
    vertices, faces = torch.randn(90, 3, dtype=torch.float64), torch.arange(90).reshape(30, 3)
    camera = Camera.perspective(spherical_poses([25.0], [35.0], 6.0)[0], 40.0, aspect=1.5)
    clip = camera.clip(vertices)
    hits = rasterise(clip, faces, 48, 32)
    within, depth = brute_force(clip, faces, 48, 32)
    nearest = torch.where(within > 0, depth, torch.inf).amin(0).flatten()
    # Corners are rounded to a 256th of a pixel: what lies nearer to an edge than that may go either way.
    clear = ~((within.abs() < 2e-2) & (depth <= nearest.reshape(32, 48) + 1e-9)).any(0).flatten()
    seen = torch.full((48 * 32,), torch.inf)
    seen[hits.pixel] = hits.depth
    assert clear.sum() > 1000 and torch.isfinite(nearest[clear]).sum() > 300
    assert torch.equal(torch.isfinite(seen)[clear], torch.isfinite(nearest)[clear])
    both = clear & torch.isfinite(nearest)
    assert (seen[both] - nearest[both]).abs().max() < 1e-4
    places = camera.clip(hits.interpolate(vertices, faces))
    pixel = torch.stack([(1 + places[:, 0] / places[:, 3]) * 24, (1 - places[:, 1] / places[:, 3]) * 16], dim=1)
    middle = torch.stack([hits.pixel % 48 + 0.5, hits.pixel // 48 + 0.5], dim=1)
    assert (pixel - middle).abs().max() < 0.02, "weights are those on the surface, not those in the picture"
    assert hits.barycentric.min() >= 0
    assert (hits.barycentric.sum(1) - 1).abs().max() < 1e-5


def test_a_closed_surface_has_no_hole_from_any_side() -> None:
    vertices, faces = ball(90)
    for azimuth, elevation in ((0.0, 0.0), (33.0, 20.0), (90.0, 90.0), (200.0, -45.0)):
        camera = Camera.perspective(spherical_poses([azimuth], [elevation], 4.0)[0], 30.0)
        hits = rasterise(camera.clip(vertices), faces, 128, 128)
        mask = hits.picture(torch.ones(len(hits.pixel))) > 0
        across = mask.float().cumsum(1)
        filled = (across > 0) & (mask.float().flip(1).cumsum(1).flip(1) > 0)
        assert mask.any() and torch.equal(mask, filled)


def test_without_depth_the_first_triangle_is_seen() -> None:
    square = torch.tensor([[0.0, 0.0], [8.0, 0.0], [8.0, 8.0], [0.0, 8.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [3, 1, 2]])
    assert set(rasterise(square, faces, 8, 8).face.tolist()) == {0, 1}
    assert set(rasterise(square, faces.flip(0), 8, 8).face.tolist()) == {0, 1}


def test_equally_near_triangles_do_not_depend_on_the_order_of_work(monkeypatch: Any) -> None:
    vertices, faces = SOLIDS["bumpy torus"]
    faces = torch.cat([faces, faces])
    clip = Camera.perspective(spherical_poses([30.0], [20.0])[0], 30.0).clip(vertices)
    whole = rasterise(clip, faces, 96, 64)
    monkeypatch.setattr(rasteriser, "CHUNK", 50)
    monkeypatch.setattr(rasteriser, "PIECE", 70)
    parts = rasterise(clip, faces, 96, 64)
    assert whole.face.max() < len(faces) // 2
    for name in ("pixel", "face", "barycentric", "depth"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))


def test_what_cannot_be_seen_is_not_there() -> None:
    """Behind the camera, nearer or farther than the planes, not finite, without area, outside; and the rest is."""
    camera = Camera.perspective(torch.eye(4), 90.0, near=1.0, far=10.0)
    triangle = torch.tensor([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    shown = {
        "ahead": triangle - torch.tensor([0.0, 0.0, 5.0]),
        "behind": triangle + torch.tensor([0.0, 0.0, 5.0]),
        "too near": triangle * 0.1 - torch.tensor([0.0, 0.0, 0.5]),
        "too far": triangle * 9 - torch.tensor([0.0, 0.0, 11.0]),
        "not finite": torch.cat([triangle[:2] - 5, torch.full((1, 3), torch.nan)]),
        "a line": triangle[[0, 0, 1]] - 5,
        "beside": triangle + torch.tensor([100.0, 0.0, -5.0]),
        "around the camera": torch.tensor([[-1.0, 0.0, -5.0], [1.0, 0.0, -5.0], [0.0, 1.0, 5.0]]),
    }
    for name, vertices in shown.items():
        seen = len(rasterise(camera.clip(vertices), torch.tensor([[0, 1, 2]]), 32, 32).pixel)
        assert (seen > 0) == (name == "ahead"), name
    both = torch.cat([shown["ahead"], shown["not finite"]])
    assert len(rasterise(camera.clip(both), torch.tensor([[3, 4, 5], [0, 1, 2]]), 32, 32).pixel) > 0
    assert len(rasterise(triangle, torch.empty(0, 3, dtype=torch.int64), 4, 4).pixel) == 0


@pytest.mark.parametrize(
    ("vertices", "faces", "size", "sentence"),
    [
        (torch.zeros(3, 5), torch.zeros(1, 3, dtype=torch.int64), 4, "Vertices are"),
        (torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), 4, "Faces are"),
        (torch.zeros(3, 2), torch.tensor([[0, 1, 3]]), 4, "not among the 3"),
        (torch.zeros(3, 2), torch.tensor([[0, -1, 2]]), 4, "not among the 3"),
        (torch.zeros(3, 2), torch.tensor([[0, 1, 2]]), 0, "A picture has pixels"),
    ],
)
def test_broken_input_gets_a_sentence(vertices: Tensor, faces: Tensor, size: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        rasterise(vertices, faces, size, size)
