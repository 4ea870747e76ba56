"""The outline of a mask as smooth closed loops.

Marching squares (Lorensen and Cline's marching cubes in the plane) between the pixel centres of a binary mask: a
crossing sits halfway between two neighbouring pixels of which one is inside. Pixels that touch at a corner count as
joined. Half a pixel on either side of a crossing both pictures are equally right, so the loops are smoothed inside
that band: a smoothing spline (Whittaker 1923: distance to the data plus squared second differences), which unlike
averaging does not shrink round shapes, and clamped to the band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Numbers = NDArray[np.int32]
Mask = NDArray[np.bool_]

BAND = 0.48
"""Pixels. Farthest that smoothing moves a crossing; under one half, so a gap of one pixel never closes."""

STIFFNESS = 400.0
"""Weight of the squared second differences: halves waves of about 14 crossings per round, keeps those beyond 40."""

CORNER = 0.3
"""Radians over six pixels from which a turn counts as a corner."""

FIRST_SHARE = 0.1
"""Of the stiffness, for the first smoothing, which is there to find the corners."""

ROUNDS = 3
"""Smooth and clamp so often: a long, shallow staircase needs its ends pulled to the edge of the band."""


@dataclass(frozen=True)
class Outline:
    """Crossings of a mask's outline with the lattice that joins its pixel centres.

    inside: (R+1, C+1), the lattice's nodes; the outermost are all outside.
    across: (R+1, C) number of the crossing between nodes (i, j) and (i, j+1), -1 where there is none.
    down: (R, C+1) the same between nodes (i, j) and (i+1, j).
    halfway: (K, 2) crossings as x, y in node units: node (i, j) lies at x = j, y = i.
    points: (K, 2) the same, smoothed.
    following: (K,) the next crossing along the loop; the inside is on the right when y points down.
    """

    inside: Mask
    across: Numbers
    down: Numbers
    halfway: Floats
    points: Floats
    following: Integers

    def sides(self, width: int) -> tuple[Numbers, Numbers, Mask]:
        """The sides of square cells of `width` nodes, and whether the outline crosses them at most once.

        Returns:
            The crossing on every horizontal side, (R/width, C/width) cells plus a last row of sides; the same on
            every vertical side, plus a last column; -1 where there is none, any of them where there are several.
            Then, for every cell, whether no row and no column of its nodes is crossed twice.
        """
        across = self.across.reshape(self.across.shape[0], -1, width)
        down = self.down.reshape(-1, width, self.down.shape[1])
        once_across = np.count_nonzero(across >= 0, axis=2) <= 1
        once_down = np.count_nonzero(down >= 0, axis=1) <= 1
        rows = once_across[:-1].reshape(-1, width, once_across.shape[1]).all(axis=1) & once_across[width::width]
        columns = once_down[:, :-1].reshape(once_down.shape[0], -1, width).all(axis=2) & once_down[:, width::width]
        return across.max(axis=2)[::width], down.max(axis=1)[:, ::width], rows & columns


def trace(inside: Mask, pixel: int = 1) -> Outline:
    """Find and smooth the outline of a lattice of nodes whose outermost rows and columns are False.

    Args:
        inside: (R+1, C+1) bool.
        pixel: how many nodes wide a pixel of the mask is; more than 1 in a magnified mask.
    """
    across, across_count = _number(inside[:, :-1] != inside[:, 1:], 0)
    down, count = _number(inside[:-1] != inside[1:], across_count)
    halfway = np.concatenate(
        [np.argwhere(across >= 0)[:, ::-1] + (0.5, 0.0), np.argwhere(down >= 0)[:, ::-1] + (0.0, 0.5)]
    )
    following = _link(inside, across, down, count)
    return Outline(inside, across, down, halfway, _smooth(halfway, following, pixel), following)


def _number(found: Mask, start: int) -> tuple[Numbers, int]:
    numbers = np.full(found.shape, -1, dtype=np.int32)  # as large as the mask
    count = int(np.count_nonzero(found))
    numbers[found] = np.arange(start, start + count)
    return numbers, start + count


def _link(inside: Mask, across: Numbers, down: Numbers, count: int) -> Integers:
    """For each crossing the next one: walk round each lattice cell; where the walk leaves the inside, the outline
    goes on to where it comes in again. That rule joins diagonal neighbours."""
    total = inside[:-1, :-1].astype(np.int8) + inside[:-1, 1:] + inside[1:, 1:] + inside[1:, :-1]
    i, j = np.nonzero((total > 0) & (total < 4))
    corners = [inside[i, j], inside[i, j + 1], inside[i + 1, j + 1], inside[i + 1, j]]
    sides = [across[i, j], down[i, j + 1], across[i + 1, j], down[i, j]]
    following = np.empty(count, dtype=np.int64)
    for start in range(4):
        outside = corners[start].copy()
        for steps in (1, 2, 3):
            outside &= ~corners[(start + steps) % 4]
            enters = outside & corners[(start + steps + 1) % 4]
            following[sides[start][enters]] = sides[(start + steps) % 4][enters]
    return following


def _smooth(points: Floats, following: Integers, pixel: int) -> Floats:
    """Smoothing spline along the loops, every crossing kept within `BAND` of where it was.

    Twice: first to find the corners, then with bending cheap where the outline truly turns; a line that is stiff
    everywhere would swing out on both sides of a corner.
    """
    count = len(points)
    if count == 0:
        return points
    here = np.arange(count)
    step = sparse.csr_array((np.ones(count), (here, following)), shape=(count, count))
    loops, loop = csgraph.connected_components(step, directed=False)
    # A loop's own roundness must survive: its longest wave (1 - cos of its angle) may lose a twentieth at most.
    length = np.bincount(loop, minlength=loops)[loop]
    stiffness = np.minimum(STIFFNESS * pixel**4, 0.05 / (1 - np.cos(2 * np.pi / length)) ** 2)
    bend = 0.5 * (step + step.T) - sparse.eye_array(count)
    area = _areas(points, following, loop, loops)
    smoothed = points
    limber = np.ones(count)
    for strength in (FIRST_SHARE, 1.0):
        weight = 1 / (strength * stiffness)
        system = sparse.diags_array(weight) + bend.T @ sparse.diags_array(limber) @ bend
        solve = splu(sparse.csc_array(system), permc_spec="MMD_AT_PLUS_A").solve
        smoothed = points
        for _ in range(ROUNDS):
            smoothed = solve(weight[:, None] * smoothed)
            # What is left of the shrinking goes back in evenly: the loop keeps its area.
            along = (step - step.T) @ smoothed
            size = np.maximum(np.linalg.norm(along, axis=1), 1e-12)
            missing = (area - _areas(smoothed, following, loop, loops)) / np.bincount(loop, weights=size / 2)
            smoothed += missing[loop, None] * np.stack([along[:, 1], -along[:, 0]], axis=1) / size[:, None]
            moved = smoothed - points
            distance = np.linalg.norm(moved, axis=1, keepdims=True)
            smoothed = points + moved * np.minimum(1, BAND * pixel / np.maximum(distance, 1e-12))
        limber = 1 / (1 + (_turns(smoothed, following, 3 * pixel) / CORNER) ** 4)
    result: Floats = smoothed
    return result


def _turns(points: Floats, following: Integers, steps: int) -> Floats:
    """The angle, radians, by which the outline turns at each crossing, seen over `steps` crossings to both sides."""
    goal = following
    for _ in range(steps - 1):
        goal = following[goal]
    ahead = points[goal] - points
    behind = np.empty_like(ahead)
    behind[goal] = ahead
    turn: Floats = np.arctan2(ahead[:, 1] * behind[:, 0] - ahead[:, 0] * behind[:, 1], (ahead * behind).sum(axis=1))
    return np.abs(turn)


def _areas(points: Floats, following: Integers, loop: Integers, loops: int) -> Floats:
    """Signed area within each loop; positive round an island, negative round a hole."""
    ahead = points[following]
    cross = points[:, 0] * ahead[:, 1] - points[:, 1] * ahead[:, 0]
    result: Floats = np.bincount(loop, weights=0.5 * cross, minlength=loops).astype(np.float64)
    return result
