"""Losses of pictures and samples."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.magic123 import losses  # noqa: E402
from models.magic123.losses import Weights  # noqa: E402


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("losses")


def same(actual: Any, expected: Any, tolerance: float = 1e-6) -> None:
    assert float(actual) == pytest.approx(float(expected), rel=tolerance)


def test_pictures_of_the_known_view(numbers: Any) -> None:
    picture, truth = (numbers[f"in.{name}"][0].permute(1, 2, 0) for name in ("pred_rgb", "gt_rgb"))
    same(Weights.rgb * losses.rgb(picture, truth, numbers["in.opacity"][0, 0]), numbers["out.rgb_lambda5"])
    covered, alpha = numbers["in.pred_mask"][0, 0], numbers["in.mask"][0].float()
    same(Weights.mask * losses.mask(covered, alpha), numbers["out.mask_lambda0.5"])


def test_depth(numbers: Any, close: Any) -> None:
    depth, truth, mask = numbers["in.pred_depth"][0, 0], numbers["in.gt_depth"][0], numbers["in.mask"][0]
    close(losses.normalised_depth(depth), numbers["out.pred_depth_normalized"][0, 0], 1e-6)
    close(losses.normalised_depth(truth, mask), numbers["out.gt_depth_normalized"][0], 1e-6)
    close(Weights.depth * losses.depth(depth, 1 - truth, mask), numbers["out.depth_loss_lambda0.01"], 1e-6)


def test_the_picture_of_the_normals(numbers: Any, close: Any) -> None:
    picture = numbers["in.normal_image"][0]
    close(losses.gaussian(), numbers["out.gauss1d_k9_sigma1.7"], 1e-7)
    close(losses.blurred(picture), numbers["out.blurred_normal"][0].permute(1, 2, 0), 1e-6)
    close(Weights.normal_smooth * losses.normal_smooth(picture), numbers["out.normal_smooth_lambda0.5"], 1e-6)
    close(Weights.normal_blur * losses.normal_blur(picture), numbers["out.normal_smooth2d_lambda0.5"], 1e-6)


def test_samples(numbers: Any, close: Any) -> None:
    amount = Weights.entropy * losses.ramp(1200, 5000)
    close(amount * losses.entropy(numbers["in.weights"]), numbers["out.entropy_lambda1e-3_step1200_of5000"], 1e-7)
    found = losses.orient(*(numbers[f"in.orient_{name}"] for name in ("weights", "normals", "dirs")))
    same(Weights.orient * found, numbers["out.orient_lambda1e-2"])
