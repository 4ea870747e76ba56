"""Tops and seats that are thinner than the prior can tell: their holes are filled with what the rim goes on with.

A plate thinner than a cell of the prior's lattice leaves a valley in the field that stays above nought, and the surface
there is lace. The valley's floor still tells where the plate runs, and around the hole the plate is there, with a top
and an underside. So floors of neighbouring columns are linked to sheets; a hole of a sheet is filled if most of its rim
is solid; and in it top and underside are what is smoothest between those of the rim (the membrane equation on the
links).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from torch import Tensor

VALLEY, PROMINENT, REACH = 2.4, 0.2, 2.2
"""The prior's cells: how high the floor of a valley may lie, by how much the field rises above it, and how far away."""

FIRM, THICKEST = 0.33, 3.5
"""The prior's cells: how deep inside a plate is that its thickness is believed, and the most that is a plate."""

AROUND = 5.3
"""The prior's cells around a hole in which what is not firm is as uncertain as the hole is."""

CLIMB = 2
"""Cells of the mesh's lattice by which a sheet may rise from one column to the next."""

RIM = 0.6
"""The share of a hole's rim that is solid. What is a valley of noise in the air has hardly any."""

THINNEST = 1.5
"""Cells of the mesh's lattice that a plate is thick at least: a thinner one would be lace again."""

CREVICE, BESIDE = 2, 3
"""Cells of the mesh's lattice: half of how wide a crevice is closed that is left around a plate, and how near to it."""

OWN = 0.002
"""How much a place's own valley counts beside each neighbour."""

AIR = 9.0
"""The field beyond the hull, cells: more than any valley."""

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def plates(distance: Tensor, hull: Tensor, spacing: float, cell: float) -> Tensor:
    """`[X, Y, Z]`: a field whose level plates have no holes; nowhere above `distance`, nor outside of the hull.

    Args:
        distance, hull: `[X, Y, Z]`, units of the world, z up; the first is nowhere below the second.
        spacing: of their lattice. cell: side of the prior's cells.
    """
    field, limit = ((each / spacing).cpu().numpy() for each in (distance, hull))
    wide = cell / spacing
    sheet = _Sheet.of(np.where(limit < 0, field, AIR), wide)
    missing = sheet.holes(field < 0)
    if not missing.any():
        return distance
    loose = _grown(missing, sheet, round(AROUND * wide))
    top, bottom = sheet.goes_on(loose)
    reach = math.ceil(REACH * wide)
    before = field.copy()
    for step in range(-reach, reach + 1):
        z = sheet.z + step
        there = loose & (z >= 0) & (z < field.shape[2])
        place = sheet.x[there], sheet.y[there], z[there]
        plate = np.maximum(z - top, bottom - z)[there]
        field[place] = np.minimum(field[place], np.maximum(plate, limit[place]))
    field = _closed(field, limit, field < before)
    return torch.minimum(distance, torch.from_numpy(field).to(distance) * spacing)


@dataclass(frozen=True)
class _Sheet:
    """Floors of valleys along vertical lines, `[K]`, and which of neighbouring columns are one sheet.

    x, y, z: which points of the lattice. least: the field there. floor: the height between points. top, bottom: of the
    plate where it is firm. links: `[L, 2]`, both ways.
    """

    x: Integers
    y: Integers
    z: Integers
    least: Floats
    floor: Floats
    top: Floats
    bottom: Floats
    firm: Flags
    links: Integers

    @classmethod
    def of(cls, field: Floats, wide: float) -> _Sheet:
        """Of a field `[X, Y, Z]` in cells, `AIR` beyond the hull; wide: the prior's cells in those of the lattice."""
        height, reach = field.shape[2], math.ceil(REACH * wide)
        padded = np.pad(field, ((0, 0), (0, 0), (reach, reach)), constant_values=AIR)

        def moved(step: int) -> Floats:
            return padded[:, :, reach + step : reach + step + height]

        low = (field < VALLEY * wide) & (field <= moved(1)) & (field < moved(-1))
        for sign in (1, -1):
            highest = moved(sign)
            for step in range(2, reach + 1):
                highest = np.maximum(highest, moved(sign * step))
            low &= highest > np.maximum(field, 0) + PROMINENT * wide
        x, y, z = (each.astype(np.int64) for each in np.nonzero(low))
        least = field[low]
        above, below = padded[x, y, z + reach + 1], padded[x, y, z + reach - 1]
        # A kink with the same slope on either side.
        steep = np.maximum(np.maximum(above, below) - least, 1e-3)
        floor = z + np.clip((below - above) / (2 * steep), -0.5, 0.5)
        up, down = (_crossing(padded, x, y, z + reach, sign, reach) for sign in (1, -1))
        firm = (least < -FIRM * wide) & (up + down <= THICKEST * wide)
        top = np.where(firm, z + up, floor + THINNEST / 2)
        bottom = np.where(firm, z - down, floor - THINNEST / 2)
        return cls(x, y, z, least, floor, top, bottom, firm, _links(x, y, z, field.shape))

    def holes(self, solid: Flags) -> Flags:
        """`[K]`: where the sheet is not solid, but most of the rim is; solid: `[X, Y, Z]`."""
        open_ = self.least >= 0
        one, two = self.links[open_[self.links].all(1)].T
        count = len(self.x)
        graph = coo_array((np.ones(len(one), bool), (one, two)), shape=(count, count))
        piece = connected_components(graph, directed=False)[1]
        padded = np.pad(solid, ((1, 1), (1, 1), (CLIMB, CLIMB)))
        member = np.zeros_like(padded)
        member[self.x[open_] + 1, self.y[open_] + 1, self.z[open_] + CLIMB] = True
        rim, held = np.zeros(count), np.zeros(count)
        for along, across in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            beside = [
                (self.x + 1 + along, self.y + 1 + across, self.z + CLIMB + step) for step in range(-CLIMB, CLIMB + 1)
            ]
            ends = open_ & ~np.any([member[place] for place in beside], axis=0)
            rim += ends
            held += ends & np.any([padded[place] for place in beside], axis=0)
        whole, part = (np.bincount(piece, weights=each, minlength=1) for each in (rim, held))
        found: Flags = open_ & (part >= RIM * np.maximum(whole, 1))[piece]
        return found

    def goes_on(self, loose: Flags) -> tuple[Floats, Floats]:
        """`[K]` each: top and bottom, which go on from where the sheet is firm over all that is loose."""
        one, two = self.links.T
        number = np.cumsum(loose) - 1
        count = int(loose.sum())
        inner, outer = loose[one] & loose[two], loose[one] & ~loose[two] & self.firm[two]
        weight = np.bincount(number[one[inner | outer]], minlength=count) + OWN
        links = csr_array((np.ones(int(inner.sum())), (number[one[inner]], number[two[inner]])), shape=(count, count))
        matrix = (diags_array(weight) - links).tocsc()
        found = []
        for height in (self.top, self.bottom):
            held = np.bincount(number[one[outer]], weights=height[two[outer]], minlength=count) + OWN * height[loose]
            whole = height.copy()
            whole[loose] = spsolve(matrix, held)
            found.append(whole)
        top, bottom = found
        lack = np.maximum(THINNEST - (top - bottom), 0) / 2
        return top + lack, bottom - lack


def _closed(field: Floats, limit: Floats, put: Flags) -> Floats:
    """`[X, Y, Z]`: without crevices beside what was put, as far as the hull's field `limit` lets them be filled."""
    across = (2 * CREVICE + 1, 2 * CREVICE + 1, 1)
    full = ndimage.maximum_filter(ndimage.minimum_filter(field, across), across)
    near = ndimage.maximum_filter(put, (2 * BESIDE + 1, 2 * BESIDE + 1, 3))
    closed: Floats = np.where(near, np.minimum(field, np.maximum(full, limit)), field)
    return closed


def _crossing(padded: Floats, x: Integers, y: Integers, z: Integers, sign: int, reach: int) -> Floats:
    """`[K]`: how far up (1) or down (-1) the field becomes positive; infinite if not within reach."""
    found, before = np.full(len(x), np.inf), padded[x, y, z]
    for step in range(1, reach + 1):
        now = padded[x, y, z + sign * step]
        here = np.isinf(found) & (now >= 0) & (before < 0)
        found[here] = step - 1 + (before / np.where(here, before - now, 1.0))[here]
        before = now
    return found


def _links(x: Integers, y: Integers, z: Integers, shape: tuple[int, ...]) -> Integers:
    """`[L, 2]`: each with the nearest in height of the four columns beside it, both ways."""
    number = np.full((shape[0] + 2, shape[1] + 2, shape[2] + 2 * CLIMB), -1, np.int32)
    number[x + 1, y + 1, z + CLIMB] = np.arange(len(x))
    pairs = []
    for along, across in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        found = np.full(len(x), -1, np.int64)
        for step in sorted(range(-CLIMB, CLIMB + 1), key=abs):
            found = np.where(found < 0, number[x + 1 + along, y + 1 + across, z + CLIMB + step], found)
        pairs.append(np.stack([np.arange(len(x)), found], axis=1)[found >= 0])
    links = np.concatenate(pairs)
    return np.unique(np.concatenate([links, links[:, ::-1]]), axis=0)


def _grown(chosen: Flags, sheet: _Sheet, steps: int) -> Flags:
    """`[K]`: what is chosen and, as many links around, what is not firm."""
    one, two = sheet.links.T
    grown = chosen.copy()
    for _ in range(steps):
        grown[two[grown[one] & ~sheet.firm[two]]] = True
    return grown
