"""Pictures of a field: what samples of rays become."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.radiance.compositing import STOP, composite, visible  # noqa: E402
from tests.parity.magic123.fields import golden_field, two_passes  # noqa: E402


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("nerf_renderer")


@pytest.mark.parametrize("way", ["eval", "train"])
def test_two_passes(numbers: Any, close: Any, way: str) -> None:
    config = numbers.json("config")
    origins, directions = numbers["in.rays_o"][0], numbers["in.rays_d"][0]
    more = config["upsample_steps"]
    middle = ((torch.arange(more) + 0.5) / more).expand(len(origins), more)
    seen = two_passes(
        golden_field(numbers),
        origins,
        directions,
        (config["num_steps"], more),
        middle if way == "eval" else numbers["in.upsample_u_train"],
        light=numbers["in.light_d"],
        ambient=config["ambient"],
        background=torch.ones(3) if way == "eval" else torch.tensor([0.2, 0.5, 0.7]),
    )
    close(seen.colour, numbers[f"{way}.image"][0], 1e-3)
    close(seen.alpha, numbers[f"{way}.weights_sum"][0], 1e-3)
    close(seen.depth, numbers[f"{way}.depth"][0], 1e-3)
    close(seen.weights, numbers[f"{way}.weights"], 2e-3)
    close(seen.normals, numbers[f"{way}.normal_image"], 5e-3)
    if way == "train":
        close(seen.orient, numbers["train.loss_orient"], 1e-3)


def test_packed_samples(numbers: Any, close: Any) -> None:
    depths, lengths, densities = (numbers[f"march.in.{name}"] for name in ("t", "dt", "sigmas"))
    rays, count = depths.shape
    ray = torch.arange(rays).repeat_interleave(count)
    assert numbers.json("config")["T_thresh"] == STOP
    found = composite(densities.flatten(), lengths.flatten(), ray, rays)
    close(found.weights.view(rays, count), numbers["march.out.weights"], 1e-5)
    close(found.alpha, numbers["march.out.weights_sum"], 1e-5)
    close(found.sum(depths.view(-1, 1))[:, 0], numbers["march.out.depth"], 1e-5)
    close(found.sum(numbers["march.in.rgbs"].view(-1, 3)), numbers["march.out.image"], 1e-5)
    hidden = ~visible(densities.flatten(), lengths.flatten(), ray, rays)
    assert hidden.any() and not numbers["march.out.weights"].flatten()[hidden].any()
