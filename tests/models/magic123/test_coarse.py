"""The coarse stage: what each step does, that priors are heard once, and that it goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.guidance.prior import RelativeViews  # noqa: E402
from models.isosurface.sampling import EmptySurface  # noqa: E402
from models.magic123.cameras import Orbit  # noqa: E402
from models.magic123.coarse import Coarse  # noqa: E402
from models.magic123.field import FieldSettings, RadianceField  # noqa: E402
from models.magic123.reference import Reference  # noqa: E402
from models.magic123.settings import PUBLISHED, SMALL, CoarseSettings, loop_settings, planned  # noqa: E402
from models.magic123.viewing import export, occupancy_of, render  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from models.optimisation.hooks import Hooks  # noqa: E402
from models.optimisation.loop import Loop  # noqa: E402
from models.optimisation.state import read_state  # noqa: E402
from models.radiance.hash_grid import GridSettings  # noqa: E402
from models.radiance.marching import MarchSettings  # noqa: E402
from models.radiance.occupancy import OccupancySettings  # noqa: E402

TINY = replace(
    SMALL,
    steps=12,
    size=12,
    known_steps=3,
    coarse_levels=1,
    coarse_steps=6,
    field=FieldSettings(GridSettings(2, 4, 8, 10), hidden=8, blob_density=5.0, blob_radius=0.3),
    march=MarchSettings(steps=48, cap=2000),
    occupancy=OccupancySettings(resolution=12, turns=3, every=2),
)


class Remembering:
    """A prior that wants all pictures brighter, and remembers what it was shown."""

    def __init__(self, amount: float = 1e-3) -> None:
        self.amount = amount
        self.shown: list[tuple[Any, RelativeViews, Step]] = []

    def gradient(self, pictures: Any, views: RelativeViews, step: Step) -> Any:
        assert not pictures.requires_grad
        self.shown.append((pictures, views, step))
        return torch.full_like(pictures, -self.amount)


def reference(size: int = 16) -> Reference:
    row, column = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    alpha = ((row.abs() < 0.6) & (column.abs() < 0.4)).float()
    picture = torch.stack([row * 0.5 + 0.5, column * 0.5 + 0.5, torch.zeros_like(row)], dim=2)
    depth = (1 - row.abs()) * alpha
    return Reference(picture * alpha[..., None] + 1 - alpha[..., None], alpha, depth, 85.0, 20.0)


def made(settings: CoarseSettings = TINY, priors: Any = None, seed: int = 0) -> Coarse:
    torch.manual_seed(seed)
    return Coarse(RadianceField(settings.field), reference(), [Remembering()] if priors is None else priors, settings)


def test_the_published_schedule() -> None:
    plans = [planned(PUBLISHED, reference(), Step(number, 101)) for number in range(1200)]
    known = [number + 1 for number, plan in enumerate(plans) if plan.known]
    assert known == [number for number in range(1, 1201) if number < 100 or number % 4 == 0]
    novel = [(number + 1, plan) for number, plan in enumerate(plans) if not plan.known]
    assert all((plan.shading.kind == "normal") == (number <= 1000) for number, plan in novel)
    lit = [plan.shading for number, plan in novel if number > 1000]
    grey = sum(shading.kind == "textureless" for shading in lit) / len(lit)
    assert 0.1 < grey < 0.3 and {shading.kind for shading in lit} == {"textureless", "lambert"}
    assert all(0.1 <= shading.ambient <= 1 for shading in lit)
    assert all(plan.levels == 8 for plan in plans)
    assert planned(PUBLISHED, reference(), Step(2999, 1)).levels == 8
    assert planned(PUBLISHED, reference(), Step(3000, 1)).levels == 16
    assert all(bool((plan.background == 1).all()) and plan.shading.kind == "albedo" for plan in plans if plan.known)
    colours = torch.cat([plan.background for _, plan in novel])
    assert 0.4 < float(colours.mean()) < 0.6 and float(colours.std()) > 0.2


def test_a_plan_is_a_function_of_the_step() -> None:
    one, again, other = (planned(PUBLISHED, reference(), Step(number, 5)) for number in (1501, 1501, 1502))
    assert torch.equal(one.orbit.azimuth, again.orbit.azimuth) and torch.equal(one.light, again.light)
    assert not torch.equal(one.background, other.background)


def test_priors_are_heard_once_and_added_up() -> None:
    both = [Remembering(1e-3), Remembering(3e-3)]
    stage, alone = made(priors=both), made(priors=[Remembering(4e-3)])
    step = Step(4, 1)
    for each in (stage, alone):
        torch.stack(list(each(step).values())).sum().backward()
    for one, other in zip(stage.parameters(), alone.parameters(), strict=True):
        assert one.grad is not None and torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-9)
    for prior in both:
        ((pictures, views, told),) = prior.shown
        assert pictures.shape == (1, 3, 12, 12) and told is step
        orbit = planned(TINY, stage.reference, step).orbit
        assert torch.allclose(views.azimuth, orbit.seen_from(reference().orbit).azimuth)


def test_what_a_prior_wants_is_what_happens() -> None:
    stage = made(replace(TINY, steps=30, known_steps=0, known_every=100, normal_share=0, plain=1, textureless=0))
    before = stage.field.albedo(torch.zeros(1, 3)).mean().item()
    Loop(stage, stage.optimiser(), loop_settings(stage.settings, 1)).run()
    assert stage.field.albedo(torch.zeros(1, 3)).mean().item() > before + 0.1


@pytest.mark.parametrize(("kind", "always", "expected"), [("plain", False, 0), ("plain", True, 1), ("lit", False, 1)])
def test_normals_are_asked_for_only_where_something_looks(kind: str, always: bool, expected: int) -> None:
    plain = float(kind == "plain")
    settings = replace(TINY, normal_share=0, plain=plain, textureless=0, known_steps=0, normals_always=always)
    stage, asked = made(settings), []
    plainly = stage.field.normals
    stage.field.normals = lambda points: (asked.append(len(points)), plainly(points))[1]  # type: ignore
    found = stage(Step(2, 3))
    assert stage.count.seen > 0
    assert len(asked) == expected and ("normal_blur" in found) == bool(expected)
    assert stage.count.with_normals == sum(asked) <= stage.count.seen <= stage.count.sampled
    none = replace(TINY.weights, orient=0, normal_smooth=0, normal_blur=0)
    quiet = made(replace(settings, weights=none, normals_always=True))
    quiet(Step(2, 3))
    assert (quiet.count.with_normals > 0) == (kind == "lit")


def test_16_bits_learn_the_same() -> None:
    found = []
    for mixed in (False, True):
        stage = made()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            stage(Step(0, 1))
            losses = list(stage(Step(6, 1)).values())
        torch.stack([loss.float() for loss in losses]).sum().backward()
        found.append([each.grad for each in stage.field.network.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=0.05 * float(one.abs().max()))


def test_parts_of_a_step_share_what_is_known_of_space() -> None:
    stage, updates = made(), []
    update = stage.occupancy.update
    stage.occupancy.update = lambda *told: (updates.append(told[1]), update(*told))[1]  # type: ignore
    for number in (0, 1, 2):
        for part in (1, 2):  # of another process the first part may be any
            stage(Step(number, 1, part, 4))
    assert updates == [0, 1]


def test_without_priors_the_known_view_is_all_there_is() -> None:
    stage = made(priors=[])
    assert all({"rgb", "mask", "depth"} <= set(stage(Step(number, 1))) for number in (4, 5, 6))


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_it_goes_on_to_the_bit(tmp_path: Path, stop: int) -> None:
    def loop() -> Loop:
        stage = made()
        return Loop(stage, stage.optimiser(), loop_settings(stage.settings, 3))

    whole = loop()
    whole.run()
    first = loop()
    done: list[int] = []
    first.run(Hooks(progress=lambda report: done.append(report.step), finish=lambda: len(done) > stop))
    assert first.step == stop
    first.write(tmp_path)
    other = loop()
    read_state(other, tmp_path)
    other.run()
    for name, each in whole.objective.state_dict().items():
        assert torch.equal(each, other.objective.state_dict()[name]), name
    for name, each in whole.averages.items():
        assert torch.equal(each, other.averages[name]), name


def test_a_field_that_fogs_up_stays_under_the_cap() -> None:
    class Fog:
        """Wants everything black on any background, which only fog can do."""

        def gradient(self, pictures: Any, views: RelativeViews, step: Step) -> Any:
            return pictures * 1e2

    settings = replace(TINY, steps=120, known_steps=0, known_every=1000, normal_share=0, plain=1, textureless=0)
    stage = made(replace(settings, march=MarchSettings(steps=256, cap=1000)), priors=[Fog()])
    sampled, bytes_kept = [], []

    def keep(tensor: Any) -> Any:
        bytes_kept[-1][tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def watch(report: Any) -> None:
        sampled.append((stage.count.sampled, stage.count.widened))
        bytes_kept.append({})

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        Loop(stage, stage.optimiser(), loop_settings(stage.settings, 1)).run(Hooks(progress=watch))
    assert max(count for count, _ in sampled) <= 1000
    assert float(stage.occupancy.occupied().float().mean()) > 0.9, "it has fogged up"
    assert sampled[-1][1] > 5
    sizes = [sum(each.values()) for each in bytes_kept if each]
    assert max(sizes[100:]) < 1.3 * max(sizes[:30])


class Ball(RadianceField):
    """Dense within a radius of 0.5 around a place."""

    def log_density(self, points: Any) -> Any:
        return (0.5 - (points - torch.tensor([0.3, 0.0, 0.0])).norm(dim=1)) * 30 + 2.3

    def density(self, points: Any) -> Any:
        return self.log_density(points).exp()

    def forward(self, points: Any) -> Any:
        return self.density(points), self.albedo(points)


def test_the_surface_is_closed_and_looks_outwards() -> None:
    with torch.no_grad():
        field = Ball(TINY.field)
        vertices, faces = export(field, 65, threshold=10.0)
        corners = vertices[faces]
        assert float(torch.linalg.det(corners).sum() / 6) == pytest.approx(4 / 3 * 3.1416 * 0.5**3, rel=0.03)
        assert torch.allclose((vertices.amax(0) + vertices.amin(0)) / 2, torch.tensor([0.3, 0.0, 0.0]), atol=0.02)
        edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        forth = {tuple(each) for each in edges.tolist()}
        assert forth == {(two, one) for one, two in forth}
        with pytest.raises(EmptySurface):
            export(field, 33, threshold=1e20)
        full, _ = export(field, 33, threshold=1e-12)
        assert float(full.abs().max()) <= 1.0, "what fills the box ends at its walls"


def test_pictures_to_look_at() -> None:
    with torch.no_grad():
        field = Ball(TINY.field)
        orbit = Orbit(torch.tensor([1.4, 1.4]), torch.tensor([0.0, 1.57]), torch.tensor([1.8, 1.8]))
        seen = render(field, orbit, 20, occupancy_of(field, OccupancySettings(resolution=24)), MarchSettings(steps=128))
    assert seen.colour.shape == seen.normals.shape == (2, 20, 20, 3) and seen.depth.shape == (2, 20, 20)
    # From the front it is on the right, from the right in the middle, and nearer.
    front, side = seen.alpha
    assert float(front[:, 10:].sum()) > 1.8 * float(front[:, :10].sum())
    assert float(side[:, 10:].sum()) == pytest.approx(float(side[:, :10].sum()), rel=0.1)
    assert float(seen.depth[0, 10, 14]) == pytest.approx(1.35, abs=0.1)
    assert float(seen.depth[1, 10, 10]) == pytest.approx(1.0, abs=0.1)
    assert float(seen.normals[1, 10, 10, 0]) == pytest.approx(1.0, abs=0.05), "its side at +x looks to +x"


def test_what_cannot_be_done_is_told() -> None:
    with pytest.raises(ValueError, match="cap"):
        CoarseSettings(march=MarchSettings(cap=1000))
    with pytest.raises(ValueError, match="cannot be done"):
        CoarseSettings(steps=0)
    picture, alpha = torch.zeros(4, 4, 3), torch.ones(4, 4)
    for wrong, words in (
        ((picture[:3], alpha), "square"),
        ((picture, alpha * 0), "no object"),
        ((picture * float("nan"), alpha), "no numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            Reference(*wrong)
    half = reference(16).at(8)
    assert half.picture.shape == (8, 8, 3) and half.depth is not None
    assert float(half.alpha.mean()) == pytest.approx(float(reference(16).alpha.mean()), abs=0.02)
