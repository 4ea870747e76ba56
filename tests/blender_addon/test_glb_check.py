"""A hostile file given to the importer: a sentence, soon, and nothing left behind in Blender."""

from __future__ import annotations

import copy
import json
import random
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.ground.glb_pictures import picture_size
from blender_addon.props.glb_check import LARGEST_PICTURE, MOST_NODES, Refused, check
from blender_addon.props.importer import ImportFailed, import_result
from tests.blender_addon import glb
from tests.blender_addon.glb import Node
from tests.blender_addon.test_variants import resident_bytes, sizes

NODES = [Node(1, "Chair", (1.0, 2.0, 0.0), 0.7, (0.5, 0.6, 1.0)), Node(2, "Lamp", (-1.0, 3.0, 0.5), -2.0)]
SEED, VARIANTS = 20261128, 1000
LONGEST_SECONDS, MOST_BYTES = 5.0, 1 << 30

Document = dict[str, Any]


def parts(path: Path) -> tuple[Document, bytes]:
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def pack(document: Any, binary: bytes) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body


@pytest.fixture
def good(tmp_path: Path) -> tuple[Document, bytes]:
    return parts(glb.write(tmp_path / "good.glb", NODES))


def put(*path: Any, value: Any) -> Callable[[Document], None]:
    """A change of one value in a document; `...` as the value removes it."""

    def change(document: Document) -> None:
        owner: Any = document
        for step in path[:-1]:
            owner = owner[step]
        if value is ...:
            del owner[path[-1]]
        else:
            owner[path[-1]] = value

    return change


def many_nodes(document: Document) -> None:
    document["nodes"] += [{"mesh": 0, "extras": {"instance_id": number}} for number in range(10, 3010)]


def shared_mesh(document: Document) -> None:
    document["nodes"][1]["mesh"] = 0


def chain(document: Document) -> None:
    first = len(document["nodes"])
    document["nodes"] += [{"children": [first + number + 1]} for number in range(200)] + [{}]


def over_and_over(document: Document) -> None:
    document["meshes"][0]["primitives"] *= 1000


HOSTILE = {
    "a buffer elsewhere": (put("buffers", 0, "uri", value="../../secret.bin"), "names files outside"),
    "an image elsewhere": (put("images", 0, value={"uri": "/etc/passwd"}), "names files outside"),
    "an image in text": (put("images", 0, value={"uri": "data:image/png;base64,AAAA"}), "names files outside"),
    "a circle": (put("nodes", 0, "children", value=[0]), "two parents|circle"),
    "a wide circle": (put("nodes", 0, "children", value=[2]), "circle"),
    "a long chain": (chain, "too deep"),
    "a child of two": (put("nodes", 1, "children", value=[0]), "two parents"),
    "a child beyond": (put("nodes", 2, "children", value=[99]), "does not have"),
    "a negative child": (put("nodes", 2, "children", value=[-1]), "does not have"),
    "a root beyond": (put("scenes", 0, "nodes", value=[5]), "does not have"),
    "a mesh beyond": (put("nodes", 0, "mesh", value=7), "does not have"),
    "a material beyond": (put("meshes", 0, "primitives", 0, "material", value=7), "does not have"),
    "a texture beyond": (put("textures", 0, "source", value=9), "does not have"),
    "three thousand nodes": (many_nodes, "3003 nodes"),
    "a shared mesh": (shared_mesh, "share one mesh"),
    "data over and over": (over_and_over, "over and over"),
    "a negative count": (put("accessors", 0, "count", value=-5), "not in it"),
    "300 million indices": (put("accessors", 3, "count", value=300_000_000), "not in it"),
    "300 million out of nothing": (put("accessors", 3, "bufferView", value=...), "does not have"),
    "a sparse accessor": (put("accessors", 0, "sparse", value={"count": 1}), "odd kind"),
    "too few vertices": (put("accessors", 0, "count", value=3), "differ in length"),
    "a view beyond": (put("bufferViews", 1, "byteLength", value=1 << 40), "not in it"),
    "a view before": (put("bufferViews", 1, "byteOffset", value=-4), "not in it"),
    "a stride of zero": (put("bufferViews", 1, "byteStride", value=0), "not in it"),
    "points": (put("meshes", 0, "primitives", 0, "mode", value=0), "triangles"),
    "no positions": (put("meshes", 0, "primitives", 0, "attributes", value={}), "no positions"),
    "morph targets": (put("meshes", 0, "primitives", 0, "targets", value=[{}]), "shapes"),
    "a required extension": (put("extensionsRequired", value=["EVIL_extension"]), "EVIL_extension"),
    "instancing": (put("nodes", 0, "extensions", value={"EXT_mesh_gpu_instancing": {}}), "EXT_mesh_gpu_instancing"),
    "extensions that are none": (put("nodes", 0, "extensions", value=5), "is none"),
    "a skin": (put("skins", value=[{"joints": [0]}]), "skins"),
    "a matrix of NaN": (put("nodes", 0, "matrix", value=[float("nan")] * 16), "NaN"),
    "a matrix of nothing": (put("nodes", 0, "matrix", value=[0] * 16), "beyond sense"),
    "a short matrix": (put("nodes", 0, "matrix", value=[1] * 15), "broken place"),
    "a place far out": (put("nodes", 0, "translation", value=[1e300, 0, 0]), "broken place"),
    "a turn of nothing": (put("nodes", 0, "rotation", value=[0, 0, 0, 0]), "beyond sense"),
    "no instance of text": (put("nodes", 0, "extras", "instance_id", value="one"), "'one' is no instance_id"),
    "a negative instance": (put("nodes", 0, "extras", "instance_id", value=-1), "-1"),
    "instance zero": (put("nodes", 0, "extras", "instance_id", value=0), "is no instance_id"),
    "an instance of NaN": (put("nodes", 0, "extras", "instance_id", value=float("nan")), "NaN"),
    "a true instance": (put("nodes", 0, "extras", "instance_id", value=True), "is no instance_id"),
    "a part of an instance": (put("nodes", 0, "extras", "instance_id", value=1.5), "is no instance_id"),
    "an instance twice": (put("nodes", 1, "extras", "instance_id", value=1), "two nodes have"),
    "a prop in a prop": (put("nodes", 2, "extras", value={"instance_id": 3}), "part of another"),
    "extras of ours": (put("nodes", 0, "extras", "set_dresser_block_out", value=5), "extras"),
    "half a letter": (put("nodes", 0, "name", value="\ud800"), "text"),
    "a name without end": (put("nodes", 0, "name", value="x" * 100_000), "text"),
    "another version": (put("asset", "version", value="1.0"), "not glTF 2.0"),
    "nodes that are none": (put("nodes", value="nodes"), "no list"),
}  # fmt: skip


def refusal(path: Path, data: bytes) -> str:
    """What the importer says, after which all is as before."""
    path.write_bytes(data)
    before, began = sizes(), time.process_time()
    with pytest.raises(ImportFailed) as caught:
        import_result(bpy.context, path, glb.result(NODES), {})
    assert time.process_time() - began < LONGEST_SECONDS and sizes() == before
    assert caught.value.message.endswith(".") and caught.value.hint and "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_what_is_wrong(good: tuple[Document, bytes], tmp_path: Path, name: str) -> None:
    change, wanted = HOSTILE[name]
    document, binary = good
    change(document)
    (tmp_path / "scene.glb").write_bytes(pack(document, binary))
    with pytest.raises(Refused, match=wanted):
        check(tmp_path / "scene.glb")
    refusal(tmp_path / "scene.glb", pack(document, binary))


def test_indices_beyond_the_vertices_and_broken_positions_are_refused(
    good: tuple[Document, bytes], tmp_path: Path
) -> None:
    document, binary = good
    index, nowhere, far = struct.pack("<I", 24), struct.pack("<f", float("nan")), struct.pack("<f", 1e30)
    wanted_of = ((3, index, "beyond its vertices"), (0, nowhere, "coordinates"), (0, far, "coordinates"))
    for accessor, value, wanted in wanted_of:
        begin = document["bufferViews"][document["accessors"][accessor]["bufferView"]]["byteOffset"]
        changed = binary[:begin] + value + binary[begin + 4 :]
        assert wanted in refusal(tmp_path / "scene.glb", pack(document, changed))


def test_a_picture_that_claims_too_much_is_refused(good: tuple[Document, bytes], tmp_path: Path) -> None:
    document, binary = good
    begin = document["bufferViews"][document["images"][0]["bufferView"]]["byteOffset"]
    for head in (struct.pack(">II", LARGEST_PICTURE + 1, 1), struct.pack(">II", 1, 2**31), struct.pack(">II", 0, 4)):
        changed = binary[: begin + 16] + head + binary[begin + 24 :]
        assert "texture" in refusal(tmp_path / "scene.glb", pack(document, changed))
    assert "texture" in refusal(
        tmp_path / "scene.glb", pack(document, binary[:begin] + b"GIF89a" + binary[begin + 6 :])
    )


def test_the_size_of_a_jpeg_is_read_from_its_frame() -> None:
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 600, 800) + bytes(12)
    assert picture_size(b"\xff\xd8\xff\xe0\x00\x04AB\xff\xff\xdb\x00\x03A" + frame) == (800, 600)
    for cut in range(2, 22):
        assert picture_size((b"\xff\xd8\xff\xe0\x00\x04AB" + frame)[:cut]) in (None, (800, 600))


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"{}", b"[]", b'{"asset":' * 60 + b"1" + b"}" * 60, b"\xff\xfe", b"1" * 5000]
)
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    refusal(tmp_path / "scene.glb", pack(text, b""))


def test_most_nodes_are_more_than_a_set_has(good: tuple[Document, bytes], tmp_path: Path) -> None:
    assert MOST_NODES >= 1000
    (tmp_path / "scene.glb").write_bytes(pack(*good))
    check(tmp_path / "scene.glb")


# a thousand of them


def peak_bytes() -> int:
    """The most memory that this process has had (Linux); 0 elsewhere, which says nothing either way."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


VALUES = [
    -1, 0, 1, 2, 3, 255, 65536, 2**31, 2**53, 10**30, -0.5, 1e30, float("nan"), float("inf"), True, None, "", "text",
    "../../x.png", "/etc/passwd", "\ud800", "VEC3", "MAT4", 5121, 5126, [], {}, [0], [0, 0, 0], [[]],
    {"index": 0}, 300_000_000,
]  # fmt: skip


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(owner, key) of everything in a document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        places(value[key], found)
    return found


def variant(chance: random.Random, document: Document, binary: bytes) -> bytes:
    """The good file with one to three things wrong in it."""
    document = copy.deepcopy(document)
    changed = bytearray(binary)
    for _ in range(chance.randint(1, 3)):
        found = places(document, [])
        owner, key = chance.choice(found)
        kind = chance.randrange(6)
        if kind <= 2:
            owner[key] = chance.choice(VALUES)
        elif kind == 3:
            other, another = chance.choice(found)
            owner[key] = copy.deepcopy(other[another])
        elif kind == 4:
            del owner[key]
        else:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    data = bytearray(pack(document, bytes(changed)))
    if chance.random() < 0.1:
        data[chance.randrange(min(len(data), 40))] = chance.randrange(256)
    if chance.random() < 0.1:
        data = data[: chance.randrange(len(data))]
        if len(data) > 12:
            data[8:12] = struct.pack("<I", len(data))
    return bytes(data)


@pytest.mark.usefixtures("relation")
def test_a_thousand_hostile_files_end_soon_in_props_or_a_sentence(good: tuple[Document, bytes], tmp_path: Path) -> None:
    chance, path = random.Random(SEED), tmp_path / "scene.glb"
    bpy.data.orphans_purge(do_recursive=True)
    before, held, peak = sizes(), resident_bytes(), peak_bytes()
    outcomes = {"props": 0, "sentence": 0}
    for number in range(VARIANTS):
        path.write_bytes(variant(chance, *good))
        began = time.process_time()
        try:
            names = import_result(bpy.context, path, glb.result(NODES), {})
        except ImportFailed as error:
            outcomes["sentence"] += 1
            assert error.message.endswith(".") and error.hint, number
        else:
            outcomes["props"] += 1
            bpy.data.batch_remove([bpy.data.objects[name] for name in names])
            bpy.data.orphans_purge(do_recursive=True)
            for collection in ("Shot props", "Set Dresser"):
                bpy.data.collections.remove(bpy.data.collections[collection])
        assert time.process_time() - began < LONGEST_SECONDS, number
        assert sizes() == before, number
    assert min(outcomes.values()) > 50, "some are harmless, most are not"
    assert resident_bytes() - held < MOST_BYTES and peak_bytes() - peak < MOST_BYTES
