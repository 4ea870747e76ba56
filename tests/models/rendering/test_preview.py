"""Pictures of a mesh: what a camera sees is where geometry says it is."""

from __future__ import annotations

import math

import pytest
import torch

from models.lrm.cameras import spherical_poses
from models.rendering import Camera, Texture, preview
from tests.models.rendering.solids import ball, box

FRONT = spherical_poses([0.0], [0.0], 4.0)[0]


def test_a_ball_is_a_disc_of_its_size_depth_and_normals() -> None:
    vertices, faces = ball(64, radius=0.8)
    view = preview(vertices, faces, Camera.orthographic(FRONT, 2.0), width=100, samples=3)
    assert float(view.mask.mean()) == pytest.approx(math.pi * 0.64 / 4, rel=0.005)
    assert float(view.depth.min()) == pytest.approx(3.2, abs=0.002)
    middle = torch.arange(100) * 0.02 - 0.99
    up, right = torch.meshgrid(-middle, middle, indexing="ij")
    inside = right**2 + up**2 < 0.65**2
    ahead = (0.64 - right**2 - up**2).clamp(min=0).sqrt()
    expected = torch.stack([ahead, right, up], dim=2) / 0.8  # from +x, right is +y
    assert (view.normals - expected)[inside].abs().max() < 0.08
    assert (view.depth - (4 - ahead))[inside].abs().max() < 0.02
    assert torch.isinf(view.depth[0, 0]) and view.normals[0, 0].norm() == 0


def test_a_perspective_picture_is_wider_than_high_by_its_aspect() -> None:
    vertices, faces = box((0.5, 0.5, 0.5))
    camera = Camera.perspective(FRONT, 40.0, aspect=2.0)
    mask = preview(vertices, faces, camera, width=160, height=80).mask
    rows, columns = (mask.amax(axis) for axis in (1, 0))
    # The front side is 3.5 away; the picture shows 2 * 3.5 * tan 20 degrees of it.
    expected = 80 / (2 * 3.5 * math.tan(math.radians(20)))
    assert float(rows.sum()) == pytest.approx(expected, abs=1)
    assert float(columns.sum()) == pytest.approx(expected, abs=1)
    assert (mask == mask.flip(0)).float().mean() > 0.98 and (mask == mask.flip(1)).float().mean() > 0.98


def test_samples_smooth_edges_over_the_background() -> None:
    vertices, faces = ball(48)
    camera = Camera.perspective(FRONT, 30.0)
    red = lambda points: points.new_tensor([1.0, 0.0, 0.0]).expand(len(points), 3)  # noqa: E731
    hard = preview(vertices, faces, camera, red, width=64, background=0.5)
    soft = preview(vertices, faces, camera, red, width=64, background=0.5, samples=4)
    assert set(hard.mask.unique().tolist()) == {0.0, 1.0}
    assert len(soft.mask.unique()) > 8
    assert (soft.mask - hard.mask).abs().mean() < 0.02
    for view in (hard, soft):
        expected = view.mask[..., None] * torch.tensor([1.0, 0.0, 0.0]) + (1 - view.mask[..., None]) * 0.5
        assert (view.colour - expected).abs().max() < 1e-5
    assert torch.equal(hard.depth < 10, hard.mask > 0)


def test_a_texture_lies_upright_and_unmirrored() -> None:
    """A square that faces +x, its texture's upper left corner at its own, as glTF has it."""
    corners = torch.tensor([[0.0, -1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, -1.0], [0.0, -1.0, -1.0]])
    faces = torch.tensor([[0, 3, 2], [0, 2, 1]])
    uv = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    image = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    texture = Texture(image, uv, faces)
    view = preview(corners, faces, Camera.orthographic(FRONT, 2.0), texture, width=32)
    assert (view.colour * 255 - image).abs().max() < 0.02
    half = preview(corners, faces, Camera.orthographic(FRONT, 2.0), texture.halved(), width=16)
    assert (half.colour * 255 - image.float().reshape(16, 2, 16, 2, 3).mean((1, 3))).abs().max() < 0.02


def test_clay_is_brighter_where_it_faces_the_camera() -> None:
    vertices, faces = ball(32)
    grey = preview(vertices, faces, Camera.perspective(FRONT, 30.0), width=64).colour
    assert grey[32, 32].min() > 0.75 and grey[32, 32].max() - grey[32, 32].min() == 0
    assert 0.3 < float(grey[32, 10].max()) < 0.6


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Camera.perspective(FRONT, 180.0), "field of view"),
        (lambda: Camera.perspective(FRONT, 30.0, near=0.0), "is no picture"),
        (lambda: Camera.perspective(FRONT[:3], 30.0), r"\[4, 4\]"),
        (lambda: Camera.orthographic(FRONT, -1.0), "shows something"),
        (lambda: preview(*ball(4), Camera.perspective(FRONT, 30.0), samples=0), "one sample"),
    ],
)
def test_impossible_pictures_get_a_sentence(make: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()  # type: ignore[operator]
