"""Which kinds of furniture there are and how many of each, and their files and list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from models.writing import write_whole
from training.objects.invented import armchairs, beds, chairs, cupboards, others, sofas, tables
from training.objects.invented.chance import Chance
from training.objects.invented.piece import Piece
from training.objects.listing import Entry, ListError

Kind = tuple[Callable[[Chance], Piece], str, int]

KINDS: dict[str, Kind] = {
    "sofa": (sofas.sofa, "Living room", 11),
    "armchair": (armchairs.armchair, "Living room", 11),
    "pouffe": (sofas.pouffe, "Living room", 3),
    "bed": (beds.bed, "Bedroom", 11),
    "chair": (chairs.chair, "Dining room", 10),
    "office_chair": (chairs.office_chair, "Office", 4),
    "stool": (chairs.stool, "Kitchen", 3),
    "bench": (chairs.bench, "Exterior", 3),
    "table": (tables.table, "Dining room", 6),
    "coffee_table": (tables.coffee_table, "Living room", 5),
    "side_table": (tables.side_table, "Living room", 3),
    "desk": (tables.desk, "Office", 5),
    "chest": (cupboards.chest, "Bedroom", 5),
    "wardrobe": (cupboards.wardrobe, "Bedroom", 4),
    "sideboard": (cupboards.sideboard, "Living room", 5),
    "bookcase": (cupboards.bookcase, "Living room", 5),
    "refrigerator": (cupboards.refrigerator, "Kitchen", 1),
    "lamp": (others.lamp, "Lights", 4),
    "plant": (others.plant, "Miscellaneous", 3),
    "basket": (others.basket, "Miscellaneous", 2),
    "washbasin": (others.washbasin, "Bathroom", 1),
    "toilet": (others.toilet, "Bathroom", 1),
    "bath": (others.bath, "Bathroom", 1),
    "stove": (others.stove, "Kitchen", 2),
}
"""How each kind is made, which room it is for, and how often it comes beside the others."""

FOLDER = "invented"


def plan(count: int, seed: int) -> list[str]:
    """Kinds of so many pieces, each as often as it should be, in an order that the seed says."""
    shares = np.array([often for _, _, often in KINDS.values()], np.float64)
    ends = np.round(np.cumsum(shares) / shares.sum() * count).astype(int)
    kinds = [name for name, many in zip(KINDS, np.diff(ends, prepend=0), strict=True) for _ in range(many)]
    return [kinds[index] for index in Chance(seed).generator.permutation(count)]


def make(kind: str, seed: int, number: int) -> tuple[Piece, bytes]:
    """A piece and its file."""
    chance = Chance(seed, number)
    piece = KINDS[kind][0](chance).settled()
    return piece, piece.glb(chance)


def collect(folder: Path, count: int, seed: int) -> Iterator[Entry]:
    """Writes pieces below a folder, one after the other.

    Raises:
        ListError: the count is no count.
    """
    if count < 1:
        raise ListError(f"{count} pieces of furniture cannot be made; --count takes 1 and more.")
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for number, kind in enumerate(plan(count, seed)):
        name = f"{FOLDER}-{kind}-{number:05d}"
        file = f"{FOLDER}/{name}.glb"
        write_whole(folder / file, [make(kind, seed, number)[1]])
        yield Entry(
            name=name,
            file=file,
            title=kind.replace("_", " ").capitalize(),
            category=KINDS[kind][1],
            licence="CC0 1.0",
            creator="Set Dresser",
            source=f"python -m training.objects invented --count {count} --seed {seed}",
        )
