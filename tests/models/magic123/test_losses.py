"""Losses that no reference number tells of."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.magic123 import losses  # noqa: E402


def test_soft_edges_are_left_out() -> None:
    alpha = torch.zeros(20, 20)
    alpha[5:15, 5:15] = 1.0
    assert torch.equal(losses.without_edges(alpha), alpha), "a hard mask stays as it is"
    alpha[4], alpha[:, 4] = 0.6 * (alpha[5] > 0), 0.6 * (alpha[:, 5] > 0)
    kept = losses.without_edges(alpha)
    assert not kept[4].any() and not kept[:, 4].any() and float(kept.sum()) == 100


def test_samples_without_weight_need_not_be_there() -> None:
    weights = torch.tensor([0.3, 0.0, 0.0, 0.9, 0.0])
    assert torch.allclose(losses.entropy(weights[weights > 0], count=5), losses.entropy(weights))
    normals, ahead = torch.randn(5, 3), torch.randn(5, 3)
    seen = weights > 0
    assert torch.allclose(
        losses.orient(weights[seen], normals[seen], ahead[seen], 5), losses.orient(weights, normals, ahead)
    )
    assert float(losses.entropy(weights[:0], count=0)) == 0 and float(losses.entropy(weights[:0], count=7)) < 1e-3


def test_turning_away_is_wrong_and_hiding_is_no_cure() -> None:
    weights = torch.tensor([1.0], requires_grad=True)
    ahead = torch.tensor([[0.0, 1.0, 0.0]])
    normals = torch.tensor([[0.0, 0.8, 0.6]], requires_grad=True)
    found = losses.orient(weights, normals, ahead)
    assert found.item() == pytest.approx(0.64)
    found.backward()
    assert weights.grad is None and normals.grad is not None and float(normals.grad[0, 1]) > 0
    assert losses.orient(weights, -normals, ahead).item() == 0


def test_depth_is_told_by_its_order() -> None:
    depth = torch.linspace(1.0, 2.0, 64).view(8, 8)
    mask = torch.ones(8, 8)
    assert float(losses.depth(depth, 1 - (depth - 1), mask)) == pytest.approx(0, abs=1e-3), "near is bright"
    assert float(losses.depth(depth, depth - 1, mask)) == pytest.approx(1, abs=1e-3)
    assert losses.depth(torch.zeros(8, 8), depth - 1, mask).isfinite()


def test_known_normals_and_opacity() -> None:
    picture = torch.tensor([[[0.5, 0.5, 1.0], [1.0, 0.5, 0.5]]])
    mask = torch.tensor([[1.0, 0.0]])
    assert float(losses.normal(picture, picture, mask)) == pytest.approx(0, abs=1e-6)
    assert float(losses.normal(picture, picture.flip(2), mask)) == pytest.approx(0.5)
    assert float(losses.opacity(torch.full((2, 2), 0.5))) == 0.25


def test_an_even_picture_of_normals_is_smooth() -> None:
    even, rough = torch.full((12, 12, 3), 0.4), torch.rand(12, 12, 3, generator=torch.Generator().manual_seed(1))
    for loss in (losses.normal_smooth, losses.normal_blur):
        assert float(loss(even)) < 1e-10 < float(loss(rough))


def test_the_entropy_sets_in_slowly() -> None:
    assert [losses.ramp(step, 100) for step in (0, 25, 50, 100)] == [0, 0.5, 1, 1]
