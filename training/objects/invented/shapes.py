"""Closed surfaces that furniture is put together from. z is up, the front is towards −y, lengths are metres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.objects.invented.chance import Chance

Array = NDArray[np.float64]
WELDED = 1e-6
"""Metres up to which points are the same."""


@dataclass(frozen=True)
class Shape:
    """vertices: `[N, 3]`. faces: `[F, 3]`, counter-clockwise as seen from outside."""

    vertices: Array
    faces: NDArray[np.int64]

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        return Shape(self.vertices + np.array([x, y, z]), self.faces)

    def turned(self, axis: str, degrees: float) -> Shape:
        """About an axis through the origin, by the right hand's rule."""
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        points = self.vertices.copy()
        points[:, first] = cosine * self.vertices[:, first] - sine * self.vertices[:, second]
        points[:, second] = sine * self.vertices[:, first] + cosine * self.vertices[:, second]
        return Shape(points, self.faces)

    def mirrored(self) -> Shape:
        """In x."""
        return Shape(self.vertices * np.array([-1.0, 1, 1]), self.faces[:, ::-1])

    def changed(self, change: Callable[[Array], Array]) -> Shape:
        """Its points moved, none through another."""
        return Shape(change(self.vertices.copy()), self.faces)


def volume(vertices: Array, faces: NDArray[np.int64]) -> float:
    """What a closed surface encloses, negative if its faces look inwards."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def closed(vertices: Array, faces: NDArray[np.int64]) -> Shape:
    """Points that coincide made one, what has no area left out, faces turned outwards."""
    _, first, same = np.unique(np.round(vertices / WELDED), axis=0, return_index=True, return_inverse=True)
    vertices, faces = vertices[first], same.reshape(-1)[faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    return Shape(vertices, faces if volume(vertices - vertices.mean(0), faces) >= 0 else faces[:, ::-1])


def loft(rings: Array, ends: str = "fan") -> Shape:
    """A skin over rings of points `[K, N, 3]`.

    Args:
        ends: `fan`: a point in the middle of the first and of the last ring; `strip`: the two halves of each are
            joined, for rings that are the two sides of something flat; `joined`: the last ring meets the first.
    """
    count, around = rings.shape[:2]
    index = np.arange(count * around).reshape(count, around)
    following = np.roll(index, -1, 1)
    below = index if ends == "joined" else index[:-1]
    low, high = below.ravel(), np.roll(index, -1, 0)[: len(below)].ravel()
    low_next, high_next = following[: len(below)].ravel(), np.roll(following, -1, 0)[: len(below)].ravel()
    faces = [np.stack([low, low_next, high_next], 1), np.stack([low, high_next, high], 1)]
    vertices = rings.reshape(-1, 3)
    if ends == "fan":
        middles = len(vertices) + np.arange(2)
        vertices = np.concatenate([vertices, rings[[0, -1]].mean(1)])
        faces.append(np.stack([following[0], index[0], np.full(around, middles[0])], 1))
        faces.append(np.stack([index[-1], following[-1], np.full(around, middles[1])], 1))
    elif ends == "strip":
        half = around // 2
        for ring, turn in ((index[0], -1), (index[-1], 1)):
            one, other = ring[:half], ring[half:][::-1]
            faces.append(np.stack([one[:-1], one[1:], other[1:]], 1)[:, ::turn])
            faces.append(np.stack([one[:-1], other[1:], other[:-1]], 1)[:, ::turn])
    return closed(vertices, np.concatenate(faces))


def box(width: float, depth: float, height: float, radius: float = 0.004, steps: int = 1, inner: int = 1) -> Shape:
    """Stands on z = 0, in the middle of x and y.

    Args:
        radius: of its edges; 0: sharp.
        steps: facets of an edge.
        inner: parts of a side between its edges, for what is bent or bulges.
    """
    half = np.array([width, depth, height]) / 2
    radius = min(radius, 0.999 * float(half.min()))
    lines = []
    for side in half:
        flat = np.linspace(-(side - radius), side - radius, inner + 1)
        edge = side - radius + radius * np.tan(np.linspace(0, np.pi / 4, steps + 1)[1:]) if radius > 0 else flat[:0]
        lines.append(np.concatenate([-edge[::-1], flat, edge]))
    points, faces, count = [], [], 0
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        u, v = np.meshgrid(lines[first], lines[second], indexing="ij")
        index = np.arange(u.size).reshape(u.shape)
        quad = [index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()]
        for sign in (1, -1):
            side_points = np.empty((u.size, 3))
            side_points[:, axis], side_points[:, first], side_points[:, second] = (
                sign * half[axis],
                u.ravel(),
                v.ravel(),
            )
            triangles = np.concatenate([np.stack(quad[:3], 1), np.stack([quad[0], quad[2], quad[3]], 1)])
            points.append(side_points)
            faces.append(triangles[:, ::sign] + count)
            count += u.size
    vertices = np.concatenate(points)
    core = np.clip(vertices, -(half - radius), half - radius)
    away = vertices - core
    if radius > 0:
        vertices = core + radius * away / np.linalg.norm(away, axis=1, keepdims=True)
    return closed(vertices + np.array([0, 0, half[2]]), np.concatenate(faces))


def ripples(chance: Chance, size: float, length: float, waves: int = 5) -> Callable[[Array], Array]:
    """Smooth noise: a function from points `[N, 3]` to `[N]`, about `size` high and `length` long."""
    directions = chance.generator.normal(size=(waves, 3))
    directions *= 2 * np.pi / length / np.linalg.norm(directions, axis=1, keepdims=True)
    directions *= chance.generator.uniform(0.5, 1.5, (waves, 1))
    phases = chance.generator.uniform(0, 2 * np.pi, waves)
    return lambda points: np.asarray(size * np.sin(points @ directions.T + phases).sum(1) / np.sqrt(waves))


def roughened(shape: Shape, uneven: Callable[[Array], Array]) -> Shape:
    """Points moved away from the middle by noise, none of them below z = 0."""
    away = shape.vertices - shape.vertices.mean(0)
    away /= np.linalg.norm(away, axis=1, keepdims=True).clip(1e-9)
    points = shape.vertices + away * uneven(shape.vertices)[:, None]
    points[:, 2] = points[:, 2].clip(0)
    return Shape(points, shape.faces)


def cushion(chance: Chance, width: float, depth: float, height: float, bulge: float = 0.25, fine: int = 6) -> Shape:
    """A padded box whose sides bulge. `bulge`: of the top, by the height; the height is without it."""
    soft = box(width, depth, height, min(chance.between(0.25, 0.48) * height, 0.08), 2, fine)
    uneven = ripples(
        chance, chance.between(0.01, 0.07) * min(height, 0.15), chance.between(0.3, 0.7) * max(width, depth)
    )
    power, sat = chance.between(2, 4), chance.pick([0.0, 0.0, chance.between(0, 0.5)]) * bulge * height
    half = np.array([width, depth]) / 2

    def change(points: Array) -> Array:
        x, y = np.clip(points[:, 0] / half[0], -1, 1), np.clip(points[:, 1] / half[1], -1, 1)
        z = 2 * points[:, 2] / height - 1
        full = (1 - np.abs(x) ** power) * (1 - np.abs(y) ** power)
        out = 0.3 * bulge * height * (1 - z**2)
        points[:, 2] += bulge * height * full * np.clip(z, -0.3, 1) + uneven(points) * full
        points[:, 2] -= sat * np.exp(-6 * (x**2 + y**2)) * np.clip(z, 0, 1)
        points[:, 0] += x * out * (1 - y**2)
        points[:, 1] += y * out * (1 - x**2)
        return points

    return soft.changed(change)


def pillow(chance: Chance, width: float, depth: float, height: float, fine: int = 14) -> Shape:
    """Thick in the middle, thin along its seam, pointed at the corners; lies on z = 0, `height` at its thickest."""
    pinch, power, round_ = chance.between(0.03, 0.12), chance.between(1.6, 2.6), chance.between(0.45, 0.7)
    line = np.sin(np.linspace(-np.pi / 2, np.pi / 2, fine + 1))
    u, v = np.meshgrid(line, line, indexing="ij")
    x = width / 2 * u * (1 - pinch * (1 - v**2) * np.abs(u) ** 3)
    y = depth / 2 * v * (1 - pinch * (1 - u**2) * np.abs(v) ** 3)
    full = ((1 - np.abs(u) ** power) * (1 - np.abs(v) ** power)).clip(0) ** round_
    uneven = ripples(chance, 0.05 * height, 0.6 * width)
    flat = np.stack([x, y, np.zeros_like(x)], 2)
    rough = uneven(flat.reshape(-1, 3)).reshape(x.shape) * full
    seam = 0.004
    top = flat + np.stack([0 * x, 0 * x, seam + full * height * 0.55 + rough], 2)
    bottom = flat - np.stack([0 * x, 0 * x, seam + full * height * 0.45], 2)
    shape = loft(np.concatenate([top, bottom[:, ::-1]], 1), "strip")
    return shape.at(0, 0, 0.45 * height + seam)


def lathe(profile: Sequence[tuple[float, float]], sides: int = 24, ends: str = "fan") -> Shape:
    """A profile of (radius, z) turned about z. `ends`: `joined` for one that comes back to where it began."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    around = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], 1)
    return loft(np.stack([radius * around + np.array([0, 0, z]) for radius, z in profile]), ends)


def tube(path: Sequence[Sequence[float]] | Array, radius: float | Array, sides: int = 10, ends: str = "fan") -> Shape:
    """Along points `[K, 3]`. radius: one, or one for each point. `ends`: as of `loft`."""
    points = np.asarray(path, np.float64)
    radii = np.broadcast_to(np.asarray(radius, np.float64), len(points))
    along = np.roll(points, -1, 0) - np.roll(points, 1, 0) if ends == "joined" else np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.eye(3)[np.abs(along[0]).argmin()]
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    rings = []
    for point, direction, size in zip(points, along, radii, strict=True):
        across = across - direction * (across @ direction)
        across /= np.linalg.norm(across)
        other = np.cross(direction, across)
        rings.append(point + size * (np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * other))
    return loft(np.stack(rings), ends)


def smooth(points: Sequence[Sequence[float]], count: int = 16) -> Array:
    """`[count, D]`: a curve through points (Catmull and Rom's)."""
    given = np.asarray(points, np.float64)
    padded = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    place = np.linspace(0, len(given) - 1, count)
    begin = np.minimum(place.astype(int), len(given) - 2)
    t = (place - begin)[:, None]
    a, b, c, d = (padded[begin + shift] for shift in range(4))
    return np.asarray(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - 3 * c + d - a) * t**3))


def bar(start: Sequence[float], end: Sequence[float], radius: float, taper: float = 1.0, sides: int = 10) -> Shape:
    """A straight tube; `taper`: how thick its end is, by its start."""
    return tube([start, end], radius * np.array([1.0, taper]), sides)


def tapered(height: float, top: float, bottom: float, lean: tuple[float, float] = (0.0, 0.0), sides: int = 4) -> Shape:
    """A leg from z = 0 to `height`, `top` and `bottom` wide, whose foot is `lean` away in x and y."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False) + (np.pi / 4 if sides == 4 else 0)
    around = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], 1) * (2**-0.5 if sides == 4 else 0.5)
    return loft(np.stack([bottom * around + np.array([*lean, 0]), top * around + np.array([0, 0, height])]))


def oval(width: float, depth: float, power: float = 2.0, count: int = 48) -> Array:
    """`[count, 2]` an outline between an ellipse (2) and a rectangle (large)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    long = (np.abs(cosine) ** power + np.abs(sine) ** power) ** (-1 / power)
    return np.stack([width / 2 * cosine * long, depth / 2 * sine * long], 1)


def slab(outline: Array, height: float, radius: float = 0.004) -> Shape:
    """An outline `[N, 2]`, every point of which its middle sees, from z = 0 to `height`, with rounded edges."""
    middle = outline.mean(0)
    away = outline - middle
    inside = away * (1 - radius / np.linalg.norm(away, axis=1, keepdims=True).clip(2 * radius))
    levels = [(inside, 0.0), (away, radius), (away, height - radius), (inside, height)]
    return loft(np.stack([np.column_stack([flat + middle, np.full(len(flat), z)]) for flat, z in levels]))


def upright(shape: Shape) -> Shape:
    """What lay with its y to the back stands with it upwards, its top to the front."""
    return shape.turned("x", 90)


def sheet(grid: Array, thickness: float | Array, rim: float = 0.3) -> Shape:
    """A curved plate around points `[U, V, 3]`. thickness: one, or `[U, V]`. `rim`: of it at the edges."""
    u, v = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
    normal = np.cross(u, v)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True).clip(1e-12)
    thick = np.broadcast_to(np.asarray(thickness, np.float64), grid.shape[:2]).copy()
    thick[[0, -1]] *= rim
    thick[:, [0, -1]] *= rim
    half = normal * thick[..., None] / 2
    return loft(np.concatenate([grid + half, (grid - half)[:, ::-1]], 1), "strip")


def wall(path: Array, low: Array, high: Array, thickness: float, rounding: float = 0.45) -> Shape:
    """What stands along a path `[K, 2]` between heights `[K]`, as the back of a tub chair; rounded along its top."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.stack([along[:, 1], -along[:, 0]], 1) * thickness / 2
    radius = rounding * thickness
    angle = np.linspace(0, np.pi / 2, 4)
    side = np.concatenate([[1.0], 1 - 2 * rounding * (1 - np.cos(angle))])
    rise = np.concatenate([[0.0], radius * (np.sin(angle) - 1)])
    rings = []
    for point, out, bottom, top in zip(path, across, low, high, strict=True):
        levels = np.concatenate([[bottom], top + rise[1:]])
        outer = np.column_stack([point + side[:, None] * out, levels])
        inner = np.column_stack([point - side[:, None] * out, levels])
        rings.append(np.concatenate([outer, inner[::-1]]))
    return loft(np.stack(rings), "strip")
