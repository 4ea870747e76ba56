"""Whether a `scene.glb` is what docs/api.md promises, before Blender's importer reads it.

That importer trusts its file: it reads what the file names elsewhere on the disk, believes a count before it looks for
the data, follows nodes round in circles, and makes what costs minutes and gigabytes of a few hundred bytes. Here every
number is held against the file itself, so neither time nor memory can be more than the file's size warrants. Props are
textured meshes, so whatever else glTF can hold (animations, skins, cameras, most extensions) is refused by name.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..ground.glb_pictures import picture_size

INSTANCE = "instance_id"
"""The glTF extra, and custom property after import, that says which instance a node is."""

LARGEST_JSON = 16 << 20
LARGEST_INSTANCE = 65535
LARGEST_COORDINATE = 1e7
"""Metres: Blender's numbers have seven digits."""

MOST_NODES = 2048
"""And lists of triangles: Blender's importer takes milliseconds for each, however small."""

DEEPEST_NODE, DEEPEST_VALUE = 32, 64
LONGEST_TEXT, LONGEST_EXTRA = 10_000, 60
LARGEST_PICTURE, PICTURE_HEAD = 8192, 1 << 20
SMALLEST_SCALE, LARGEST_SCALE = 1e-6, 1e6
MOST_SHARING = 4
"""How many times over the meshes may use the bytes of the file."""

_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_INDICES = (5121, 5123, 5125)
_TRIANGLES = 4
_ATTRIBUTES = {
    re.compile(r"POSITION|NORMAL"): (("VEC3",), (5126,)),
    re.compile(r"TANGENT"): (("VEC4",), (5126,)),
    re.compile(r"TEXCOORD_[0-7]"): (("VEC2",), (5121, 5123, 5126)),
    re.compile(r"COLOR_[0-7]"): (("VEC3", "VEC4"), (5121, 5123, 5126)),
}
_EXTENSIONS = re.compile(r"KHR_materials_(?!variants)\w+|KHR_texture_transform")
_ABSENT = ("animations", "skins", "cameras")
_OWN_EXTRAS = ("set_dresser", "_RNA")


class Refused(ValueError):
    """Why a file is no set of props, as the end of a sentence without its full stop."""


def check(path: Path) -> None:
    """Raises Refused: if Blender's importer must not see the file. Raises OSError: if it cannot be read."""
    with path.open("rb") as stream:
        document, binary = _chunks(stream, path.stat().st_size)
        _File(document, stream, *binary).check()


def _chunks(stream: BinaryIO, size: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The JSON, and where the binary chunk begins and how long it is."""
    header = stream.read(20)
    if len(header) < 20 or header[:4] != b"glTF" or struct.unpack("<II", header[4:12]) != (2, size):
        raise Refused("it is damaged or not a binary glTF 2.0 file")
    length, kind = struct.unpack("<II", header[12:])
    if kind != _JSON or length > size - 20:
        raise Refused("it is damaged: its parts do not fit into it")
    if length > LARGEST_JSON:
        raise Refused("its description is too long")
    document = _parse(stream.read(length))
    header = stream.read(8)
    if len(header) < 8:
        return document, (0, 0)
    begin = 20 + length + 8
    length, kind = struct.unpack("<II", header)
    if kind != _BINARY or length > size - begin:
        raise Refused("it is damaged: its parts do not fit into it")
    return document, (begin, length)


def _parse(text: bytes) -> dict[str, Any]:
    def not_a_number(constant: str) -> None:
        raise Refused(f"{constant} is no number")

    try:
        document = json.loads(text, parse_constant=not_a_number)
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused("its description is no JSON") from error
    if not isinstance(document, dict):
        raise Refused("its description is no object")
    pending: list[tuple[Any, int]] = [(document, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > DEEPEST_VALUE:
            raise Refused("its description is nested too deeply")
        if isinstance(value, dict):
            pending += [(each, depth + 1) for pair in value.items() for each in pair]
        elif isinstance(value, list):
            pending += [(each, depth + 1) for each in value]
        elif isinstance(value, str):
            if len(value) > LONGEST_TEXT or re.search("[\ud800-\udfff\0]", value):
                raise Refused("a text in it is broken or too long")
        elif isinstance(value, float) and not math.isfinite(value):
            raise Refused("a number in it is too large")
    return document


class _File:
    """A document with its binary chunk, `begin` and `length` bytes of the stream."""

    def __init__(self, document: dict[str, Any], stream: BinaryIO, begin: int, length: int) -> None:
        self.document, self.stream, self.begin, self.length = document, stream, begin, length
        self.used, self.primitives = 0, 0
        self.read: dict[int, Any] = {}
        self.lists: dict[str, list[dict[str, Any]]] = {}

    def check(self) -> None:
        version = self.document.get("asset")
        if not isinstance(version, dict) or version.get("version") != "2.0":
            raise Refused("it is not glTF 2.0")
        for kind in _ABSENT:
            if self.document.get(kind):
                raise Refused(f"it has {kind}, and props have none")
        self._extensions()
        for number, buffer in enumerate(self.rows("buffers")):
            if "uri" in buffer:
                raise Refused("it names files outside itself")
            if number or not 0 <= _integer(buffer.get("byteLength")) <= self.length:
                raise Refused("its data are not in it")
        self._pictures()
        parents = self._tree()
        self._instances(parents)
        for mesh in self._meshes():
            self._mesh(mesh)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A list of objects of the document."""
        if name not in self.lists:
            found = self.document.get(name, [])
            if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
                raise Refused(f"its {name} are no list of objects")
            self.lists[name] = found
        return self.lists[name]

    def row(self, name: str, number: Any) -> dict[str, Any]:
        """What an index means."""
        found = self.rows(name)
        if not 0 <= _integer(number) < len(found):
            raise Refused(f"it refers to {name} that it does not have")
        row: dict[str, Any] = found[number]
        return row

    def _extensions(self) -> None:
        for name in _list(self.document.get("extensionsRequired", [])):
            if not isinstance(name, str) or not _EXTENSIONS.fullmatch(name):
                raise Refused(f"it requires the extension {str(name)[:60]}")
        in_materials = {id(each) for row in self.rows("materials") for each in _objects(row)}
        for each in _objects(self.document, passing=("extras",)):
            for name in _object(each.get("extensions", {})):
                if id(each) not in in_materials or not _EXTENSIONS.fullmatch(name):
                    raise Refused(f"it uses the extension {name[:60]}")
            for name in _object(each.get("extras", {})):
                if name.startswith(_OWN_EXTRAS) or len(name.encode()) > LONGEST_EXTRA:
                    raise Refused("it has extras that are not its own")

    # pictures

    def _pictures(self) -> None:
        for row in self.rows("images"):
            if "uri" in row:
                raise Refused("it names files outside itself")
            begin, length = self._view(row.get("bufferView"))
            self.stream.seek(self.begin + begin)
            size = picture_size(self.stream.read(min(length, PICTURE_HEAD)))
            if size is None or not all(0 < side <= LARGEST_PICTURE for side in size):
                raise Refused("a texture is no PNG or JPEG picture of a usual size")
        for row in self.rows("textures"):
            self.row("images", row.get("source"))
            if "sampler" in row:
                self.row("samplers", row["sampler"])
        for material in self.rows("materials"):
            for each in _objects(material, passing=("extras",)):
                for name, value in each.items():
                    if name.endswith("Texture"):
                        self.row("textures", value.get("index") if isinstance(value, dict) else None)

    # nodes

    def _tree(self) -> dict[int, int]:
        """The parent of each node that has one."""
        nodes = self.rows("nodes")
        if len(nodes) > MOST_NODES:
            raise Refused(f"it has {len(nodes)} nodes, and {MOST_NODES} are the most that come in at once")
        parents: dict[int, int] = {}
        for number, node in enumerate(nodes):
            for child in _list(node.get("children", [])):
                self.row("nodes", child)
                if child in parents:
                    raise Refused("a node has two parents")
                parents[child] = number
            self._place(node)
        for number in range(len(nodes)):
            steps = 0
            while number in parents:
                number, steps = parents[number], steps + 1
                if steps > DEEPEST_NODE:
                    raise Refused("its nodes go round in a circle, or too deep")
        scenes = self.rows("scenes")
        if "scene" in self.document:
            self.row("scenes", self.document["scene"])
        for scene in scenes:
            roots = _list(scene.get("nodes", []))
            for root in roots:
                self.row("nodes", root)
            if len(set(roots)) < len(roots) or set(roots) & set(parents):
                raise Refused("a node has two parents")
        return parents

    def _place(self, node: dict[str, Any]) -> None:
        if "skin" in node or "camera" in node or "weights" in node:
            raise Refused("a node is more than a mesh")
        _numbers(node.get("matrix", [0.0] * 16), 16)
        _numbers(node.get("translation", [0.0] * 3), 3)
        turn, scale = _numbers(node.get("rotation", [0.0, 0.0, 0.0, 1.0]), 4), _numbers(node.get("scale", [1.0] * 3), 3)
        columns = np.array(node.get("matrix", np.eye(4).ravel()), float).reshape(4, 4)[:3, :3]
        volume = abs(float(np.linalg.det(columns)))
        sizes = [*map(abs, scale), volume ** (1 / 3)]
        if not (0.9 < math.hypot(*turn) < 1.1 and all(SMALLEST_SCALE <= size <= LARGEST_SCALE for size in sizes)):
            raise Refused("a node is turned or scaled beyond sense")

    def _instances(self, parents: dict[int, int]) -> None:
        nodes, seen = self.rows("nodes"), set()
        marked = set()
        for number, node in enumerate(nodes):
            extras = node.get("extras", {})
            if INSTANCE not in extras:
                continue
            instance = extras[INSTANCE]
            if not 0 < _integer(instance) <= LARGEST_INSTANCE:
                raise Refused(f"{str(instance)[:40]!r} is no {INSTANCE}")
            if instance in seen:
                raise Refused(f"two nodes have the {INSTANCE} {instance}")
            seen.add(instance)
            marked.add(number)
        for number in marked:
            while number in parents:
                number = parents[number]
                if number in marked:
                    raise Refused("a prop is a part of another one")

    # meshes

    def _meshes(self) -> Iterator[dict[str, Any]]:
        used = [node["mesh"] for node in self.rows("nodes") if "mesh" in node]
        found = [self.row("meshes", number) for number in used]
        if len(set(used)) < len(used):
            raise Refused("several nodes share one mesh")
        yield from found

    def _mesh(self, mesh: dict[str, Any]) -> None:
        primitives = _list(mesh.get("primitives"))
        if not primitives or "weights" in mesh:
            raise Refused("a mesh has no triangles, or shapes to change into")
        for primitive in primitives:
            if not isinstance(primitive, dict) or primitive.get("mode", _TRIANGLES) != _TRIANGLES:
                raise Refused("a mesh is not made of triangles")
            if "targets" in primitive:
                raise Refused("a mesh has shapes to change into")
            if "material" in primitive:
                self.row("materials", primitive["material"])
            self.primitives += 1
            if self.primitives > MOST_NODES:
                raise Refused("it has too many lists of triangles")
            self._primitive(primitive)

    def _primitive(self, primitive: dict[str, Any]) -> None:
        attributes = primitive.get("attributes")
        if not isinstance(attributes, dict) or "POSITION" not in attributes:
            raise Refused("a mesh has no positions")
        counts = set()
        for name, number in attributes.items():
            fitting = next((kinds for pattern, kinds in _ATTRIBUTES.items() if pattern.fullmatch(name)), None)
            accessor = self.row("accessors", number)
            if (
                fitting is None
                or accessor.get("type") not in fitting[0]
                or accessor.get("componentType") not in fitting[1]
            ):
                raise Refused(f"a mesh has an odd attribute {name[:40]!r}")
            values = self._values(number)
            if values.dtype.kind == "f" and not float(np.abs(values).max()) <= LARGEST_COORDINATE:
                raise Refused("a mesh has broken coordinates")
            counts.add(len(values))
        if len(counts) > 1:
            raise Refused("the attributes of a mesh differ in length")
        (vertices,) = counts
        corners = vertices
        if "indices" in primitive:
            accessor = self.row("accessors", primitive["indices"])
            if accessor.get("type") != "SCALAR" or accessor.get("componentType") not in _INDICES:
                raise Refused("a mesh has odd indices")
            indices = self._values(primitive["indices"])
            corners = len(indices)
            if int(indices.max()) >= vertices:
                raise Refused("a mesh has indices beyond its vertices")
        if corners % 3:
            raise Refused("a mesh is not made of whole triangles")

    def _view(self, number: Any) -> tuple[int, int]:
        """Where a buffer view lies in the binary chunk: begin, and length in bytes."""
        view = self.row("bufferViews", number)
        self.row("buffers", view.get("buffer"))
        begin, length = _integer(view.get("byteOffset", 0)), _integer(view.get("byteLength"))
        if begin < 0 or length < 1 or begin + length > self.length:
            raise Refused("its data are not in it")
        return begin, length

    def _values(self, number: int) -> Any:
        """(N, width) what an accessor has."""
        accessor = self.row("accessors", number)
        named: tuple[Any, Any] = accessor.get("componentType"), accessor.get("type")
        kind, width = _COMPONENTS.get(named[0]), _WIDTHS.get(named[1])
        if "sparse" in accessor or kind is None or width is None:
            raise Refused("a mesh has an odd kind of data")
        begin, length = self._view(accessor.get("bufferView"))
        size = np.dtype(kind).itemsize * width
        stride = _integer(self.row("bufferViews", accessor["bufferView"]).get("byteStride", size))
        offset, count = _integer(accessor.get("byteOffset", 0)), _integer(accessor.get("count"))
        if offset < 0 or count < 1 or not size <= stride <= 255 or offset + stride * (count - 1) + size > length:
            raise Refused("its data are not in it")
        self.used += size * count
        if self.used > MOST_SHARING * self.length:
            raise Refused("its meshes use the same data over and over")
        if number not in self.read:
            self.stream.seek(self.begin + begin + offset)
            raw = self.stream.read(stride * (count - 1) + size)
            self.read = {number: np.ndarray((count, width), kind, raw, strides=(stride, np.dtype(kind).itemsize))}
        return self.read[number]


def _objects(value: Any, passing: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Every object in a value of JSON, except below some names."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            yield each
            pending += [below for name, below in each.items() if name not in passing]
        elif isinstance(each, list):
            pending += each


def _integer(value: Any) -> int:
    """The value, -1 if it is no whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused("a list in it is none")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused("an object in it is none")
    return value


def _numbers(value: Any, count: int) -> list[float]:
    numbers = _list(value)
    right = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in numbers)
    if not right or len(numbers) != count or any(abs(each) > LARGEST_COORDINATE for each in numbers):
        raise Refused("a node has a broken place")
    return numbers
