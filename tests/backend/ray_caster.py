"""Boxes, spheres and cylinders seen by a pinhole camera, exactly: instance labels and planar depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera

Floats = NDArray[np.float64]


def about(axis: int, angle: float) -> Floats:
    """(3, 3): a turn about x, y or z by radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


@dataclass(frozen=True)
class Solid:
    """kind: "box", "sphere" (ellipsoid) or "cylinder" (upright). size: (3,) along its own axes, metres.
    centre: (3,). yaw: turn about the vertical, radians, after `tilt` about its own x and `roll` about its own y."""

    kind: str
    size: tuple[float, float, float]
    centre: tuple[float, float, float]
    yaw: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0

    @property
    def turn(self) -> Floats:
        return about(2, self.yaw) @ about(0, self.tilt) @ about(1, self.roll)

    @property
    def world_from_box(self) -> Floats:
        """(4, 4): takes the cube from -0.5 to 0.5 to the box around it, along its own axes."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.turn * self.size, self.centre
        return matrix

    def extent(self, axes: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bounds along the rows of `axes`, a rotation; of a cylinder, one about the vertical."""
        local = axes @ self.turn
        half = np.array(self.size) / 2
        if self.kind == "box":
            reach = np.abs(local) @ half
        elif self.kind == "sphere":
            reach = np.linalg.norm(local * half, axis=1)
        else:
            reach = np.linalg.norm(local[:, :2] * half[:2], axis=1) + np.abs(local[:, 2]) * half[2]
        middle = axes @ np.array(self.centre)
        return middle - reach, middle + reach

    def hit(self, origin: Floats, directions: Floats) -> Floats:
        """First hit along `directions` (..., 3) in units of their length; infinite where there is none."""
        start = (self.turn.T @ (origin - np.array(self.centre))) / (np.array(self.size) / 2)
        ray = (directions @ self.turn) / (np.array(self.size) / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            round_axes = {"box": 0, "sphere": 3, "cylinder": 2}[self.kind]
            enter, leave = np.full(ray.shape[:-1], -np.inf), np.full(ray.shape[:-1], np.inf)
            if round_axes:
                a = (ray[..., :round_axes] ** 2).sum(axis=-1)
                b = (ray[..., :round_axes] * start[:round_axes]).sum(axis=-1)
                c = (start[:round_axes] ** 2).sum() - 1
                root = np.sqrt(b * b - a * c)
                enter, leave = (-b - root) / a, (-b + root) / a
            for axis in range(round_axes, 3):
                pair = np.stack([(-1 - start[axis]) / ray[..., axis], (1 - start[axis]) / ray[..., axis]])
                enter, leave = np.maximum(enter, pair.min(axis=0)), np.minimum(leave, pair.max(axis=0))
            hit = (enter <= leave) & (enter > 0)
        return np.where(hit, enter, np.inf)


def look(position: tuple[float, float, float], pitch: float, yaw: float, focal: float, size: int = 256) -> Camera:
    """A camera that looks `pitch` radians down, turned `yaw` from +Y, with a focal length in mm on a 36 mm sensor."""
    cos, sin = math.cos(math.pi / 2 - pitch), math.sin(math.pi / 2 - pitch)
    tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ tilt
    matrix[:3, 3] = position
    pixels = focal / 36 * size
    rows = tuple(tuple(float(value) for value in row) for row in matrix)
    return Camera(fx=pixels, fy=pixels, cx=size / 2, cy=size / 2, width=size, height=size, world_from_camera=rows)


def cast(solids: list[Solid], camera: Camera) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Labels (1, 2, ... in the order of `solids`; 0 = nothing) and planar depth (NaN = nothing)."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    directions = camera.directions(np.stack([x, y], axis=-1))
    hits = np.stack([solid.hit(camera.position, directions) for solid in solids])
    depth = hits.min(axis=0)
    seen = np.isfinite(depth)
    labels = np.where(seen, hits.argmin(axis=0) + 1, 0).astype(np.uint16)
    return labels, np.where(seen, depth, np.nan).astype(np.float32)
