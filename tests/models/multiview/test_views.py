"""Views and their cameras: what is refused, and that all ways of using a camera agree."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from models.multiview import Cameras, Views, orbit
from models.rendering import rasterise


def test_an_orbit_begins_at_the_front_and_goes_counter_clockwise() -> None:
    cameras = orbit(16, 20.0, size=512)
    assert len(cameras) == 16 and (cameras.width, cameras.height) == (512, 512)
    assert cameras.positions.norm(dim=1) == pytest.approx(torch.full((16,), 1.5, dtype=torch.float64), abs=1e-6)
    first, fourth = cameras.positions[0], cameras.positions[4]
    assert float(first[0]) == pytest.approx(0, abs=1e-6) and float(first[1]) < -1.3
    assert float(fourth[0]) > 1.3, "the camera moves to its right"
    assert float(cameras.intrinsics[3, 0, 0]) == 560
    middle, distance = cameras.project(torch.zeros(1, 3, dtype=torch.float64))
    assert middle == pytest.approx(torch.full((16, 1, 2), 256.0, dtype=torch.float64), abs=1e-3)
    assert distance == pytest.approx(torch.full((16, 1), 1.5, dtype=torch.float64), abs=1e-6)


def test_projection_rays_and_the_rasteriser_agree_off_the_middle_too() -> None:
    whole = orbit(5, 10.0, size=64)
    lens = whole.intrinsics.clone()
    lens[:, 0, 2], lens[:, 1, 2], lens[:, 1, 1] = 20.3, 25.1, 61.0
    cameras = Cameras(whole.poses, lens, 64, 48)
    point = torch.tensor([[0.11, -0.07, 0.05]])
    pixels, distance = cameras.project(point)
    for index in range(5):
        origins, directions = cameras.rays(torch.tensor([index]), pixels[index].double())
        along = (point - origins) / directions
        assert float(along.std()) < 1e-4 * float(along.mean())
        camera = cameras.camera(index)
        clip = camera.clip(point)[0]
        assert float((1 + clip[0] / clip[3]) * 32) == pytest.approx(float(pixels[index, 0, 0]), abs=1e-3)
        assert float((1 - clip[1] / clip[3]) * 24) == pytest.approx(float(pixels[index, 0, 1]), abs=1e-3)
        assert float(camera.distance(point)[0]) == pytest.approx(float(distance[index, 0]), abs=1e-5)
        right, up = cameras.poses[index, :3, :2].float().unbind(1)
        triangle = point + 0.1 * torch.stack([up, -up + right, -up - right])
        seen = rasterise(camera.clip(triangle), torch.tensor([[0, 1, 2]]), 64, 48).pixel
        assert int(pixels[index, 0, 1]) * 64 + int(pixels[index, 0, 0]) in seen.tolist()


def test_pictures_of_another_size_have_the_same_cameras() -> None:
    cameras = orbit(3, 0.0, size=64)
    point = torch.tensor([[0.3, 0.2, -0.1]])
    assert cameras.scaled(128, 32).project(point)[0] == pytest.approx(
        cameras.project(point)[0] * torch.tensor([2.0, 0.5])
    )


def test_pictures_are_reduced_without_the_colour_of_what_is_transparent() -> None:
    cameras = orbit(2, size=8)
    alpha = torch.zeros(2, 8, 8)
    alpha[:, 2:7, 2:7] = 1
    views = Views(torch.where(alpha[..., None] > 0, torch.tensor([1.0, 0.5, 0.0]), torch.tensor(0.3)), alpha, cameras)
    assert views.at_most(8) is views
    less = views.at_most(4)
    assert less.cameras.width == 4 and less.pictures.shape == (2, 4, 4, 3)
    assert float(less.alpha.mean()) == pytest.approx(float(alpha.mean())) and float(less.alpha[0, 3, 3]) == 0.25
    assert less.pictures[less.alpha > 0] == pytest.approx(torch.tensor([1.0, 0.5, 0.0]).expand(18, 3))


def test_views_are_chosen_and_put_before_a_background() -> None:
    alpha = torch.zeros(3, 8, 8)
    alpha[:, 2:5] = 1
    views = Views(torch.arange(3).reshape(3, 1, 1, 1).expand(3, 8, 8, 3) / 4, alpha, orbit(3, 0.0, size=8))
    some = views.chosen([2, 0])
    assert some.pictures[0, 0, 0, 0] == 0.5 and torch.equal(some.cameras.poses[1], views.cameras.poses[0])
    assert float(some.on(1.0)[0, 0, 0, 0]) == 1 and float(some.on(1.0)[0, 3, 0, 0]) == 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pictures": torch.zeros(3, 8, 8, 4)}, r"pictures are \[V, H, W, 3\]"),
        ({"pictures": torch.full((3, 8, 8, 3), 255.0)}, "outside 0 … 1"),
        ({"pictures": torch.full((3, 8, 8, 3), torch.nan)}, "outside 0 … 1"),
        ({"alpha": torch.zeros(3, 8, 8)}, "View 0 shows nothing"),
        ({"cameras": orbit(4, 0.0, size=8)}, "4 cameras"),
    ],
)
def test_views_that_are_none_get_a_sentence(change: dict[str, object], said: str) -> None:
    views = Views(torch.zeros(3, 8, 8, 3), torch.ones(3, 8, 8), orbit(3, 0.0, size=8))
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(views, **change)


def test_cameras_that_are_none_get_a_sentence() -> None:
    cameras = orbit(3, 0.0, size=8)
    mirrored = cameras.poses * torch.tensor([[-1.0], [1], [1], [1]])
    for poses, lens, said in (
        (cameras.poses * 2, cameras.intrinsics, "pose of camera 0"),
        (mirrored, cameras.intrinsics, "mirroring"),
        (cameras.poses, -cameras.intrinsics, "no pinhole"),
        (cameras.poses, cameras.intrinsics + 1, "no pinhole"),
        (cameras.poses * torch.nan, cameras.intrinsics, "not finite"),
        (cameras.poses, cameras.intrinsics[:2], "intrinsics"),
    ):
        with pytest.raises(ValueError, match=said):
            Cameras(poses, lens, 8, 8)
    for arguments in ((1, 0.0), (16, 50.0), (16, -11.0)):
        with pytest.raises(ValueError):
            orbit(*arguments)
    with pytest.raises(ValueError, match="layout"):
        orbit(16, 0.0, layout="mira")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pixels"):
        Cameras(cameras.poses, cameras.intrinsics, 0, 8)
    with pytest.raises(ValueError, match="2 views or more"):
        Views(torch.zeros(1, 8, 8, 3), torch.ones(1, 8, 8), cameras.chosen([0]))
