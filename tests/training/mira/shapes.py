"""Objects made of coloured boxes and balls, seen and known exactly: views, cameras and solids without a renderer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FOCAL = 0.75


@dataclass
class Part:
    """A box or, if `round`, the ellipsoid within it."""

    centre: np.ndarray
    half: np.ndarray
    colour: np.ndarray
    round: bool = False

    def hit(self, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance along each ray (inf where it misses) and the normal there."""
        start, ahead = (origin - self.centre) / self.half, directions / self.half
        if self.round:
            a, b, c = (ahead**2).sum(1), (ahead * start).sum(1), (start**2).sum() - 1
            root = b**2 - a * c
            distance = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
            place = start + np.where(np.isfinite(distance), distance, 0)[:, None] * ahead
            normal = place / self.half
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                walls = np.stack([(-1 - start) / ahead, (1 - start) / ahead])
            near, far = np.nanmin(walls, 0), np.nanmax(walls, 0).min(1)
            axis = near.argmax(1)
            distance = np.where((near.max(1) < far) & (near.max(1) > 0), near.max(1), np.inf)
            normal = np.zeros_like(directions)
            normal[np.arange(len(axis)), axis] = -np.sign(ahead[np.arange(len(axis)), axis])
        return distance, normal / np.linalg.norm(normal, axis=1, keepdims=True)

    def holds(self, points: np.ndarray) -> np.ndarray:
        place = np.abs(points - self.centre) / self.half
        return (place**2).sum(-1) <= 1 if self.round else (place <= 1).all(-1)


@dataclass
class Shape:
    """An object, as `training.views` gives one."""

    name: str
    parts: list[Part]
    poses: np.ndarray
    lens: np.ndarray
    size: int = 64
    voxels: int = 32
    metadata: dict[str, Any] = field(default_factory=dict)
    bits: int = 8

    @property
    def count(self) -> int:
        return len(self.poses)

    @property
    def intrinsics(self) -> np.ndarray:
        return np.repeat(self.lens[None], self.count, axis=0)

    def picture(self, index: int) -> np.ndarray:
        pose, size = self.poses[index], self.size
        v, u = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
        across, down = (u - self.lens[0, 2]) / self.lens[0, 0], (v - self.lens[1, 2]) / self.lens[1, 1]
        rays = np.stack([across, -down, -np.ones_like(u)], axis=-1).reshape(-1, 3) @ pose[:3, :3].T
        nearest, picture = np.full(len(rays), np.inf), np.zeros((len(rays), 4))
        for part in self.parts:
            distance, normal = part.hit(pose[:3, 3], rays)
            seen = distance < nearest
            nearest[seen] = distance[seen]
            light = 0.55 + 0.45 * normal[seen] @ np.array([0.3, -0.5, 0.81])
            picture[seen] = np.concatenate([part.colour * light[:, None].clip(0, 1), np.ones((seen.sum(), 1))], axis=1)
        most = 2**self.bits - 1
        return np.round(picture.reshape(size, size, 4) * most).astype(np.uint8 if self.bits == 8 else np.uint16)

    def solid(self) -> np.ndarray:
        place = (np.arange(self.voxels) + 0.5) / self.voxels * 2 - 1
        points = np.stack(np.meshgrid(place, place, place, indexing="ij"), axis=-1)
        return np.any([part.holds(points) for part in self.parts], axis=0)


def looking(azimuth: float, elevation: float, distance: float) -> np.ndarray:
    """Camera-to-world [4, 4] of a camera that looks at the origin, z up; degrees."""
    a, e = np.radians(azimuth), np.radians(elevation)
    back = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, back * distance], axis=1)
    return pose


def lens(focal: float = FOCAL) -> np.ndarray:
    return np.array([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1.0]])


def shape(seed: int, views: int = 8, size: int = 64, voxels: int = 32, parts: int = 4) -> Shape:
    """An object by chance, its longest side about 1.4."""
    chance = np.random.default_rng(seed)
    made = [
        Part(
            chance.uniform(-0.35, 0.35, 3),
            chance.uniform(0.08, 0.35, 3),
            chance.uniform(0.1, 0.95, 3),
            bool(chance.random() < 0.4),
        )
        for _ in range(parts)
    ]
    poses = [looking(chance.uniform(0, 360), chance.uniform(-10, 50), chance.uniform(1.9, 2.4)) for _ in range(views)]
    return Shape(f"object-{seed:03d}", made, np.stack(poses), lens(), size, voxels)


def write_openlrm(each: Shape, root: Path) -> Path:
    """The folder of an object in OpenLRM's layout."""
    folder = root / each.name
    for part in ("rgba", "pose"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index in range(each.count):
        Image.fromarray(each.picture(index)).save(folder / "rgba" / f"{index:03d}.png")
        np.save(folder / "pose" / f"{index:03d}.npy", each.poses[index, :3])
    pixels = each.size
    values = [[each.lens[0, 0] * pixels, each.lens[1, 1] * pixels], [pixels / 2, pixels / 2], [pixels, pixels]]
    np.save(folder / "intrinsics.npy", np.array(values))
    (folder / "metadata.json").write_text(json.dumps(each.metadata))
    return folder
