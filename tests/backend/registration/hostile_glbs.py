"""GLB files made to do harm, each from a seed: `hostile_glb(seed)`."""

from __future__ import annotations

import argparse
import copy
import functools
import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.cli.place import add_options, place
from backend.errors import Problem
from backend.registration.raw_scene import read_scene
from bench.generated_scenes import make_case

Document = dict[str, Any]

ODD: tuple[Any, ...] = (
    -1, 0, 1, 3, 255, 65535, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 10**30, -(10**30), 0.5, 8.0, -0.0, 1e-300, 1e300,
    -1e300, float("inf"), float("nan"), True, False, None, "", "x", "1", "\ud800", "../../etc/passwd", [], {}, [[]],
    [1e308] * 3, [0, 0, 0], [0.0] * 16, [float("nan")] * 4, {"index": 10**9}, [0] * 1000,
)  # fmt: skip
"""What stands where a number, a list or a name is expected."""


def picture(chance: random.Random) -> bytes:
    stream = io.BytesIO()
    mode = chance.choice(["RGB", "RGBA", "L", "P", "LA", "1", "I;16"])
    Image.new(mode, (8, 8), None).save(stream, "PNG")
    return stream.getvalue()


def box(chance: random.Random) -> tuple[Document, bytes]:
    """A sound file: two boxes on two nodes, with a texture and colours."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype="<f4")
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([part for a, b, c, d in sides for part in ((a, b, c), (a, c, d))], dtype="<u2")
    parts = [corners.tobytes(), faces.tobytes(), corners[:, :2].tobytes(), corners.tobytes(), picture(chance)]
    views, held = [], b""
    for part in parts:
        views.append({"buffer": 0, "byteOffset": len(held), "byteLength": len(part)})
        held += part + b"\0" * (-len(part) % 4)
    document: Document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [
            {"mesh": 0, "name": "one", "extras": {"instance_id": 1}, "translation": [2.0, 0.0, 0.0]},
            {"name": "two", "extras": {"instance_id": 2}, "rotation": [0.0, 0.5, 0.0, 1.0], "children": [2]},
            {"mesh": 0, "scale": [1.0, 2.0, 1.0], "matrix": None},
        ],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "TEXCOORD_0": 2, "COLOR_0": 3},
                        "indices": 1,
                        "material": 0,
                        "mode": 4,
                    }
                ]
            }
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3", "byteOffset": 0},
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
            {"bufferView": 2, "componentType": 5126, "count": 8, "type": "VEC2"},
            {"bufferView": 3, "componentType": 5126, "count": 8, "type": "VEC3", "normalized": False},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(held)}],
        "images": [{"bufferView": 4, "mimeType": "image/png"}],
        "textures": [{"source": 0}],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorFactor": [0.5, 0.4, 0.3, 1.0],
                    "baseColorTexture": {
                        "index": 0,
                        "texCoord": 0,
                        "extensions": {"KHR_texture_transform": {"offset": [0.1, 0.2], "rotation": 1.0}},
                    },
                },
                "alphaMode": "MASK",
                "alphaCutoff": 0.5,
                "emissiveFactor": [0.0, 0.0, 0.0],
            }
        ],
    }
    return document, held


def packed(document: Document | bytes, held: bytes, length: int | None = None) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(held), b"BIN\0") + held
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body) if length is None else length) + body


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key in a document."""
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


def odd_values(chance: random.Random) -> bytes:
    document, held = box(chance)
    for _ in range(chance.randint(1, 4)):
        where, key = chance.choice(places(document))
        if chance.random() < 0.15:
            del where[key]
        else:
            where[key] = copy.deepcopy(chance.choice(ODD))
    return packed(document, held)


def damaged_bytes(chance: random.Random) -> bytes:
    data = bytearray(packed(*box(chance)))
    for _ in range(chance.randint(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.5:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def lying_headers(chance: random.Random) -> bytes:
    data = bytearray(packed(*box(chance)))
    text = struct.unpack_from("<I", data, 12)[0]
    for at in chance.sample([4, 8, 12, 16, 20 + text, 24 + text], chance.randint(1, 2)):
        struct.pack_into("<I", data, at, chance.choice([0, 1, 2, 3, 4, 2**31, 2**32 - 1, len(data), len(data) + 1]))
    return bytes(data)


def odd_text(chance: random.Random) -> bytes:
    _, held = box(chance)
    size = chance.choice([100_000, 1_000_000])
    text = chance.choice([
        b"[" * size, b'{"a":' * size, b'{"nodes":[' + b"{}," * (size // 3) + b"{}]}", b"[" + b"1," * size + b"1]",
        b'{"scene":' + b"9" * size + b"}", b"\xff\xfe" + b"{}", b'{"nodes":[{"name":"\\ud800"}]}', b"", b"null", b"[]",
        b'{"nodes":[' + b'{"mesh":0},' * (size // 11) + b'{"mesh":0}]}', b'"' + b"a" * size + b'"',
        b"{" + b",".join(b'"%d":0' % number for number in range(size // 10)) + b"}",
        b'{"buffers":[{"byteLength":1e999}]}',
    ])  # fmt: skip
    return packed(text, held)


def odd_trees(chance: random.Random) -> bytes:
    document, held = box(chance)
    count = chance.choice([2, 3, 500, 513, 3000, 20000])
    kind = chance.randrange(5)
    if kind == 0:  # a circle
        document["nodes"] = [{"mesh": 0, "children": [(number + 1) % count]} for number in range(count)]
        document["scenes"] = [{"nodes": [0]}]
    elif kind == 1:  # one far below the other, each larger
        document["nodes"] = [{"children": [number + 1], "scale": [1.01] * 3} for number in range(count)]
        document["nodes"].append({"mesh": 0})
        document["scenes"] = [{"nodes": [0]}]
    elif kind == 2:  # many of one mesh
        document["nodes"] = [{"mesh": 0, "translation": [number * 2.0, 0, 0]} for number in range(count)]
        document["scenes"] = [{"nodes": list(range(count))}]
    elif kind == 3:  # two ways to everything: 2 ** count places
        document["nodes"] = [{"children": [number + 1, number + 1]} for number in range(count)] + [{"mesh": 0}]
        document["scenes"] = [{"nodes": [0, 0]}]
    else:
        document["meshes"] = [{"primitives": document["meshes"][0]["primitives"] * count}]
    return packed(document, held)


def many_of_few(chance: random.Random) -> bytes:
    """A few bytes that claim to be much."""
    document, held = box(chance)
    many = chance.choice([300_000_000, 2**31, 10**6, 999_999])
    kind = chance.randrange(5)
    if kind == 0:
        document["accessors"][1] = {"componentType": 5123, "count": many, "type": "SCALAR"}
    elif kind == 1:
        document["accessors"][chance.randrange(4)]["count"] = many
    elif kind == 2:
        document["accessors"][0] |= {"count": many, "bufferView": None}
        del document["meshes"][0]["primitives"][0]["indices"]
    elif kind == 3:
        sparse = {"count": many, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 0}}
        document["accessors"][0]["sparse"] = sparse
    else:
        held += bytes(3_000_000)
        view = {"buffer": 0, "byteOffset": len(held) - 3_000_000, "byteLength": 3_000_000}
        document["bufferViews"].append(view)
        document["buffers"] = [{"byteLength": len(held)}]
        document["accessors"][1] = {"bufferView": 5, "componentType": 5121, "count": 3_000_000, "type": "SCALAR"}
        document["nodes"] = [{"mesh": 0}] * 300
        document["scenes"] = [{"nodes": list(range(300))}]
    return packed(document, held)


def odd_points(chance: random.Random) -> bytes:
    document, held = box(chance)
    numbers = bytearray(held)
    odd = [float("nan"), float("inf"), 1e38, -1e38, 1e-38, 0.0, 1e9, 1e-9, 1e6]
    if chance.random() < 0.5:
        value = chance.choice(odd)
        for number in chance.sample(range(24), chance.randint(1, 24)):
            struct.pack_into("<f", numbers, 4 * number, value)
    else:
        for number in range(36):
            struct.pack_into("<H", numbers, 96 + 2 * number, chance.choice([0, 1, 7, chance.randrange(8)]))
    document["nodes"][0]["scale"] = [chance.choice([1.0, 0.0, 1e-9, 1e6, -1.0]) for _ in range(3)]
    return packed(document, bytes(numbers))


def outside(chance: random.Random) -> bytes:
    document, held = box(chance)
    odd = [
        "../../../../etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:1/x",
        "data:,x",
        "data:;base64,!",
    ]
    uri = chance.choice([*odd, "\\\\host\\share", "data:;base64," + "A" * 400])
    if chance.random() < 0.5:
        document["images"] = [{"uri": uri}]
    else:
        document["buffers"] = [{"uri": uri, "byteLength": chance.choice([1, len(held)])}]
    return packed(document, held)


def extensions(chance: random.Random) -> bytes:
    document, held = box(chance)
    names = ["KHR_draco_mesh_compression", "EXT_meshopt_compression", "X_unknown", "KHR_texture_basisu", "\ud800", ""]
    document["extensionsRequired"] = chance.sample(names, chance.randint(1, 3))
    return packed(document, held)


def odd_pictures(chance: random.Random) -> bytes:
    document, held = box(chance)
    width, height = chance.choice(
        [(8000, 8000), (1, 60_000_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 5), (5, 5)]
    )
    rows = bytes(chance.choice([10, 100_000]))
    body = struct.pack(">IIBBBBB", width, height, 8, chance.choice([0, 2, 3, 6, 9]), 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", body), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    document["bufferViews"][4] = {"buffer": 0, "byteOffset": len(held), "byteLength": len(data)}
    document["buffers"] = [{"byteLength": len(held) + len(data)}]
    document["images"] *= chance.choice([1, 1, 20])
    document["textures"] = [{"source": number} for number in range(len(document["images"]))]
    materials = []
    for number in range(len(document["images"])):
        material = copy.deepcopy(document["materials"][0])
        material["pbrMetallicRoughness"]["baseColorTexture"]["index"] = number
        materials.append(material)
    document["materials"] = materials
    one = document["meshes"][0]["primitives"][0]
    document["meshes"] = [{"primitives": [one | {"material": number} for number in range(len(materials))]}]
    return packed(document, held + data)


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    odd_values, odd_values, odd_values, damaged_bytes, lying_headers, odd_text, odd_trees, many_of_few, odd_points,
    outside, extensions, odd_pictures,
)  # fmt: skip


def hostile_glb(seed: int) -> tuple[str, bytes]:
    """What is wrong with it, and the file."""
    kind = KINDS[seed % len(KINDS)]
    return kind.__name__, kind(random.Random(seed))


REFUSALS = (Problem,)


def attempt(seed: int, folder: Path) -> None:
    """Read it; every tenth of those that can be read goes the whole way through `place`."""
    data = hostile_glb(seed)[1]
    read_scene(data)
    if seed % 10:
        return
    for name, content in room().items():
        (folder / name).write_bytes(content)
    (folder / "scene.glb").write_bytes(data)
    options = {"--scene": "scene.glb", "--instances": "map.png", "--camera": "camera.json", "--out": "placed.glb"}
    parser = argparse.ArgumentParser()
    add_options(parser)
    given = parser.parse_args(
        [part for key, name in options.items() for part in (key, str(folder / name))] + ["--quiet"]
    )
    place(given)


@functools.cache
def room() -> dict[str, bytes]:
    """A picture's masks and camera."""
    case = make_case(9)
    stream = io.BytesIO()
    Image.fromarray(case.instances.labels.astype(np.uint8)).save(stream, "PNG")
    return {"map.png": stream.getvalue(), "camera.json": case.camera.model_dump_json().encode()}
