"""Sofas, which are rows of seats, and pouffes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.materials import Material
from training.objects.invented.parts import legs
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import (
    Shape,
    box,
    cushion,
    lathe,
    loft,
    oval,
    pillow,
    ripples,
    roughened,
    sheet,
    smooth,
    upright,
)


@dataclass
class Manner:
    """What the runs of a sofa have in common; metres and degrees."""

    seat: float
    depth: float
    seat_height: float
    height: float
    lean: float
    back: float
    foot: float
    padding: float
    bulge: float
    arm: str
    arm_width: float
    arm_height: float
    one_seat_cushion: bool
    loose_back: bool
    low_back: bool
    quilted: str
    cover: Material
    cushions: Material
    pillows: list[Material]
    wood: Material


def manner(chance: Chance, seat: tuple[float, float]) -> Manner:
    """Of a sofa whose seats are so wide."""
    cover = materials.cover(chance)
    seat_height = chance.between(0.36, 0.48)
    return Manner(
        seat=chance.between(*seat),
        depth=chance.between(0.76, 1.02),
        seat_height=seat_height,
        height=chance.between(0.7, 0.98),
        lean=chance.between(3, 15),
        back=chance.between(0.1, 0.22),
        foot=chance.pick([0.03, chance.between(0.05, 0.2)]),
        padding=chance.between(0.11, 0.2),
        bulge=chance.between(0.05, 0.35),
        arm=chance.pick(["box", "soft", "sloped", "rolled", "flared", "wooden", "none"]),
        arm_width=chance.between(0.09, 0.28),
        arm_height=seat_height + chance.between(0.1, 0.24),
        one_seat_cushion=chance.odds(0.2),
        loose_back=chance.odds(0.7),
        low_back=chance.odds(0.5),
        quilted=chance.pick(["plain", "tufts", "channels"]),
        cover=cover,
        cushions=cover if chance.odds(0.75) else materials.cover(chance),
        pillows=[materials.cloth(chance) for _ in range(2)],
        wood=materials.frame(chance),
    )


def arm(chance: Chance, how: Manner) -> list[Shape]:
    """The right one, its inner side at x = 0, its front at y = 0, towards +y; from the foot's height."""
    width, high, deep = how.arm_width, how.arm_height - how.foot, how.depth - 0.5 * how.back
    if how.arm == "soft":
        return [box(width, deep, high, chance.between(0.3, 0.49) * width, 4, 4).at(width / 2, deep / 2, how.foot)]
    if how.arm == "sloped":
        fall = chance.between(0.05, 0.2)

        def slope(points: np.ndarray) -> np.ndarray:
            points[:, 2] *= 1 + fall * (points[:, 1] / deep) * 2 - fall
            return points

        return [box(width, deep, high, 0.03, 2, 3).changed(slope).at(width / 2, deep / 2, how.foot)]
    if how.arm == "rolled":
        radius = width * chance.between(0.5, 0.62)
        roll = [(0.6 * radius, 0.0), (radius, 0.02), (radius, deep - 0.02), (0.6 * radius, deep)]
        panel = box(0.75 * width, deep - 0.02, high - radius, 0.02, 2).at(0.5 * width, deep / 2 + 0.01, how.foot)
        return [panel, lathe(roll, 20).turned("x", -90).at(0.55 * width, 0, how.foot + high - radius)]
    if how.arm == "flared":
        out = chance.between(0.04, 0.12)

        def flare(points: np.ndarray) -> np.ndarray:
            points[:, 0] += out * (points[:, 2] / high) ** 2
            return points

        return [box(0.7 * width, deep, high, 0.04, 3, 5).changed(flare).at(0.35 * width, deep / 2, how.foot)]
    return [box(width, deep, high, chance.between(0.01, 0.05), 2, 2).at(width / 2, deep / 2, how.foot)]


def run(chance: Chance, how: Manner, seats: int, left: bool, right: bool, corner: bool = False) -> Piece:
    """A straight row of seats: its back along y = 0, its left end at x = 0, facing −y.

    Args:
        left, right: whether there is an arm.
        corner: the first seat has a back on its left, too.
    """
    piece = Piece()
    width, lift = seats * how.seat, how.seat_height - how.padding
    piece.add(how.cover, box(width, how.depth, lift - how.foot, 0.02, 2).at(width / 2, -how.depth / 2, how.foot))
    rise = how.height - how.foot
    # A little narrower than what is below it: two surfaces in one plane flicker.
    rest = box(width - 0.008, how.back, rise, min(0.4 * how.back, 0.06), 3, 3)
    piece.add(how.cover, rest.turned("x", -0.5 * how.lean).at(width / 2, -0.9 * how.back, how.foot))
    if corner:
        rest = box(how.depth - 0.008, how.back, rise, min(0.4 * how.back, 0.06), 3, 3).turned("x", -0.5 * how.lean)
        piece.add(how.cover, rest.turned("z", 90).at(0.9 * how.back, -how.depth / 2, how.foot))
    room = how.depth - 1.35 * how.back
    count = 1 if how.one_seat_cushion else seats
    front = chance.between(-0.01, 0.03)
    for index in range(count):
        side = width / count
        soft = cushion(chance, side - 0.008, room + front, how.padding, how.bulge)
        piece.add(how.cushions, soft.at((index + 0.5) * side, -how.depth - front + (room + front) / 2, lift))
    if how.loose_back:
        high = (how.height - how.seat_height) * chance.between(0.75, 1.1) + (0 if how.low_back else 0.1)
        thick = chance.between(0.12, 0.2)
        for index in range(seats):
            skip = how.back * 1.3 if corner and index == 0 else 0
            soft = cushion(chance, how.seat - 0.01 - skip, high, thick, chance.between(0.2, 0.7))
            soft = upright(soft.at(0, high / 2)).turned("x", -how.lean - chance.between(0, 6))
            soft = soft.turned("z", chance.between(-2, 2))
            middle = (index + 0.5) * how.seat + skip / 2
            piece.add(how.cushions, soft.at(middle, -1.1 * how.back - 0.02, how.seat_height - 0.01))
    elif how.quilted != "plain":
        _quilt(piece, chance, how, width)
    for there, place in ((left, -1), (right, 1)):
        if there and how.arm in ("wooden",):
            _wooden_arm(piece, how, 0.0 if place < 0 else width, place)
        elif there and how.arm != "none":
            for shape in arm(chance, how):
                shape = shape.at(0, -how.depth + 0.01)
                piece.add(how.cover, shape.mirrored() if place < 0 else shape.at(width))
    return piece


def _quilt(piece: Piece, chance: Chance, how: Manner, width: float) -> None:
    """Tufts or channels on the back."""
    rise = how.height - how.seat_height - 0.02
    columns = max(2, round(width / (0.28 if how.quilted == "tufts" else 0.15)))
    rows = 2 if how.quilted == "tufts" else 1
    side, high = width / columns, rise / rows
    for column in range(columns):
        for row in range(rows):
            soft = upright(cushion(chance, side, high, 0.05, 0.6, 3).at(0, high * (row + 0.5)))
            soft = soft.turned("x", -0.5 * how.lean)
            piece.add(how.cover, soft.at((column + 0.5) * side, -1.3 * how.back, how.seat_height - 0.02))


def _blanket(piece: Piece, chance: Chance, how: Manner, width: float) -> None:
    """Thrown over the back, from the left or from the right."""
    wide, thick = chance.between(0.35, 0.8), chance.between(0.008, 0.02)
    lean = np.sin(np.radians(0.5 * how.lean)) * (how.height - how.foot)
    front, rear, top = -1.5 * how.back, lean + 0.03, how.height + 0.02
    if how.loose_back:
        front -= 0.2
    line = smooth(
        [
            [front - chance.between(0, 0.25), how.seat_height + 0.05 + how.padding * how.bulge],
            [front, how.seat_height + 0.1],
            [0.75 * front, top - 0.03],
            [0.5 * front + 0.5 * rear, top + 0.03],
            [rear, top - 0.05],
            [rear, top - chance.between(0.2, 0.5)],
        ],
        30,
    )
    across = np.linspace(-wide / 2, wide / 2, 20)
    u, v = np.meshgrid(across, np.arange(len(line)), indexing="ij")
    slant = chance.between(-0.004, 0.004)
    grid = np.stack([u + slant * v, line[None, :, 0] + 0 * u, line[None, :, 1] + 0 * u], 2)
    folds = ripples(chance, 0.012, 0.25)(grid.reshape(-1, 3)).reshape(u.shape)
    grid[..., 1] -= np.abs(folds) * np.where(grid[..., 1] < 0.5 * (front + rear), 1, -1)
    grid[..., 2] += 0.5 * np.abs(folds)
    x = chance.between(wide / 2, max(width - wide / 2, wide / 2 + 0.01))
    piece.add(materials.cloth(chance), sheet(grid, thick).at(x))


def _wooden_arm(piece: Piece, how: Manner, x: float, side: int) -> None:
    wide = min(how.arm_width, 0.08)
    centre = x + side * wide / 2
    piece.add(how.wood, box(wide, how.depth - 0.04, 0.03, 0.01, 2).at(centre, -how.depth / 2, how.arm_height - 0.03))
    for y in (-how.depth + 0.06, -0.12):
        piece.add(how.wood, box(0.6 * wide, 0.05, how.arm_height - 0.02).at(centre, y))


def scattered(piece: Piece, chance: Chance, how: Manner, width: float, count: int) -> None:
    """Loose pillows on seats that begin at x = 0."""
    for _ in range(count):
        side = chance.between(0.35, 0.52)
        soft = pillow(chance, side, side * chance.between(0.65, 1), chance.between(0.12, 0.2), 12)
        soft = upright(soft.at(0, side / 2)).turned("x", -how.lean - chance.between(8, 25))
        soft = soft.turned("y", chance.between(-12, 12)).turned("z", chance.between(-30, 30))
        y = -1.1 * how.back - (0.24 if how.loose_back else 0.12)
        x = chance.pick([0.3 * side + 0.05, width - 0.3 * side - 0.05, chance.between(0.3, max(width - 0.3, 0.31))])
        piece.add(chance.pick(how.pillows), soft.at(x, y, how.seat_height + how.bulge * 0.3 * how.padding))


def stand(piece: Piece, chance: Chance, how: Manner, width: float, y: float) -> None:
    """Feet or a plinth below what begins at x = 0 and reaches from y = 0 to −y."""
    under = Piece()
    if how.foot < 0.05:
        under.add(how.wood, box(width - 0.06, y - 0.06, how.foot + 0.005, 0.002))
    else:
        legs(under, chance, width - 0.06, y - 0.08, how.foot + 0.01, how.wood, chance.between(0.035, 0.07))
        if width > 1.8:
            under.add(how.wood, box(0.05, 0.05, how.foot + 0.01).at(0, -y / 2 + 0.08))
    piece.take(under, lambda shape: shape.at(width / 2, -y / 2))


def sofa(chance: Chance) -> Piece:
    """Two to four seats in a row, some with a long seat at an end or around a corner."""
    how = manner(chance, (0.52, 0.82))
    seats, form = chance.whole(2, 4), chance.pick(["straight", "straight", "straight", "chaise", "corner"])
    how.seat = min(how.seat, 2.5 / seats)
    if not how.loose_back and chance.odds(0.3):
        how.arm, how.arm_height = "rolled", how.height - chance.between(0, 0.1)
    width = seats * how.seat
    piece = run(chance, how, seats, form != "corner", True, form == "corner")
    scattered(piece, chance, how, width, chance.pick([0, 0, 1, 2, 3, 4]))
    if chance.odds(0.2):
        _blanket(piece, chance, how, width)
    stand(piece, chance, how, width, how.depth)
    if form == "chaise":
        longer, lift = chance.between(0.4, 0.8), how.seat_height - how.padding
        middle = -how.depth - longer / 2
        extent = box(how.seat, longer + 0.05, lift - how.foot, 0.02, 2)
        piece.add(how.cover, extent.at(how.seat / 2, middle + 0.025, how.foot))
        soft = cushion(chance, how.seat - 0.008, longer, how.padding, how.bulge)
        piece.add(how.cushions, soft.at(how.seat / 2, middle, lift))
        for x in (0.08, how.seat - 0.08):
            piece.add(how.wood, box(0.05, 0.05, how.foot + 0.01).at(x, -how.depth - longer + 0.08))
    elif form == "corner":
        other = run(chance, how, chance.whole(1, 2), True, False)
        end = float(other.bounds()[1, 0])
        stand(other, chance, how, end, how.depth)
        # Turned to the left wall: what faced −y faces +x, and its right end meets the corner's seat.
        piece.take(other, lambda shape: shape.turned("z", 90).at(0, -how.depth - end))
    if chance.odds(0.5):
        piece.parts = [(shape.mirrored(), material) for shape, material in piece.parts]
    return piece


def pouffe(chance: Chance) -> Piece:
    """Soft and low: round, square, a bag of beans."""
    piece, cover = Piece(), materials.cover(chance)
    wide, high = chance.between(0.38, 0.9), chance.between(0.3, 0.48)
    kind = chance.pick(["round", "square", "bag", "footstool"])
    if kind == "round":
        bulge = chance.between(0, 0.12)
        edge = chance.between(0.03, 0.12)
        angle = np.linspace(0, np.pi / 2, 6)
        side = [(wide / 2 * (1 + bulge * np.sin(np.pi * t)), high * t) for t in np.linspace(0.03, 0.75, 9)]
        top = [(wide / 2 - edge * (1 - np.cos(a)), 0.75 * high + 0.25 * high * np.sin(a)) for a in angle]
        crown = [(0.5 * wide / 2, high * 1.03)]
        piece.add(cover, lathe([(0.47 * wide, 0.0), *((float(r), float(z)) for r, z in side + top + crown)], 32))
    elif kind == "bag":
        round_ = oval(1, 1, 2, 28)
        uneven = ripples(chance, 0.04, 0.5)
        profile = smooth([[0.42, 0], [0.52, 0.2], [0.46, 0.55], [0.3, 0.85], [0.1, 1]], 18)
        rings = [np.column_stack([round_ * r * wide * 2, np.full(28, z * 1.4 * high)]) for r, z in profile]
        piece.add(cover, roughened(loft(np.stack(rings)), uneven))
    else:
        deep = wide * chance.pick([1.0, chance.between(0.55, 0.9)])
        foot = 0.0 if kind == "square" else chance.between(0.08, 0.2)
        pad = (high - foot) * (1.0 if kind == "square" else chance.between(0.35, 0.6))
        if foot:
            legs(piece, chance, wide - 0.06, deep - 0.06, high - pad, materials.frame(chance), 0.04)
            piece.add(cover, box(wide, deep, high - pad - foot + 0.01, 0.01, 2).at(0, 0, foot))
        piece.add(cover, cushion(chance, wide, deep, pad, chance.between(0.05, 0.3)).at(0, 0, high - pad))
    return piece
