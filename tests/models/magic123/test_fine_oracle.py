"""The fine stage with priors that know an object must come nearer to it: in shape, in colour, and not mirrored."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.magic123_oracle import Oracle, Truth, noise, overlap
from models.magic123.cameras import Orbit
from models.magic123.fine import ADAM, FineSettings, FineStage
from models.magic123.fine_start import begin
from models.optimisation.loop import Loop, Settings, warm_up_then_cosine
from tests.models.magic123.shapes import chair, density, painter

STEPS, SIZE = 140, 64
SETTINGS = FineSettings(
    steps=STEPS, resolution=40, size=2 * SIZE, prior_size=SIZE, known_first=10, textureless=0, ambient=(1, 1),
    distance_rate=6e-3, grid_rate=2e-2, network_rate=5e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def known() -> Truth:
    return chair()


@pytest.fixture(scope="module")
def fitted(known: Truth) -> dict[str, Any]:
    """The stage after its steps, and how near it was before and is now."""
    reference = known.reference(SIZE)
    stage = FineStage(begin(density, SETTINGS.resolution), painter(), reference, [Oracle(known, reference, 30)], SETTINGS)
    before = overlap(*stage.export()[:2], known)
    optimiser = torch.optim.Adam(stage.groups(), **ADAM)
    rate = warm_up_then_cosine(0, STEPS, 0.2)
    Loop(stage, optimiser, Settings(STEPS, seed=3, judged_every=0), rate).run()
    vertices, faces, colour = stage.export()
    return {"stage": stage, "before": before, "vertices": vertices, "faces": faces, "colour": colour}


def seen(stage: FineStage, orbit: Orbit) -> Tensor:
    with torch.no_grad():
        return stage.draw(orbit, SIZE).colour


def test_the_solid_comes_nearer(fitted: dict[str, Any], known: Truth) -> None:
    after = overlap(fitted["vertices"], fitted["faces"], known)
    print(fitted["before"], after)
    assert after > fitted["before"] + 0.1
    assert after > 0.85


def test_the_known_view_and_others_look_alike(fitted: dict[str, Any], known: Truth) -> None:
    reference = known.reference(SIZE)
    print(noise(seen(fitted["stage"], reference.orbit), reference.picture))
    assert noise(seen(fitted["stage"], reference.orbit), reference.picture) > 25
    others = [Orbit.of(polar, azimuth) for polar, azimuth in ((70, 60), (100, 150), (60, -100))]
    found = [noise(seen(fitted["stage"], each), known.picture(each, SIZE, torch.ones(3))[0]) for each in others]
    print(found)
    assert min(found) > 18


def test_it_is_closed_and_faces_outwards(fitted: dict[str, Any]) -> None:
    faces = fitted["faces"]
    pairs = Counter(map(tuple, faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()))
    assert all(count == 1 == pairs[two, one] for (one, two), count in pairs.items())
    one, two, three = fitted["vertices"].double()[faces].unbind(1)
    assert float((one * torch.linalg.cross(two, three)).sum()) > 0


def test_what_is_written_on_it_reads_the_right_way_round(fitted: dict[str, Any], known: Truth) -> None:
    """By what is exported alone: the colours at the letter, and the arm on the right of who looks from the front."""
    vertices, colour = fitted["vertices"], fitted["colour"]
    row = torch.tensor([[-0.27, -0.3, -0.32], [0.27, -0.3, -0.32]])  # the stem of the letter, and where a mirror has it
    brightness = colour(row).mean(1)
    print(brightness)
    assert float(brightness[0]) < float(brightness[1]) - 0.15
    arms = (vertices[:, 1] < 0.0) & (vertices[:, 2] > 0.05)
    assert float(vertices[arms, 0].min()) > 0
    picture = seen(fitted["stage"], Orbit.of(80, 0))
    front = known.picture(Orbit.of(80, 0), SIZE, torch.ones(3))[0]
    assert noise(picture, front) > noise(picture.flip(1), front) + 6


def test_without_a_prior_only_the_known_view_is_found(known: Truth) -> None:
    """So that the test above cannot pass without what the prior says."""
    reference = known.reference(SIZE)
    settings = replace(SETTINGS, steps=40)
    stage = FineStage(begin(density, settings.resolution), painter(), reference, [], settings)
    Loop(stage, torch.optim.Adam(stage.groups(), **ADAM), Settings(40, judged_every=0)).run()
    behind = Orbit.of(90, 180)
    assert noise(seen(stage, reference.orbit), reference.picture) > 20
    assert noise(seen(stage, behind), known.picture(behind, SIZE, torch.ones(3))[0]) < 18
