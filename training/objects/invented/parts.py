"""What pieces of several kinds have in common: legs, plinths, handles, things that stand about."""

from __future__ import annotations

import numpy as np

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.materials import Material
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import Array, Shape, bar, box, lathe, smooth, tapered, tube


def turned_leg(chance: Chance, height: float, thick: float) -> Shape:
    """A leg from a lathe."""
    levels = np.linspace(0, height, chance.whole(5, 8))
    waist = [thick * chance.between(0.25, 0.5) for _ in levels]
    waist[-1] = thick / 2
    curve = smooth(np.column_stack([waist, levels]).tolist(), 18)
    return lathe([(max(float(r), 0.2 * thick), float(z)) for r, z in curve], 12)


def legs(
    piece: Piece, chance: Chance, width: float, depth: float, height: float, material: Material, thick: float
) -> None:
    """Four alike at the corners of a rectangle, whose outsides these lengths are."""
    kind = chance.pick(["tapered", "straight", "turned", "round", "splayed", "hoop"])
    x, y = width / 2 - thick / 2, depth / 2 - thick / 2
    if kind == "hoop" and height > 0.08:
        flat = min(thick, 0.03)
        for end in (-1, 1):
            for side in (-1, 1):
                piece.add(material, box(flat, flat, height).at(end * x, side * y))
            piece.add(material, box(flat, 2 * y, flat).at(end * x))
        return
    shape = box(thick, thick, height)
    if kind == "tapered":
        shape = tapered(height, thick, chance.between(0.4, 0.7) * thick)
    elif kind == "turned" and height > 0.15:
        shape = turned_leg(chance, height, thick)
    elif kind == "round":
        shape = tapered(height, thick, chance.between(0.4, 1) * thick, sides=12)
    elif kind == "splayed":
        # Inside of the corner by so much that the foot stands below it.
        out = chance.between(0.08, 0.22) * height
        shape = tapered(height, thick, 0.5 * thick, (out, out), chance.pick([4, 12])).at(-0.8 * out, -0.8 * out)
    piece.four(material, shape.at(x, y))


def handle(chance: Chance, kind: str, length: float) -> Shape:
    """Sticks out towards −y from the plane y = 0, in the middle of it, along x."""
    if kind == "knob":
        round_ = chance.between(0.01, 0.018)
        profile = [(0.4 * round_, 0.0), (0.4 * round_, round_), (round_, 1.6 * round_), (0.8 * round_, 2.2 * round_)]
        return lathe(profile, 10).turned("x", 90)
    if kind == "bar":
        return box(length, 0.012, 0.012).at(0, -0.02)
    out = chance.between(0.02, 0.035)
    path = [[-length / 2, 0, 0], [-length / 2, -out, 0], [length / 2, -out, 0], [length / 2, 0, 0]]
    return tube(smooth(path, 12), 0.006, 6)


def books(piece: Piece, chance: Chance, left: float, right: float, front: float, floor: float, room: float) -> None:
    """A row of books from x = left towards right on a shelf at `floor`, `room` below the next; backs at y = front."""
    covers = [chance.pick([materials.paint, materials.leather])(chance) for _ in range(3)]
    x, end = left, left + (right - left) * chance.between(0.4, 1.0)
    usual = room * chance.between(0.6, 0.85)
    while True:
        thick = chance.between(0.018, 0.055)
        if x + thick > end:
            break
        high = min(usual * chance.between(0.8, 1.15), 0.96 * room)
        deep = chance.between(0.13, 0.2)
        book = box(0.96 * thick, deep, high, 0).at(0, deep / 2 + front + chance.between(0, 0.02), 0)
        if chance.odds(0.06) and x + 3 * thick < end:
            book = book.turned("y", chance.between(5, 14)).at(0.5 * thick)
            book = book.at(0, 0, -float(book.vertices[:, 2].min()))
            x += 1.2 * thick
        piece.add(chance.pick(covers), book.at(x + thick / 2, 0, floor))
        x += thick


def vase(chance: Chance, height: float, wide: float) -> Shape:
    """Hollow, from a lathe."""
    levels = np.linspace(0, height, 5)
    radii = [wide / 2 * chance.between(0.4, 1) for _ in levels]
    outer = smooth(np.column_stack([radii, levels]).tolist(), 14)
    return shell(outer, 0.08 * wide)


def shell(outer: Array, thick: float) -> Shape:
    """A vessel open at its top: from outside `[K, 2]` (radius, z), bottom to top, and back within its thickness."""
    inner = np.column_stack([(outer[:, 0] - thick).clip(0.002), outer[:, 1].clip(outer[0, 1] + thick)])
    return lathe([(float(r), float(z)) for r, z in np.concatenate([outer, inner[::-1]])], 20)


def trinket(piece: Piece, chance: Chance, x: float, y: float, z: float, room: float) -> None:
    """Something that stands on a shelf or a table, no wider than 0.2 and lower than `room`."""
    made = chance.pick([materials.paint, materials.wood, materials.ceramic])(chance)
    high, wide = min(chance.between(0.08, 0.3), 0.9 * room), chance.between(0.07, 0.18)
    kind = chance.pick(["vase", "box", "stack", "ball"])
    if kind == "vase":
        piece.add(made, vase(chance, high, wide).at(x, y, z))
    elif kind == "ball":
        size = min(wide, 0.9 * room) / 2
        angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
        profile = [(float(size * np.cos(a)), float(size * np.sin(a))) for a in angle]
        piece.add(made, lathe(profile, 14).at(x, y, z + size))
    elif kind == "stack":
        for level in range(min(chance.whole(2, 5), int(0.9 * room / 0.035))):
            book = box(0.2, 0.14, 0.033, 0.002).turned("z", chance.between(-15, 15))
            piece.add(materials.paint(chance) if level % 2 else made, book.at(x, y, z + 0.035 * level))
    else:
        piece.add(made, box(wide, 0.8 * wide, high * 0.7, 0.006).at(x, y, z))


def rails(piece: Piece, material: Material, width: float, depth: float, level: float, thick: float) -> None:
    """Four round bars between four legs."""
    x, y = width / 2, depth / 2
    for side in (-1, 1):
        piece.add(material, bar([-x, side * y, level], [x, side * y, level], thick))
        piece.add(material, bar([side * x, -y, level], [side * x, y, level], thick))
