"""Hi3D's memory plans: who gets which. That their figures are what the networks hold is tested beside the networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from backend.devices import Device  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.memory import choose_plan  # noqa: E402
from backend.pipelines.hi3d import HI3D, ORBIT_BYTES, REFINE_BYTES, Hi3DParameters  # noqa: E402
from backend.pipelines.hi3d.plans import stage_plans  # noqa: E402
from backend.pipelines.viewed.plans import surface_plans  # noqa: E402
from backend.weights import row_of  # noqa: E402
from bench.hi3d_sizes import PARAMETERS  # noqa: E402
from models.hi3d.files import ORBIT, REFINE, Stage  # noqa: E402
from tests.backend.living import GB  # noqa: E402

STAGES = (ORBIT, REFINE)


def card(free: float, kind: str = "cuda") -> Device:
    return Device(kind, "Card", 80 * GB, round(free * GB), bfloat16=kind == "cuda")


def chosen(stage: Stage, free: float) -> str:
    device = card(free)
    plan = choose_plan(stage_plans(stage, PARAMETERS[stage.number], device), device)
    return "tight" if plan.tight else plan.name


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.file)
@pytest.mark.parametrize("kind", ["cuda", "mps", "cpu"])
def test_every_plan_needs_less_than_the_one_before(stage: Stage, kind: str) -> None:
    plans = stage_plans(stage, PARAMETERS[stage.number], card(24, kind))
    needed = [plan.needs_bytes for plan in plans]
    assert needed == sorted(needed, reverse=True) and len({plan.name for plan in plans}) == len(plans)
    assert {plan.dtype for plan in plans} == {{"cuda": "bfloat16", "mps": "float16", "cpu": "float32"}[kind]}
    assert all(plan.settings["way"].name == plan.name and plan.sentence for plan in plans)


def test_cards_get_what_fits() -> None:
    assert [chosen(REFINE, free) for free in (24, 15, 9.5, 7.5, 6.3)] == ["full", "parts", "halves", "pieces", "frames"]
    assert [chosen(ORBIT, free) for free in (9.5, 7.5, 5.1, 4.4)] == ["full", "parts", "halves", "frames"]
    with pytest.raises(Problem, match="out-of-memory"):
        chosen(REFINE, 3)


@pytest.mark.parametrize(("stage", "told"), [(ORBIT, ORBIT_BYTES), (REFINE, REFINE_BYTES)], ids=["orbit", "refine"])
def test_what_is_told_beforehand_is_what_the_most_frugal_plan_needs(stage: Stage, told: int) -> None:
    least = stage_plans(stage, PARAMETERS[stage.number], card(10))[-1].needs_bytes
    assert told == pytest.approx(least, rel=0.02)
    assert HI3D.needs(Hi3DParameters(refine="on" if stage is REFINE else "off")).memory_bytes == told
    weights = 2 * sum(PARAMETERS[stage.number].values())
    assert row_of("hi3d-orbit" if stage is ORBIT else "hi3d-refine").memory_bytes == pytest.approx(weights, rel=0.01)


def test_the_surface_needs_less_than_the_views() -> None:
    (plan,) = surface_plans(16, 1024, 144, 2048**2)
    assert plan.needs_bytes < REFINE_BYTES
