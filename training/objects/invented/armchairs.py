"""Armchairs of many kinds."""

from __future__ import annotations

import numpy as np

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.parts import legs
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import (
    bar,
    box,
    cushion,
    oval,
    pillow,
    sheet,
    slab,
    smooth,
    tapered,
    upright,
    wall,
)
from training.objects.invented.sofas import manner, run, scattered, stand


def armchair(chance: Chance) -> Piece:
    """Of many kinds: as a sofa for one, tub, wing, shell, on a wooden frame."""
    return chance.pick([_single, _tub, _tub, _wing, shell_chair, _framed])(chance)


def _single(chance: Chance) -> Piece:
    how = manner(chance, (0.5, 0.72))
    piece = run(chance, how, 1, True, True)
    scattered(piece, chance, how, how.seat, chance.pick([0, 0, 1]))
    stand(piece, chance, how, how.seat, how.depth)
    return piece


def _tub(chance: Chance) -> Piece:
    """Its arms and its back are one wall that goes round."""
    piece, cover, wood = Piece(), materials.cover(chance), materials.frame(chance)
    width, depth, seat = chance.between(0.62, 0.85), chance.between(0.6, 0.82), chance.between(0.38, 0.46)
    back, arms, foot = chance.between(0.66, 0.88), seat + chance.between(0.08, 0.28), chance.between(0.04, 0.18)
    thick, power = chance.between(0.07, 0.15), chance.between(2, 4)
    angle = np.linspace(-0.02 * np.pi, 1.02 * np.pi, 33)
    x, y = np.cos(angle), np.sin(angle)
    long = (np.abs(x) ** power + np.abs(y) ** power) ** (-1 / power)
    path = np.column_stack([x * long * (width - thick) / 2, y * long * (depth - thick) * 0.62])
    straight = path[[0, -1]] - np.array([0, 0.38 * (depth - thick)])
    path = np.concatenate([straight[:1], path, straight[1:]])
    share = ((path[:, 1] - path[:, 1].min()) / np.ptp(path[:, 1])) ** chance.between(1.2, 4)
    lean = chance.between(0.0, 0.16)
    tall = arms + (back - arms) * share
    around = wall(path, np.full(len(path), foot), tall, thick, chance.between(0.3, 0.49))

    def widen(points: np.ndarray) -> np.ndarray:
        points[:, :2] *= 1 + lean * ((points[:, 2:] - foot) / (back - foot)).clip(0)
        return points

    piece.add(cover, around.changed(widen))
    low, high = path.min(0), path.max(0)
    base = oval(width - thick, float(high[1] - low[1]) * 1.02, 4).astype(float)
    middle = float(low[1] + high[1]) / 2
    pad = chance.between(0.08, 0.15)
    piece.add(cover, slab(base, seat - pad - foot, 0.01).at(0, middle, foot))
    soft = cushion(chance, width - 2 * thick + 0.02, depth - thick, pad, chance.between(0.1, 0.35))
    corner = width / 2 - thick

    def rounded(points: np.ndarray) -> np.ndarray:
        behind = points[:, 1] > 0
        points[behind, 0] *= np.sqrt(1 - 0.75 * (points[behind, 1] / (depth / 2)).clip(0, 1) ** 3)
        return points

    piece.add(
        cover if chance.odds(0.7) else materials.cover(chance), soft.changed(rounded).at(0, middle - 0.03, seat - pad)
    )
    if chance.odds(0.4):
        side = chance.between(0.35, 0.45)
        soft = upright(pillow(chance, side, side * 0.8, 0.15).at(0, 0.4 * side)).turned("x", -20)
        piece.add(materials.cloth(chance), soft.at(0, float(high[1]) - thick - 0.1, seat + 0.01))
    under = Piece()
    legs(under, chance, 1.5 * corner, 0.75 * depth, foot + 0.02, wood, chance.between(0.03, 0.05))
    piece.take(under, lambda shape: shape.at(0, middle))
    return piece


def _wing(chance: Chance) -> Piece:
    """High, with ears beside the head."""
    how = manner(chance, (0.5, 0.6))
    how.arm, how.height, how.loose_back = chance.pick(["rolled", "soft", "flared"]), chance.between(0.98, 1.15), False
    how.foot, how.lean, how.arm_width = chance.between(0.08, 0.2), chance.between(8, 16), chance.between(0.09, 0.15)
    piece = run(chance, how, 1, True, True)
    tight = cushion(chance, how.seat - 0.02, how.height - how.seat_height - 0.04, 0.1, 0.5)
    tight = upright(tight.at(0, (how.height - how.seat_height) / 2)).turned("x", -0.5 * how.lean)
    piece.add(how.cushions, tight.at(how.seat / 2, -1.2 * how.back, how.seat_height))
    top, bottom, out = how.height - how.arm_height, 0.0, chance.between(0.2, 0.34)
    outline = smooth([[0, bottom], [out * 0.9, bottom], [out, 0.6 * top], [0.75 * out, top], [0, 1.03 * top]], 24)
    ear = slab(outline, 0.07, 0.02).turned("x", 90).turned("z", -90)
    ear = ear.turned("z", chance.between(0, 8)).at(0, -0.02 - 0.4 * how.back, how.arm_height - 0.06)
    for x, shape in ((0.0, ear), (how.seat, ear.mirrored())):
        piece.add(how.cover, shape.at(x))
    stand(piece, chance, how, how.seat, how.depth)
    return piece


def shell_chair(chance: Chance) -> Piece:
    """A bent plate, hard or padded, on legs."""
    piece = Piece()
    soft = chance.odds(0.5)
    seat, tall, width = chance.between(0.36, 0.46), chance.between(0.68, 0.95), chance.between(0.45, 0.72)
    deep, lean = chance.between(0.4, 0.52), chance.between(0.06, 0.2)
    line = smooth(
        [
            [-deep / 2, seat - 0.03],
            [-deep / 2 + 0.06, seat],
            [deep * 0.3, seat - 0.02],
            [deep / 2, seat + 0.08],
            [deep / 2 + 0.6 * lean, 0.6 * tall + 0.4 * seat],
            [deep / 2 + lean, tall],
        ],
        26,
    )
    across = np.linspace(-1, 1, 21)
    up = chance.between(0.02, 0.3)
    narrow = chance.between(0.0, 0.35)
    along = np.linspace(0, 1, len(line))
    grid = np.empty((len(line), len(across), 3))
    arms = np.exp(-(((along - 0.55) / chance.between(0.15, 0.4)) ** 2))
    wide = width / 2 * (1 - narrow * (2 * along - 1).clip(0) ** 2) * (0.8 + 0.2 * arms)
    wide *= np.sqrt(1 - 0.5 * np.abs(2 * along - 1) ** 8)
    grid[..., 0] = wide[:, None] * across
    back = (along - 0.5).clip(0) * 2
    grid[..., 1] = line[:, :1] - (0.25 * up + 0.2 * arms[:, None] * up + 0.12 * back[:, None]) * np.abs(across) ** 2.5
    grid[..., 2] = line[:, 1:] + up * arms[:, None] * np.abs(across) ** 3
    piece.add(materials.cover(chance) if soft else materials.paint(chance), sheet(grid, 0.06 if soft else 0.012))
    if chance.odds(0.4):
        pad = cushion(chance, 0.8 * width, 0.85 * deep, 0.05, 0.4)
        piece.add(materials.cloth(chance), pad.at(0, -0.02, seat - 0.005))
    frame, thick = materials.frame(chance), chance.between(0.01, 0.02)
    x, y, out = 0.28 * width, 0.3 * deep, chance.between(0.04, 0.12)
    for side in (-1, 1):
        for end in (-1, 1):
            foot, top = [side * (x + out), end * (y + out), 0.0], [side * x, end * y, seat - 0.02]
            piece.add(frame, bar(foot, top, thick, 1.2))
        piece.add(frame, bar([side * x, -y, seat - 0.03], [side * x, y, seat - 0.03], thick))
    piece.add(frame, bar([-x, 0, seat - 0.03], [x, 0, seat - 0.03], thick))
    return piece


def _framed(chance: Chance) -> Piece:
    """Two cushions in a frame of wood."""
    how = manner(chance, (0.52, 0.65))
    piece, width, thick = Piece(), how.seat, chance.between(0.03, 0.05)
    depth, lift, rise = chance.between(0.62, 0.75), how.seat_height - 0.12, chance.between(0.45, 0.65)
    slope = chance.between(2, 9)
    arm_height, lean = how.arm_height + 0.04, how.lean + 8
    for y, lower in ((-depth / 2, 0.0), (depth / 2 - 0.05, 0.03)):
        piece.both(how.wood, tapered(arm_height - lower, thick * 1.1, thick * 0.7).at(width / 2 + thick / 2, y))
    plank = box(chance.between(0.05, 0.09), depth + 0.08, 0.025, 0.01, 2).turned("x", -2)
    piece.both(how.wood, plank.at(width / 2 + thick / 2, -0.02, arm_height - 0.02))
    piece.both(how.wood, box(thick, depth, 0.06).turned("x", -slope).at(width / 2 + thick / 2, 0, lift - 0.06))
    for y in (-depth / 2 + 0.03, depth / 2 - 0.06):
        piece.add(how.wood, box(width, thick, 0.05).at(0, y, lift - 0.05))
    back = Piece()
    back.both(how.wood, box(thick, thick, rise).at(width / 2 - thick / 2))
    for index in range(chance.whole(3, 6)):
        back.add(how.wood, box(width - thick, 0.015, 0.045).at(0, 0, 0.08 + index * (rise - 0.14) / 5))
    soft = cushion(chance, width - 0.03, rise * chance.between(0.85, 1.1), 0.12, chance.between(0.15, 0.5))
    back.add(how.cushions, upright(soft.at(0, rise / 2 + 0.06)).at(0, -0.02))
    piece.take(back, lambda shape: shape.turned("x", -lean).at(0, depth / 2 - 0.1, lift - 0.02))
    seat = cushion(chance, width - 0.01, depth - 0.05, 0.12, chance.between(0.1, 0.4))
    piece.add(how.cushions, seat.turned("x", -slope).at(0, -0.02, lift))
    return piece
