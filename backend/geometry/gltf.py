"""A scene as glTF 2.0 binary (GLB), https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.

Written here rather than by trimesh's exporter, which stores a node's place as a matrix and a texture as PNG, and
cannot split vertices at a texture seam while both sides keep the smooth normal of the closed surface. An importer
that merges vertices by position gets exactly that closed surface back: the two sides of a seam have the same bytes.

glTF is Y up, the world is Z up: (x, y, z) is written as (x, z, -y), for vertices and for nodes.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from backend import __version__
from backend.errors import Problem
from backend.scene import Mesh, Prop, Scene

JPEG_QUALITY = 98
"""With full colour resolution: 4 ms and a third of a PNG's size for 1024x1024, against 50 ms."""

UNTEXTURED = (0.6, 0.6, 0.6, 1.0)
ROUGHNESS = 0.8

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
LINEAR, LINEAR_MIPMAP_LINEAR, CLAMP_TO_EDGE, REPEAT = 9729, 9987, 33071, 10497
OUTSIDE = 0.01
"""A uv so far beyond the picture's edge means its repetition."""

PNG_LEVEL = 4
LARGEST_SHORT_INDEX = 65534


def write_glb(scene: Scene) -> bytes:
    """The scene as one GLB: per prop one named node, one mesh, one material, and its texture inside.

    A node has `translation` and `rotation`, never a scale, and says in `extras` which instance it is:
    `{"instance_id": int, "name": label, "placement": str}`. Its name is unique in the file (see `node_names`).

    Raises:
        Problem: "geometry-failed" for a scene without props, or a prop without triangles or with broken numbers.
    """
    if not scene.props:
        raise Problem("geometry-failed", "No object was left to write into the scene.")
    document = _Document()
    for prop, name in zip(scene.props, node_names(scene), strict=True):
        if not len(prop.mesh.faces):
            raise Problem("geometry-failed", f"Object {prop.instance} '{prop.name}' has no surface.")
        if not (np.isfinite(prop.mesh.vertices).all() and np.isfinite(prop.world_from_prop).all()):
            raise Problem("geometry-failed", f"The mesh of object {prop.instance} '{prop.name}' came out broken.")
        _add_prop(document, prop, name)
    return document.pack()


def node_names(scene: Scene) -> list[str]:
    """One name per prop, in order: its label without control characters, made unique: "Chair", "Chair.2"."""
    names: list[str] = []
    taken: set[str] = set()
    for prop in scene.props:
        label = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", prop.name).strip() or f"Object {prop.instance}"
        name, number = label, 1
        while name in taken:
            number += 1
            name = f"{label}.{number}"
        taken.add(name)
        names.append(name)
    return names


def vertex_normals(mesh: Mesh) -> NDArray[np.float64]:
    """(V, 3) unit normals of the closed surface, each the mean of its faces' weighted by the angle at the vertex.

    Thürmer and Wüthrich, "Computing Vertex Normals from Polygonal Facets", 1998. Up where the mean is nothing.
    """
    normals = np.array(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals, dtype=np.float64)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.where(length > 1e-9, normals / np.maximum(length, 1e-9), (0.0, 0.0, 1.0))
    return unit


def split_at_seams(mesh: Mesh) -> tuple[NDArray[np.int64], NDArray[np.float32] | None, NDArray[np.int64]]:
    """What a format with one uv per vertex needs: a vertex is doubled where, and only where, its corners' uv differ.

    Returns:
        vertex: (N,) for each written vertex the vertex of `mesh` it stands for.
        uv: (N, 2), None for a mesh without uv.
        faces: (F, 3), indices into the written vertices.
    """
    corner_uv = mesh.corner_uv
    if corner_uv is None and mesh.uv is not None:
        corner_uv = mesh.uv[mesh.faces]
    vertex = mesh.faces.reshape(-1)
    if corner_uv is None:
        used, faces = np.unique(vertex, return_inverse=True)
        return used, None, faces.reshape(-1, 3)
    uv = np.ascontiguousarray(corner_uv.reshape(-1, 2), dtype=np.float32) + np.float32(0)  # no -0.0 beside 0.0
    key = uv.view(np.int64).reshape(-1)
    order = np.lexsort((key, vertex))
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (np.diff(vertex[order]) != 0) | (key[order][1:] != key[order][:-1])
    faces = np.empty(len(order), dtype=np.int64)
    faces[order] = np.cumsum(fresh) - 1
    return vertex[order][fresh], uv[order][fresh], faces.reshape(-1, 3)


def linear(colours: NDArray[Any]) -> NDArray[np.float64]:
    """8-bit sRGB (IEC 61966-2-1) as glTF's linear values, 0 to 1."""
    encoded = np.asarray(colours, dtype=np.float64) / 255.0
    values: NDArray[np.float64] = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return values


def y_up(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """World vectors (..., 3) in glTF's axes."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


@dataclass
class _Document:
    """A growing glTF document and its one buffer."""

    arrays: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    buffer: bytearray = field(default_factory=bytearray)
    samplers: dict[int, int] = field(default_factory=dict)
    """How a picture goes on beyond its edge -> the sampler's index."""
    pictures: dict[tuple[int, int], int] = field(default_factory=dict)
    """A picture (by its identity) and how it goes on -> the texture's index."""

    def add(self, kind: str, **entry: Any) -> int:
        """Append an entry to one of the document's arrays; its index."""
        entries = self.arrays.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def add_bytes(self, data: bytes, **entry: Any) -> int:
        """Append bytes as a buffer view; its index. Every view begins at a multiple of four."""
        self.buffer += b"\0" * (-len(self.buffer) % 4)
        view = self.add("bufferViews", buffer=0, byteOffset=len(self.buffer), byteLength=len(data), **entry)
        self.buffer += data
        return view

    def add_vectors(self, values: NDArray[np.float64] | NDArray[np.float32], bounds: bool = False) -> int:
        """Append (N, 2) or (N, 3) as a vertex attribute; its accessor's index."""
        values = np.ascontiguousarray(values, dtype="<f4")
        entry: dict[str, Any] = {"count": len(values), "type": f"VEC{values.shape[1]}"}
        if bounds:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        view = self.add_bytes(values.tobytes(), target=ARRAY_BUFFER)
        return self.add("accessors", bufferView=view, componentType=FLOAT, **entry)

    def add_colours(self, colours: NDArray[np.uint8]) -> int:
        """Append (N, 3) sRGB as the linear colours that glTF has for vertices; the accessor's index.

        16 bits, because 8 are too few for what is dark, and four channels, because attributes begin at multiples of 4.
        """
        values = np.full((len(colours), 4), 65535, dtype="<u2")
        values[:, :3] = np.round(linear(np.arange(256)) * 65535)[colours]
        view = self.add_bytes(values.tobytes(), target=ARRAY_BUFFER)
        return self.add(
            "accessors", bufferView=view, componentType=UNSIGNED_SHORT, normalized=True, count=len(values), type="VEC4"
        )

    def add_indices(self, faces: NDArray[np.int64]) -> int:
        """Append (F, 3) vertex indices; their accessor's index."""
        short = faces.max() <= LARGEST_SHORT_INDEX
        view = self.add_bytes(faces.astype("<u2" if short else "<u4").tobytes(), target=ELEMENT_ARRAY_BUFFER)
        kind = UNSIGNED_SHORT if short else UNSIGNED_INT
        return self.add("accessors", bufferView=view, componentType=kind, count=faces.size, type="SCALAR")

    def pack(self) -> bytes:
        """Header, JSON chunk, binary chunk."""
        self.buffer += b"\0" * (-len(self.buffer) % 4)
        document = {
            "asset": {"version": "2.0", "generator": f"Set Dresser {__version__}"},
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self.arrays["nodes"])))}],
            **self.arrays,
            "buffers": [{"byteLength": len(self.buffer)}],
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = ((b"JSON", text), (b"BIN\0", self.buffer))
        parts: Sequence[bytes] = [
            part for kind, data in chunks for part in (struct.pack("<I4s", len(data), kind), bytes(data))
        ]
        return struct.pack("<4sII", b"glTF", 2, 12 + sum(map(len, parts))) + b"".join(parts)


def _add_prop(document: _Document, prop: Prop, name: str) -> None:
    mesh = prop.mesh
    vertex, uv, faces = split_at_seams(mesh)
    attributes = {
        "POSITION": document.add_vectors(y_up(mesh.vertices[vertex]), bounds=True),
        "NORMAL": document.add_vectors(y_up(vertex_normals(mesh)[vertex])),
    }
    if uv is not None:
        attributes["TEXCOORD_0"] = document.add_vectors(uv)
    textured = uv is not None and mesh.texture is not None
    colours = mesh.colours[vertex] if mesh.colours is not None and not textured else None
    plain = colours is not None and bool((colours == colours[0]).all())
    if colours is not None and not plain:
        attributes["COLOR_0"] = document.add_colours(colours)
    primitive = {
        "attributes": attributes,
        "indices": document.add_indices(faces),
        "material": _add_material(document, name, mesh if textured else None, colours),
    }
    # A rotation about an axis is, in other axes, the same rotation about the turned axis.
    x, y, z, w = Rotation.from_matrix(prop.world_from_prop[:3, :3]).as_quat(canonical=True)
    document.add(
        "nodes",
        name=name,
        mesh=document.add("meshes", name=name, primitives=[primitive]),
        translation=y_up(prop.world_from_prop[:3, 3]).tolist(),
        rotation=[float(x), float(z), float(-y), float(w)],
        extras={"instance_id": prop.instance, "name": prop.name, "placement": prop.placement},
    )


def _add_material(document: _Document, name: str, textured: Mesh | None, colours: NDArray[np.uint8] | None) -> int:
    """A material; its index. `colours`: of the vertices; where all are one, it is the material's."""
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS}
    coverage: dict[str, Any] = {}
    if textured is None or textured.texture is None:
        surface["baseColorFactor"] = UNTEXTURED
        if colours is not None:
            plain = bool((colours == colours[0]).all())
            surface["baseColorFactor"] = (*linear(colours[0]).tolist(), 1.0) if plain else (1.0, 1.0, 1.0, 1.0)
    else:
        surface["baseColorTexture"] = {"index": _add_texture(document, name, textured.texture, textured.uv)}
        if textured.texture.shape[2] == 4 and textured.alpha_cutoff is not None:
            coverage = {"alphaMode": "MASK", "alphaCutoff": textured.alpha_cutoff}
        elif textured.texture.shape[2] == 4:
            coverage = {"alphaMode": "BLEND"}
    return document.add("materials", name=name, pbrMetallicRoughness=surface, doubleSided=False, **coverage)


def _add_texture(document: _Document, name: str, picture: NDArray[np.uint8], uv: NDArray[np.float64] | None) -> int:
    """A picture, written once however many props share it; the texture's index."""
    repeats = uv is not None and bool((uv < -OUTSIDE).any() or (uv > 1 + OUTSIDE).any())
    wrap = REPEAT if repeats else CLAMP_TO_EDGE
    known = document.pictures.get((id(picture), wrap))
    if known is not None:
        return known
    encoded = io.BytesIO()
    kind = "PNG" if picture.shape[2] == 4 else "JPEG"
    if kind == "PNG":
        Image.fromarray(picture).save(encoded, kind, compress_level=PNG_LEVEL)
    else:
        Image.fromarray(picture).save(encoded, kind, quality=JPEG_QUALITY, subsampling="4:4:4")
    if wrap not in document.samplers:
        document.samplers[wrap] = document.add(
            "samplers", magFilter=LINEAR, minFilter=LINEAR_MIPMAP_LINEAR, wrapS=wrap, wrapT=wrap
        )
    view = document.add_bytes(encoded.getvalue())
    image = document.add("images", name=name, mimeType=f"image/{kind.lower()}", bufferView=view)
    texture = document.add("textures", sampler=document.samplers[wrap], source=image)
    document.pictures[id(picture), wrap] = texture
    return texture
