"""Scenes of more instances than the network was trained for: overlapping windows of instances, one common frame.

In every step each window is a pass of the network of its own, and an instance that is in several windows takes the
mean of their velocities. This is MultiDiffusion (Bar-Tal et al. 2023, arXiv 2302.08113) over instances in place of
patches: there is one latent per instance all the way, so whatever the windows share holds them in the same frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Windows = tuple[tuple[int, ...], ...]
"""Rows that are computed together; every row is in at least one window."""

SHARED = 2


def overlapping_windows(weights: Sequence[float], most: int, shared: int = SHARED) -> Windows:
    """Windows of at most `most` rows each, as few and as even as possible.

    The heaviest rows are in every window: what is large in the picture tells best how everything lies. The others
    keep their order, so neighbours in the list stay together.

    Args:
        weights: of each row, the visible pixels for instance.
        most: rows per window.
        shared: rows that are in every window, where there are several; less where `most` leaves no room.

    Raises:
        ValueError: no row, or `most` below 1.
    """
    rows = len(weights)
    if rows < 1 or most < 1:
        raise ValueError(f"{rows} rows cannot be cut into windows of {most}")
    if rows <= most:
        return (tuple(range(rows)),)
    shared = min(shared, most - 1)
    anchors = sorted(sorted(range(rows), key=lambda row: (-weights[row], row))[:shared])
    others = [row for row in range(rows) if row not in anchors]
    count = -(-len(others) // (most - shared))
    cuts = [len(others) * index // count for index in range(count + 1)]
    return tuple(tuple(sorted([*anchors, *others[start:end]])) for start, end in itertools.pairwise(cuts))
