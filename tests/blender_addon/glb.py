"""Small binary glTF files for tests, written as the contract says: Y up, metres, one node per instance."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from blender_addon.capture.pictures import png


@dataclass
class Node:
    """One instance: closed shape, place in the world (Z up), turn about Z.

    smooth: one normal per corner of the box, shared by its faces; else every face has its own.
    """

    instance: int
    name: str
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: float = 0.0
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    smooth: bool = True
    extras: dict[str, Any] = field(default_factory=dict)


def box(node: Node) -> tuple[Any, Any, Any, Any]:
    """Positions, normals, uv (Z up, origin at the bottom centre) and triangles, vertices doubled at every edge."""
    positions, normals, triangles = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            corners = []
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corner = np.zeros(3)
                corner[axis], corner[u], corner[v] = sign, a * sign, b
                corners.append(corner)
            start = len(positions)
            positions += corners
            flat = np.zeros(3)
            flat[axis] = sign
            normals += [corner / np.sqrt(3) if node.smooth else flat for corner in corners]
            triangles += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    points = np.array(positions) * 0.5 + (0, 0, 0.5)
    uv = np.tile([(0, 0), (1, 0), (1, 1), (0, 1)], (6, 1))
    return points * node.size, np.array(normals), uv, np.array(triangles)


def grid(node: Node, count: int) -> tuple[Any, Any, Any, Any]:
    """A ball of count x count quads (two triangles each)."""
    phi, theta = np.meshgrid(np.linspace(0, 2 * np.pi, count + 1), np.linspace(0.01, np.pi - 0.01, count + 1))
    normals = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    uv = np.stack([phi / 2 / np.pi, theta / np.pi], -1).reshape(-1, 2)
    row, column = np.meshgrid(np.arange(count), np.arange(count), indexing="ij")
    first = (row * (count + 1) + column).reshape(-1)
    down = first + count + 1
    triangles = np.concatenate([np.stack([first, down, down + 1], -1), np.stack([first, down + 1, first + 1], -1)])
    return normals * 0.5 * node.size + (0, 0, 0.5), normals, uv, triangles


def y_up(points: Any) -> Any:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def write(path: Any, nodes: list[Node], *, detail: int = 0, wrapped: bool = True) -> Any:
    """Write the file. `wrapped`: the nodes hang below a root node, as many exporters do."""
    binary = bytearray()
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []

    def add(data: bytes) -> int:
        binary.extend(b"\0" * (-len(binary) % 4))
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)})
        binary.extend(data)
        return len(views) - 1

    def array(values: Any, kind: str, component: int) -> int:
        flat = np.ascontiguousarray(values, np.float32 if component == 5126 else np.uint32)
        limits = {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()} if kind == "VEC3" else {}
        count = flat.size if kind == "SCALAR" else len(flat)
        view = add(flat.tobytes())
        accessors.append({"bufferView": view, "componentType": component, "count": count, "type": kind, **limits})
        return len(accessors) - 1

    document: dict[str, Any] = {"asset": {"version": "2.0"}, "scene": 0, "nodes": [], "meshes": [], "materials": []}
    document |= {"images": [], "textures": []}
    for number, node in enumerate(nodes):
        points, normals, uv, triangles = grid(node, detail) if detail else box(node)
        texture = png(np.full((4, 4, 3), 40 + 20 * (number % 10), np.uint8))
        document["images"].append({"bufferView": add(texture), "mimeType": "image/png", "name": "texture"})
        document["textures"].append({"source": number})
        document["materials"].append(
            {"name": "material", "pbrMetallicRoughness": {"baseColorTexture": {"index": number}, "metallicFactor": 0}}
        )
        attributes = {
            "POSITION": array(y_up(points), "VEC3", 5126),
            "NORMAL": array(y_up(normals), "VEC3", 5126),
            "TEXCOORD_0": array(uv, "VEC2", 5126),
        }
        primitive = {"attributes": attributes, "indices": array(triangles.reshape(-1), "SCALAR", 5125)}
        document["meshes"].append({"name": node.name, "primitives": [{**primitive, "material": number}]})
        document["nodes"].append(
            {
                "name": node.name,
                "mesh": number,
                "translation": y_up(np.array(node.place)).tolist(),
                "rotation": [0, float(np.sin(node.turn / 2)), 0, float(np.cos(node.turn / 2))],
                "extras": {"instance_id": node.instance, "name": node.name, "placement": "depth", **node.extras},
            }
        )
    roots = list(range(len(nodes)))
    if wrapped:
        document["nodes"].append({"name": "world", "children": roots})
        roots = [len(nodes)]
    document |= {"scenes": [{"name": "Scene", "nodes": roots}], "accessors": accessors, "bufferViews": views}
    document["buffers"] = [{"byteLength": len(binary)}]
    document = {key: value for key, value in document.items() if value != []}
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary.extend(b"\0" * (-len(binary) % 4))
    body = (
        struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + bytes(binary)
    )
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)
    return path


def result(nodes: list[Node], **fields: Any) -> dict[str, Any]:
    """A `result.json` to go with it."""
    camera = {
        "fx": 800.0,
        "fy": 800.0,
        "cx": 320.0,
        "cy": 240.0,
        "width": 640,
        "height": 480,
        "world_from_camera": [[1, 0, 0, 0], [0, 0.2, -0.98, 0], [0, 0.98, 0.2, 1.6], [0, 0, 0, 1]],
    }
    return {
        "format": 1,
        "job": "0123456789abcdef",
        "name": "Shot",
        "created": "2026-01-02T03:04:05.678Z",
        "pipeline": {"id": "inflate", "version": "1"},
        "parameters": {"thickness": 1.5, "back": "soft", "resolution": 256},
        "seed": 2**31 - 1,
        "inputs": [{"role": "image", "sha256": "ab" * 32, "width": 640, "height": 480}],
        "camera": camera,
        "camera_source": "request",
        "instance_source": "map",
        "props": [
            {
                "id": node.instance,
                "name": node.name,
                "node": node.name,
                "mask_iou": 0.987,
                "placement": "depth",
                "quality": {"residual": 0.01},
                "dimensions": list(node.size),
                "mask_pixels": 1234,
            }
            for node in nodes
        ],
        "warnings": [],
        "timings": [],
        "seconds": 1.0,
        "peak_memory_bytes": 5_000_000_000,
        "versions": {"backend": "0.1.0"},
        "device": {},
        **fields,
    }
