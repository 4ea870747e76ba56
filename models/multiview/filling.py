"""Colours of what no view sees: those of what is seen, spread over the surface."""

from __future__ import annotations

import torch
from torch import Tensor

from models.rendering.silhouettes import Edges

STEPS, ENOUGH = 400, 1e-5
"""Steps of the solver at most, and the share of the first residual at which it has ended."""


def filled(colours: Tensor, sure: Tensor, faces: Tensor) -> Tensor:
    """Colours `[V, 3]` that are as smooth over the mesh as what is known allows.

    They minimise the sum over edges of (c_i - c_j)^2 plus the sum over vertices of s_i (c_i - colour_i)^2, by conjugate
    gradients; a piece of the mesh of which nothing is known gets the mean of all that is.

    Args:
        colours: `[V, 3]`. sure: `[V]`, s: 0 where a colour is not known; it stays as it is where this is large.
        faces: `[F, 3]`.
    """
    one, two = Edges.of(faces).ends.unbind(1)
    known = sure[:, None].to(colours)
    start = (colours * known).sum(0) / known.sum().clamp(min=1e-12)
    degree = torch.bincount(torch.cat([one, two]), minlength=len(colours)).to(colours)[:, None]

    def applied(values: Tensor) -> Tensor:
        total = (degree + known) * values
        total = total.index_add(0, one, -values[two])
        return total.index_add(0, two, -values[one])

    scale = 1 / (degree + known).clamp(min=1e-12)
    found = torch.where(known > 0, colours, start)
    residual = known * colours - applied(found)
    ahead = scale * residual
    product = (residual * ahead).sum(0)
    enough = ENOUGH**2 * product
    for _ in range(STEPS):
        if bool((product <= enough).all()):
            break
        onward = applied(ahead)
        step = product / (ahead * onward).sum(0).clamp(min=1e-30)
        found = found + step * ahead
        residual = residual - step * onward
        turned = scale * residual
        former, product = product, (residual * turned).sum(0)
        ahead = turned + product / former.clamp(min=1e-30) * ahead
    return found.clamp(0, 1)
