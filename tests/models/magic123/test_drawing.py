"""Pictures of a field: hidden samples are spared, writing stays the right way round, fog costs no memory."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.magic123.cameras import Orbit  # noqa: E402
from models.magic123.drawing import Shading, draw  # noqa: E402
from models.magic123.field import FieldSettings, RadianceField  # noqa: E402
from models.radiance.compositing import composite  # noqa: E402
from models.radiance.hash_grid import GridSettings  # noqa: E402
from models.radiance.marching import MarchSettings, march  # noqa: E402

EVERYWHERE = torch.ones(8, 8, 8, dtype=torch.bool)


class Solid:
    """A slab whose front, at -y, has an F on it; the density is enough for one sample to hide all."""

    def __init__(self, density: float = 1e4) -> None:
        self.full = density

    def density(self, points: Any) -> Any:
        return (points.abs() < torch.tensor([0.5, 0.2, 0.5])).all(1) * self.full

    def albedo(self, points: Any) -> Any:
        x, _, z = points.unbind(1)
        stem, arms = (x < -0.2) & (x > -0.4), (x > -0.4) & (x < 0.3) & ((z > 0.3) | ((z < 0.1) & (z > -0.1) & (x < 0)))
        return (~(stem | arms)).float()[:, None].expand(-1, 3)

    def __call__(self, points: Any) -> Any:
        return self.density(points), self.albedo(points)

    def normals(self, points: Any) -> Any:
        return torch.tensor([0.0, -1.0, 0.0]).expand_as(points)


def small_field(seed: int = 0) -> RadianceField:
    torch.manual_seed(seed)
    field = RadianceField(FieldSettings(GridSettings(3, 4, 16, 12), hidden=16, blob_density=6.0, blob_radius=0.4))
    torch.nn.init.normal_(field.grid.table, std=0.3)
    return field


def picture_of(field: Any, azimuth: float, **others: Any) -> Any:
    origins, directions = Orbit.of(90, azimuth).rays(32)
    with torch.no_grad():
        return draw(field, origins[0], directions[0], EVERYWHERE, MarchSettings(steps=256), **others)


def test_writing_stays_the_right_way_round() -> None:
    front = picture_of(Solid(), 0).colour[:, 0].view(32, 32)
    dark = front < 0.5
    assert dark[:, :16].sum() > 2 * dark[:, 16:].sum(), "the stem of an F is on the left"
    assert dark[:16].sum() > dark[16:].sum(), "and its arms are above"
    behind = picture_of(Solid(), 180).colour[:, 0].view(32, 32) < 0.5
    assert behind[:, 16:].sum() > 2 * behind[:, :16].sum(), "from behind it is the other way"


def test_depth_alpha_background_and_normals() -> None:
    origins, directions = Orbit.of(90, 0).rays(32)
    colours = torch.rand(32 * 32, 3)
    seen = picture_of(Solid(), 0, normals=True, background=colours)
    middle = 16 * 32 + 16
    assert float(seen.alpha[middle]) == pytest.approx(1, abs=1e-5) and float(seen.alpha[0]) == 0
    assert torch.equal(seen.colour[0], colours[0])
    assert float(seen.depth[middle]) == pytest.approx(1.6, abs=0.02), "planar, to the front of the slab"
    assert torch.allclose(seen.normals[middle], torch.tensor([0.5, 0.0, 0.5]), atol=1e-4)
    assert not seen.normals[0].any() and len(origins[0]) == len(directions[0]) == 1024


def test_shadings() -> None:
    light = torch.tensor([0.0, -1.0, 0.0]).expand(1024, 3)
    for kind, ambient, expected in (("textureless", 0.3, 1.0), ("lambert", 0.3, 1.0), ("lambert", 1.0, 1.0)):
        seen = picture_of(Solid(), 0, shading=Shading(kind, ambient), light=light)
        assert float(seen.colour.view(32, 32, 3)[16, 26, 0]) == pytest.approx(expected, abs=1e-3)
    dark = picture_of(Solid(), 0, shading=Shading("textureless", 0.3), light=-light)
    assert float(dark.colour.view(32, 32, 3)[16, 26, 0]) == pytest.approx(0.3, abs=1e-3)


def test_hidden_samples_are_spared_and_change_nothing() -> None:
    field = small_field()
    origins, directions = (each[0] for each in Orbit.of(70, 30).rays(16))
    settings, given = MarchSettings(steps=128), torch.randn(256, 3)
    seen = draw(field, origins, directions, EVERYWHERE, settings)
    assert len(seen.samples) < 0.8 * seen.sampled, "there is something to spare"
    names = [name for name, _ in field.named_parameters()]
    mine = torch.autograd.grad((seen.colour * given).sum(), list(field.parameters()))
    every = march(origins, directions, EVERYWHERE, settings)
    density, albedo = field(every.points)
    whole = composite(density, every.length, every.ray, every.rays)
    colour = whole.sum(albedo) + (1 - whole.alpha)[:, None]
    assert torch.allclose(seen.colour, colour, atol=1e-6)
    theirs = torch.autograd.grad((colour * given).sum(), list(field.parameters()))
    for name, one, other in zip(names, mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(other.abs().max())), name


@pytest.mark.parametrize("kind", ["albedo", "lambert"])
def test_gradients_are_those_that_are_measured(kind: Any) -> None:
    field = small_field(2)
    origins, directions = (each[0] for each in Orbit.of(80, -50).rays(6))
    given, lamps = torch.randn(36, 3), torch.tensor([0.0, -0.6, 0.8]).expand(36, 3)

    def loss() -> Any:
        settings, shading = MarchSettings(steps=64), Shading(kind, 0.4)
        return (
            draw(field, origins, directions, EVERYWHERE, settings, shading=shading, light=lamps).colour * given
        ).sum()

    # Below the last layer the perceptron has kinks, so that normals, which are differences, jump a little.
    parameters = list(field.parameters() if kind == "albedo" else field.network[-1].parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss(), parameters), strict=True):
        way, values = gradient / gradient.norm(), []
        with torch.no_grad():
            for sign in (1, -1):
                parameter += sign * 2e-3 * way
                values.append(float(loss()))
                parameter -= sign * 2e-3 * way
        assert (values[0] - values[1]) / 4e-3 == pytest.approx(float((gradient * way).sum()), rel=0.04)


def remembered(field: Any, cap: int) -> tuple[int, int]:
    """Bytes that one picture keeps for its backward pass, and its samples."""
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    origins, directions = (each[0] for each in Orbit.of(90, 0).rays(24))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        seen = draw(
            field, origins, directions, EVERYWHERE, MarchSettings(steps=512, cap=cap),
            shading=Shading("lambert", 0.3), light=torch.zeros(576, 3), normals=True,
        )  # fmt: skip
    return sum(kept.values()), seen.sampled


def test_a_field_that_fogs_up_needs_no_more_memory() -> None:
    field, cap = small_field(), 4000
    sizes, counts = [], []
    with torch.no_grad():
        field.network[-1].weight.zero_()
    for fog in (-2.0, -0.5, 0.5, 1.0, 3.0):
        with torch.no_grad():
            field.network[-1].bias.fill_(fog)
        size, count = remembered(field, cap)
        sizes.append(size)
        counts.append(count)
    assert max(counts) <= cap
    assert max(sizes) < 1.5 * sizes[0], sizes
    without_cap = remembered(field, 1 << 21)
    assert without_cap[1] > 10 * cap and remembered(field, cap)[1] <= cap
