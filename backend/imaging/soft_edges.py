"""Blends in a label map: what smoothing leaves along an edge, told by what it is and not by how much there is of it.

A blend is thin, lies between two labels, and has a colour between theirs (a little beyond, where a sharpening filter
rings). An object that is thin, too, has the same neighbour on both of its sides, or a colour of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint16]
Mask = NDArray[np.bool_]

STRIP = 256
"""Rows that are worked on at once."""

REACH = 12
"""Pixels from a blend to the labels that it mixes."""

EDGE = 2
"""Pixels from the border of the map in which an object that goes on outside of it has blends, too."""

MOSTLY = 0.75
"""Share of a label's pixels that must be blends for it to be one."""

BEYOND = 0.2
"""How far a ringing filter may leave the line between two colours at its ends, as a share of its length."""

LEVELS, BESIDE = 2.0, 0.08
"""How far a blend may lie off that line: levels of 255, and a share of its length (light may be mixed linearly)."""

NEAR = 3
"""Colours that differ by no more levels than this have blends that may be wide: up to `WIDEST` pixels, not two."""

WIDEST = 8
WAYS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""Steps in rows and columns, all round."""

OPPOSITE = [(way, (way + turn) % 8) for way in range(8) for turn in (3, 4)]
"""Pairs of ways at 135 and 180 degrees: at the border of the map one of two opposite ways leads nowhere."""


def fold_blends(labels: Labels, colours: Mapping[int, tuple[float, float, float]], keep: set[int]) -> tuple[int, ...]:
    """Give the pixels of blends to the label of the two that they resemble more; changes `labels`.

    Args:
        labels: HxW, 0 = background.
        colours: of every label that occurs, 0 included, in levels (255 of a colour channel; grey values as they are).
        keep: labels that are objects, however thin.

    Returns:
        The labels that were blends, ascending.
    """
    if min(labels.shape) < 3:
        return ()
    solid = filled(labels)
    thick = occurring(labels[1:-1, 1:-1], solid)
    if not thick:
        return ()  # noise, or a map of a few pixels: nothing says what an edge is here
    thin = set(colours) - thick - keep - {0}
    wide = _wide_suspects(solid, labels, colours, thick - keep - {0})
    thin |= wide
    if not thin:
        return ()
    table = np.zeros((int(max(colours)) + 1, 3))
    for number, colour in colours.items():
        table[number] = colour
    anchors = set(colours) - thin
    blends = _blends(labels, table, thin, wide, anchors, anchors)
    # What is left may be an object that is thin, and itself have blends around it.
    rest = thin - blends
    if blends or rest:
        blends |= _blends(labels, table, rest, wide, anchors | rest, anchors)
    _give_away(labels, table, blends)
    return tuple(sorted(blends))


def occurring(labels: Labels, where: Mask | None = None) -> set[int]:
    """The labels that occur, or that occur where a mask HxW is true; a few rows at a time."""
    counts = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for top in range(0, len(labels), STRIP):
        rows = labels[top : top + STRIP]
        counts += np.bincount(rows.ravel() if where is None else rows[where[top : top + STRIP]], minlength=len(counts))
    return set(np.flatnonzero(counts).tolist())


def filled(labels: Labels) -> Mask:
    """(H-2)x(W-2): True in the middle of every 3 x 3 pixels of one label."""
    across: Mask = (labels[:, 1:-1] == labels[:, :-2]) & (labels[:, 1:-1] == labels[:, 2:])
    solid: Mask = across[1:-1] & across[:-2] & across[2:]
    solid &= (labels[1:-1, 1:-1] == labels[:-2, 1:-1]) & (labels[1:-1, 1:-1] == labels[2:, 1:-1])
    return solid


def _wide_suspects(
    solid: Mask, labels: Labels, colours: Mapping[int, tuple[float, float, float]], thick: set[int]
) -> set[int]:
    """Labels that fill 3 x 3 pixels but not a square of more than `WIDEST`, and lie between two near colours."""
    near = set()
    values = {number: np.array(colour) for number, colour in colours.items()}
    close = {
        number: [other for other in values if other != number and np.abs(values[other] - values[number]).max() <= NEAR]
        for number in thick
    }
    for number, others in close.items():
        steps = [values[other] - values[number] for other in others]
        if any((first * second).sum() < 0 for first in steps for second in steps):
            near.add(number)
    if not near:
        return set()
    inner, centres, width = solid, labels[1:-1, 1:-1], 3
    while width < WIDEST and min(inner.shape) >= 3:
        inner = (
            inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
            & inner[:-2, :-2] & inner[:-2, 2:] & inner[2:, :-2] & inner[2:, 2:]
        )  # fmt: skip
        centres, width = centres[1:-1, 1:-1], width + 2
    return near - occurring(centres, inner)


def _blends(
    labels: Labels, table: NDArray[np.float64], suspects: set[int], wide: set[int], anchors: set[int], firm: set[int]
) -> set[int]:
    """Those of the suspects that lie between anchors, at least one of each pair firm, in place and in colour; wide ones
    between anchors whose colours are near."""
    found = set()
    for number in sorted(suspects):
        rows, columns = np.nonzero(labels == number)
        first, second = _neighbours(labels, rows, columns, anchors - {number}, len(table))
        own, brightest = table[number], float(table.max())
        between = _in_a_corner(own, table, first) & (number not in wide)
        for way, opposite in OPPOSITE:
            one, other = first[way], first[opposite]
            pair = (one >= 0) & (other >= 0) & (one != other) & (_any_of(firm, one) | _any_of(firm, other))
            if number in wide:
                pair &= np.abs(table[other] - table[one]).max(axis=1) <= NEAR
            share, beyond = _share(own, table[one], table[other], brightest)
            between |= pair & (share > -beyond) & (share < 1 + beyond)
        for one, other in zip(first, second, strict=True):
            # A ring: the label on both of its sides, and a little more of its colour than it has itself.
            pair = (other >= 0) & _any_of(firm, one) & (number not in wide)
            share, beyond = _share(own, table[one], table[other], brightest)
            between |= pair & (share <= 0) & (share > -beyond)
        if between.mean() >= MOSTLY:
            found.add(number)
    return found


def _any_of(numbers: set[int], seen: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.isin(seen, list(numbers))


def _neighbours(
    labels: Labels, rows: NDArray[np.intp], columns: NDArray[np.intp], anchors: set[int], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From each of N pixels in each of `WAYS` the first anchor and the first other one behind it, both 8xN; -1 where
    none is within reach. Close to the border of the map the background is what lies behind it."""
    is_anchor = np.zeros(count, dtype=bool)
    is_anchor[list(anchors)] = True
    height, width = labels.shape
    first = np.full((len(WAYS), len(rows)), -1, dtype=np.int64)
    second = first.copy()
    for way, (down, right) in enumerate(WAYS):
        going = np.arange(len(rows))
        for step in range(1, REACH + 1):
            y, x = rows[going] + down * step, columns[going] + right * step
            on_map = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            if step <= EDGE:
                left = going[~on_map]
                first[way, left[first[way, left] < 0]] = 0
            going = going[on_map]
            met = labels[y[on_map], x[on_map]].astype(np.int64)
            known = first[way, going]
            new = is_anchor[met] & (known < 0)
            first[way, going[new]] = met[new]
            behind = is_anchor[met] & (known >= 0) & (met != known)
            second[way, going[behind]] = met[behind]
            going = going[~behind]
    return first, second


def _share(
    colour: NDArray[np.float64], ones: NDArray[np.float64], others: NDArray[np.float64], brightest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of the second of each of N pairs of colours (N, 3) a colour (3,) has, NaN where it is no mixture; and
    how far below 0 and above 1 that may be, in whole levels."""
    apart = others - ones
    square = np.maximum((apart**2).sum(axis=1), 1e-9)
    share: NDArray[np.float64] = ((colour - ones) * apart).sum(axis=1) / square
    expected = np.clip(ones + share[:, None] * apart, 0, brightest)
    off = np.abs(expected - colour).max(axis=1)
    share[off > LEVELS + BESIDE * np.sqrt(square)] = np.nan
    return share, BEYOND + 1 / np.maximum(np.abs(apart).max(axis=1), 1)


def _in_a_corner(
    colour: NDArray[np.float64], table: NDArray[np.float64], first: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Where three labels or more meet: whether the colour lies within the range of theirs."""
    ordered = np.sort(first, axis=0)
    kinds = (np.diff(ordered, axis=0) != 0).sum(axis=0) + 1 - (ordered[0] < 0)
    around = table[first]
    known = (first >= 0)[..., None]
    low = np.where(known, around, np.inf).min(axis=0)
    high = np.where(known, around, -np.inf).max(axis=0)
    slack = LEVELS + BESIDE * (high - low)
    inside = ((colour >= low - slack) & (colour <= high + slack)).all(axis=1)
    several: NDArray[np.bool_] = inside & (kinds >= 3)
    return several


def _give_away(labels: Labels, table: NDArray[np.float64], blends: set[int]) -> None:
    """Each pixel of a blend to the label around it whose colour is nearest; where none is near, to the background."""
    anchors = occurring(labels) - blends
    given = labels.copy()
    for number in blends:
        rows, columns = np.nonzero(labels == number)
        first, _ = _neighbours(labels, rows, columns, anchors, len(table))
        distance = np.abs(table[first] - table[number]).sum(axis=2)
        distance[first < 0] = np.inf
        best = first[distance.argmin(axis=0), np.arange(len(rows))]
        given[rows, columns] = np.maximum(best, 0)
    labels[...] = given
