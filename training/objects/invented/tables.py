"""Tables of all kinds and desks."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.cupboards import drawers
from training.objects.invented.materials import Material
from training.objects.invented.parts import books, legs, trinket, turned_leg
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import Shape, bar, box, lathe, oval, slab, tapered


def table(chance: Chance) -> Piece:
    """To eat at."""
    height = chance.between(0.7, 0.78)
    if chance.odds(0.35):
        side = chance.between(0.7, 1.4)
        return _made(chance, side, side, height)
    width = chance.between(1.1, 2.4)
    return _made(chance, width, chance.between(0.7, 1.05), height)


def coffee_table(chance: Chance) -> Piece:
    """Low, often with a shelf, now and then with things on it."""
    width = chance.between(0.55, 1.4)
    deep = width if chance.odds(0.3) else chance.between(0.45, 0.75)
    height = chance.between(0.3, 0.5)
    piece = _made(chance, width, deep, height, shelf=chance.odds(0.5))
    for _ in range(chance.pick([0, 0, 0, 1, 2])):
        trinket(piece, chance, chance.between(-0.25, 0.25) * width, chance.between(-0.2, 0.2) * deep, height, 0.3)
    return piece


def side_table(chance: Chance) -> Piece:
    """Small: beside a sofa or a bed."""
    side = chance.between(0.35, 0.6)
    height = chance.between(0.42, 0.75)
    piece = _made(chance, side, side * chance.pick([1.0, 0.8]), height, shelf=chance.odds(0.4))
    if chance.odds(0.3):
        trinket(piece, chance, chance.between(-0.08, 0.08), 0, height, 0.3)
    return piece


def _made(chance: Chance, width: float, deep: float, height: float, shelf: bool = False) -> Piece:
    piece, body = Piece(), materials.frame(chance)
    plate = body if chance.odds(0.6) else chance.pick([materials.wood, materials.paint, materials.stone])(chance)
    thick = chance.between(0.015, 0.05)
    form = chance.pick(["square", "square", "square", "round", "soft"])
    edge = chance.between(0.002, 0.5 * thick)
    if form == "square":
        piece.add(plate, box(width, deep, thick, edge, 2).at(0, 0, height - thick))
    else:
        power = 2.0 if form == "round" else chance.between(3, 8)
        piece.add(plate, slab(oval(width, deep, power), thick, edge).at(0, 0, height - thick))
    inset = 0.7 if form == "round" else chance.between(0.86, 0.99)
    x, y, under = inset * width, inset * deep, height - thick
    kind = chance.pick(["legs"] * 5 + ["pedestal", "trestle", "block", "panels"])
    if form == "round" and chance.odds(0.4):
        kind = "pedestal"
    if kind == "legs":
        size = chance.between(0.03, 0.1) if height > 0.6 else chance.between(0.025, 0.06)
        size = min(size, 0.12 * width)
        legs(piece, chance, x, y, under + 0.001, body, size)
        if chance.odds(0.6):
            high = min(chance.between(0.05, 0.12), 0.3 * height)
            for side in (-1, 1):
                piece.add(body, box(x - size, 0.02, high).at(0, side * (y / 2 - size / 2), under - high))
                piece.add(body, box(0.02, y - size, high).at(side * (x / 2 - size / 2), 0, under - high))
            if chance.odds(0.3):
                front = box(0.6 * x, 0.012, 0.7 * high, 0.003).at(0, -y / 2 + 0.3 * size, under - 0.9 * high)
                piece.add(body, front)
        if shelf:
            level = chance.between(0.15, 0.5) * height
            piece.add(plate, box(x - 0.5 * size, y - 0.5 * size, 0.02, 0.004).at(0, 0, level))
    elif kind == "pedestal":
        _pedestal(piece, chance, body, min(width, deep), under)
    elif kind == "trestle":
        at, lean = 0.36 * width, chance.between(0.0, 0.15)
        for side in (-1, 1):
            for end in (-1, 1):
                foot = [side * at, end * 0.38 * deep, 0.0]
                piece.add(body, bar(foot, [side * at, -end * lean * deep + end * 0.2 * deep, under], 0.022, sides=6))
            piece.add(body, box(0.05, 0.8 * deep, 0.04).at(side * at, 0, under - 0.04))
            piece.add(body, box(0.04, 0.6 * deep, 0.03).at(side * at, 0, 0.2 * height))
        piece.add(body, box(2 * at, 0.04, 0.06).at(0, 0, 0.2 * height))
    elif kind == "block":
        piece.add(body, box(0.6 * width, 0.6 * deep, under, 0.01, 2))
        piece.add(body, box(0.75 * width, 0.75 * deep, 0.03, 0.006))
    else:
        plank = chance.between(0.02, 0.06)
        piece.both(body, box(plank, 0.96 * y, under, 0.004).at(x / 2 - plank / 2))
        piece.add(body, box(x, 0.02, chance.between(0.2, 0.7) * under).at(0, 0.3 * y, 0.25 * under))
        if shelf:
            piece.add(body, box(x, y, 0.02).at(0, 0, 0.3 * under))
    return piece


def _pedestal(piece: Piece, chance: Chance, body: Material, across: float, under: float) -> None:
    column = chance.between(0.03, 0.07)
    if chance.odds(0.5):
        foot = chance.between(0.28, 0.4) * across
        if chance.odds(0.5):
            flare = [(foot, 0), (foot, 0.015), (0.4 * foot, 0.05), (column, 0.15 * under), (column, under)]
        else:
            flare = [
                (foot, 0),
                (0.95 * foot, 0.02),
                (0.35 * foot, 0.3 * under),
                (0.18 * foot, 0.6 * under),
                (0.6 * foot, under),
            ]
        piece.add(body, lathe(flare, 28))
        return
    piece.add(body, turned_leg(chance, under, 3 * column))
    count, reach = chance.pick([3, 4]), chance.between(0.3, 0.42) * across
    for index in range(count):
        angle = 2 * np.pi * (index + 0.5) / count
        x, y = reach * np.cos(angle), reach * np.sin(angle)
        piece.add(body, bar([0.1 * x, 0.1 * y, 0.3 * under], [x, y, 0.02], 0.03, 0.6, 8))
    piece.add(
        body, box(0.5 * across, 0.06, 0.03).at(0, 0, under - 0.03), box(0.06, 0.5 * across, 0.03).at(0, 0, under - 0.03)
    )


def desk(chance: Chance) -> Piece:
    """With a block of drawers on one side or on both, room for knees, some with shelves over them."""
    piece, body = Piece(), materials.body(chance)
    front = body if chance.odds(0.6) else materials.body(chance)
    width, deep, height = chance.between(1.0, 1.8), chance.between(0.5, 0.8), chance.between(0.71, 0.77)
    thick = chance.between(0.018, 0.04)
    piece.add(body, box(width, deep, thick, 0.005, 2).at(0, 0, height - thick))
    block, under = chance.between(0.34, 0.48), height - thick
    sides = chance.pick([[-1], [1], [-1, 1], []])
    floor = chance.pick([0.0, 0.03, 0.1])
    for side in (-1, 1):
        if side in sides:
            made = drawers(chance, body, front, block, 0.92 * deep, under - floor, chance.whole(1, 4), 1)
            x = side * (width / 2 - block / 2 - 0.02)
            piece.take(made, partial(Shape.at, x=x, z=floor))
            if floor:
                for end in (-1, 1):
                    piece.add(body, box(block - 0.05, 0.03, floor + 0.01).at(x, end * (0.46 * deep - 0.05)))
        elif chance.odds(0.5):
            piece.add(body, box(0.025, 0.92 * deep, under, 0.003).at(side * (width / 2 - 0.03)))
        else:
            for end in (-1, 1):
                piece.add(body, tapered(under, 0.05, 0.035).at(side * (width / 2 - 0.05), end * (deep / 2 - 0.05)))
    if chance.odds(0.6):
        high = chance.between(0.15, 0.6) * under
        piece.add(body, box(width - 0.06, 0.018, high).at(0, 0.42 * deep, under - high))
    if len(sides) < 2 and chance.odds(0.3):
        piece.add(body, box(0.4 * width, 0.5 * deep, 0.02).at(0, -0.1 * deep, under - 0.12))
    if chance.odds(0.25):
        rise, shelf = chance.between(0.3, 0.55), chance.between(0.18, 0.26)
        y = deep / 2 - shelf / 2
        for x in (-width / 2 + 0.01, 0, width / 2 - 0.01):
            piece.add(body, box(0.018, shelf, rise).at(x, y, height))
        for level in (0.5 * rise, rise):
            piece.add(body, box(width, shelf, 0.018).at(0, y, height + level - 0.01))
        if chance.odds(0.7):
            books(piece, chance, 0.02, width / 2 - 0.03, deep / 2 - shelf, height, 0.48 * rise)
    if chance.odds(0.3):
        x = chance.between(-0.2, 0.2) * width
        dark = materials.paint(chance)
        screen = box(0.55, 0.03, 0.33, 0.01).at(x, 0.15 * deep, height + 0.12)
        piece.add(
            dark,
            screen,
            box(0.06, 0.04, 0.2).at(x, 0.2 * deep, height),
            box(0.25, 0.18, 0.012).at(x, 0.15 * deep, height),
        )
        piece.add(materials.paint(chance), box(0.44, 0.14, 0.02, 0.005).at(x, -0.22 * deep, height))
    for _ in range(chance.pick([0, 0, 1])):
        trinket(piece, chance, chance.between(-0.4, 0.4) * width, -0.05, height, 0.25)
    return piece
