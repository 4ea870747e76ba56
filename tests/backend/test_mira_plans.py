"""MIRA's memory plans: who gets which, and that their figures are what the networks really hold."""

from __future__ import annotations

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from backend.devices import Device  # noqa: E402
from backend.memory import choose_plan  # noqa: E402
from backend.pipelines.mira import MIRA, OWN, WEIGHTS, MiraParameters  # noqa: E402
from backend.pipelines.mira.plans import mira_plans, row_numbers  # noqa: E402
from backend.weights import row_of  # noqa: E402
from models.lrm.single_view import OFFICIAL, SingleViewModel  # noqa: E402
from tests.backend.living import GB, Living, agree, empty, fused  # noqa: E402

SOURCES = {"openlrm-small-1.1": 224, "openlrm-base-1.1": 336, "openlrm-large-1.1": 448, "mira": 128}
PARAMETERS = {"small": 111_390_948, "base": 260_201_972, "large": 452_138_004}


def card(free: float, kind: str = "cuda") -> Device:
    return Device(kind, "Card", 80 * GB, round(free * GB), bfloat16=kind == "cuda")


def plans(size: str, rows: int, device: Device, precision: str = "auto", points: int = 257, texels: int = 1024**2):  # type: ignore[no-untyped-def]
    name = f"openlrm-{size}-1.1"
    return mira_plans(
        OFFICIAL[name],
        PARAMETERS[size],
        rows,
        device,
        precision,  # type: ignore[arg-type]
        source_size=SOURCES[name],
        points=points,
        texels=texels,
    )


@pytest.mark.parametrize("name", SOURCES)
def test_a_row_holds_what_is_predicted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as what each further row adds: what views of the weights hold is in both counts."""
    monkeypatch.setattr(functional, "scaled_dot_product_attention", fused)
    config, side = OFFICIAL[name], SOURCES[name]
    with torch.device("meta"):
        model = SingleViewModel(config).requires_grad_(False).eval()

    def peak(rows: int) -> int:
        with Living() as living, torch.inference_mode():
            model.planes(empty(rows, 3, side, side), empty(rows, config.camera_numbers))
        return living.peak

    agree(peak(6) - peak(2), 4 * 4 * row_numbers(config, side), 0.04)


def test_attention_with_scores_needs_far_more() -> None:
    config = OFFICIAL["openlrm-base-1.1"]
    assert row_numbers(config, 336, fused=False) - row_numbers(config, 336) == 2 * 12 * 3072**2


@pytest.mark.parametrize("size", PARAMETERS)
def test_what_the_panel_says_is_what_one_object_needs(size: str) -> None:
    (plan, *_) = plans(size, 1, card(8))
    for data in ("mix", "obj"):
        told = MIRA.needs(MiraParameters(model=f"{data}-{size}")).memory_bytes  # type: ignore[arg-type]
        assert plan.needs_bytes <= told <= 1.1 * plan.needs_bytes
    assert plan.dtype == "float32", "as published"


def test_every_model_declares_its_weights() -> None:
    schema = MiraParameters.model_json_schema()["properties"]["model"]
    assert set(schema["weights"]) == set(schema["enum"]) == set(schema["titles"]) == set(WEIGHTS)
    for model, declared in WEIGHTS.items():
        if model != OWN:
            assert MiraParameters(model=model).needed_weights() == tuple(declared)
            ours = model == "mira-small"
            assert row_of(declared[0]).licence == ("GPL-3.0-or-later" if ours else "CC-BY-NC-4.0")
    assert MiraParameters(model="own", checkpoint="a").needed_weights() == ("own/a",)
    assert MIRA.needs(MiraParameters(model="own", checkpoint="a")).memory_bytes == MIRA.memory_bytes


@pytest.mark.parametrize(
    ("free", "name"), [(23.0, "16-32"), (3.5, "16-32"), (2.6, "8-32"), (2.4, "4-32"), (2.2, "4-32"), (1.5, "1-16")]
)
def test_the_planner_table(free: float, name: str) -> None:
    """Twenty rows of the base model."""
    assert choose_plan(plans("base", 20, card(free)), card(free)).name == name


@pytest.mark.parametrize("kind", ["cuda", "mps", "cpu"])
@pytest.mark.parametrize("rows", [1, 7, 48])
def test_each_plan_needs_less_than_the_one_before(kind: str, rows: int) -> None:
    for precision in ("auto", "float32", "bfloat16"):
        ladder = plans("large", rows, card(12, kind), precision)
        assert all(more.needs_bytes > less.needs_bytes for more, less in pairwise(ladder))
        assert ladder[0].settings["batch"] == min(rows, 16)
        assert {plan.dtype for plan in ladder} == (
            {"float32", ladder[-1].dtype} if precision == "auto" else {precision}
        )
