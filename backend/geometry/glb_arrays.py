"""Numbers out of the bytes of a GLB: accessors as arrays, primitives as triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.geometry.glb_claims import Glb, damaged
from backend.geometry.glb_document import Accessor, Primitive

TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
STRIP, FAN = 5, 6


def numbers(glb: Glb, index: int) -> NDArray[Any]:
    """(count, width) of an accessor, in the file's own type.

    Raises:
        Problem: "scene-unreadable" where it claims more than its view holds.
    """
    accessor = glb.document.accessors[index]
    where = f"accessor {index}"
    if accessor.type not in WIDTHS:
        damaged(f"{where} holds matrices where points or indices belong")
    if accessor.bufferView is None:
        damaged(f"{where} claims {accessor.count} values and has no bytes")
    values = _strided(glb, accessor, accessor.bufferView, accessor.byteOffset, accessor.count, where)
    if accessor.sparse is None:
        return values
    sparse = accessor.sparse
    places = Accessor(componentType=sparse.indices.componentType, count=sparse.count, type="SCALAR")
    at = _strided(glb, places, sparse.indices.bufferView, sparse.indices.byteOffset, sparse.count, where)[:, 0]
    others = _strided(glb, accessor, sparse.values.bufferView, sparse.values.byteOffset, sparse.count, where)
    if at.max() >= accessor.count:
        damaged(f"{where} replaces value {at.max()} of {accessor.count}")
    values = values.copy()
    values[at] = others
    return values


def floats(glb: Glb, index: int) -> NDArray[np.float64]:
    """(count, width) of an accessor; normalised integers as 0 to 1 or -1 to 1.

    Raises:
        Problem: as `numbers`, and where a value is not finite.
    """
    values = numbers(glb, index)
    wide: NDArray[np.float64] = values.astype(np.float64)
    if glb.document.accessors[index].normalized and values.dtype.kind in "iu":
        wide = np.maximum(wide / np.iinfo(values.dtype).max, -1.0)
    if not np.isfinite(wide).all():
        damaged(f"accessor {index} has values that are no numbers")
    return wide


def triangles(glb: Glb, primitive: Primitive, vertices: int) -> NDArray[np.int64]:
    """(F, 3) indices below `vertices`, which are the vertices that the primitive has.

    Raises:
        Problem: "scene-unreadable".
    """
    if primitive.indices is None:
        corners = np.arange(vertices)
    else:
        found = numbers(glb, primitive.indices)
        if found.dtype.kind != "u" or found.shape[1] != 1:
            damaged(f"accessor {primitive.indices} holds no indices")
        corners = found[:, 0].astype(np.int64)
        if corners.max() >= vertices:
            damaged(f"a triangle has the corner {corners.max()}, and there are {vertices} vertices")
    if primitive.mode in (STRIP, FAN):
        count = max(len(corners) - 2, 0)
        first = corners[:count] if primitive.mode == STRIP else np.broadcast_to(corners[:1], count)
        faces = np.stack([first, corners[1 : count + 1], corners[2 : count + 2]], axis=1)
        if primitive.mode == STRIP:
            faces[1::2] = faces[1::2, ::-1]
        return faces
    if len(corners) % 3:
        damaged(f"{len(corners)} corners make no triangles")
    return corners.reshape(-1, 3)


def _strided(glb: Glb, accessor: Accessor, view_index: int, offset: int, count: int, where: str) -> NDArray[Any]:
    view, held = glb.view(view_index)
    kind = np.dtype(TYPES[accessor.componentType]).newbyteorder("<")
    width = WIDTHS[accessor.type]
    size = kind.itemsize * width
    stride = view.byteStride or size
    if offset + stride * (count - 1) + size > len(held):
        damaged(f"{where} claims {count} values of {size} bytes in {len(held)} bytes")
    if stride < size:
        damaged(f"{where} has values of {size} bytes every {stride} bytes")
    return np.ndarray((count, width), kind, held, offset, (stride, kind.itemsize))
