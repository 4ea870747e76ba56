"""Chairs without arms and with, office chairs, stools and benches."""

from __future__ import annotations

import numpy as np

from training.objects.invented import materials
from training.objects.invented.armchairs import shell_chair
from training.objects.invented.chance import Chance
from training.objects.invented.materials import Material
from training.objects.invented.parts import legs, rails, turned_leg
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import (
    Array,
    Shape,
    bar,
    box,
    cushion,
    lathe,
    oval,
    sheet,
    slab,
    smooth,
    tapered,
    tube,
    upright,
)


def chair(chance: Chance) -> Piece:
    """For a table: many backs, a seat that is hollow or padded; some are bent shells."""
    return shell_chair(chance) if chance.odds(0.15) else _dining(chance)


def _hollowed(shape: Shape, depth: float, width: float, deep: float) -> Shape:
    """A seat whose middle lies lower."""

    def change(points: Array) -> Array:
        x, y = 2 * points[:, 0] / width, 2 * points[:, 1] / deep
        points[:, 2] -= depth * (1 - x**2).clip(0) * (1 - y**2).clip(0)
        return points

    return shape.changed(change)


def _dining(chance: Chance) -> Piece:
    piece, body = Piece(), materials.frame(chance)
    width, deep = chance.between(0.38, 0.5), chance.between(0.38, 0.48)
    seat, height, thick = chance.between(0.43, 0.49), chance.between(0.76, 1.08), chance.between(0.022, 0.045)
    lean = chance.between(3, 14)
    plate = chance.pick(["board", "hollow", "round", "frame"])
    narrow = chance.between(0.75, 1.0)

    def narrowed(points: Array) -> Array:
        points[:, 0] *= 1 - (1 - narrow) * (points[:, 1] / deep + 0.5)
        return points

    if plate == "round":
        outline = oval(width, deep, chance.between(2, 4))
        piece.add(body, slab(outline, 0.03, 0.008).at(0, 0, seat - 0.03))
    elif plate == "hollow":
        made = _hollowed(box(width, deep, 0.03, 0.012, 2, 8), 0.015, width, deep)
        piece.add(body, made.changed(narrowed).at(0, 0, seat - 0.03))
    else:
        piece.add(body, box(width, deep, 0.02, 0.006, 1, 2).changed(narrowed).at(0, 0, seat - 0.02))
    if plate in ("board", "frame") or chance.odds(0.3):
        pad = cushion(chance, 0.96 * width, 0.94 * deep, chance.between(0.02, 0.06), chance.between(0.3, 1))
        piece.add(materials.cover(chance), pad.changed(narrowed).at(0, -0.005, seat - 0.002))
    if plate == "frame":
        for side in (-1, 1):
            piece.add(body, box(0.85 * width, 0.02, 0.06).at(0, side * 0.44 * deep, seat - 0.08))
            piece.add(body, box(0.02, 0.9 * deep, 0.06).at(side * 0.42 * width, 0, seat - 0.08))
    kind = chance.pick(["tapered", "round", "turned", "splayed"])
    x, y = 0.46 * width - thick / 2, 0.47 * deep - thick / 2
    out = chance.between(0.03, 0.09) if kind == "splayed" else 0.0
    front = turned_leg(chance, seat - 0.02, thick * 1.2) if kind == "turned" else None
    for side in (-1, 1):
        foot = tapered(seat - 0.015, thick, 0.65 * thick, (side * out, -out), 12 if kind in ("round", "splayed") else 4)
        piece.add(body, (front or foot).at(side * x, -y))
        behind = tapered(seat - 0.015, thick, 0.7 * thick, (side * out, 0.05 + out), 4 if kind != "round" else 12)
        piece.add(body, behind.at(side * x * narrow, y))
    if chance.odds(0.4):
        rails(piece, body, 2 * (x + 0.5 * out), 2 * (y + 0.5 * out), chance.between(0.1, 0.25), 0.009)
    back = _back(chance, body, 2 * x * narrow + thick, height - seat, thick)
    piece.take(back, lambda shape: shape.turned("x", -lean).at(0, y, seat - 0.02))
    if chance.odds(0.2):
        rise = chance.between(0.17, 0.24)
        for side in (-1, 1):
            path = smooth(
                [
                    [side * x, -0.7 * y, seat],
                    [side * (x + 0.03), -0.75 * y, seat + rise],
                    [side * (x + 0.03), 0, seat + rise + 0.01],
                    [side * x * narrow, y + 0.03, seat + rise],
                ],
                14,
            )
            piece.add(body, tube(path, 0.5 * thick, 8))
    return piece


def _back(chance: Chance, body: Material, width: float, height: float, thick: float) -> Piece:
    """Stands on z = 0, in the middle of x, its posts at y = 0."""
    back, kind = Piece(), chance.pick(["slats", "rungs", "panel", "padded", "hoop", "splat", "cross"])
    bent = chance.between(0.0, 0.06)

    def curve(points: Array) -> Array:
        points[:, 1] += bent * (1 - (2 * points[:, 0] / width) ** 2)
        return points

    def rung(level: float, high: float, wide: float = width) -> Shape:
        return box(wide, 0.018, high, 0.006, 1, 8).changed(curve).at(0, 0, level)

    if kind == "hoop":
        arch = smooth(
            [
                [-width / 2, 0, 0],
                [-0.55 * width, 0, 0.55 * height],
                [-0.3 * width, 0.02, 0.95 * height],
                [0, 0.03, height],
                [0.3 * width, 0.02, 0.95 * height],
                [0.55 * width, 0, 0.55 * height],
                [width / 2, 0, 0],
            ],
            30,
        )
        back.add(body, tube(arch, 0.45 * thick, 8))
        for index in range(count := chance.whole(3, 8)):
            x = ((index + 1) / (count + 1) - 0.5) * width
            top = height * (1 - 0.75 * np.abs(x / (0.55 * width)) ** 2.5) - 0.01
            back.add(body, bar([0.8 * x, 0, 0], [x, 0.02, top], 0.007, sides=6))
        return back
    back.both(body, tapered(height, 0.75 * thick, thick).at(width / 2 - thick / 2))
    if kind == "panel":
        low = chance.between(0.1, 0.5) * height
        back.add(body, rung(low, height - low))
    elif kind == "padded":
        low = chance.between(0.08, 0.4) * height
        tall = height - low
        soft = upright(cushion(chance, 0.98 * width, tall, 0.05, 0.5).at(0, tall / 2)).changed(curve)
        back.add(materials.cover(chance), soft.at(0, 0.015, low))
    else:
        back.add(body, rung(height - 0.07, 0.07))
    if kind == "slats":
        back.add(body, rung(0.12 * height, 0.035))
        for index in range(count := chance.whole(3, 7)):
            x = ((index + 1) / (count + 1) - 0.5) * width
            slat = box(0.4 * width / count, 0.012, 0.86 * height).at(
                x, bent * (1 - (2 * x / width) ** 2), 0.13 * height
            )
            back.add(body, slat)
    elif kind == "rungs":
        for index in range(count := chance.whole(1, 4)):
            back.add(body, rung((index + 1) / (count + 1.4) * height, chance.between(0.03, 0.06)))
    elif kind == "splat":
        line = smooth(
            [
                [0.25 * width, 0],
                [chance.between(0.1, 0.25) * width, 0.3 * height],
                [chance.between(0.15, 0.35) * width, 0.6 * height],
                [0.15 * width, 0.9 * height],
            ],
            14,
        )
        outline = np.concatenate([line, line[::-1] * np.array([-1, 1])])
        back.add(body, upright(slab(outline, 0.014, 0.003)).at(0, bent))
    elif kind == "cross":
        for side in (-1, 1):
            end = [side * width / 2, 0, height - 0.05]
            back.add(body, bar([-side * width / 2, 0, 0.1 * height], end, 0.011))
    return back


def office_chair(chance: Chance) -> Piece:
    """A star foot on castors, a column, a padded seat and back, often arms."""
    piece, dark = Piece(), materials.metal(chance) if chance.odds(0.4) else materials.paint(chance)
    seat, width, deep = chance.between(0.43, 0.54), chance.between(0.44, 0.54), chance.between(0.42, 0.5)
    reach, arms = chance.between(0.26, 0.34), chance.pick([5, 5, 5, 4])
    for index in range(arms):
        angle = 2 * np.pi * (index + 0.5) / arms
        direction = np.array([np.cos(angle), np.sin(angle)])
        path = [[*(0.03 * direction), 0.13], [*(reach * direction), 0.085]]
        piece.add(dark, tube(path, np.array([0.026, 0.016]), 8))
        wheel = lathe([(0.02, -0.02), (0.028, -0.014), (0.028, 0.014), (0.02, 0.02)], 12).turned("y", 90)
        end_x, end_y = (reach * direction).tolist()
        piece.add(dark, wheel.turned("z", np.degrees(angle) + 90).at(end_x, end_y, 0.028))
        piece.add(dark, bar([*(reach * direction), 0.03], [*(reach * direction), 0.09], 0.01))
    piece.add(dark, bar([0, 0, 0.08], [0, 0, 0.3], 0.035), bar([0, 0, 0.25], [0, 0, seat - 0.05], 0.02))
    piece.add(dark, box(0.25, 0.3, 0.035, 0.01).at(0, 0, seat - 0.08))
    cover = materials.cover(chance)
    rear = cover if chance.odds(0.6) else materials.cover(chance)
    pad = chance.between(0.05, 0.1)
    piece.add(cover, cushion(chance, width, deep, pad, chance.between(0.2, 0.6)).at(0, 0, seat - pad))
    tall, low, lean = chance.between(0.35, 0.75), chance.between(0.02, 0.18), chance.between(4, 16)
    bent = chance.between(0.02, 0.09)
    if chance.odds(0.6):
        soft = upright(
            cushion(chance, chance.between(0.85, 1.0) * width, tall, chance.between(0.04, 0.1), 0.5).at(0, tall / 2)
        )
    else:
        u, v = np.meshgrid(np.linspace(-0.47, 0.47, 13) * width, np.linspace(0, 1, 15), indexing="ij")
        taper = 1 - 0.25 * (2 * v - 1) ** 4
        hollow = 0.03 * np.sin(2 * np.pi * v)
        soft = sheet(np.stack([u * taper, hollow, v * tall], 2), 0.025)

    def curve(points: Array) -> Array:
        points[:, 1] -= bent * (2 * points[:, 0] / width) ** 2
        return points

    piece.add(rear, soft.changed(curve).turned("x", -lean).at(0, deep / 2 + 0.03, seat + low))
    spine = smooth(
        [
            [0, 0.1, seat - 0.07],
            [0, deep / 2 + 0.06, seat - 0.05],
            [0, deep / 2 + 0.08, seat + low + 0.1],
            [0, deep / 2 + 0.1 + 0.03, seat + low + 0.25],
        ],
        14,
    )
    piece.add(dark, tube(spine, 0.02, 8))
    if chance.odds(0.25):
        rest = upright(cushion(chance, 0.28, 0.15, 0.06, 0.5, 5).at(0, 0.07)).turned("x", -lean)
        piece.add(rear, rest.at(0, deep / 2 + 0.04 + np.sin(np.radians(lean)) * tall, seat + low + tall + 0.03))
    if chance.odds(0.65):
        rise, x = chance.between(0.18, 0.25), width / 2 + 0.035
        for side in (-1, 1):
            piece.add(dark, box(chance.between(0.05, 0.09), 0.26, 0.03, 0.012, 2).at(side * x, 0.02, seat + rise))
            if chance.odds(0.5):
                post = smooth(
                    [[side * 0.15, 0, seat - 0.06], [side * x, 0, seat - 0.05], [side * x, 0.03, seat + rise]], 10
                )
                piece.add(dark, tube(post, 0.016, 8))
            else:
                piece.add(dark, box(0.025, 0.08, rise + 0.06).at(side * x, 0.04, seat - 0.05))
                piece.add(dark, box(0.2, 0.06, 0.02).at(side * (x - 0.09), 0.04, seat - 0.06))
    return piece


def stool(chance: Chance) -> Piece:
    """Low or for a bar, on legs or on a foot."""
    piece, body = Piece(), materials.frame(chance)
    high, wide = chance.pick([chance.between(0.4, 0.5), chance.between(0.62, 0.8)]), chance.between(0.28, 0.42)
    outline = oval(wide, wide * chance.pick([1.0, 1.0, 0.75]), chance.pick([2.0, 2.0, 6.0]))
    plate = slab(outline, chance.between(0.02, 0.05), 0.008)
    piece.add(body, plate.at(0, 0, high - 0.05))
    if chance.odds(0.5):
        pad = chance.between(0.03, 0.08)
        crown = [
            (0.42 * wide, 0.0),
            (0.5 * wide, 0.3 * pad),
            (0.48 * wide, 0.7 * pad),
            (0.3 * wide, 1.0 * pad),
            (0.1 * wide, 1.08 * pad),
        ]
        piece.add(materials.cover(chance), lathe(crown, 28).at(0, 0, high - 0.02))
    if chance.odds(0.3):
        piece.add(body, lathe([(0.2, 0), (0.2, 0.012), (0.05, 0.03), (0.03, 0.06), (0.025, high - 0.04)], 28))
        if high > 0.6:
            angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            ring = np.column_stack([0.16 * np.cos(angle), 0.16 * np.sin(angle), np.full(24, 0.25)])
            piece.add(body, tube(ring, 0.009, 8, "joined"), bar([-0.16, 0, 0.25], [0.16, 0, 0.25], 0.008))
    else:
        out, thick = chance.between(0.0, 0.18) * high, chance.between(0.02, 0.04)
        x = 0.32 * wide
        sides = chance.pick([4, 12])
        piece.four(body, tapered(high - 0.04, thick, 0.7 * thick, (out, out), sides).at(x, x * 0.8))
        if chance.odds(0.7):
            level = chance.between(0.25, 0.45)
            spread = 2 * out * (1 - level)
            rails(piece, body, 2 * x + spread, 1.6 * x + spread, level * high, 0.009)
    if high > 0.6 and chance.odds(0.4):
        rise = chance.between(0.15, 0.35)
        back = _back(chance, body, 0.8 * wide, rise + 0.1, 0.025)
        piece.take(back, lambda shape: shape.turned("x", -8).at(0, 0.4 * wide, high - 0.04))
    return piece


def bench(chance: Chance) -> Piece:
    """For a hall or a garden, with a back or without, of boards or padded."""
    piece, body = Piece(), materials.wood(chance) if chance.odds(0.7) else materials.paint(chance)
    width, deep, seat = chance.between(0.9, 1.9), chance.between(0.32, 0.5), chance.between(0.42, 0.48)
    thick = chance.between(0.04, 0.08)
    if chance.odds(0.5):
        count = chance.whole(2, 6)
        for index in range(count):
            y = ((index + 0.5) / count - 0.5) * deep
            piece.add(body, box(width, 0.85 * deep / count, 0.025, 0.005).at(0, y, seat - 0.025))
        piece.both(body, box(0.04, 0.95 * deep, 0.05).at(0.42 * width, 0, seat - 0.075))
    else:
        piece.add(body, box(width, deep, thick, 0.008, 2).at(0, 0, seat - thick))
        if chance.odds(0.5):
            pad = cushion(chance, 0.98 * width, 0.96 * deep, chance.between(0.04, 0.09), 0.2)
            piece.add(materials.cover(chance), pad.at(0, 0, seat - 0.002))
    if chance.odds(0.3):
        piece.both(body, box(0.04, 0.9 * deep, seat - 0.03, 0.005).at(0.42 * width))
        piece.add(body, box(0.84 * width, 0.03, 0.08).at(0, 0, 0.15))
    else:
        legs(piece, chance, width - 0.08, deep - 0.03, seat - 0.02, body, thick)
    if chance.odds(0.45):
        back = _back(chance, body, width - 0.06, chance.between(0.35, 0.55), thick)
        lean = chance.between(4, 16)
        piece.take(back, lambda shape: shape.turned("x", -lean).at(0, deep / 2 - 0.03, seat - 0.03))
        if chance.odds(0.6):
            piece.both(body, box(0.06, deep, 0.03, 0.008).at(width / 2 - 0.03, 0, seat + 0.2))
            piece.both(body, box(0.05, 0.05, 0.22).at(width / 2 - 0.03, -0.4 * deep, seat - 0.01))
    return piece
