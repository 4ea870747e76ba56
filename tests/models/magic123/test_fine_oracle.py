"""The fine stage with priors that know an object must come nearer to it: in shape, in colour, and not mirrored."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.magic123_oracle import Oracle, Truth, noise_ratio, overlap, solid_of
from models.magic123.cameras import Orbit
from models.magic123.drawing import Shading
from models.magic123.fine import ADAM, FineSettings, FineStage, planned
from models.magic123.fine_start import begin
from models.optimisation.loop import Loop, Settings, warm_up_then_cosine
from tests.models.magic123.shapes import chair, density, painter

STEPS, SIZE = 140, 64
WEIGHT = 50 / (3 * SIZE * SIZE)
"""Some times what the mean over the known view gives a pixel."""
SETTINGS = FineSettings(
    steps=STEPS,
    resolution=40,
    size=2 * SIZE,
    prior_size=SIZE,
    known_first=10,
    distance_rate=1.5e-2,
    grid_rate=2e-2,
    network_rate=5e-3,
)


@pytest.fixture(scope="module")
def known() -> Truth:
    return chair()


@pytest.fixture(scope="module")
def fitted(known: Truth) -> dict[str, Any]:
    """The stage after its steps, and how near it was before and is now."""
    reference = known.reference(SIZE)
    oracle = Oracle(known, reference, lambda step: planned(SETTINGS, reference.orbit, step), WEIGHT)
    stage = FineStage(begin(density, SETTINGS.resolution), painter(), reference, [oracle], SETTINGS)
    before = overlap(solid_of(*stage.export()[:2]), known.solid())
    optimiser = torch.optim.Adam(stage.groups(), **ADAM)
    rate = warm_up_then_cosine(0, STEPS, 0.2)
    Loop(stage, optimiser, Settings(STEPS, seed=3, judged_every=0), rate).run()
    vertices, faces, colour = stage.export()
    return {"stage": stage, "before": before, "vertices": vertices, "faces": faces, "colour": colour}


def shown(known: Truth, orbit: Orbit) -> Tensor:
    """The object itself, on white."""
    found = known.shown(orbit, SIZE, Shading(), orbit.backward, torch.ones(1, 3))
    return found[0].movedim(0, 2)


def seen(stage: FineStage, orbit: Orbit) -> Tensor:
    with torch.no_grad():
        return stage.draw(orbit, SIZE).colour


def test_the_solid_comes_nearer(fitted: dict[str, Any], known: Truth) -> None:
    after = overlap(solid_of(fitted["vertices"], fitted["faces"]), known.solid())
    assert after > fitted["before"] + 0.15
    assert after > 0.8


def test_the_known_view_and_others_look_alike(fitted: dict[str, Any], known: Truth) -> None:
    reference = known.reference(SIZE)
    assert noise_ratio(seen(fitted["stage"], reference.orbit), reference.picture) > 25
    others = [Orbit.of(polar, azimuth) for polar, azimuth in ((70, 60), (100, 150), (60, -100))]
    found = [noise_ratio(seen(fitted["stage"], each), shown(known, each)) for each in others]
    assert min(found) > 20


def test_it_is_closed_and_faces_outwards(fitted: dict[str, Any]) -> None:
    faces = fitted["faces"]
    pairs = Counter(map(tuple, faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()))
    assert all(count == 1 == pairs[two, one] for (one, two), count in pairs.items())
    one, two, three = fitted["vertices"].double()[faces].unbind(1)
    assert float((one * torch.linalg.cross(two, three)).sum()) > 0


def test_what_is_written_on_it_reads_the_right_way_round(fitted: dict[str, Any], known: Truth) -> None:
    """The arm is on the right of who looks from the front, and the letter is not mirrored."""
    vertices = fitted["vertices"]
    arms = (vertices[:, 1] < 0.0) & (vertices[:, 2] > 0.05)
    assert float(vertices[arms, 0].min()) > 0
    picture = seen(fitted["stage"], Orbit.of(80, 0))
    front = shown(known, Orbit.of(80, 0))
    assert noise_ratio(picture, front) > noise_ratio(picture.flip(1), front) + 6


def test_without_a_prior_only_the_known_view_is_found(known: Truth) -> None:
    """So that the test above cannot pass without what the prior says."""
    reference = known.reference(SIZE)
    settings = replace(SETTINGS, steps=40)
    stage = FineStage(begin(density, settings.resolution), painter(), reference, [], settings)
    Loop(stage, torch.optim.Adam(stage.groups(), **ADAM), Settings(40, judged_every=0)).run()
    behind = Orbit.of(90, 180)
    assert noise_ratio(seen(stage, reference.orbit), reference.picture) > 20
    assert noise_ratio(seen(stage, behind), shown(known, behind)) < 18
