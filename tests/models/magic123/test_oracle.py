"""With a prior that knows the object the coarse stage finds it: nothing of the way there and back is inverted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from bench.magic123 import found_by_oracle  # noqa: E402
from bench.magic123_oracle import Oracle, Truth, overlap  # noqa: E402
from models.magic123.field import FieldSettings  # noqa: E402
from models.magic123.settings import SMALL, CoarseSettings, planned  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from models.radiance.hash_grid import GridSettings  # noqa: E402
from models.radiance.marching import MarchSettings  # noqa: E402
from models.radiance.occupancy import OccupancySettings  # noqa: E402
from tests.models.multiview.shapes import mesh_of  # noqa: E402

SOFA = (
    ((0.0, 0.1, -0.12), (0.4, 0.2, 0.12)),
    ((0.25, -0.25, -0.12), (0.15, 0.2, 0.12)),
    ((0.0, 0.26, 0.08), (0.4, 0.06, 0.3)),
    ((-0.34, 0.05, 0.05), (0.08, 0.2, 0.2)),
)
"""Longer on one side and with an arm on the other."""

FLOOR, REFERENCE = 0.70, 24.0

QUICK = replace(
    SMALL,
    steps=260,
    size=40,
    coarse_steps=60,
    coarse_levels=3,
    field=FieldSettings(GridSettings(levels=4, base=8, finest=64, log2_entries=18), hidden=32),
    march=MarchSettings(steps=96, cap=1 << 17),
    occupancy=OccupancySettings(resolution=32, turns=4, every=4),
)


def test_it_finds_what_the_oracle_knows() -> None:
    truth = Truth.of(*mesh_of(SOFA))
    cells = truth.solid()
    inverted = (cells[::-1], cells[:, ::-1], cells[:, :, ::-1], cells[::-1, ::-1], cells.transpose(1, 0, 2))
    assert max(overlap(cells, each) for each in inverted) < FLOOR - 0.08, "the floor tells a mirror image apart"
    found, field = found_by_oracle("sofa", truth, QUICK, seed=1)
    print(found)
    assert found.overlap >= FLOOR
    assert found.reference >= REFERENCE
    assert found.views >= 18
    with torch.no_grad():
        # Colours of the right side: x is red, y is green, z is blue.
        places = torch.tensor([[0.35, -0.2, -0.12], [-0.35, 0.1, 0.2]])
        right, left = field.albedo(places)
    assert float(right[0]) > float(left[0]) + 0.1 and float(left[2]) > float(right[2]) + 0.05


def test_the_oracle_is_silent_where_nothing_is_to_be_changed() -> None:
    truth = Truth.of(*mesh_of(SOFA))
    settings: CoarseSettings = replace(QUICK, known_steps=0, known_every=100)
    reference = truth.reference(32, polar=70, azimuth=-40)
    oracle = Oracle(truth, reference, partial(planned, settings, reference), weight=1.0)
    for number in (3, 100, 200):
        step = Step(number, 5)
        plan = planned(settings, reference, step)
        same = truth.shown(plan.orbit, 32, plan.shading, plan.light, plan.background)
        views = plan.orbit.seen_from(reference.orbit)
        assert float(oracle.gradient(same, views, step).abs().max()) < 1e-4
        brighter = oracle.gradient(same + 0.1, views, step)
        assert bool((brighter > 0).all()), "the gradient leads away from the truth"
