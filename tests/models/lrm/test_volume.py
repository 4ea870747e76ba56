"""Volume rendering against what can be worked out by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from models.lrm.cameras import LENS, camera_rays, orbit_poses, patch_rays, pinhole, spherical_poses  # noqa: E402
from models.lrm.decoders import DensityDecoder, raw_density  # noqa: E402
from models.lrm.fields import DensityField  # noqa: E402
from models.lrm.occupancy import FLOOR, OccupiedSpace, faintest  # noqa: E402
from models.lrm.pictures import film, shown, view  # noqa: E402
from models.lrm.single_view_tiny import tiny_single_view  # noqa: E402
from models.lrm.volume import Noise, box_limits, render_rays  # noqa: E402

GREY = 0.25


def fog(density: float):
    """A box full of even fog, as a field; the raw number whose softplus(x − 1) is the density."""
    raw = raw_density(density)

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


def test_one_ray_alone_is_seen_as_among_others() -> None:
    origins, directions = (rays[0] for rays in camera_rays(spherical_poses([25], [15], 3.0), pinhole(40), 5, 5))
    together = render_rays(ball, origins, directions, 16)
    for ray in (0, 12):
        alone = render_rays(ball, origins[ray : ray + 1], directions[ray : ray + 1], 16)
        assert all(torch.equal(one, all_[ray : ray + 1]) for one, all_ in zip(alone, together, strict=True))


def test_every_ray_may_have_its_own_background() -> None:
    origins, directions = (rays[0] for rays in camera_rays(spherical_poses([0], [0], 4.0), pinhole(), 9, 9))
    plain = render_rays(ball, origins, directions, 32, background=0.0)
    greys = torch.linspace(0, 1, 81)
    for given, colours in ((greys, greys[:, None]), (torch.stack([greys, 1 - greys, greys], 1),) * 2):
        seen = render_rays(ball, origins, directions, 32, background=given)
        assert torch.allclose(seen.colour, plain.colour + colours * (1 - plain.weight)[:, None], atol=1e-6)
    assert torch.equal(seen.colour[0], torch.tensor([0.0, 1.0, 0.0])), "that of a ray that misses"
    with pytest.raises(ValueError, match="81"):
        render_rays(ball, origins, directions, 32, background=greys[:4])


def test_a_part_of_a_view_has_the_rays_of_the_whole() -> None:
    poses, lens = orbit_poses("mira", 3), torch.stack([LENS, pinhole(40), pinhole(50)])
    anchors, resolutions = torch.tensor([[0, 0], [3, 5], [6, 1]]), torch.tensor([4, 9, 10])
    parts = patch_rays(poses, lens, anchors, resolutions, 4)
    for index, ((top, left), size) in enumerate(zip(anchors.tolist(), resolutions.tolist(), strict=True)):
        whole = camera_rays(poses[index : index + 1], lens[index], size, size)
        for part, all_ in zip(parts, whole, strict=True):
            expected = all_.view(size, size, 3)[top : top + 4, left : left + 4].reshape(-1, 3)
            assert torch.allclose(part[index], expected, atol=1e-6)
    with pytest.raises(ValueError, match="reach beyond"):
        patch_rays(poses, lens, anchors + 3, resolutions, 4)


@pytest.fixture(scope="module")
def blob():
    """The tiny checkpoint's field and one of its orbit's poses."""
    network = tiny_single_view("mira").requires_grad_(False)
    from models.lrm.cameras import source_vectors

    torch.manual_seed(0)
    planes = network.planes(torch.rand(1, 3, 64, 64), source_vectors(network.config))[0]
    return network.synthesizer.decoder, planes


class Counted(DensityField):
    """A field that counts the points it is asked for, and remembers them."""

    def __call__(self, points):
        self.asked.append(points)
        return super().__call__(points)


def counted(decoder, planes, chunk: int = 65_536):
    field = Counted(decoder, planes, chunk)
    field.asked = []
    return field


def test_rays_computed_twice_have_the_gradients_of_rays_remembered(blob) -> None:
    decoder, planes = blob
    origins, directions = (rays[0] for rays in camera_rays(orbit_poses("mira", 5)[1:2], LENS, 8, 8))
    torch.manual_seed(1)
    noise, target = Noise(torch.rand(64, 8), torch.rand(64, 8)), torch.rand(64, 3)
    found, held = [], []
    for checkpointed in (False, True):
        learner = DensityDecoder(planes.shape[1])
        learner.load_state_dict(decoder.state_dict())
        learned = planes.clone().requires_grad_()
        field = counted(learner, learned, 100)
        remembered = 0

        def keep(tensor):
            nonlocal remembered
            remembered += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            seen = render_rays(
                field, origins, directions, 16, noise=noise, background=0.5, chunk=100, checkpointed=checkpointed
            )
        ((seen.colour - target).square().sum() + seen.depth.sum() + seen.weight.sum()).backward()
        found.append([learned.grad, *(each.grad for each in learner.parameters())])
        held.append(remembered)
    assert all(torch.allclose(one, other, rtol=1e-5, atol=1e-6) for one, other in zip(*found, strict=True))
    assert all(bool(each.any()) for each in found[0])
    assert held[1] < held[0] / 20, "only rays and their noise are kept"


def test_empty_space_is_skipped_and_the_picture_stays(blob) -> None:
    field = counted(*blob)
    space = OccupiedSpace.of(field)
    assert space.queries == sum(map(len, field.asked)) == 34**3
    points = torch.rand(50_000, 3, generator=torch.Generator().manual_seed(2)) * 2 - 1
    empty = ~space(points)
    assert 0.3 < empty.float().mean() < 0.9
    assert field(points)[1][empty].max() <= faintest(FLOOR), "nothing to be seen where it says so"
    for pose in orbit_poses("openlrm-1.1", 4)[:3]:
        field.asked = []
        plain = view(field, pose, 24, 32)
        published = 24 * 24 * 32
        assert sum(map(len, field.asked)) <= published
        field.asked = []
        skipped = view(field, pose, 24, 32, occupied=space)
        assert sum(map(len, field.asked)) * 2.5 <= published
        assert torch.cat(field.asked).unique(dim=0).shape[0] == sum(map(len, field.asked)), "each point once"
        for one, other, tolerance in zip(skipped, plain, (1 / 255, 5e-3, 1 / 255), strict=True):
            assert (one - other).abs().max() <= tolerance


def test_fog_is_not_empty_until_it_is_thinner_than_the_floor() -> None:
    thick, thin = fog(1.1 * FLOOR / 12**0.5), fog(0.9 * FLOOR / 12**0.5)
    assert OccupiedSpace(thick, 8).cells.all() and not OccupiedSpace(thin, 8).cells.any()
    ray = torch.tensor([[-2.0, -2.0, -2.0]]), torch.full((1, 3), 3**-0.5)
    weight = render_rays(thin, *ray, 64).weight
    assert 0 < weight < FLOOR
    assert render_rays(thin, *ray, 64, occupied=OccupiedSpace(thin, 8)).weight == 0


def test_a_film_is_the_views_in_eight_bits(blob) -> None:
    field = counted(*blob)
    poses = orbit_poses("mira", 3)
    for picture, pose in zip(film(field, poses, 12, 16), poses, strict=True):
        assert picture.shape == (12, 12, 3) and picture.dtype == torch.uint8
        apart = picture.int() - shown(view(field, pose, 12, 16).colour).int()
        assert apart.abs().max() <= 2


def test_colours_beyond_black_and_white_are_shown_as_these() -> None:
    given = torch.tensor([-0.001, 0.0, 0.5, 0.9999, 1.001])
    assert shown(given).tolist() == [0, 0, 128, 255, 255]
