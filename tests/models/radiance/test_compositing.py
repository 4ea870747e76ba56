"""Samples become pixels as they do one by one, and gradients as they are measured."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from models.radiance.compositing import STOP, composite, visible  # noqa: E402


def test_one_sample_after_the_other() -> None:
    generator = torch.Generator().manual_seed(2)
    counts = [0, 5, 1, 0, 40, 17, 0]
    ray = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    density = torch.rand(len(ray), generator=generator) * 40
    values = torch.rand(len(ray), 3, generator=generator)
    found = composite(density, 0.03, ray, len(counts))
    sums = torch.zeros(len(counts), 3)
    left = [1.0] * len(counts)
    for sample, each in enumerate(ray.tolist()):
        share = left[each] * (1 - math.exp(-float(density[sample]) * 0.03)) if left[each] >= STOP else 0.0
        assert float(found.weights[sample]) == pytest.approx(share, abs=1e-6)
        sums[each] += share * values[sample]
        left[each] *= math.exp(-float(density[sample]) * 0.03) if left[each] >= STOP else 1.0
    assert torch.allclose(found.sum(values), sums, atol=1e-6)
    assert torch.allclose(found.alpha, 1 - torch.tensor(left), atol=1e-6)
    hidden = ~visible(density, 0.03, ray, len(counts))
    assert not found.weights[hidden].any() and bool((found.weights[~hidden] > 0).all())


def test_the_last_ray_is_as_exact_as_the_first() -> None:
    rays, count = 20_000, 60
    ray = torch.arange(rays).repeat_interleave(count)
    density = torch.full((rays, count), 0.5)
    density[: rays // 2] = 1e9  # what the others must not lose their digits to
    weights = composite(density.flatten(), 0.05, ray, rays).weights.view(rays, count)
    expected = composite(density[-1], 0.05, torch.zeros(count, dtype=torch.long), 1).weights
    assert float((weights[-1] - expected).abs().max()) < 1e-6
    assert torch.equal(weights[0], torch.tensor([1.0] + [0.0] * (count - 1)))


def test_gradients() -> None:
    ray = torch.tensor([0, 0, 0, 2, 2, 2, 2])
    values = torch.tensor([[0.3], [0.9], [0.1], [0.5], [1.0], [0.2], [0.7]])
    density = torch.tensor([1.0, 8.0, 3.0, 0.5, 20.0, 2.0, 30.0], requires_grad=True)
    target = torch.tensor([[1.0], [2.0], [3.0]])

    def loss(density):  # type: ignore[no-untyped-def]
        return (composite(density, 0.1, ray, 3).sum(values) * target).sum()

    (found,) = torch.autograd.grad(loss(density), density)
    for sample in range(len(ray)):
        moved = torch.zeros(len(ray))
        moved[sample] = 1e-2
        with torch.no_grad():
            slope = (loss(density + moved) - loss(density - moved)) / 2e-2
        assert float(found[sample]) == pytest.approx(float(slope), abs=2e-4)
