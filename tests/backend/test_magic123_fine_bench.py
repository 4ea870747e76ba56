"""The benchmark of the fine stage does the same work in both orders, and its rows are those of the document."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from bench import magic123_fine  # noqa: E402
from models.magic123.field import FieldSettings  # noqa: E402
from models.magic123.fine import FineSettings  # noqa: E402
from models.radiance.hash_grid import GridSettings  # noqa: E402
from tests import documented  # noqa: E402

SETTINGS = FineSettings(resolution=20, size=32, prior_size=16, textureless=0)
FIELD = FieldSettings(GridSettings(levels=3, log2_entries=10), hidden=8)


def test_both_orders_have_the_same_gradients() -> None:
    gradients = [torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(each)) for each in range(2)]
    found: list[dict[str, Any]] = []
    for published in (False, True):
        stage, asked, plan = magic123_fine.prepared(SETTINGS, FIELD, torch.device("cpu"))
        magic123_fine.view(stage, asked, plan, gradients, published)
        found.append({name: each.grad for name, each in stage.named_parameters()})
    for name, one in found[0].items():
        assert bool(one.any()), name
        assert torch.allclose(one, found[1][name], rtol=1e-3, atol=1e-5 * float(one.abs().max())), name


def test_parts_are_measured_and_documented() -> None:
    costs = magic123_fine.measured(SETTINGS, FIELD, torch.device("cpu"), 1)
    assert costs["here"].shaded < costs["published"].shaded == 32 * 32
    for cost in costs.values():
        assert all(seconds > 0 for seconds in cost.seconds.values())
        assert all(cost.kept[name] > 0 for name in magic123_fine.PARTS if name != "backward")
    rows = documented.table(magic123_fine.table(costs))
    document = documented.rows("magic123.md", "Cost of a step of the fine stage")
    assert [row[0] for row in rows] == [row[0] for row in document]
