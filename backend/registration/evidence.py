"""What a step of the refinement is pulled by: outlines in the picture, depth, boxes, the ground.

Each kind gives rows of one weighted linear system for a step of `Pose`, residuals and derivatives both divided by
what the residual usually is, so that a weight of one means one trustworthy row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.raster import View
from backend.registration.model import Model
from backend.registration.observation import OTHER, Observation, sample, slope
from backend.registration.pose import PARAMETERS, Pose, picture_from_world
from backend.registration.snap import Box

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OUTLINE_NOISE = 0.5
"""Pixels: what is left of a residual when everything is right, from the raster alone."""

DEPTH_NOISE = 0.003
"""Least deviation of depth, as a share of it; more where the depth itself says so."""

MOST_DEPTHS = 600
"""Pixels whose depth is compared in one step."""

DEPTHS_PER_MESH = 20
"""As how many independent depths those of one mesh count: what is wrong with a depth is wrong all over a surface."""

CENTRE_NOISE, HEIGHT_NOISE = 0.15, 0.2
"""A block-out is rough: deviation of its middle as a share of its size, and of its height as a share of that."""

ASSUMED_DISTANCE = 4.0
"""Metres from the camera to the scene's middle when nothing tells the scale."""

LEVEL = 0.02
"""Meshes whose lowest points differ by less, in model units, stand on the same level."""


@dataclass(frozen=True)
class Rows:
    """residual, weight: (K,). derivative: (K, PARAMETERS) of the residual. owner: (K,) mesh, -1 for none."""

    residual: Floats
    derivative: Floats
    weight: Floats
    owner: Integers

    @classmethod
    def joined(cls, parts: list[Rows]) -> Rows:
        return cls(
            np.concatenate([part.residual for part in parts]),
            np.concatenate([part.derivative for part in parts]),
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.owner for part in parts]),
        )


def outlines(pose: Pose, view: View, observation: Observation, camera: Camera, tolerance: float) -> Rows:
    """Distance from each mesh's own visible outline, as drawn, to the outline of its mask.

    Where two pixels beside each other show different meshes, the outline between them is that of the nearer one. Its
    point there moves with the mesh, which is exact to first order for a smooth contour too. Rows that lie where an
    instance without a mesh may hide the outline are left out.
    """
    lens = observation.lens
    pixels, labels, depths = [], [], []
    for along in ((0, 1), (1, 0)):
        first = np.s_[: lens.height - along[0], : lens.width - along[1]]
        second = np.s_[along[0] :, along[1] :]
        rows, columns = np.nonzero(view.labels[first] != view.labels[second])
        nearer = view.depth[first][rows, columns] <= view.depth[second][rows, columns]
        middle = np.stack([columns + 0.5 + 0.5 * along[1], rows + 0.5 + 0.5 * along[0]], axis=1)
        pixels.append(middle)
        labels.append(np.where(nearer, view.labels[first][rows, columns], view.labels[second][rows, columns]))
        depths.append(np.where(nearer, view.depth[first][rows, columns], view.depth[second][rows, columns]))
    at: Floats = np.concatenate(pixels)
    owner: Integers = np.concatenate(labels) - 1
    depth: Floats = np.concatenate(depths)
    row, column = at[:, 1].astype(np.int64), at[:, 0].astype(np.int64)
    row, column = np.minimum(row, lens.height - 1), np.minimum(column, lens.width - 1)
    told = observation.telling[owner, row, column] & (observation.labels[row, column] != OTHER)
    at, owner, depth = at[told], owner[told], depth[told]

    residual, across, down = np.zeros((3, len(at)))
    for place in range(len(observation.distance)):
        mine = owner == place
        residual[mine] = sample(observation.distance[place], at[mine])
        across[mine] = slope(observation.distance[place], at[mine], axis=0)
        down[mine] = slope(observation.distance[place], at[mine], axis=1)
    moves = _moves(pose, lens.unproject(at, depth), camera)
    derivative = across[:, None] * _in_picture(moves, at, depth, lens.fx, lens.cx, 0)
    derivative += down[:, None] * _in_picture(moves, at, depth, lens.fy, lens.cy, 1)
    weight = 1 / (1 + (residual / tolerance) ** 2) ** 2
    return Rows(residual / OUTLINE_NOISE, derivative / OUTLINE_NOISE, weight, owner)


def surfaces(pose: Pose, view: View, observation: Observation, camera: Camera) -> Rows:
    """Drawn depth times scale against the given depth, where mesh and mask agree; their noise is estimated here."""
    assert observation.log_depth is not None and observation.log_depth_slope is not None
    usable = (view.labels > 0) & (view.labels == observation.labels) & np.isfinite(observation.log_depth)
    usable &= np.isfinite(observation.log_depth_slope).all(axis=0)
    row, column = np.nonzero(usable)
    every = max(1, len(row) // MOST_DEPTHS)
    row, column = row[::every], column[::every]
    depth = view.depth[row, column]
    residual = pose.log_scale + np.log(depth) - observation.log_depth[row, column]
    lens = observation.lens
    at: Floats = np.stack([column, row], axis=1) + np.float64(0.5)
    moves = _moves(pose, lens.unproject(at, depth), camera)
    across, down = observation.log_depth_slope[:, row, column]
    derivative = moves[:, 2] / depth[:, None]
    derivative -= across[:, None] * _in_picture(moves, at, depth, lens.fx, lens.cx, 0)
    derivative -= down[:, None] * _in_picture(moves, at, depth, lens.fy, lens.cy, 1)
    derivative[:, 6] = 1.0
    noise = max(DEPTH_NOISE, 1.4826 * float(np.median(np.abs(residual)))) if len(row) else DEPTH_NOISE
    weight = 1 / (1 + (residual / (2 * noise)) ** 2) ** 2
    weight *= min(1.0, DEPTHS_PER_MESH * len(observation.distance) / max(len(row), 1))
    return Rows(residual / noise, derivative / noise, weight, view.labels[row, column] - 1)


def boxes(pose: Pose, model: Model, camera: Camera, bounds: Mapping[int, Box]) -> Rows:
    """Depth of each mesh's middle against that of its box, and its height against the box's height."""
    residuals, derivatives, owners = [], [], []
    middles = pose.see((model.low + model.high) / 2, camera)
    moves = _moves(pose, middles, camera)
    world = picture_from_world(camera)
    for place, number in enumerate(model.ids.tolist()):
        box = bounds.get(number)
        if box is None or middles[place, 2] <= 0:
            continue
        distance = float((world @ (box.centre - camera.position))[2])
        height = model.high[place, 2] - model.low[place, 2]
        if distance > 0:
            noise = CENTRE_NOISE * float(np.linalg.norm(box.size)) / distance
            derivative = moves[place, 2] / middles[place, 2]
            derivative[6] = 1.0
            residuals.append((pose.log_scale + math.log(middles[place, 2] / distance)) / noise)
            derivatives.append(derivative / noise)
            owners.append(place)
        if height > 0:
            residuals.append((pose.log_scale + math.log(height / box.height)) / HEIGHT_NOISE)
            derivatives.append(np.eye(PARAMETERS)[6] / HEIGHT_NOISE)
            owners.append(place)
    residual = np.array(residuals)
    derivative = np.array(derivatives).reshape(-1, PARAMETERS)
    return Rows(residual, derivative, 1 / (1 + (residual / 2) ** 2), np.array(owners, dtype=np.int64))


def ground(pose: Pose, level: float, camera: Camera, noise: float) -> Rows | None:
    """The scene's level stands at z = 0: the camera is as high above it as above the ground. None if it cannot be,
    because camera or level are on the wrong side."""
    up = picture_from_world(camera)[:, 2]
    below = -(level + float(up @ pose.offset))
    height = float(camera.position[2])
    if below <= 0 or height <= 0:
        return None
    derivative = np.zeros((1, PARAMETERS))
    derivative[0, 3:6] = -up / below
    derivative[0, 6] = 1.0
    residual = np.array([pose.log_scale + math.log(below / height)])
    # An error of one pixel at the scene's middle, seen from this height.
    deviation = noise * float(pose.offset[2]) / below
    return Rows(residual / deviation, derivative / deviation, np.ones(1), np.full(1, -1))


def standing_level(model: Model, turn: Floats) -> float:
    """The height in model units, after a turn, on which most meshes stand; the lowest such height."""
    lowest = np.full(len(model.ids), np.inf)
    vertices = np.repeat(model.owner, 3)
    np.minimum.at(lowest, vertices, (model.points @ turn[2])[model.faces.reshape(-1)])
    near = np.abs(lowest[:, None] - lowest[None]) < LEVEL
    votes = near.sum(axis=1)
    most = np.flatnonzero(votes == votes.max())
    chosen = most[np.argmin(lowest[most])]
    return float(np.median(lowest[near[chosen]]))


def _moves(pose: Pose, points: Floats, camera: Camera) -> Floats:
    """(K, 3, PARAMETERS) derivative of points (K, 3) in picture axes by a step."""
    world = picture_from_world(camera)
    arms = (points - pose.offset) @ world
    moves = np.zeros((len(points), 3, PARAMETERS))
    for axis in range(3):
        moves[:, :, axis] = np.cross(np.eye(3)[axis], arms) @ world.T
        moves[:, axis, 3 + axis] = 1.0
    return moves


def _in_picture(moves: Floats, at: Floats, depth: Floats, focal: float, centre: float, axis: int) -> Floats:
    """(K, PARAMETERS) derivative of pixel coordinate `axis` by a step."""
    ray = (at[:, axis] - centre) / focal
    pixels: Floats = (moves[:, axis] - ray[:, None] * moves[:, 2]) * (focal / depth)[:, None]
    return pixels
