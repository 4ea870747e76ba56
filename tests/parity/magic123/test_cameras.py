"""Cameras: the published ones in its mirrored world, and ours, which see the same from the right side."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.magic123 import cameras  # noqa: E402
from models.magic123.field import from_published, to_published  # noqa: E402
from models.rendering.cameras import Camera  # noqa: E402


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("cameras")


@pytest.fixture(scope="module")
def given(numbers: Any) -> Any:
    """Polar angle, azimuth, radius, and the configuration."""
    angles = (numbers[f"in.{name}_deg"].deg2rad() for name in ("polar", "azimuth"))
    return *angles, numbers["in.radius"], numbers.json("config")


def test_poses_of_the_mirrored_world(numbers: Any, given: Any, close: Any) -> None:
    poses = cameras.published_poses(*given[:3])
    close(poses, numbers["out.c2w"], 1e-6)
    assert torch.allclose(torch.linalg.det(poses[:, :3, :3]), torch.tensor(-1.0))


def test_matrices_of_the_rasteriser(numbers: Any, given: Any, close: Any) -> None:
    config = given[3]
    down = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))  # the first row is the picture's top
    found = []
    for pose in numbers["out.c2w"]:
        camera = Camera.perspective(pose, config["fovy"], config["W"] / config["H"], config["near"], config["far"])
        found.append(down @ camera.projection @ camera.pose.inverse())
    largest = float(numbers["out.mvp"].abs().max())
    close(torch.stack(found), numbers["out.mvp"], 1e-5 * largest)


def test_rays(numbers: Any, given: Any, close: Any) -> None:
    config = given[3]
    assert config["H"] == config["W"]
    origins, directions = cameras.rays(cameras.published_poses(*given[:3]), config["fovy"], config["H"])
    close(origins[:, ::7], numbers["out.rays_o"], 1e-5)
    close(directions[:, ::7], numbers["out.rays_d"], 1e-5)


def test_our_cameras_see_the_same_the_right_way_round(numbers: Any, given: Any, close: Any) -> None:
    polar, azimuth, radius, config = given
    orbit = cameras.Orbit(polar, -azimuth, radius, config["fovy"])
    assert torch.allclose(torch.linalg.det(orbit.poses[:, :3, :3]), torch.tensor(1.0))
    origins, directions = orbit.rays(config["H"])
    close(to_published(origins)[:, ::7], numbers["out.rays_o"], 1e-5)
    close(to_published(directions)[:, ::7], numbers["out.rays_d"], 1e-5)
    close(from_published(to_published(directions)), directions, 0.0)


def test_sides(numbers: Any, given: Any) -> None:
    polar, azimuth, radius, _ = given
    sides = cameras.Orbit(polar, -azimuth, radius).sides
    assert [cameras.SIDES.index(each) for each in sides] == numbers["out.direction_id"].tolist()
