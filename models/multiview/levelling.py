"""Exposure levelled between views: a gain for each, so that they agree on what several of them see.

With l the logarithm of what view v shows of a place p and w how well it sees it, the gains g minimise

    sum_p sum_v w_pv (l_pv + g_v - m_p)^2,  m_p the weighted mean over the views of l_pv + g_v,

which is one linear system of as many equations as there are views (as Brown and Lowe, "Automatic Panoramic Image
Stitching using Invariant Features", 2007, section 6, whose intensities are logarithms here). What disagrees by more
than an exposure, as a gloss or a view that shows something else, counts less in every round (Geman and McClure's
weights).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DARK, BRIGHT = 0.06, 0.97
"""Values outside say little of an exposure: what is nearly black is noise, what is nearly white is cut off."""

LARGEST = 1.5
"""No view is made brighter or darker by more than this factor."""

STRAY = 0.12
"""Difference of logarithms from which on a view and the others count as disagreeing."""

HELD = 1e-3
"""Weight, as a share of all, that holds each gain at 1 where nothing else says anything of it."""

ROUNDS = 4


def levelled(colours: Tensor, weight: Tensor) -> Tensor:
    """Gains `[V, 3]`, by which views' colours are to be multiplied; their geometric mean is 1.

    Args:
        colours: `[P, V, 3]`, 0 to 1, of places as views see them. weight: `[P, V]`, 0 where they do not.
    """
    count = colours.shape[1]
    values = colours.double()
    known = (values > DARK) & (values < BRIGHT)
    logarithm = values.clamp(min=DARK).log()
    gains = torch.zeros(count, 3, dtype=torch.float64, device=colours.device)
    for channel in range(3):
        own = weight.double() * known[..., channel]
        several = (own > 0).sum(1) > 1
        if not several.any():
            continue
        own, level = own[several], logarithm[several, :, channel]
        for _ in range(ROUNDS):
            shifted = level + gains[:, channel]
            mean = (own * shifted).sum(1, keepdim=True) / own.sum(1, keepdim=True)
            sure = own / (1 + ((shifted - mean) / STRAY).square()).square()
            total = sure.sum(1, keepdim=True).clamp(min=1e-12)
            matrix = torch.diag(sure.sum(0)) - sure.T @ (sure / total)
            mean = (sure * level).sum(1, keepdim=True) / total
            right = -(sure * (level - mean)).sum(0)
            held = torch.eye(count).to(matrix) * HELD * sure.sum() / count
            found = torch.linalg.solve(matrix + held, right)
            gains[:, channel] = (found - found.mean()).clamp(-math.log(LARGEST), math.log(LARGEST))
    return gains.exp().to(colours.dtype)
