"""Furniture catalogues of Sweet Home 3D (`.sh3f`): a zip of models, each with its size, its turn and its author.

The models are Wavefront files with y up and the front towards +z. `modelRotation` is a matrix, row by row, in these
axes; it comes first. Then the model is stretched so that its box has the catalogue's width, height and depth, which are
centimetres along x, y and z.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from training.objects.listing import Entry, ListError, plain_name

PROPERTIES = "PluginFurnitureCatalog.properties"
TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""(x, y, z) with y up → (x, −z, y), as Blender's importer turns what it reads."""

LARGEST = 4 << 30


def unpack(file: Path, folder: Path, source: str) -> list[Entry]:
    """Unpacks a catalogue into `<folder>/<its name>` and lists its models.

    Args:
        source: where the catalogue comes from, for the attribution.

    Raises:
        ListError: it is not a catalogue, or a path in it leads outside.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            values = properties(archive.read(PROPERTIES).decode("latin-1"))
            room = folder / plain_name(file.stem)
            _extract(archive, room)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ListError(f"{file} is not a catalogue of Sweet Home 3D: {error}") from error
    numbers = sorted(int(key.partition("#")[2]) for key in values if re.fullmatch(r"model#\d+", key))
    return [_entry(values, number, room, folder, source) for number in numbers]


def properties(text: str) -> dict[str, str]:
    """What a Java properties file says: comments, escapes and lines that go on are understood."""
    found = {}
    for line in re.sub(r"(?<!\\)((?:\\\\)*)\\\r?\n[ \t]*", r"\1", text).splitlines():
        stripped = line.lstrip()
        if not stripped or stripped[0] in "#!":
            continue
        match = re.match(r"((?:\\.|[^=:\s\\])+)\s*[=:]?\s*(.*)", stripped)
        if match:
            found[_unescaped(match[1])] = _unescaped(match[2]).strip()
    return found


def _unescaped(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"\\(.)", r"\1", text)


def _extract(archive: zipfile.ZipFile, room: Path) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if sum(member.file_size for member in members) > LARGEST:
        raise ListError(f"{archive.filename} says that it holds more than {LARGEST >> 30} GB; it is not unpacked.")
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
            raise ListError(f"{archive.filename} has a file {member.filename} that leads outside of it.")
        if not path.name.startswith(PROPERTIES.partition(".")[0] + "_"):
            archive.extract(member, room)


def _entry(values: dict[str, str], number: int, room: Path, folder: Path, source: str) -> Entry:
    def value(key: str, otherwise: str = "") -> str:
        return values.get(f"{key}#{number}", otherwise)

    file = room / value("model").lstrip("/")
    try:
        turn = np.array([float(each) for each in value("modelRotation", "1 0 0 0 1 0 0 0 1").split()]).reshape(3, 3)
        width, depth, height = (float(value(key)) / 100 for key in ("width", "depth", "height"))
    except ValueError as error:
        raise ListError(f"{source}: the sizes of {value('id', str(number))} are not numbers: {error}") from error
    rotation = TO_BLENDER @ turn @ TO_BLENDER.T
    plain = np.allclose(rotation, np.eye(3))
    return Entry(
        name=plain_name(f"{room.name}-{value('id').rpartition('#')[2] or number}"),
        file=file.relative_to(folder).as_posix(),
        rotation=None if plain else tuple((float(x), float(y), float(z)) for x, y, z in rotation),
        size=(width, depth, height),
        title=value("name"),
        category=value("category"),
        licence=" ".join(values.get("license", "").split()),
        creator=value("creator"),
        source=source,
    )
