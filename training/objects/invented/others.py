"""Lamps, plants, and what stands in kitchens and bathrooms."""

from __future__ import annotations

import numpy as np

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.parts import shell, turned_leg, vase
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import (
    Array,
    Shape,
    bar,
    box,
    lathe,
    loft,
    oval,
    ripples,
    roughened,
    sheet,
    slab,
    smooth,
    tube,
)


def _shade(chance: Chance, wide: float, high: float) -> Shape:
    """A shell open above and below, from z = 0."""
    thick, top = 0.006, chance.pick([1.0, chance.between(0.4, 0.9)])
    curved = chance.between(-0.08, 0.12)
    levels = np.linspace(0, 1, 8)
    outer = [(wide / 2 * (1 + (top - 1) * t + curved * np.sin(np.pi * t)), high * t) for t in levels]
    inner = [(radius - thick, z) for radius, z in outer]
    return lathe([(float(r), float(z)) for r, z in outer + inner[::-1]], 28, "joined")


def _dome(chance: Chance, wide: float) -> Shape:
    """A shell closed above, its rim at z = 0."""
    high = wide * chance.between(0.3, 0.7)
    angle = np.linspace(0, 0.47 * np.pi, 9)
    outer = [(wide / 2 * np.cos(a), high * np.sin(a)) for a in angle]
    inner = [(max(0.94 * r, 0.003), 0.94 * z) for r, z in outer]
    return lathe([(float(r), float(z)) for r, z in inner[::-1] + outer], 28)


def lamp(chance: Chance) -> Piece:
    """For a table or on the floor; with a shade, a dome on an arm, or a globe."""
    piece, body = Piece(), chance.pick([materials.metal, materials.wood, materials.paint, materials.ceramic])(chance)
    cloth = materials.cloth(chance, True)
    tall = chance.odds(0.5)
    height = chance.between(1.2, 1.8) if tall else chance.between(0.3, 0.7)
    foot = chance.between(0.12, 0.18) if tall else chance.between(0.06, 0.1)
    kind = chance.pick(["shade", "shade", "arm", "globe", "tripod" if tall else "vase"])
    wide = chance.between(0.28, 0.5) if tall else chance.between(0.18, 0.4)
    high = wide * chance.between(0.5, 0.9)
    stem = chance.between(0.008, 0.02)
    if kind != "tripod":
        edge = chance.between(0.01, 0.03)
        piece.add(body, lathe([(foot, 0), (foot, 0.6 * edge), (0.9 * foot, edge), (1.2 * stem, 1.3 * edge)], 28))
    if kind == "arm":
        reach = chance.between(0.2, 0.45) * (1.6 if tall else 0.6)
        path = smooth(
            [
                [0, 0, 0.01],
                [0, 0.05, 0.6 * height],
                [0, 0, height],
                [0, -0.6 * reach, height + 0.03],
                [0, -reach, 0.93 * height],
            ],
            24,
        )
        piece.add(body, tube(path, stem, 8))
        dome = _dome(chance, 0.7 * wide).turned("x", chance.between(-25, 25))
        piece.add(body if chance.odds(0.6) else materials.paint(chance), dome.at(0, -reach, 0.93 * height - 0.12))
        piece.add(cloth, _ball(0.035).at(0, -reach, 0.93 * height - 0.08))
        return piece
    if kind == "tripod":
        spread = chance.between(0.22, 0.32)
        for index in range(3):
            angle = 2 * np.pi * (index + 0.25) / 3
            end = [0.03 * np.cos(angle), 0.03 * np.sin(angle), height - high]
            piece.add(body, bar([spread * np.cos(angle), spread * np.sin(angle), 0], end, 0.014))
        piece.add(body, bar([0, 0, height - 1.1 * high], [0, 0, height - 0.4 * high], 0.02))
    elif kind == "vase":
        piece.add(
            body,
            vase(chance, height - high, 0.7 * wide),
            bar([0, 0, 0.5 * (height - high)], [0, 0, height - 0.4 * high], stem),
        )
    elif chance.odds(0.4):
        piece.add(
            body,
            turned_leg(chance, height - 0.7 * high, 0.07).at(0, 0, 0.01),
            bar([0, 0, height - high], [0, 0, height - 0.4 * high], stem),
        )
    else:
        piece.add(body, bar([0, 0, 0.01], [0, 0, height - 0.4 * high], stem))
    if kind == "globe":
        piece.add(cloth, _ball(0.35 * wide).at(0, 0, height - 0.3 * wide))
        return piece
    piece.add(cloth, _shade(chance, wide, high).at(0, 0, height - high), _ball(0.035).at(0, 0, height - 0.5 * high))
    piece.add(body, bar([-0.4 * wide, 0, height - 0.45 * high], [0.4 * wide, 0, height - 0.45 * high], 0.003, sides=6))
    return piece


def _ball(radius: float) -> Shape:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 11)
    return lathe([(float(radius * np.cos(a)), float(radius * np.sin(a))) for a in angle], 18)


def _leaf(chance: Chance, length: float, wide: float, droop: float, over: float) -> Shape:
    """Grows from the origin towards +x, and up, and bends down no farther than the ground, which is `over` below."""
    u, v = np.meshgrid(np.linspace(0, 1, 8), np.linspace(-1, 1, 5), indexing="ij")
    half = wide / 2 * np.sin(np.pi * np.clip(0.04 + 0.94 * u, 0, 1)) ** 0.8
    rise = chance.between(0.3, 1.2)
    droop = min(droop, rise + 0.8 * over / length)
    grid = np.stack([length * u, half * v, length * (rise * u - droop * u**2) + 0.25 * np.abs(half * v)], 2)
    return sheet(grid, 0.003)


def plant(chance: Chance) -> Piece:
    """In a pot: a bush, long leaves, or a little tree."""
    piece, pot = Piece(), chance.pick([materials.paint, materials.ceramic, materials.wood, materials.stone])(chance)
    wide, high = chance.between(0.18, 0.45), chance.between(0.15, 0.45)
    if chance.odds(0.3):
        made = slab(oval(wide, wide, 12), high, 0.01)
        piece.add(pot, made)
    else:
        foot = chance.between(0.55, 1.0)
        line = smooth(
            [
                [0.5 * foot * wide, 0],
                [0.5 * (foot + 1) / 2 * wide * chance.between(0.95, 1.2), 0.5 * high],
                [0.5 * wide, high],
            ],
            9,
        )
        piece.add(pot, shell(line, 0.02))
    piece.add(materials.stone(chance), lathe([(0.44 * wide, 0), (0.44 * wide, 0.03)], 20).at(0, 0, 0.85 * high))
    green, size = materials.leaves(chance), chance.between(0.25, 0.7)
    kind = chance.pick(["bush", "leaves", "leaves", "tree"])
    level = 0.85 * high
    if kind == "tree":
        stem = chance.between(0.3, 0.8)
        uneven = ripples(chance, 0.02, 0.5)
        line = np.stack([np.zeros(8), np.zeros(8), np.linspace(0, stem, 8)], 1)
        line[:, 0] += uneven(line) * np.linspace(0, 1, 8)
        piece.add(materials.wood(chance), tube(line + np.array([0, 0, level]), chance.between(0.012, 0.03), 8))
        level += stem - 0.15 * size
    if kind in ("bush", "tree"):
        for _ in range(chance.whole(1, 5)):
            ball = _ball(0.35 * size * chance.between(0.7, 1.1)).at(0, 0, 1.0)
            ball = roughened(ball, ripples(chance, 0.03 * size, 0.12 * size + 0.05)).at(0, 0, -1.0)
            x, y, z = (chance.between(-0.22, 0.22) * size for _ in range(3))
            piece.add(green, ball.at(x, y, level + 0.35 * size + z))
        return piece
    count, wide_leaf = chance.whole(9, 26), chance.between(0.04, 0.18)
    for index in range(count):
        long, wide = size * chance.between(0.5, 1), wide_leaf * chance.between(0.7, 1.2)
        leaf = _leaf(chance, long, wide, chance.between(0.2, 0.9), level)
        piece.add(green, leaf.turned("z", 137.5 * index + chance.between(-20, 20)).at(0, 0, level))
    return piece


def basket(chance: Chance) -> Piece:
    """Open above: for paper, for laundry, a box; empty or with cloth in it."""
    piece, made = Piece(), chance.pick([materials.wood, materials.cloth, materials.paint])(chance)
    wide, high = chance.between(0.25, 0.5), chance.between(0.2, 0.6)
    outline, power = chance.between(0.65, 1.0), chance.pick([2.0, 2.0, 6.0])
    foot, thick = chance.between(0.7, 1.0), chance.between(0.008, 0.02)
    levels = np.linspace(0, 1, 7)
    bulge = chance.between(0, 0.15)
    rings = []
    for t in levels:
        scale = foot + (1 - foot) * t + bulge * np.sin(np.pi * t)
        rings.append(np.column_stack([oval(wide * scale, wide * outline * scale, power, 32), np.full(32, high * t)]))
    for t in levels[::-1]:
        scale = foot + (1 - foot) * t + bulge * np.sin(np.pi * t) - 2 * thick / wide
        inner = oval(wide * scale, wide * outline * scale, power, 32)
        rings.append(np.column_stack([inner, np.full(32, max(high * t, thick))]))
    piece.add(made, loft(np.stack(rings)))
    if chance.odds(0.4):
        for side in (-1, 1):
            bow = smooth(
                [
                    [side * 0.48 * wide, -0.08, high],
                    [side * 0.52 * wide, 0, high + 0.08],
                    [side * 0.48 * wide, 0.08, high],
                ],
                10,
            )
            piece.add(made, tube(bow, 0.009, 8))
    if chance.odds(0.35):
        heap = roughened(_ball(0.5).at(0, 0, 1), ripples(chance, 0.04, 0.3)).at(0, 0, -1)
        scale = np.array([0.8 * wide, 0.8 * wide * outline, 0.6 * high])
        piece.add(materials.cloth(chance), heap.changed(lambda points: points * scale).at(0, 0, 0.7 * high))
    return piece


def _basin(width: float, deep: float, high: float, power: float, thick: float) -> Shape:
    """A bowl whose rim is at z = high, hollow."""
    profile = [(0.45, 0.0), (0.75, 0.2), (0.95, 0.7), (1.0, 1.0)]
    rings: list[Array] = [
        np.column_stack([oval(width * r, deep * r, power, 32), np.full(32, high * z)]) for r, z in profile
    ]
    for r, z in profile[::-1]:
        inner = oval(width * r - 2 * thick, deep * r - 2 * thick, power, 32)
        rings.append(np.column_stack([inner, np.full(32, thick + (high - thick) * z if z < 1 else high)]))
    return loft(np.stack(rings))


def washbasin(chance: Chance) -> Piece:
    """On a column, or sunk into a cupboard."""
    piece, white, steel = Piece(), materials.ceramic(chance), materials.metal(chance)
    width, deep, height = chance.between(0.4, 0.75), chance.between(0.36, 0.52), chance.between(0.78, 0.9)
    bowl = _basin(width, deep, chance.between(0.14, 0.2), chance.between(2, 6), 0.025)
    low = height - float(bowl.vertices[:, 2].max())
    if chance.odds(0.5):
        column = [(0.12, 0), (0.09, 0.1), (0.075, 0.5 * low), (0.11, low + 0.03)]
        piece.add(white, lathe([(float(r), float(z)) for r, z in smooth(column, 12)], 24).at(0, 0.05))
        back = 0.5 * deep
    else:
        body = materials.body(chance)
        piece.add(body, box(width + chance.between(0.1, 0.5), deep + 0.06, low + 0.03, 0.006, 2).at(0, 0.02))
        piece.both(body, box(0.48 * width, 0.018, 0.75 * low, 0.004).at(0.25 * width, -deep / 2 - 0.015, 0.12 * low))
        back = 0.5 * deep + 0.02
    piece.add(white, bowl.at(0, 0, low), box(0.6 * width, 0.08, 0.06, 0.015, 2).at(0, back - 0.04, height - 0.055))
    tap = smooth(
        [
            [0, back - 0.05, height],
            [0, back - 0.05, height + 0.13],
            [0, back - 0.12, height + 0.16],
            [0, back - 0.17, height + 0.12],
        ],
        14,
    )
    piece.add(steel, tube(tap, 0.012, 8))
    return piece


def toilet(chance: Chance) -> Piece:
    """A bowl with seat, lid open or shut, and a cistern."""
    piece, white = Piece(), materials.ceramic(chance)
    width, deep, seat = chance.between(0.34, 0.4), chance.between(0.42, 0.5), chance.between(0.38, 0.43)
    foot = chance.between(0.5, 0.75)
    count = 32
    rings = []
    for r, z, back in ((foot, 0, 0.08), (foot * 0.9, 0.3, 0.07), (0.8, 0.7, 0.02), (1, 0.95, 0), (1, 1, 0)):
        rings.append(
            np.column_stack([oval(width * r, deep * r, 2.3, count) + np.array([0, back]), np.full(count, seat * z)])
        )
    for r, z in ((0.8, 1.0), (0.7, 0.8), (0.3, 0.55)):
        rings.append(np.column_stack([oval(width * r, deep * r, 2.2, count), np.full(count, seat * z)]))
    piece.add(white, loft(np.stack(rings)))
    plate = materials.ceramic(chance) if chance.odds(0.7) else materials.wood(chance)
    outer, inner = oval(1.03 * width, 1.03 * deep, 2.3, count), oval(0.68 * width, 0.68 * deep, 2.2, count)
    ring = [
        np.column_stack([line, np.full(count, z)]) for line, z in ((outer, 0), (outer, 0.02), (inner, 0.02), (inner, 0))
    ]
    piece.add(plate, loft(np.stack(ring), "joined").at(0, 0, seat))
    lid = slab(oval(1.02 * width, 1.02 * deep, 2.3, count), 0.02, 0.008)
    if chance.odds(0.5):
        piece.add(plate, lid.at(0, 0, seat + 0.022))
    else:
        piece.add(plate, lid.at(0, -0.5 * deep).turned("x", -97).at(0, 0.5 * deep - 0.03, seat + 0.03))
    piece.add(white, box(0.6 * width, 0.2, seat, 0.02, 2).at(0, 0.5 * deep + 0.04))
    high = chance.between(0.3, 0.42)
    piece.add(white, box(1.05 * width, 0.18, high, 0.03, 3).at(0, 0.5 * deep + 0.12, seat - 0.01))
    piece.add(white, box(1.1 * width, 0.2, 0.03, 0.012, 2).at(0, 0.5 * deep + 0.12, seat + high - 0.012))
    return piece


def bath(chance: Chance) -> Piece:
    """A tub, standing free or in a box."""
    piece, white = Piece(), materials.ceramic(chance)
    width, deep, high = chance.between(1.4, 1.8), chance.between(0.65, 0.82), chance.between(0.5, 0.62)
    boxed = chance.odds(0.4)
    power = 4.0 if boxed else chance.between(2.4, 6)
    bowl = _basin(width, deep, high - 0.05, power, chance.between(0.03, 0.06))
    piece.add(white, bowl.at(0, 0, 0.05))
    if boxed:
        body = materials.body(chance)
        square, rim = oval(1.42 * width, 1.42 * deep, 2, 32), oval(0.99 * width, 0.99 * deep, 4, 32)
        square = square.clip([-width / 2, -deep / 2], [width / 2, deep / 2])
        ring = [(square, 0.0), (square, 0.02), (rim, 0.02), (rim, 0.0)]
        flat = np.stack([np.column_stack([line, np.full(32, z)]) for line, z in ring])
        piece.add(white, loft(flat, "joined").at(0, 0, high - 0.025))
        for side in (-1, 1):
            piece.add(body, box(width + 0.02, 0.02, high - 0.01).at(0, side * deep / 2))
            piece.add(body, box(0.02, deep, high - 0.01).at(side * width / 2))
    else:
        piece.four(materials.metal(chance), bar([0.3 * width, 0.3 * deep, 0], [0.24 * width, 0.24 * deep, 0.14], 0.03))
    return piece


def stove(chance: Chance) -> Piece:
    """To cook on, with plates, a door and knobs; or a washing machine, with a round door."""
    piece, body = Piece(), materials.paint(chance) if chance.odds(0.6) else materials.metal(chance)
    width, deep, height = chance.between(0.5, 0.65), chance.between(0.55, 0.65), chance.between(0.83, 0.92)
    dark, steel = materials.paint(chance), materials.metal(chance)
    piece.add(body, box(width, deep, height, chance.between(0.005, 0.025), 2))
    y = -deep / 2
    for index in range(count := chance.whole(3, 6)):
        knob = lathe([(0.018, 0), (0.022, 0.01), (0.018, 0.025)], 12).turned("x", 90)
        piece.add(steel, knob.at(((index + 0.5) / count - 0.5) * 0.8 * width, y, height - 0.06))
    if chance.odds(0.35):
        frame = [(0.13, 0.0), (0.17, 0.0), (0.18, 0.02), (0.15, 0.035), (0.1, 0.03), (0.04, 0.045)]
        piece.add(steel, lathe(frame, 28).turned("x", 90).at(0, y - 0.001, 0.48 * height))
        return piece
    piece.add(body, box(0.96 * width, 0.025, 0.55 * height, 0.006).at(0, y - 0.01, 0.24 * height))
    piece.add(dark, box(0.7 * width, 0.008, 0.33 * height, 0.002).at(0, y - 0.025, 0.3 * height))
    piece.add(body, box(0.96 * width, 0.02, 0.15 * height, 0.006).at(0, y - 0.008, 0.06 * height))
    piece.add(steel, bar([-0.4 * width, y - 0.06, 0.74 * height], [0.4 * width, y - 0.06, 0.74 * height], 0.01))
    piece.both(steel, bar([0.38 * width, y, 0.74 * height], [0.38 * width, y - 0.06, 0.74 * height], 0.008))
    gas = chance.odds(0.5)
    for x in (-0.24, 0.24):
        for end in (-0.22, 0.22):
            radius = chance.between(0.06, 0.1)
            place = (x * width, end * deep, height - 0.002)
            piece.add(dark, lathe([(radius, 0), (radius, 0.008), (0.3 * radius, 0.014)], 20).at(*place))
            if gas:
                for grate in (box(0.22, 0.012, 0.012, 0), box(0.012, 0.22, 0.012, 0)):
                    piece.add(dark, grate.at(place[0], place[1], height + 0.02))
    if gas:
        piece.four(dark, box(0.46 * width, 0.01, 0.022, 0).at(0.24 * width, 0.42 * deep, height))
    if chance.odds(0.4):
        piece.add(body, box(width, 0.03, chance.between(0.1, 0.25), 0.005).at(0, deep / 2 - 0.015, height))
    if chance.odds(0.25):
        pot = np.array([[0.1, 0.0], [0.105, 0.06], [0.105, 0.12]])
        piece.add(steel, shell(pot, 0.004).at(-0.24 * width, -0.22 * deep, height + 0.032))
    return piece
