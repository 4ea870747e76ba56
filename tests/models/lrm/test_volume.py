"""Volume rendering against what can be worked out by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from models.lrm.cameras import camera_rays, pinhole, spherical_poses  # noqa: E402
from models.lrm.volume import Noise, box_limits, render_rays  # noqa: E402

GREY = 0.25


def fog(density: float):
    """A box full of even fog, as a field; the raw number whose softplus(x − 1) is the density."""
    raw = 1 + math.log(math.expm1(density))

    def ask(points):
        assert (points.abs() <= 1).all(), "nothing is asked outside the box"
        return torch.full_like(points, GREY), torch.full_like(points[:, 0], raw)

    return ask


def ball(points):
    """A hard ball of radius 0.5, red on the side of +x."""
    inside = points.norm(dim=1) < 0.5
    return torch.stack([points[:, 0] > 0, 0 * points[:, 0], 0 * points[:, 0]], 1).float(), torch.where(
        inside, 1000.0, -1000.0
    )


@pytest.mark.parametrize("density", [0.1, 1.0, 30.0])
def test_fog_hides_what_is_behind_by_the_law_of_beer_and_lambert(density: float) -> None:
    origins = torch.tensor([[3.0, 0.2, -0.3], [0.5, -4.0, 0.5]])
    directions = torch.tensor([[-1.0, 0, 0], [0, 1.0, 0]])
    seen = render_rays(fog(density), origins, directions, 128)
    expected = 1 - math.exp(-density * 2)
    assert torch.allclose(seen.weight, torch.full((2,), expected), atol=2e-3)
    assert torch.allclose(seen.colour, torch.full((2, 3), GREY * expected + 1 - expected), atol=2e-3)
    # The mean depth of what is seen of even fog between t = near and near + 2.
    middle = 1 / density - 2 * math.exp(-2 * density) / expected
    near = torch.tensor([2.0, 3.0])
    assert torch.allclose(seen.depth / seen.weight, near + middle, atol=2e-2)


def test_a_hard_ball_is_seen_at_its_front_in_its_colour() -> None:
    origins, directions = (rays[0] for rays in camera_rays(spherical_poses([0], [0], 4.0), pinhole(), 9, 9))
    seen = render_rays(ball, origins, directions, 256, background=0.5)
    front = seen.depth / seen.weight
    assert front[40] == pytest.approx(3.5, abs=0.02)
    assert torch.allclose(seen.colour[40], torch.tensor([1.0, 0, 0]), atol=1e-2)
    assert torch.allclose(seen.colour[0], torch.full((3,), 0.5)) and seen.weight[0] == 0


def test_rays_that_miss_show_the_background_and_ask_nothing() -> None:
    origins = torch.tensor([[3.0, 0, 0], [3.0, 0, 0], [3.0, 2.0, 0]])
    directions = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [-1.0, 0, 0]])

    def never(points):
        raise AssertionError("asked")

    seen = render_rays(never, origins, directions, 16, background=0.3)
    assert torch.equal(seen.colour, torch.full((3, 3), 0.3))
    assert not seen.weight.any() and not seen.depth.any()


def test_the_box_is_entered_and_left_where_its_walls_are() -> None:
    origins = torch.tensor([[3.0, 0, 0], [0.0, 0, 0], [3.0, 1.0, 0], [-3.0, -3.0, -3.0]])
    directions = torch.tensor([[-1.0, 0, 0], [0, 0, 1.0], [-1.0, 0, 0], [3**-0.5] * 3])
    near, far = box_limits(origins, directions)
    assert torch.allclose(near, torch.tensor([2.0, 0.0, 2.0, 2 * 3**0.5]))
    assert torch.allclose(far, torch.tensor([4.0, 1.0, 4.0, 4 * 3**0.5]))


def test_chunks_change_nothing_and_noise_is_the_callers() -> None:
    torch.manual_seed(0)
    origins, directions = (rays[0] for rays in camera_rays(spherical_poses([25], [15], 3.0), pinhole(40), 6, 6))
    noise = Noise(torch.rand(36, 8), torch.rand(36, 8))
    whole = render_rays(ball, origins, directions, 16, noise=noise)
    pieces = render_rays(ball, origins, directions, 16, noise=noise, chunk=11)
    assert all(torch.equal(one, other) for one, other in zip(whole, pieces, strict=True))
    assert torch.equal(
        render_rays(ball, origins, directions, 16).colour, render_rays(ball, origins, directions, 16).colour
    )
    for samples in (6, 15):
        with pytest.raises(ValueError, match="two equal stages"):
            render_rays(ball, origins, directions, samples)
