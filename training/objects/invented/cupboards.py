"""What things are put into: cupboards with doors and drawers, refrigerators, open bays, bookcases."""

from __future__ import annotations

from functools import partial

from training.objects.invented import materials
from training.objects.invented.chance import Chance
from training.objects.invented.materials import Material
from training.objects.invented.parts import books, handle, legs, trinket
from training.objects.invented.piece import Piece
from training.objects.invented.shapes import Shape, bar, box


def carcass(piece: Piece, body: Material, width: float, deep: float, height: float, thick: float, back: bool) -> None:
    """Two sides, floor and lid, open towards the front; stands on z = 0."""
    piece.both(body, box(thick, deep, height, 0.002).at(width / 2 - thick / 2))
    for level in (0.0, height - thick):
        piece.add(body, box(width - 2 * thick + 0.002, deep, thick, 0.002).at(0, 0, level))
    if back:
        piece.add(body, box(width - thick, 0.008, height - thick, 0).at(0, deep / 2 - 0.006, thick / 2))


def fronts(
    piece: Piece,
    chance: Chance,
    front: Material,
    grip: Material,
    width: float,
    rows: list[float],
    columns: int,
    y: float,
    doors: bool,
    style: tuple[str, str, float],
) -> None:
    """Doors or drawers in rows of these heights from z = 0, with gaps between them, before the plane `y`.

    Args:
        style: flat, framed or inset; the kind of handle; the thickness.
    """
    look, kind, thick = style
    gap, level = 0.004, 0.0
    for high in rows:
        for column in range(columns):
            side = width / columns
            x = (column + 0.5) * side - width / 2
            plate = box(side - gap, thick, high - gap, 0.003 if look == "flat" else 0.006, 1)
            piece.add(front, plate.at(x, y - thick / 2, level + gap / 2))
            rim = min(0.06, 0.18 * min(side, high))
            if look == "framed":
                for end in (-1, 1):
                    upright = box(rim, 0.012, high - gap).at(x + end * (side / 2 - rim / 2 - gap))
                    piece.add(front, upright.at(0, y - thick - 0.005, level + gap / 2))
                    middle = level + high / 2 + end * (high / 2 - rim / 2 - gap) - rim / 2
                    piece.add(front, box(side - 2 * rim, 0.012, rim).at(x, y - thick - 0.005, middle))
            elif look == "raised":
                panel = box(side - 2.5 * rim, 0.014, high - 2.5 * rim, 0.006)
                piece.add(front, panel.at(x, y - thick - 0.005, level + 1.25 * rim))
            if kind == "none":
                continue
            made = handle(chance, kind, min(0.5 * side, 0.18) if not doors else min(0.4 * high, 0.25))
            if doors:
                inward = 1 if column % 2 == 0 else -1
                made = made.turned("y", 90).at(x + inward * (side / 2 - 0.035), y - thick, level + 0.5 * high)
            else:
                made = made.at(x, y - thick, level + 0.5 * high)
            piece.add(grip, made)
        level += high


def _style(chance: Chance) -> tuple[str, str, float]:
    look = chance.pick(["flat", "flat", "framed", "raised"])
    return look, chance.pick(["knob", "bar", "bow", "none"]), chance.between(0.014, 0.024)


def drawers(
    chance: Chance, body: Material, front: Material, width: float, deep: float, height: float, rows: int, columns: int
) -> Piece:
    """A block of drawers, stands on z = 0."""
    piece = Piece()
    carcass(piece, body, width, deep, height, 0.018, True)
    shares = [chance.pick([1.0, 1.0, chance.between(0.7, 1.6)]) for _ in range(rows)]
    high = [height * share / sum(shares) for share in shares]
    fronts(piece, chance, front, materials.metal(chance), width, high, columns, -deep / 2, False, _style(chance))
    return piece


def _stand(piece: Piece, chance: Chance, body: Material, width: float, deep: float) -> float:
    """A plinth or feet below; returns how high they are."""
    kind = chance.pick(["plinth", "feet", "none", "plinth"])
    if kind == "none":
        return 0.0
    if kind == "plinth":
        high = chance.between(0.03, 0.1)
        piece.add(body, box(width - 0.02, deep - 0.06, high + 0.002, 0).at(0, 0.02))
        return high
    high = chance.between(0.06, 0.22)
    legs(piece, chance, width - 0.03, deep - 0.03, high + 0.001, body, chance.between(0.03, 0.06))
    return high


def _topped(piece: Piece, chance: Chance, body: Material, width: float, deep: float, height: float) -> float:
    """A lid that stands out a little, or none; returns where the top is."""
    if chance.odds(0.5):
        return height
    thick, out = chance.between(0.015, 0.045), chance.between(0.0, 0.05)
    piece.add(body, box(width + 2 * out, deep + out, thick, 0.005, 2).at(0, -out / 2, height))
    return height + thick


def chest(chance: Chance) -> Piece:
    """Of drawers; small ones stand beside beds."""
    piece, body = Piece(), materials.body(chance)
    front = body if chance.odds(0.6) else materials.body(chance)
    small = chance.odds(0.35)
    width = chance.between(0.38, 0.6) if small else chance.between(0.7, 1.5)
    height = chance.between(0.35, 0.6) if small else chance.between(0.65, 1.25)
    deep = chance.between(0.35, 0.52)
    low = _stand(piece, chance, body, width, deep)
    rows = chance.whole(1, 3) if small else chance.whole(3, 6)
    made = drawers(chance, body, front, width, deep, height, rows, 1 if small else chance.pick([1, 1, 2]))
    piece.take(made, lambda shape: shape.at(0, 0, low))
    top = _topped(piece, chance, body, width, deep, low + height)
    for _ in range(chance.pick([0, 0, 1])):
        trinket(piece, chance, chance.between(-0.3, 0.3) * width, 0, top, 0.3)
    return piece


def wardrobe(chance: Chance) -> Piece:
    """As tall as a person: doors, sometimes drawers below them, sometimes one door open or missing."""
    piece, body = Piece(), materials.body(chance)
    front = body if chance.odds(0.6) else materials.body(chance)
    columns = chance.whole(1, 4)
    width, deep, height = columns * chance.between(0.42, 0.6), chance.between(0.5, 0.65), chance.between(1.65, 2.2)
    low = _stand(piece, chance, body, width, deep)
    grip, style, thick = materials.metal(chance), _style(chance), 0.02
    inner = Piece()
    carcass(inner, body, width, deep, height, thick, True)
    below = chance.between(0.2, 0.45) if chance.odds(0.4) else 0.0
    if below:
        fronts(inner, chance, front, grip, width, [below], chance.pick([1, columns]), -deep / 2, False, style)
    part, high = Piece(), height - below
    open_ = columns > 1 and chance.odds(0.3)
    shut = columns - 1 if open_ else columns
    side = width / columns
    fronts(part, chance, front, grip, side * shut, [high], shut, -deep / 2, True, style)
    inner.take(part, lambda shape: shape.at((shut - columns) * side / 2, 0, below))
    if open_:
        x = width / 2 - side / 2
        inner.add(body, box(thick, deep - 0.03, high - 2 * thick).at(width / 2 - side, 0, below + thick))
        if chance.odds(0.5):
            inner.add(grip, bar([width / 2 - side, 0, height - 0.12], [width / 2, 0, height - 0.12], 0.012))
            for index in range(chance.whole(2, 6)):
                robe = box(0.04, 0.42 * deep / 0.55, chance.between(0.5, 0.95), 0.018, 2)
                inner.add(materials.cloth(chance), robe.at(width / 2 - side + 0.05 + 0.065 * index, 0, height - 1.1))
        else:
            for index in range(count := chance.whole(3, 5)):
                inner.add(body, box(side, deep - 0.03, 0.016).at(x, 0, below + (index + 1) * high / (count + 1)))
        if chance.odds(0.6):
            leaf = box(side - 0.004, 0.02, high - 0.004).at(-side / 2).turned("z", -chance.between(-110, -60))
            inner.add(front, leaf.at(width / 2, -deep / 2 - 0.01, below))
    piece.take(inner, lambda shape: shape.at(0, 0, low))
    _topped(piece, chance, body, width, deep, low + height)
    return piece


def sideboard(chance: Chance) -> Piece:
    """Low and long: doors, drawers and open bays beside each other; also for televisions and hi-fi."""
    piece, body = Piece(), materials.body(chance)
    front = body if chance.odds(0.5) else materials.body(chance)
    columns, height = chance.whole(2, 4), chance.between(0.3, 0.9)
    width, deep, thick = columns * chance.between(0.38, 0.62), chance.between(0.34, 0.5), 0.02
    low = _stand(piece, chance, body, width, deep)
    inner, grip, style = Piece(), materials.metal(chance), _style(chance)
    carcass(inner, body, width, deep, height, thick, chance.odds(0.85))
    side = width / columns
    for column in range(columns):
        x = (column + 0.5) * side - width / 2
        if column:
            inner.add(body, box(thick, deep - 0.02, height - 2 * thick).at(x - side / 2, 0, thick))
        kind, part = chance.pick(["door", "door", "drawers", "open", "open"]), Piece()
        if kind == "open":
            count = chance.whole(0, 2) if height > 0.4 else chance.whole(0, 1)
            room = (height - thick) / (count + 1)
            for index in range(count + 1):
                floor = thick + index * room - (thick if index else 0)
                if index:
                    inner.add(body, box(side - thick, deep - 0.03, thick).at(x, 0, floor))
                what, floor = chance.pick(["nothing", "books", "trinket", "machine"]), floor + (thick if index else 0)
                if what == "books":
                    books(inner, chance, x - side / 2 + thick, x + side / 2 - thick, -0.4 * deep, floor, 0.9 * room)
                elif what == "trinket":
                    trinket(inner, chance, x, 0, floor, 0.7 * room)
                elif what == "machine":
                    flat = box(0.75 * side, 0.7 * deep, min(0.12, 0.6 * room), 0.005).at(x, 0, floor)
                    inner.add(materials.paint(chance), flat)
        else:
            many = 1 if kind == "door" else chance.whole(2, 4)
            rows = [height / many] * many
            fronts(part, chance, front, grip, side, rows, 1, -deep / 2, kind == "door", style)
            inner.take(part, partial(Shape.at, x=x))
    piece.take(inner, lambda shape: shape.at(0, 0, low))
    top = _topped(piece, chance, body, width, deep, low + height)
    if height < 0.65 and chance.odds(0.3):
        wide = min(0.9 * width, chance.between(0.7, 1.3))
        dark = materials.paint(chance)
        piece.add(
            dark, box(wide, 0.05, 0.57 * wide, 0.01).at(0, 0, top + 0.07), box(0.3 * wide, 0.2, 0.02).at(0, 0, top)
        )
        piece.add(dark, box(0.1, 0.04, 0.1).at(0, 0.02, top + 0.01))
    for _ in range(chance.pick([0, 0, 1, 2])):
        trinket(piece, chance, chance.between(-0.4, 0.4) * width, 0, top, 0.3)
    return piece


def bookcase(chance: Chance) -> Piece:
    """Open, with a back or without, empty, half full or full; some have doors below; some are ladders."""
    piece, body = Piece(), materials.body(chance)
    columns, rows = chance.pick([1, 1, 1, 2, 3, 4]), chance.whole(2, 6)
    width, room = columns * chance.between(0.35, 0.85 if columns == 1 else 0.5), chance.between(0.26, 0.4)
    deep, thick, height = chance.between(0.22, 0.4), chance.between(0.015, 0.035), rows * room
    low = chance.pick([0.0, 0.0, chance.between(0.03, 0.1)])
    light = chance.odds(0.25)
    if light:
        # Boards between four posts.
        post = materials.metal(chance) if chance.odds(0.6) else body
        size = chance.between(0.018, 0.035)
        piece.four(post, box(size, size, height + low).at(width / 2 - size / 2, deep / 2 - size / 2))
        for index in range(rows + 1):
            level = max(0.04, low + index * room - thick)
            piece.add(body, box(width - 0.002, deep - 0.004, thick).at(0, 0, level))
        columns = 1
        if chance.odds(0.5):
            for side in (-1, 1):
                ends = ([side * width / 2.05, deep / 2, 0.05], [-side * width / 2.05, deep / 2, height])
                piece.add(post, bar(*ends, 0.006, sides=6))
        low = 0.0
    else:
        if low:
            piece.add(body, box(width - 0.01, deep - 0.04, low + 0.002, 0).at(0, 0.01))
        inner = Piece()
        carcass(inner, body, width, deep, height, thick, chance.odds(0.65))
        for index in range(1, rows):
            inner.add(body, box(width - 2 * thick, deep - 0.015, thick, 0.002).at(0, 0, index * room))
        piece.take(inner, lambda shape: shape.at(0, 0, low))
    for column in range(1, columns):
        x = column * width / columns - width / 2
        piece.add(body, box(thick, deep - 0.02, height - 2 * thick, 0.002).at(x, 0, low + thick))
    doors = 1 if not light and chance.odds(0.2) else 0
    if doors:
        part = Piece()
        fronts(
            part, chance, body, materials.metal(chance), width, [room], max(columns, 2), -deep / 2, True, _style(chance)
        )
        piece.take(part, lambda shape: shape.at(0, 0, low))
    filled, place = chance.pick([0.0, 0.3, 0.6, 0.9]), width / columns
    for row in range(doors, rows):
        for column in range(columns):
            if not chance.odds(filled):
                continue
            left, floor = column * place - width / 2 + thick, low + row * room + (0 if light and row else thick)
            if chance.odds(0.65):
                books(piece, chance, left, left + place - 2 * thick, -deep / 2 + 0.02, floor, room - 1.5 * thick)
            elif chance.odds(0.5):
                basket = box(0.85 * place, 0.8 * deep, 0.6 * room, 0.01).at(left + 0.46 * place, 0, floor)
                piece.add(materials.cloth(chance), basket)
            else:
                trinket(piece, chance, left + 0.4 * place, 0, floor, 0.75 * room)
    return piece


def refrigerator(chance: Chance) -> Piece:
    """With soft edges, one door or two."""
    piece, body = Piece(), materials.paint(chance) if chance.odds(0.5) else materials.metal(chance)
    width, deep = chance.between(0.5, 0.9), chance.between(0.55, 0.72)
    height = chance.between(1.35, 2.0) if chance.odds(0.75) else chance.between(0.8, 0.9)
    edge, door = chance.pick([0.008, chance.between(0.02, 0.07)]), chance.between(0.04, 0.08)
    piece.add(body, box(width, deep - door, height - 0.02, min(edge, 0.03), 3).at(0, door / 2, 0.02))
    piece.add(materials.metal(chance), box(width - 0.06, deep - 0.1, 0.03).at(0, 0.02))
    grip = materials.metal(chance)
    pair = width > 0.75
    split = height * chance.between(0.3, 0.7) if height > 1.2 else 0.0
    spans = [(0.04, split - 0.003), (split + 0.003, height)] if split else [(0.04, height)]
    for bottom, top in spans:
        for side in (-1, 1) if pair else (0,):
            wide = width / 2 - 0.003 if pair else width
            x = side * width / 4
            leaf = box(wide, door, top - bottom, edge, 3)
            piece.add(body, leaf.at(x, -deep / 2 + door / 2 - 0.004, bottom))
            bow = handle(chance, chance.pick(["bow", "bar"]), min(0.4, 0.6 * (top - bottom))).turned("y", 90)
            at = x - side * (wide / 2 - 0.05) if pair else width / 2 - 0.06
            piece.add(grip, bow.at(at, -deep / 2 - 0.003, (bottom + top) / 2))
    return piece
