"""The benchmark of Magic123's coarse stage counts both orders of work and looks at its bars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from bench import magic123  # noqa: E402
from bench.magic123 import Cost  # noqa: E402
from tests import documented  # noqa: E402


def test_both_orders_of_work_are_measured(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "figures.json"
    magic123.main(["--amount", "least", "--json", str(file)])
    said = capsys.readouterr().out
    assert [row[0] for row in documented.table(said)] == list(magic123.TITLES.values())
    costs = json.loads(file.read_text(encoding="utf-8"))["costs"]
    for found in costs.values():
        for each in found.values():
            assert all(value > 0 for value in each.values())
        # What is counted does not depend on the machine; what is timed is looked at by who runs it.
        assert found["here"]["operations"] <= magic123.BAR * found["published"]["operations"]
        assert found["here"]["backward"] <= magic123.BAR / 2 * found["published"]["backward"]
        assert found["here"]["samples"] < found["published"]["samples"]


def test_both_orders_have_the_same_gradients() -> None:
    settings = magic123.replace(
        magic123.SMALL, size=16, steps=5000, normals_always=True, plain=0, normal_share=0, faint=0, coarse_levels=5
    )
    torch.manual_seed(0)
    field = magic123.Counting(settings.field)
    gradients = [torch.randn(1, 3, 16, 16) * 1e-2 for _ in range(2)]
    # The entropy sets in slowly here, so it is left out of the comparison.
    settings = magic123.replace(settings, weights=magic123.replace(settings.weights, entropy=0.0))
    stage = magic123.Coarse(field, magic123.ball(16), [magic123._Given(each) for each in gradients], settings)
    with torch.no_grad():
        stage.occupancy.update(field.density, 0, torch.Generator().manual_seed(0))
    step = magic123.Step(301, 1)
    plan = magic123.planned(settings, stage.reference, step)
    assert not plan.known
    magic123.as_here(stage, step)
    here = [each.grad.clone() for each in stage.parameters() if each.grad is not None]
    stage.zero_grad(set_to_none=True)
    magic123.in_published_order(stage, plan, step, gradients)
    for one, other in zip(here, [each.grad for each in stage.parameters()], strict=True):
        assert other is not None
        assert torch.allclose(one, other, atol=1e-3 * float(other.abs().max()))


def test_the_bars_are_looked_at() -> None:
    good = {"here": Cost(operations=5, seconds=5), "published": Cost(operations=10, seconds=10)}
    bad = {"here": Cost(operations=7, seconds=5), "published": Cost(operations=10, seconds=8)}
    assert not [said for said in magic123.verdict({"first": good}) if "NOT held" in said]
    assert len([said for said in magic123.verdict({"first": bad}) if "NOT held" in said]) == 2


def test_the_document_has_the_rows_that_are_printed() -> None:
    assert [row[0] for row in documented.rows("magic123.md", "Cost of a step")] == list(magic123.TITLES.values())
