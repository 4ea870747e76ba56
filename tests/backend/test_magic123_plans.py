"""Magic123's memory plans: who gets which, and that the renderers hold no more than is predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.devices import Device  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.memory import choose_plan  # noqa: E402
from backend.pipelines.magic123 import MAGIC123, Magic123Parameters  # noqa: E402
from backend.pipelines.magic123.plans import drawing_bytes, field_bytes, shaping_plans  # noqa: E402
from backend.pipelines.magic123.shaping import coarse_settings, fine_settings  # noqa: E402
from bench.guidance_sizes import PARAMETERS  # noqa: E402
from models.guidance.balance import Stage  # noqa: E402
from models.isosurface.tetrahedra import TetrahedralGrid  # noqa: E402
from models.magic123.coarse import Coarse  # noqa: E402
from models.magic123.field import RadianceField  # noqa: E402
from models.magic123.fine import FineStage  # noqa: E402
from models.magic123.fine_start import begin  # noqa: E402
from models.magic123.reference import Reference  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from tests.backend.living import GB, Living  # noqa: E402

STAGES: tuple[Stage, ...] = ("coarse", "fine")
USUAL = Magic123Parameters()


def card(free: float, kind: str = "cuda") -> Device:
    return Device(kind, "Card", 80 * GB, round(free * GB), bfloat16=kind == "cuda")


def chosen(stage: Stage, free: float, parameters: Magic123Parameters = USUAL) -> str:
    device = card(free)
    plan = choose_plan(shaping_plans(stage, PARAMETERS, parameters, device), device)
    return "tight" if plan.tight else plan.name


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["cuda", "mps", "cpu"])
@pytest.mark.parametrize("priors", [1, 2])
def test_every_plan_needs_less_than_the_one_before(stage: Stage, kind: str, priors: int) -> None:
    sizes = dict(list(PARAMETERS.items())[:priors])
    plans = shaping_plans(stage, sizes, USUAL, card(24, kind))
    needed = [plan.needs_bytes for plan in plans]
    assert needed == sorted(needed, reverse=True) and len({plan.name for plan in plans}) == len(plans)
    assert {plan.dtype for plan in plans} == {{"cuda": "bfloat16", "mps": "float16", "cpu": "float32"}[kind]}
    assert [plan.settings["stay"] for plan in plans] == [True, *[False] * (len(plans) - 1)]


def test_cards_get_what_fits() -> None:
    assert [chosen("coarse", free) for free in (24, 15, 11.5, 10, 7.4, 5)] == [
        "full-1024k", "full-512k", "full-512k", "recomputed-512k", "recomputed-128k", "alone-128k",
    ]  # fmt: skip
    assert [chosen("fine", free) for free in (24, 8.3, 7.4, 5)] == ["full", "recomputed", "recomputed", "alone"]
    assert chosen("fine", 7.4, Magic123Parameters(quality="final")) == "recomputed", "8 GB do for both priors at once"
    with pytest.raises(Problem, match="out-of-memory") as caught:
        chosen("coarse", 2)
    assert "the most frugal way needs about" in caught.value.detail and "Close other programs" in caught.value.hint


@pytest.mark.parametrize("quality", ["draft", "standard", "final"])
@pytest.mark.parametrize("refine", ["on", "off"])
def test_what_is_told_beforehand_is_what_the_most_frugal_plan_needs(quality: Any, refine: Any) -> None:
    parameters = Magic123Parameters(quality=quality, refine=refine)
    stages = STAGES if parameters.refines else STAGES[:1]
    least = max(shaping_plans(stage, PARAMETERS, parameters, card(10))[-1].needs_bytes for stage in stages)
    assert MAGIC123.needs(parameters).memory_bytes == pytest.approx(least, rel=0.01)


class Noise:
    """A prior that wants anything."""

    def gradient(self, pictures: Any, views: Any, step: Step) -> Any:
        return torch.randn_like(pictures)


def seen(size: int) -> Reference:
    row, column = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    alpha = (row**2 + column**2 < 0.6).float()
    return Reference(torch.rand(size, size, 3), alpha)


@pytest.mark.parametrize("known", [True, False])
def test_a_field_without_a_surface_holds_no_more_than_is_predicted(known: bool) -> None:
    """Every sample is seen, and has a normal."""
    parameters = Magic123Parameters(side=32, table=10, steps=100)
    cap = 1 << 15
    settings = coarse_settings(parameters, cap)
    settings = replace(
        settings,
        known_steps=9 if known else 1,
        normal_share=0.0,
        field=replace(settings.field, blob_density=0.0),
        march=replace(settings.march, steps=1024),
    )
    stage = Coarse(RadianceField(settings.field), seen(64), [Noise()], settings)
    with Living() as living:
        sum(stage(Step(0, 1)).values()).backward()  # type: ignore[union-attr]
    assert stage.count.with_normals > 0.9 * cap
    predicted = drawing_bytes(replace_side(parameters), cap) + field_bytes(parameters)
    assert living.peak < predicted and living.peak > 0.5 * (predicted - 130_000_000)


def replace_side(parameters: Magic123Parameters) -> Magic123Parameters:
    """As large a picture that the cap alone limits the samples."""
    return parameters.model_copy(update={"side": 128})


@pytest.mark.parametrize(("resolution", "side"), [(32, 192), (64, 64)])
def test_a_surface_holds_no_more_than_is_predicted(resolution: int, side: int) -> None:
    parameters = Magic123Parameters(resolution=resolution, fine_side=side, side=32, levels=4, table=10, steps=100)
    field = RadianceField(coarse_settings(parameters, 1 << 15).field)
    with Living() as living:
        start = begin(lambda points: 100 * torch.sigmoid((0.55 - points.norm(dim=1)) * 50), resolution)
        stage = FineStage(start, field, seen(side), [Noise()], fine_settings(parameters))
        sum(stage(Step(0, 1)).values()).backward()  # type: ignore[union-attr]
    predicted = drawing_bytes(parameters, None) + field_bytes(parameters)
    assert 0.3 * predicted < living.peak < predicted
    assert TetrahedralGrid.of_resolution(256).vertices < 2_200_000
