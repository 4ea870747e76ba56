"""A small picture of a scene: its textured meshes as the input camera saw them, cut to what is there.

For lists in which a result must be recognised, not for judging it: one sample of the texture per sample of the picture,
flat triangles, one light beside the camera. The picture has four samples per pixel and is transparent where nothing is.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.camera import Camera
from backend.geometry.gltf import UNTEXTURED
from backend.geometry.raster import NEAREST, Fragments, Lens, fragments
from backend.scene import Mesh, Scene

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Colours = NDArray[np.uint8]

SIDE = 256
"""Pixels; Blender reads previews at this size."""

SAMPLES = 2
"""Along each side of a pixel."""

MARGIN = 0.04
"""Of the picture's side, around the scene."""

BEYOND = 0.5
"""Of the camera's picture: what is farther outside does not make the rest small."""

LIGHT = np.array([-0.4, -0.6, -0.7])
"""Towards the light, in camera coordinates (x right, y down, z ahead): above and to the left of the camera."""

AMBIENT = 0.55
LARGEST_TEXTURE = 512
"""Pixels along a side. A larger texture is reduced first, so that the samples do not flicker."""


@dataclass(frozen=True)
class _Part:
    """A prop in camera coordinates."""

    mesh: Mesh
    points: Floats
    closed: bool


def thumbnail(scene: Scene, camera: Camera, closed: Sequence[bool] | None = None, side: int = SIDE) -> bytes:
    """The scene as a square RGBA PNG of `side` pixels.

    Args:
        camera: the one that took the input picture.
        closed: per prop, whether its mesh is closed with its faces outwards, so that backs need not be drawn.
        side: pixels.
    """
    closed = [False] * len(scene.props) if closed is None else closed
    turned = np.diag([1.0, -1.0, -1.0])
    parts = []
    for prop, is_closed in zip(scene.props, closed, strict=True):
        points = (prop.world_vertices() - camera.position) @ camera.matrix[:3, :3] @ turned
        parts.append(_Part(prop.mesh, points, is_closed))
    everything = np.concatenate([part.points for part in parts])
    picture = _draw(parts, _frame(everything, camera, side * SAMPLES))
    file = io.BytesIO()
    # With colours multiplied by what they cover, so that what is transparent does not darken the edges.
    reduced = Image.fromarray(picture).convert("RGBa").reduce(SAMPLES).convert("RGBA")
    reduced.save(file, "PNG", compress_level=4)
    return file.getvalue()


def _frame(points: Floats, camera: Camera, side: int) -> Lens:
    """The camera's lens over the square around what can be seen, `side` samples wide."""
    lens = Lens(camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
    ahead = points[:, 2] > NEAREST * points[:, 2].max()
    size = np.array([camera.width, camera.height], dtype=np.float64)
    pixels = lens.project(points[ahead]) if ahead.any() else np.zeros((1, 2))
    low = np.clip(pixels.min(axis=0), -BEYOND * size, size)
    high = np.clip(pixels.max(axis=0), low + 1.0, (1.0 + BEYOND) * size + 1.0)
    middle, wide = (low + high) / 2, float((high - low).max()) / (1 - 2 * MARGIN)
    factor = side / wide
    corner = middle - wide / 2
    return Lens(
        camera.fx * factor,
        camera.fy * factor,
        (camera.cx - corner[0]) * factor,
        (camera.cy - corner[1]) * factor,
        side,
        side,
    )


def _draw(parts: list[_Part], lens: Lens) -> Colours:
    """height x width x RGBA; the nearest triangle wins."""
    nearness = np.zeros(lens.width * lens.height)
    picture = np.zeros((lens.width * lens.height, 4), dtype=np.uint8)
    for part in parts:
        candidates = _candidates(part, lens)
        faces = part.mesh.faces[candidates]
        drawn = fragments(part.points, faces, np.full(len(faces), part.closed), lens)
        before = nearness.copy()
        np.maximum.at(nearness, drawn.pixel, drawn.nearness)
        wins = (drawn.nearness == nearness[drawn.pixel]) & (drawn.nearness > before[drawn.pixel])
        seen = Fragments(candidates[drawn.triangle[wins]], drawn.pixel[wins], drawn.nearness[wins])
        picture[seen.pixel, :3] = _shaded(part, seen, lens)
        picture[seen.pixel, 3] = 255
    return picture.reshape(lens.height, lens.width, 4)


def _candidates(part: _Part, lens: Lens) -> Integers:
    """The triangles that may cover a sample; of a dense mesh most are turned away, or lie between the samples."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pixels = lens.project(part.points)
    corners = [np.ascontiguousarray(part.mesh.faces[:, corner]) for corner in range(3)]
    x, y = ([values[corner] for corner in corners] for values in np.ascontiguousarray(pixels.T))
    kept = np.ones(len(part.mesh.faces), dtype=bool)
    if part.closed:
        kept &= ~((x[1] - x[0]) * (y[2] - y[0]) > (y[1] - y[0]) * (x[2] - x[0]))
    for first, second, third in (x, y):
        low = np.minimum(np.minimum(first, second), third)
        high = np.maximum(np.maximum(first, second), third)
        kept &= ~(np.ceil(low - 0.5) > np.floor(high - 0.5))
    ahead = part.points[:, 2] > 0  # what is behind the camera projects anywhere; `fragments` sorts it out
    if not ahead.all():
        kept |= ~ahead[part.mesh.faces].all(axis=1)
    return np.flatnonzero(kept)


def _shaded(part: _Part, seen: Fragments, lens: Lens) -> Colours:
    """(N, 3) colours of fragments."""
    triangles, which = np.unique(seen.triangle, return_inverse=True)
    corners = part.points[part.mesh.faces[triangles]]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normals = np.cross(one, two)
    lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-300)
    facing = np.sign(np.einsum("ij,ij->i", normals, corners[:, 0]))  # a back is lit like a front
    light = np.clip(-facing * (normals @ LIGHT) / (lengths * np.linalg.norm(LIGHT)), 0.0, 1.0)
    brightness = (AMBIENT + (1.0 - AMBIENT) * light)[which]
    colours = _texels(part.mesh, triangles, which, _shares(corners[:, 0], one, two, which, seen, lens))
    shaded: Colours = np.clip(colours * brightness[:, None], 0, 255).astype(np.uint8)
    return shaded


def _shares(first: Floats, one: Floats, two: Floats, which: Integers, seen: Fragments, lens: Lens) -> Floats:
    """(N, 2) how much of the edges `one` and `two` leads from the first corner to each fragment, 0 to 1."""
    row, column = np.divmod(seen.pixel, lens.width)
    points = lens.unproject(np.stack([column + 0.5, row + 0.5], axis=-1), 1.0 / seen.nearness) - first[which]
    length_one, length_two = np.einsum("ij,ij->i", one, one), np.einsum("ij,ij->i", two, two)
    mixed = np.einsum("ij,ij->i", one, two)
    divisor = np.maximum(length_one * length_two - mixed**2, 1e-300)[which]
    along_one = np.einsum("ij,ij->i", points, one[which])
    along_two = np.einsum("ij,ij->i", points, two[which])
    shares = np.stack(
        [
            (length_two[which] * along_one - mixed[which] * along_two) / divisor,
            (length_one[which] * along_two - mixed[which] * along_one) / divisor,
        ],
        axis=-1,
    )
    clipped: Floats = np.clip(shares, 0.0, 1.0)
    return clipped


def _texels(mesh: Mesh, triangles: Integers, which: Integers, shares: Floats) -> Floats:
    """(N, 3) the colours of texture or vertices, 0 to 255, at points of triangles."""
    if mesh.texture is None and mesh.colours is not None:
        corners = mesh.colours[mesh.faces[triangles]].astype(np.float64)
        first, one, two = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        mixed: Floats = first[which] + shares[:, :1] * one[which] + shares[:, 1:] * two[which]
        return mixed
    if mesh.texture is None or (mesh.uv is None and mesh.corner_uv is None):
        return np.broadcast_to(np.array(UNTEXTURED[:3]) ** (1 / 2.2) * 255, (len(which), 3))
    uv = mesh.corner_uv[triangles] if mesh.corner_uv is not None else mesh.uv[mesh.faces[triangles]]  # type: ignore[index]
    start, one, two = uv[:, 0], uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    at = start[which] + shares[:, :1] * one[which] + shares[:, 1:] * two[which]
    texture = mesh.texture
    step = -(-max(texture.shape[:2]) // LARGEST_TEXTURE)
    if step > 1:
        texture = np.asarray(Image.fromarray(texture).reduce(step))
    height, width = texture.shape[:2]
    columns = np.clip((at[:, 0] * width).astype(np.int64), 0, width - 1)
    rows = np.clip((at[:, 1] * height).astype(np.int64), 0, height - 1)
    colours: Floats = texture[rows, columns].astype(np.float64)
    return colours
