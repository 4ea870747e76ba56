"""The losses of single-view training: by hand, and with right gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.lrm.losses import MIRA, OPENLRM, losses, variation  # noqa: E402


def perceptual(one, other):
    """Like LPIPS: a distance per picture, [P, 1, 1, 1]."""
    assert one.min() >= -1 and one.min() < -0.5
    return (one - other).square().mean((1, 2, 3), keepdim=True)


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    rendered = torch.rand(2, 3, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    truth, planes = torch.rand_like(rendered), torch.randn(2, 3, 4, 6, 5, dtype=torch.float64, requires_grad=True)
    found = losses(rendered, truth, planes, perceptual)
    (slope,) = torch.autograd.grad(found.pixel, rendered, retain_graph=True)
    assert torch.allclose(slope, 2 * (rendered - truth) / rendered.numel())
    assert found.perceptual is not None and torch.allclose(found.perceptual, 4 * found.pixel)
    for weights in (OPENLRM, MIRA):
        assert torch.autograd.gradcheck(
            lambda x, p, weights=weights: losses(x, truth, p, perceptual).total(weights), (rendered, planes)
        )


def test_only_what_is_there_is_added() -> None:
    rendered, truth = torch.zeros(1, 2, 3, 4, 4), torch.full((1, 2, 3, 4, 4), 0.5)
    alone = losses(rendered, truth)
    assert alone.perceptual is None and alone.variation is None and alone.total(OPENLRM) == 0.25
    assert losses(rendered, truth, perceptual=perceptual).total(MIRA) == 0.25 + 2.0 * 1.0
    with pytest.raises(ValueError, match="Rendered and true views"):
        losses(rendered, truth[:, :1])


def test_variation_is_that_of_neighbours() -> None:
    steps = torch.arange(4.0)
    assert variation(steps.expand(1, 3, 2, 5, 4)) == 1.0
    assert variation((2 * steps)[:, None].expand(1, 3, 2, 4, 5)) == 4.0
    assert variation(torch.ones(1, 3, 2, 4, 4)) == 0.0
