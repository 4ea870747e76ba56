"""The fine stage: where it begins, what a step does, that it goes on to the bit and tells when nothing is left."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.guidance.prior import RelativeViews
from models.isosurface.sampling import EmptySurface
from models.isosurface.tetrahedra import TetrahedralGrid
from models.magic123.cameras import Orbit
from models.magic123.drawing import Shading
from models.magic123.fine import ADAM, PRESETS, FineSettings, FineStage, FineWeights, planned, reduced
from models.magic123.fine_start import Start, begin
from models.magic123.published import PublishedSurface
from models.magic123.reference import Reference
from models.optimisation.chance import Step
from models.optimisation.loop import Loop, Settings
from models.optimisation.state import read_state

SMALL = FineSettings(steps=50, resolution=24, size=32, prior_size=16, known_first=3, textureless=0.0)
RADIUS = 0.5


def ball(points: Tensor, radius: float = RADIUS) -> Tensor:
    """A density of 10 at the radius."""
    return 10 * torch.exp(40 * (radius - points.norm(dim=1)))


class Paint(nn.Module):
    """Colours by place, and what may be learned."""

    def __init__(self) -> None:
        super().__init__()
        self.tint = nn.Parameter(torch.zeros(3))

    def albedo(self, points: Tensor) -> Tensor:
        return torch.sigmoid(points + self.tint)


class Noting:
    """A prior that notes what it is shown and pulls pictures towards black."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, RelativeViews]] = []

    def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
        assert not pictures.requires_grad
        self.seen.append((pictures, views))
        return 1e-3 * pictures


def reference(size: int = 32, radius: float = 0.3) -> Reference:
    """A red disk, as large as a ball of that radius looks."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    half = math.tan(math.asin(radius / 1.8)) / math.tan(math.radians(20))
    inside = (axis[:, None].square() + axis.square()).sqrt() < half
    picture = torch.where(inside[..., None], torch.tensor([0.9, 0.1, 0.1]), torch.ones(3))
    return Reference(picture, inside.float(), polar=90.0)


def stage(priors: list[Noting] | None = None, settings: FineSettings = SMALL) -> FineStage:
    return FineStage(begin(ball, settings.resolution), Paint(), reference(), priors or [], settings)


def closed(faces: Tensor) -> bool:
    pairs = Counter(map(tuple, faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()))
    return bool(pairs) and all(count == 1 == pairs[two, one] for (one, two), count in pairs.items())


def volume(vertices: Tensor, faces: Tensor) -> float:
    one, two, three = vertices.detach().double()[faces].unbind(1)
    return float((one * torch.linalg.cross(two, three)).sum() / 6)


def test_the_first_surface_is_where_the_density_is_the_threshold() -> None:
    """Within a small part of an edge: a lattice of distances cut off at ±1 would only tell half an edge."""
    surface = stage().surface()
    edge = TetrahedralGrid.of_resolution(SMALL.resolution).spacing * 0.6
    assert float((surface.vertices.detach().norm(dim=1) - RADIUS).abs().max()) < 0.06 * edge
    assert closed(surface.faces)
    assert volume(surface.vertices, surface.faces) > 0


def test_a_thin_field_has_its_threshold_at_the_mean() -> None:
    thin = begin(lambda points: ball(points) / 100, 24, mean_density=0.1)
    assert torch.equal(thin.signed > 0, begin(ball, 24).signed > 0)


def test_the_lattice_is_as_large_as_the_object() -> None:
    """Along each axis for itself; no farther than the box of the field."""

    def flat(points: Tensor) -> Tensor:
        return ball(points / torch.tensor([0.4, 1.0, 2.2]))

    start = begin(flat, 24)
    assert start.scale.tolist() == pytest.approx([0.3, 0.6, 1.0], abs=0.08)
    assert torch.equal(start.reach, start.scale / TetrahedralGrid.of_resolution(24).resolution)
    surface = FineStage(start, Paint(), reference(), [], SMALL).surface()
    assert closed(surface.faces)  # along z the object goes on beyond the box


def test_a_hollow_object_has_no_inner_side() -> None:
    def hollow(points: Tensor) -> Tensor:
        radius = points.norm(dim=1)
        return 10 * torch.exp(40 * torch.minimum(RADIUS - radius, radius - 0.3))

    surface = FineStage(begin(hollow, 32), Paint(), reference(), [], SMALL).surface()
    assert float(surface.vertices.detach().norm(dim=1).min()) > 0.45


def test_crumbs_are_left_out_and_a_second_piece_is_not() -> None:
    def strewn(points: Tensor) -> Tensor:
        spots = [([0.0, 0.0, 0.0], 0.4), ([0.8, 0.7, 0.7], 0.07), ([-0.7, 0.7, -0.7], 0.2)]
        return torch.stack([ball(points - torch.tensor(place), radius) for place, radius in spots]).amax(0)

    surface = FineStage(begin(strewn, 48), Paint(), reference(), [], SMALL).surface()
    assert float(surface.vertices.detach()[:, 2].max()) < 0.5
    assert float(surface.vertices.detach()[:, 0].min()) < -0.8
    assert closed(surface.faces)


def test_nothing_dense_is_an_empty_surface() -> None:
    with pytest.raises(EmptySurface):
        begin(lambda points: torch.full_like(points[:, 0], 0.5), 16)


def test_a_field_that_fogs_up_everything_is_closed_all_the_same() -> None:
    start = begin(lambda points: torch.full_like(points[:, 0], 50.0), 16)
    surface = FineStage(start, Paint(), reference(), [], SMALL).surface()
    assert closed(surface.faces)
    assert volume(surface.vertices, surface.faces) == pytest.approx(8, rel=0.15)


def test_progress_ends_at_one() -> None:
    told: list[float] = []
    begin(ball, 16, progress=told.append)
    assert told == sorted(told) and told[-1] == pytest.approx(1)


def test_known_views_come_as_published() -> None:
    """The first steps, and then one in four, counted from one."""
    orbit = Orbit.of(90, 0)
    known = [planned(SMALL, orbit, Step(number, 0)).known for number in range(12)]
    assert known == [True, True, False, True, False, False, False, True, False, False, False, True]


def test_a_prior_sees_small_pictures_and_from_where_they_are() -> None:
    prior, other = Noting(), Noting()
    fine = stage([prior, other])
    step = Step(4, seed=1)
    found = fine(step)
    pictures, views = prior.seen[0]
    assert len(prior.seen) == len(other.seen) == 1
    assert pictures.shape == (1, 3, 16, 16)
    assert torch.equal(pictures, other.seen[0][0])
    plan = planned(SMALL, fine.reference_orbit, step)
    assert torch.equal(views.azimuth, plan.orbit.seen_from(fine.reference_orbit).azimuth)
    assert torch.allclose(pictures[0, :, 0, 0], plan.background[0])
    # Both pull alike: one way back for the sum of what they say.
    found["priors"].backward()
    tint: Paint = fine.field  # type: ignore[assignment]
    both = tint.tint.grad
    alone = stage([Noting()])
    alone(step)["priors"].backward()
    paint: Paint = alone.field  # type: ignore[assignment]
    assert both is not None and paint.tint.grad is not None
    assert torch.allclose(both, 2 * paint.tint.grad, rtol=1e-4)


def test_every_parameter_has_a_gradient_in_either_view() -> None:
    for number in (0, 4):
        fine = stage([Noting()])
        sum(fine(Step(number, seed=2)).values(), torch.zeros(())).backward()
        for name, each in fine.named_parameters():
            assert each.grad is not None and bool(each.grad.isfinite().all()), name
            assert bool(each.grad.any()), name


def test_losses_have_their_weights() -> None:
    torch.manual_seed(0)
    weights = FineWeights()
    twice = FineWeights(*(2 * each for each in (weights.rgb, weights.mask, weights.normals, weights.laplacian, 0.1)))
    one, two = (stage(settings=replace(SMALL, weights=each))(Step(0, 0)) for each in (weights, twice))
    assert set(one) == {"rgb", "mask", "mesh normals", "mesh laplacian", "drift"}
    for name, value in one.items():
        assert float(two[name].detach()) == pytest.approx(2 * float(value.detach()))


def test_a_surface_follows_the_outline() -> None:
    """The known disk is smaller than the ball, and is reached within some steps by the mask alone."""
    settings = replace(SMALL, steps=40, distance_rate=2e-2, weights=FineWeights(rgb=0.0))
    fine = stage(settings=settings)
    before = fine.surface().vertices.detach()[:, [0, 2]].norm(dim=1).max()
    Loop(fine, torch.optim.Adam(fine.groups(), **ADAM), Settings(40, judged_every=0)).run()
    seen = fine.draw(fine.reference_orbit, 32).alpha.detach()
    assert float(before) > 0.49
    assert float((seen - fine.alpha).abs().mean()) < 0.02
    assert closed(fine.surface().faces)


def test_whoever_goes_on_from_a_file_comes_to_the_same_bits(tmp_path: Path) -> None:
    def made(start: Start) -> tuple[FineStage, Loop]:
        fine = FineStage(start, Paint(), reference(), [Noting()], SMALL)
        return fine, Loop(fine, torch.optim.Adam(fine.groups(), **ADAM), Settings(8, seed=5, averaging=0.9))

    whole, loop = made(begin(ball, SMALL.resolution))
    loop.run()
    first, half = made(begin(ball, SMALL.resolution))
    half.settings = replace(half.settings, steps=4)
    half.run()
    half.write(tmp_path)
    again, rest = made(Start.blank(TetrahedralGrid.of_resolution(SMALL.resolution)))
    read_state(rest, tmp_path)
    assert torch.equal(again.scale, first.scale)  # without it the surface would have another size
    rest.run()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_surface_that_is_gone_is_told() -> None:
    fine = stage()
    fine.signed.data.fill_(-1)
    with pytest.raises(EmptySurface):
        fine(Step(0, 0))
    with pytest.raises(EmptySurface):
        fine.export()


def test_distances_that_run_away_are_held() -> None:
    fine = stage()
    fine.signed.data.mul_(5)
    found = fine(Step(0, 0))["drift"]
    found.backward()
    assert float(found.detach()) > 0 and fine.signed.grad is not None
    beyond = fine.signed.grad != 0
    assert bool((fine.signed.grad[beyond].sign() == fine.signed.detach()[beyond].sign()).all())


def test_a_prior_that_knows_nothing_leaves_one_closed_surface() -> None:
    """Signs change by chance alone then, and must not leave pieces behind that float around."""

    class Noise:
        def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
            return torch.randn(pictures.shape, generator=step.generator("noise")) * 1e-2

    settings = replace(SMALL, known_every=100)
    grid = TetrahedralGrid.of_resolution(settings.resolution)
    fine = FineStage(begin(ball, settings.resolution), Paint(), reference(), [Noise()], settings)
    Loop(fine, torch.optim.Adam(fine.groups(), **ADAM), Settings(settings.steps, judged_every=0)).run()
    assert closed(fine.surface().faces)
    assert int(grid.pieces(fine.signed.detach() > 0).max()) == 1
    fine.settings = replace(settings, distance_rate=1.0)
    assert fine.groups()[0]["lr"] == 0.1


def test_a_published_surface_goes_on_where_it_was() -> None:
    grid = TetrahedralGrid.of_resolution(24)
    index = torch.arange(grid.vertices)
    signed = 0.5 - grid.points(index).norm(dim=1)
    told = PublishedSurface(signed, torch.zeros(grid.vertices, 3), torch.tensor([0.5, 1.0, 1.0]))
    surface = FineStage(Start.published(told, grid), Paint(), reference(), [], SMALL).surface()
    assert surface.vertices.detach().amax(0).tolist() == pytest.approx([0.25, 0.5, 0.5], abs=0.02)


def test_previews_show_colours_and_normals_of_what_is_seen() -> None:
    fine = stage()
    around = Orbit(torch.full((2,), math.pi / 2), torch.tensor([0.0, math.pi / 2]), torch.full((2,), 1.8))
    seen = fine.render(around, 24)
    assert seen.colour.shape == seen.normals.shape == (2, 24, 24, 3)
    assert seen.alpha[:, 12, 12].tolist() == [1, 1] and seen.alpha[0, 0, 0] == 0
    facing = seen.normals[:, 12, 12] * 2 - 1
    assert facing[0, 1] < -0.95 and facing[1, 0] > 0.95  # towards cameras at -y and at +x
    assert seen.normals[0, 0, 0].tolist() == [0, 0, 0]
    assert seen.depth[:, 12, 12].tolist() == pytest.approx([1.3, 1.3], abs=0.02)
    vertices, faces, field = fine.export()
    assert not vertices.requires_grad and closed(faces)
    assert field(vertices).shape == vertices.shape and not field(vertices).requires_grad


def test_places_stay_exact_in_a_run_of_less_precision() -> None:
    fine = stage()
    with torch.no_grad():
        plain = fine(Step(0, 0))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = fine(Step(0, 0))
    for name, value in plain.items():
        assert float(mixed[name]) == pytest.approx(float(value), rel=1e-5), name


def test_light_falls_on_the_side_that_is_seen() -> None:
    """Published surfaces face inwards, so that nothing of them is lit."""
    fine = stage()
    orbit = Orbit.of(90, 0)
    with torch.no_grad():
        lit = fine.draw(orbit, 24, shading=Shading("textureless", 0.1), light=orbit.backward[0], background=0.0)
    assert float(lit.colour[12, 12].mean()) > 0.9


def test_pictures_are_made_smaller_by_their_means() -> None:
    picture = torch.arange(16.0).reshape(4, 4, 1)
    assert reduced(picture, 2).reshape(-1).tolist() == [2.5, 4.5, 10.5, 12.5]
    assert reduced(picture, 4) is picture


@pytest.mark.parametrize("wrong", [{"prior_size": 64}, {"known_every": 0}, {"steps": 0}, {"known_first": -1}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"Priors see|a step at least"):
        replace(SMALL, **wrong)  # type: ignore[arg-type]


def test_presets_do_more_and_more() -> None:
    draft, standard, final = (PRESETS[name] for name in ("draft", "standard", "final"))
    assert draft.steps < standard.steps < final.steps == 5000
    assert draft.resolution < standard.resolution < final.resolution == 256


def test_the_geometry_is_as_fast_in_the_world_on_any_lattice() -> None:
    """A rate is in edges of the lattice: times their length, and the steps, it is the same way."""
    ways = []
    for resolution, steps in ((24, 50), (48, 200)):
        fine = FineStage(
            begin(ball, resolution), Paint(), reference(), [], replace(SMALL, resolution=resolution, steps=steps)
        )
        rate = float(fine.groups()[0]["lr"])
        ways.append(rate * steps / TetrahedralGrid.of_resolution(resolution).cells)
    assert ways[0] == pytest.approx(ways[1])
