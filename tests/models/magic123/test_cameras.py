"""Cameras of a right-handed world, and the chance that draws them."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from models.magic123.cameras import Around, Orbit, drawn, lights  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402


def test_axes() -> None:
    orbit = Orbit.of(90, 0)
    pose = orbit.poses[0]
    assert torch.allclose(pose[:3, 3], torch.tensor([0.0, -1.8, 0.0]), atol=1e-6), "the front view stands at -y"
    assert torch.allclose(pose[:3, 0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6), "the picture's right is +x"
    assert torch.allclose(pose[:3, 1], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6), "up is +z"
    assert torch.allclose(Orbit.of(90, 90).poses[0, :3, 3], torch.tensor([1.8, 0.0, 0.0]), atol=1e-6)
    poses = drawn(Step(0, 1), Around(), 64).poses
    assert torch.allclose(torch.linalg.det(poses[:, :3, :3]), torch.ones(64), atol=1e-5)
    assert Orbit.of(0, 30).poses.isfinite().all(), "straight from above"


def test_rays_and_the_rasteriser_see_the_same() -> None:
    orbit = Orbit.of(60, 40, 2.0)
    origins, directions = orbit.rays(8)
    clip = orbit.camera().clip((origins + 1.3 * directions)[0])
    place = clip[:, :2] / clip[:, 3:]
    centres = (torch.arange(8) + 0.5) / 4 - 1
    assert torch.allclose(place[:, 0].view(8, 8), centres.expand(8, 8), atol=1e-5)
    assert torch.allclose(place[:, 1].view(8, 8), -centres[:, None].expand(8, 8), atol=1e-5)
    assert torch.allclose(orbit.camera().distance((origins + 1.3 * directions)[0]), torch.tensor(1.3), atol=1e-5)


def test_chance_comes_from_the_step_alone() -> None:
    one, again, other = (drawn(Step(number, 7), Around(), 4) for number in (3, 3, 4))
    assert torch.equal(one.backward, again.backward) and not torch.equal(one.backward, other.backward)
    halves = [drawn(Step(3, 7, part, 2), Around(), 4) for part in range(2)]
    assert torch.equal(torch.cat([half.azimuth for half in halves]), one.azimuth)
    assert torch.equal(
        torch.cat([lights(Step(3, 7, p, 2), halves[p], 4) for p in range(2)]), lights(Step(3, 7), one, 4)
    )


def test_where_views_are_drawn() -> None:
    around = Around(polar=(45, 135), azimuth=(-180, 180), radius=(1.5, 2.0))
    orbit = drawn(Step(0, 1), around, 4000)
    assert bool(((orbit.radius >= 1.5) & (orbit.radius <= 2.0)).all())
    above = orbit.polar < math.radians(45)
    assert 0.05 < float(above.float().mean()) < 0.4, "only those drawn over the ground look from high above"
    assert float(orbit.polar.max()) <= math.radians(135) + 1e-6
    assert abs(float(orbit.azimuth.sin().mean())) < 0.05 and abs(float(orbit.azimuth.cos().mean())) < 0.05
    angles = drawn(Step(0, 1), Around(polar=(80, 90), azimuth=(0, 10), sphere=0), 100)
    assert bool(((angles.polar >= math.radians(80)) & (angles.azimuth <= math.radians(10) + 1e-6)).all())
    towards = lights(Step(0, 1), orbit, 4000)
    assert torch.allclose(towards.norm(dim=1), torch.ones(4000), atol=1e-5)
    assert float((towards * orbit.backward).sum(1).mean()) > 0.5, "lamps are on the camera's side"


def test_relative_views() -> None:
    reference = Orbit.of(80, 170, 1.8)
    views = Orbit.of(60, -170, 2.0).seen_from(reference)
    assert float(views.azimuth.rad2deg()) == pytest.approx(20, abs=1e-3), "the short way round"
    assert float(views.polar.rad2deg()) == pytest.approx(-20, abs=1e-3)
    assert float(views.radius) == pytest.approx(0.2, abs=1e-6)
    same = reference.seen_from(reference)
    assert float(same.angle) < 1e-6
    assert float(Orbit.of(90, 180).seen_from(Orbit.of(90, 0)).angle) == pytest.approx(math.pi)


@pytest.mark.parametrize("wrong", [(math.nan, 0, 1.8, 40), (90, 0, 0, 40), (90, 0, 1.8, 180)])
def test_what_is_no_camera_is_told(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="no camera"):
        Orbit.of(*wrong)
