"""Beds: what one lies on is soft and never flat."""

from __future__ import annotations

import numpy as np

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.materials import Material
from training.objects.invented.parts import legs
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import (
    Array,
    Shape,
    bar,
    box,
    cushion,
    pillow,
    ripples,
    sheet,
    slab,
    smooth,
    tube,
    upright,
)


def bed(chance: Chance) -> Piece:
    """Single, double, bunk and cot."""
    return chance.pick([_single_or_double] * 7 + [_bunk, _cot])(chance)


def _over(place: Array, edge: float, radius: float) -> tuple[Array, Array]:
    """How cloth lies over an edge: places along it → how far out, and how far down."""
    beyond = (np.abs(place) - (edge - radius)).clip(0)
    angle = (beyond / radius).clip(0, np.pi / 2)
    down = radius * (1 - np.cos(angle)) + (beyond - radius * np.pi / 2).clip(0)
    return np.sign(place) * (np.abs(place).clip(0, edge - radius) + radius * np.sin(angle)), down


def duvet(chance: Chance, width: float, head: float, foot: float, top: float, drop: float) -> Shape:
    """A blanket over a mattress whose foot is at y = −foot and whose edges are at ±width / 2, up to y = head.

    Args:
        top: of the mattress. drop: how far it hangs down at most.
    """
    thick = chance.between(0.015, 0.07)
    hang, end = chance.between(0.15, 1.0) * drop, chance.pick([0.0, chance.between(0.1, 1) * drop])
    x_line = np.linspace(-width / 2 - hang, width / 2 + hang, 37)
    y_line = np.linspace(-foot - end, head, 37)
    edge, radius = width / 2 + 0.5 * thick, 0.05
    x, down_x = _over(x_line, edge, radius)
    y, down_y = _over(y_line, foot + 0.5 * thick, radius)
    uneven = ripples(chance, chance.between(0.004, 0.018), chance.between(0.25, 0.7))
    folds = ripples(chance, chance.between(0.004, 0.022), chance.between(0.15, 0.4), 3)
    u, v = np.meshgrid(x_line, y_line, indexing="ij")
    noise = uneven(np.stack([u.ravel(), v.ravel(), 0 * u.ravel()], 1)).reshape(u.shape)
    wave = folds(np.stack([0 * u.ravel() + np.sign(u.ravel()), v.ravel(), 0 * u.ravel()], 1)).reshape(u.shape)
    wave_foot = folds(np.stack([u.ravel(), 0 * u.ravel() + 3, 0 * u.ravel()], 1)).reshape(u.shape)
    down = np.hypot(down_x[:, None], down_y[None])
    grid = np.empty((*u.shape, 3))
    hanging_x, hanging_y = (down_x / max(drop, 0.01))[:, None], (down_y / max(drop, 0.01))[None]
    grid[..., 0] = x[:, None] + np.sign(u) * (np.abs(wave) * hanging_x * 1.5 + 0.02 * hanging_x)
    grid[..., 1] = y[None] - np.abs(wave_foot) * hanging_y * 1.5
    puffed = chance.between(0, 0.05) * (1 - (2 * u / width).clip(-1, 1) ** 2)
    grid[..., 2] = top + thick / 2 + 0.012 - down + (np.abs(noise) + puffed) * (down < 0.02)
    grid[..., 2] = grid[..., 2].clip(0.02)
    return sheet(grid, thick, 0.5)


def _headboard(chance: Chance, width: float, height: float, body: Material) -> Piece:
    """Stands on z = 0 with its front at y = 0."""
    made, kind = Piece(), chance.pick(["panel", "padded", "slats", "arched", "channels", "tufted", "rails"])
    if kind == "padded":
        soft = cushion(chance, width, height, 0.1, chance.between(0.05, 0.3))
        made.add(materials.cover(chance), upright(soft.at(0, height / 2)).at(0, 0.1))
    elif kind == "arched":
        rise = height * chance.between(0.15, 0.35)
        line = np.linspace(-1, 1, 25)
        arch = np.column_stack([width / 2 * line, height - rise * np.abs(line) ** chance.between(2, 4)])
        outline = np.concatenate([[[-width / 2, 0.0], [width / 2, 0.0]], arch[::-1]])
        made.add(body, upright(slab(outline, 0.04, 0.01)).at(0, 0.04))
    elif kind == "channels":
        cover, count = materials.cover(chance), chance.whole(5, 14)
        for index in range(count):
            soft = box(width / count, 0.08, height, 0.035, 3)
            made.add(cover, soft.at((index + 0.5) * width / count - width / 2, 0.04))
    elif kind == "tufted":
        cover, columns, rows = materials.cover(chance), chance.whole(3, 7), chance.whole(2, 3)
        made.add(cover, box(width, 0.06, height, 0.02, 2).at(0, 0.07))
        side, high = width / columns, 0.7 * height / rows
        for column in range(columns):
            for row in range(rows):
                soft = upright(cushion(chance, side, high, 0.05, 0.6, 4).at(0, high / 2)).at(0, 0.06)
                made.add(cover, soft.at((column + 0.5) * side - width / 2, 0, 0.28 * height + row * high))
    elif kind in ("slats", "rails"):
        thick = chance.between(0.03, 0.06)
        made.both(body, box(thick, thick, height).at(width / 2 - thick / 2, thick / 2))
        for level in (height - 0.06, 0.4 * height):
            made.add(body, box(width, 0.6 * thick, 0.06, 0.01).at(0, thick / 2, level))
        count = chance.whole(4, 12)
        for index in range(count):
            x = ((index + 0.5) / count - 0.5) * (width - thick)
            if kind == "slats":
                made.add(body, box(0.4 * width / count, 0.015, 0.6 * height).at(x, thick / 2, 0.4 * height))
            else:
                made.add(body, bar([x, thick / 2, 0.4 * height], [x, thick / 2, height], 0.01))
    else:
        made.add(body, box(width, chance.between(0.03, 0.07), height, 0.01, 2).at(0, 0.025))
    return made


def _bedding(piece: Piece, chance: Chance, width: float, length: float, top: float, drop: float) -> None:
    """Sheet, pillows, a duvet; the bed's head is at y = length / 2."""
    sleeping = 2 if width > 1.15 else 1
    linen = materials.cloth(chance, True)
    cases = linen if chance.odds(0.5) else materials.cloth(chance, True)
    side = min(width / sleeping - 0.06, chance.between(0.45, 0.8))
    deep = chance.between(0.36, 0.5)
    made = chance.pick(["full", "full", "full", "half", "none", "folded"])
    for layer in range(chance.pick([1, 1, 2])):
        for index in range(sleeping):
            if layer and chance.odds(0.3):
                continue
            soft = pillow(chance, side, deep, chance.between(0.12, 0.22)).turned("z", chance.between(-6, 6))
            soft = soft.turned("x", chance.between(0, 12) + 35 * layer)
            x = ((index + 0.5) / sleeping - 0.5) * width
            low = float(soft.vertices[:, 2].min())
            y = length / 2 - deep / 2 - 0.03 + 0.03 * layer
            piece.add(cases, soft.at(x + chance.between(-0.03, 0.03), y, top - low - 0.02 + 0.08 * layer))
    if chance.odds(0.25):
        soft = pillow(chance, 0.42, 0.4, 0.15).turned("x", 50)
        piece.add(materials.cloth(chance), soft.at(0, length / 2 - deep - 0.12, top + 0.15))
    cover = materials.cloth(chance, chance.odds(0.6))
    if made in ("full", "half"):
        head = length / 2 - (deep * chance.between(0.6, 1.15) if made == "full" else length * chance.between(0.4, 0.6))
        piece.add(cover, duvet(chance, width, head, length / 2, top, drop))
        if chance.odds(0.4):
            fold = cushion(chance, width + 0.05, chance.between(0.2, 0.4), chance.between(0.04, 0.09), 0.4, 10)
            piece.add(linen, fold.at(0, head - 0.1, top + 0.02))
        if made == "full" and chance.odds(0.3):
            throw = duvet(
                chance, width + 0.06, -length / 2 + chance.between(0.4, 0.8), length / 2 - 0.1, top + 0.06, drop
            )
            piece.add(materials.cloth(chance), throw)
    elif made == "folded":
        for level in range(2):
            fold = cushion(chance, 0.85 * width, 0.5, 0.07, 0.4, 10)
            piece.add(cover, fold.at(0, -length / 2 + 0.35, top + 0.07 * level))


def _single_or_double(chance: Chance) -> Piece:
    piece, body = Piece(), materials.body(chance)
    width = chance.pick([0.9, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8]) + chance.between(-0.05, 0.05)
    length, foot = chance.between(1.9, 2.1), chance.between(0.0, 0.25)
    frame, soft = chance.between(0.1, 0.3), chance.between(0.14, 0.28)
    kind = chance.pick(["frame", "frame", "divan", "boxed"])
    sink = chance.between(0.02, 0.1) if kind == "frame" else 0.0
    edge = 0.04
    base = materials.cover(chance) if kind != "frame" else body
    if kind == "frame":
        for side in (-1, 1):
            piece.add(body, box(0.03, length, frame, 0.006).at(side * (width / 2 + edge / 2), 0, foot))
        piece.add(body, box(width + 2 * edge, 0.03, frame, 0.006).at(0, -length / 2 - 0.015, foot))
        piece.add(body, box(width, length, 0.03).at(0, 0, foot + frame - sink - 0.03))
    else:
        piece.add(base, box(width + 0.02, length, frame, 0.03, 2).at(0, 0, foot))
        if kind == "boxed":
            for index in range(chance.whole(2, 3)):
                wide = length / 3 - 0.05
                front = box(0.016, wide, frame - 0.06, 0.004).at(0, (index - 1) * length / 3, foot + 0.03)
                piece.both(base, front.at(width / 2 + 0.015))
    if foot > 0.03:
        legs(piece, chance, width + 0.04, length - 0.04, foot + 0.01, body, chance.between(0.04, 0.09))
    lift = foot + frame - sink
    bulge = cushion(chance, width - 0.01, length - 0.01, soft, chance.between(0.02, 0.1))
    piece.add(materials.cloth(chance, True), bulge.at(0, 0, lift))
    top = lift + soft
    _bedding(piece, chance, width, length, top + 0.01, min(top - 0.05, soft + 0.8 * frame))
    if chance.odds(0.88):
        high = top + chance.between(0.15, 0.75)
        board = _headboard(chance, width + chance.pick([0.04, 0.1, 0.3]), high, body)
        lean = chance.pick([0.0, 0.0, chance.between(2, 8)])
        piece.take(board, lambda shape: shape.turned("x", -lean).at(0, length / 2))
    if kind == "frame" and chance.odds(0.4):
        board = _headboard(chance, width + 2 * edge, top + chance.between(-0.05, 0.25), body)
        piece.take(board, lambda shape: shape.turned("z", 180).at(0, -length / 2 - 0.01))
    return piece


def _bunk(chance: Chance) -> Piece:
    """Two beds, one over the other, with a ladder."""
    piece, body = Piece(), materials.body(chance)
    width, length, post = chance.between(0.8, 1.0), chance.between(1.9, 2.05), chance.between(0.045, 0.08)
    height = chance.between(1.5, 1.8)
    x, y = width / 2 + post / 2, length / 2 + post / 2
    piece.four(body, box(post, post, height).at(x, y))
    for level in (chance.between(0.2, 0.35), height - chance.between(0.35, 0.45)):
        piece.both(body, box(0.03, length, 0.12).at(x, 0, level))
        for side in (-1, 1):
            piece.add(body, box(width, 0.03, 0.12).at(0, side * y, level))
        piece.add(body, box(width, length, 0.02).at(0, 0, level + 0.03))
        piece.add(materials.cloth(chance, True), cushion(chance, width, length, 0.13, 0.05).at(0, 0, level + 0.05))
        _bedding(piece, chance, width, length, level + 0.19, 0.05)
    for up in (0.14, 0.28):
        piece.both(body, box(0.025, length, 0.06).at(x, 0, height - 0.36 + up))
        for side in (-1, 1):
            piece.add(body, box(width, 0.025, 0.06).at(0, side * y, height - 0.36 + up))
    place, lean = length * chance.between(-0.3, 0.3), chance.between(0.0, 0.25)
    for rail in (place - 0.18, place + 0.18):
        piece.add(body, bar([x + 0.03 + lean, rail, 0], [x + 0.03, rail, height - 0.2], 0.018))
    for step in range(1, 6):
        share = step / 6.5
        out = x + 0.03 + lean * (1 - share)
        piece.add(body, bar([out, place - 0.18, share * height], [out, place + 0.18, share * height], 0.015))
    return piece


def _cot(chance: Chance) -> Piece:
    """For a baby: bars all round."""
    piece, body = Piece(), materials.body(chance)
    width, length, height = chance.between(0.6, 0.75), chance.between(1.15, 1.4), chance.between(0.75, 0.95)
    post, low = chance.between(0.035, 0.06), chance.between(0.2, 0.35)
    x, y = width / 2, length / 2
    piece.four(body, box(post, post, height).at(x, y))
    count = chance.whole(8, 14)
    for side in (-1, 1):
        for level in (low - 0.05, height - 0.07):
            piece.add(body, box(0.025, length, 0.05).at(side * x, 0, level))
            piece.add(body, box(width, 0.025, 0.05).at(0, side * y, level))
        for index in range(count):
            place = ((index + 0.5) / count - 0.5) * length
            piece.add(body, bar([side * x, place, low], [side * x, place, height - 0.04], 0.009, sides=6))
        panel = chance.odds(0.5)
        for index in range(0 if panel else count // 2):
            place = ((index + 0.5) / (count // 2) - 0.5) * width
            piece.add(body, bar([place, side * y, low], [place, side * y, height - 0.04], 0.009, sides=6))
        if panel:
            piece.add(body, box(width, 0.018, height - low - 0.05).at(0, side * y, low))
    piece.add(body, box(width - 0.02, length - 0.02, 0.02).at(0, 0, low - 0.03))
    piece.add(materials.cloth(chance, True), cushion(chance, width - 0.04, length - 0.04, 0.1, 0.08).at(0, 0, low))
    _bedding(piece, chance, width - 0.05, length - 0.06, low + 0.11, 0.03)
    if chance.odds(0.3):
        path = smooth([[-x, y, height], [-x, y, height + 0.3], [0, y, height + 0.5], [0, y - 0.3, height + 0.48]], 16)
        piece.add(body, tube(path, 0.01, 8))
    return piece
