"""The list of a collection: `objects.json` beside the models, and `ATTRIBUTION.md` made from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.writing import write_whole

LIST, ATTRIBUTION = "objects.json", "ATTRIBUTION.md"
SUFFIXES = (".abc", ".blend", ".fbx", ".glb", ".gltf", ".obj", ".ply", ".stl", ".usd", ".usda", ".usdc", ".usdz")
"""What `training/blender/importing.py` reads."""

VERSION = 1


class ListError(Exception):
    """A collection cannot be used; the sentence says what to do."""


@dataclass(frozen=True)
class Entry:
    """A model of a collection.

    Attributes:
        name: unique, and a folder's name in a data set.
        file: relative to the collection, with slashes.
        rotation: three rows, done first; Blender's axes. None: the file is upright and looks along −y.
        size: metres along x, y, z after it; None: as long as the file says.
        title, category: as the source calls it.
        licence, creator, source: whom to name; empty where that is not known.
    """

    name: str
    file: str
    rotation: tuple[tuple[float, float, float], ...] | None = None
    size: tuple[float, float, float] | None = None
    title: str = ""
    category: str = ""
    licence: str = ""
    creator: str = ""
    source: str = ""


def plain_name(text: str) -> str:
    """Text as the name of a folder on every system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "object"


def write_list(folder: Path, entries: Iterable[Entry]) -> list[Entry]:
    """Writes both files; entries of the same name get numbers. Returns what was written."""
    unique: dict[str, Entry] = {}
    for entry in entries:
        name, number = entry.name, 1
        while name.lower() in unique:
            number += 1
            name = f"{entry.name}-{number}"
        unique[name.lower()] = Entry(**{**asdict(entry), "name": name})
    ordered = sorted(unique.values(), key=lambda entry: entry.name)
    content = {"version": VERSION, "objects": [asdict(entry) for entry in ordered]}
    write_whole(folder / ATTRIBUTION, [attribution(ordered).encode()])
    write_whole(folder / LIST, [(json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()])
    return ordered


def attribution(entries: Iterable[Entry]) -> str:
    """Whom to name for what, as a page: a table for each licence."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.licence or "Licence not known", []).append(entry)
    lines = ["# Attribution", ""]
    for licence in sorted(groups):
        lines += [f"## {licence}", "", "| model | title | creator | source |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {' | '.join(_cell(text) for text in (entry.name, entry.title, entry.creator, entry.source))} |"
            for entry in groups[licence]
        ]
        lines.append("")
    return "\n".join(lines)


def read_list(folder: Path) -> list[Entry]:
    """The models of a folder: those of its list, or every model file below it where it has none.

    Raises:
        ListError: the folder is missing or empty, or its list is not one.
    """
    if not folder.is_dir():
        raise ListError(f"{folder} is not a folder.")
    file = folder / LIST
    entries = _listed(file) if file.is_file() else found_models(folder)
    if not entries:
        raise ListError(f"There is no model in {folder}. Models end in {', '.join(SUFFIXES)}.")
    return entries


def found_models(folder: Path) -> list[Entry]:
    """Every model file below a folder, hidden ones left out, named for its path."""
    files = [
        path.relative_to(folder)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    names: dict[str, int] = {}
    for path in files:
        stem = plain_name("-".join(path.with_suffix("").parts)).lower()
        names[stem] = names.get(stem, 0) + 1
    entries = []
    for path in files:
        stem = plain_name("-".join(path.with_suffix("").parts))
        # chair.obj beside chair.glb: both stay, told apart by what they are.
        name = stem if names[stem.lower()] == 1 else f"{stem}-{path.suffix[1:].lower()}"
        entries.append(Entry(name, path.as_posix(), title=path.stem))
    return entries


def _listed(file: Path) -> list[Entry]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = [_entry(each) for each in content["objects"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ListError(f"{file} is not a list of models: {error}. Collect them again.") from error
    names = [entry.name.lower() for entry in entries]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ListError(f"{file} has two models of the name {twice}.")
    return entries


def _entry(content: dict[str, Any]) -> Entry:
    entry = Entry(**content)
    path = PurePosixPath(entry.file)
    if entry.name != plain_name(entry.name):
        raise ValueError(f"{entry.name!r} is no name for a folder")
    if path.is_absolute() or ".." in path.parts or "\\" in entry.file:
        raise ValueError(f"{entry.file} is outside the folder")
    if entry.rotation is not None and [len(row) for row in entry.rotation] != [3, 3, 3]:
        raise ValueError(f"the rotation of {entry.name} is not 3 × 3")
    if entry.size is not None and not (len(entry.size) == 3 and min(entry.size) > 0):
        raise ValueError(f"the size of {entry.name} is not three lengths")
    return entry


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
