"""What a GLB claims, held against what it holds, before anything of the claimed size is asked of memory.

Only what says where triangles are and how they look is read; animations, skins, cameras and lights are passed over.
https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from backend.errors import Problem
from backend.geometry.glb_document import MOST_ENTRIES, Buffer, BufferView, Document, Node

Floats = NDArray[np.float64]

LONGEST_JSON = 8_000_000
"""Bytes. Read as Python values it becomes some forty times as much."""

MOST_OBJECTS = 512
"""Nodes with triangles. No picture shows more, and each is fitted by itself."""

MOST_PARTS = 4096
"""Pieces of meshes in all, each of one material."""

REPEATED, BYTES_EACH = 1_000_000, 6
"""Triangles, and vertices, that a scene may have beyond one for each few bytes of the file: the repetitions."""

GREATEST = 1e9
"""Coordinates beyond this are no place."""

UNDERSTOOD = frozenset({"KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp", "KHR_lights_punctual"})
UNDERSTOOD_FAMILY = "KHR_materials_"
"""They change how a surface shines; base colours are there without them."""

MAGIC, JSON_CHUNK, BINARY_CHUNK = b"glTF", b"JSON", b"BIN\0"


@dataclass(frozen=True)
class PlacedMesh:
    """A node with triangles.

    matrix: (4, 4), the scene's frame from the mesh's, y up. owner: the node that gives the object its name;
    instance: `extras.instance_id` of that node, None without.
    """

    mesh: int
    matrix: Floats
    owner: int
    instance: int | None


@dataclass(frozen=True)
class Glb:
    """A file whose claims hold: every index is in its list, every view in its buffer, every node reached once."""

    document: Document
    buffers: Sequence[bytes | memoryview]
    placed: Sequence[PlacedMesh]

    def view(self, index: int) -> tuple[BufferView, memoryview]:
        """A buffer view and its bytes."""
        view = self.document.bufferViews[index]
        whole = memoryview(self.buffers[view.buffer])
        return view, whole[view.byteOffset : view.byteOffset + view.byteLength]


def open_glb(data: bytes) -> Glb:
    """Read what a file claims and check it.

    Raises:
        Problem: "scene-unreadable", with the place in the file that is wrong.
    """
    if not data.startswith(MAGIC):
        refuse("The scene is not a glTF binary (.glb) file")
    text, binary = _chunks(data)
    document = _document(text)
    unknown = [name for name in document.extensionsRequired if not _is_understood(name)]
    if unknown:
        hint = "Export it without this extension, uncompressed, with triangles that any program reads."
        refuse(f"The scene cannot be read without the extension {unknown[0][:60]!r}, which is not known here", hint)
    buffers = [_buffer(number, buffer, binary) for number, buffer in enumerate(document.buffers)]
    _check_references(document, buffers)
    placed = _placed(document)
    _check_amount(document, placed, len(data))
    return Glb(document, buffers, placed)


def refuse(what: str, hint: str = "") -> NoReturn:
    """Raise the problem of a scene, with a sentence that has no full stop yet."""
    raise Problem("scene-unreadable", f"{what}.", *([hint] if hint else []))


def damaged(what: str) -> NoReturn:
    """`refuse` for what is wrong in the file itself."""
    refuse(f"The scene is damaged or incomplete: {what}")


def data_uri(uri: str, what: str) -> bytes:
    """The bytes of an address that holds them. An address that points elsewhere is refused: nothing is followed."""
    head, comma, body = uri.partition(",")
    if not head.startswith("data:") or not comma or not head.endswith(";base64"):
        name = "".join(character for character in uri if character.isprintable())[:60]
        hint = "Export it as one .glb file with everything inside."
        refuse(f"{what} lies outside the file ({name!r}), and nothing outside is read", hint)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        damaged(f"{what} is not written in base64")


def _chunks(data: bytes) -> tuple[bytes, bytes | memoryview]:
    if len(data) < 20:
        damaged(f"it has {len(data)} bytes")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        refuse(f"The scene is glTF {version}; only version 2 is read")
    if length > len(data):
        damaged(f"it says it has {length} bytes and has {len(data)}")
    whole = memoryview(data)[:length]
    found: list[tuple[bytes, memoryview]] = []
    at = 12
    while at + 8 <= length and len(found) < 2:
        size, kind = struct.unpack_from("<I4s", whole, at)
        if at + 8 + size > length:
            damaged("a part of it says it is longer than the file")
        found.append((kind, whole[at + 8 : at + 8 + size]))
        at += 8 + size
    if not found or found[0][0] != JSON_CHUNK:
        damaged("it does not begin with its description")
    text = found[0][1]
    if len(text) > LONGEST_JSON:
        refuse(f"The scene's description has {len(text) / 1e6:.0f} MB; {LONGEST_JSON // 10**6} MB are the limit")
    return bytes(text), found[1][1] if len(found) > 1 and found[1][0] == BINARY_CHUNK else b""


def _document(text: bytes) -> Document:
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
        return Document.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        damaged(f"{'.'.join(map(str, first['loc']))[:80] or 'the description'}: {first['msg']}")
    except (ValueError, RecursionError) as error:
        damaged(f"its description is not JSON ({str(error)[:80] or type(error).__name__})")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _is_understood(extension: str) -> bool:
    return extension in UNDERSTOOD or extension.startswith(UNDERSTOOD_FAMILY)


def _buffer(number: int, buffer: Buffer, binary: bytes | memoryview) -> bytes | memoryview:
    held: bytes | memoryview = b""
    if buffer.uri is not None:
        held = data_uri(buffer.uri, f"Buffer {number} of the scene")
    elif number == 0:
        held = binary
    if buffer.byteLength > len(held):
        damaged(f"buffer {number} says it has {buffer.byteLength} bytes and has {len(held)}")
    return held


def _check_references(document: Document, buffers: Sequence[bytes | memoryview]) -> None:
    """Every index that is followed is in its list, and every view in its buffer."""

    def within(index: int | None, entries: Sequence[Any], where: str, what: str) -> None:
        if index is not None and index >= len(entries):
            damaged(f"{where} names {what} {index} of {len(entries)}")

    for number, view in enumerate(document.bufferViews):
        within(view.buffer, buffers, f"view {number}", "buffer")
        if view.byteOffset + view.byteLength > len(buffers[view.buffer]):
            damaged(f"view {number} ends at byte {view.byteOffset + view.byteLength} of {len(buffers[view.buffer])}")
    for number, accessor in enumerate(document.accessors):
        within(accessor.bufferView, document.bufferViews, f"accessor {number}", "view")
        if accessor.sparse is not None:
            within(accessor.sparse.indices.bufferView, document.bufferViews, f"accessor {number}", "view")
            within(accessor.sparse.values.bufferView, document.bufferViews, f"accessor {number}", "view")
    for number, mesh in enumerate(document.meshes):
        for primitive in mesh.primitives:
            for accessor_index in (primitive.indices, *primitive.attributes.values()):
                within(accessor_index, document.accessors, f"mesh {number}", "accessor")
            within(primitive.material, document.materials, f"mesh {number}", "material")
    for number, node in enumerate(document.nodes):
        within(node.mesh, document.meshes, f"node {number}", "mesh")
        for child in node.children:
            within(child, document.nodes, f"node {number}", "node")
    for number, texture in enumerate(document.textures):
        within(texture.source, document.images, f"texture {number}", "image")
    for number, image in enumerate(document.images):
        within(image.bufferView, document.bufferViews, f"image {number}", "view")
    within(document.scene, document.scenes, "it", "scene")
    for scene in document.scenes:
        for root in scene.nodes:
            within(root, document.nodes, "its scene", "node")


def _placed(document: Document) -> list[PlacedMesh]:
    """Nodes with triangles in the order in which they are reached; each is reached once, or the file is no tree."""
    children = {child for node in document.nodes for child in node.children}
    if document.scenes:
        roots = document.scenes[document.scene or 0].nodes
    else:
        roots = [number for number in range(len(document.nodes)) if number not in children]
    waiting: list[tuple[int, Floats, int | None, int | None]] = [(root, np.eye(4), None, None) for root in roots[::-1]]
    reached: set[int] = set()
    placed: list[PlacedMesh] = []
    while waiting:
        number, above, owner, instance = waiting.pop()
        if number in reached:
            damaged(f"node {number} stands below itself or in two places")
        reached.add(number)
        node = document.nodes[number]
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = above @ _matrix(number, node)
        if not np.isfinite(matrix).all() or np.abs(matrix).max() > GREATEST:
            damaged(f"the place of node {number} is beyond all bounds")
        own = _instance(node)
        if own is not None:
            owner, instance = number, own
        if node.mesh is not None and any(primitive.mode >= 4 for primitive in document.meshes[node.mesh].primitives):
            placed.append(PlacedMesh(node.mesh, matrix, number if owner is None else owner, instance))
        waiting += [(child, matrix, owner, instance) for child in node.children[::-1]]
    if not placed:
        refuse("The scene has no object with triangles")
    return placed


def _matrix(number: int, node: Node) -> Floats:
    if node.matrix is not None:
        return np.array(node.matrix).reshape(4, 4).T
    matrix = np.eye(4)
    if node.rotation is not None:
        length = math.hypot(*node.rotation)
        if not 1e-6 < length < 1e6:
            damaged(f"the turn of node {number} is no turn")
        x, y, z, w = (value / length for value in node.rotation)
        matrix[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    matrix[:3, :3] *= node.scale or (1.0, 1.0, 1.0)
    matrix[:3, 3] = node.translation or (0.0, 0.0, 0.0)
    return matrix


def _instance(node: Node) -> int | None:
    number = node.extras.get("instance_id") if isinstance(node.extras, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return int(number) if 0 < number <= MOST_ENTRIES and number == int(number) else None


def _check_amount(document: Document, placed: Sequence[PlacedMesh], size: int) -> None:
    """A few bytes may be used by many nodes; what comes of that is bounded."""
    if len(placed) > MOST_OBJECTS:
        refuse(f"The scene has {len(placed)} nodes with triangles; {MOST_OBJECTS} are the limit")
    parts = sum(len(document.meshes[item.mesh].primitives) for item in placed)
    if parts > MOST_PARTS:
        refuse(f"The scene's meshes have {parts} parts; {MOST_PARTS} are the limit", "Join parts of one material.")
    most = REPEATED + size // BYTES_EACH
    of_mesh: dict[int, tuple[int, int]] = {}
    for mesh in {item.mesh for item in placed}:
        vertices = corners = 0
        for primitive in document.meshes[mesh].primitives:
            held = (
                document.accessors[primitive.attributes["POSITION"]].count if "POSITION" in primitive.attributes else 0
            )
            vertices += held
            corners += held if primitive.indices is None else document.accessors[primitive.indices].count
        of_mesh[mesh] = vertices, corners
    vertices = sum(of_mesh[item.mesh][0] for item in placed)
    triangles = sum(of_mesh[item.mesh][1] for item in placed) // 3
    if max(vertices, triangles) > most:
        refuse(
            f"The scene claims {vertices} vertices and {triangles} triangles in a file of {size} bytes",
            "Export each object once, as a mesh of its own.",
        )


def _count(document: Document, accessor: int | None) -> int:
    return 0 if accessor is None else document.accessors[accessor].count
