"""Refinement: draw the scene, compare outlines and depth, take a Gauss-Newton step, again.

Every comparison is made against the scene as drawn with all its meshes, so what one mesh hides of another is not
missed in its mask. Two kinds of weights keep wrong things from pulling: each row's own (Geman & McClure 1987, with a
tolerance that narrows from step to step) and each mesh's, by how far its outline is off compared with the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.raster import View, render
from backend.registration import evidence
from backend.registration.evidence import Rows
from backend.registration.model import Model
from backend.registration.observation import OTHER, Observation
from backend.registration.pose import PARAMETERS, Pose
from backend.registration.snap import Box

Floats = NDArray[np.float64]

LONGEST_TURN, LONGEST_SHIFT = 0.15, 0.3
"""Of one step: radians, model units."""

DAMPING = 1e-3
TILT_NOISE = 0.1
"""Radians: a tilt larger than that needs good reasons."""

DEPTH_SOFTNESS = 0.1
"""A depth that is off by this share is worth half."""

BOX_SOFTNESS = 0.5
"""A middle that is off by this share of the box's size is worth half."""


@dataclass(frozen=True)
class Knowledge:
    """What is given besides the picture, and what may move."""

    model: Model
    camera: Camera
    bounds: Mapping[int, Box] = field(default_factory=dict)
    ground: bool = True
    tilt: bool = False
    yaw: float | None = None  # radians, where it is known: it does not move then


@dataclass(frozen=True)
class Fit:
    """A pose and how well it does. iou: (N,), NaN for a mesh whose mask nothing can be said about; score: 0 to 1."""

    pose: Pose
    iou: Floats
    score: float


def refine(pose: Pose, knowledge: Knowledge, observation: Observation, tolerances: Floats) -> Fit:
    """Improve a pose, one step per tolerance (pixels); the best pose met on the way."""
    best: Fit | None = None
    for tolerance in (*tolerances, None):
        view = draw(pose, knowledge.model, knowledge.camera, observation)
        fit = judge(pose, view, knowledge, observation)
        if best is None or fit.score >= best.score:
            best = fit
        if tolerance is not None:
            pose = pose.stepped(_step(pose, view, knowledge, observation, float(tolerance)))
    assert best is not None
    return best


def draw(pose: Pose, model: Model, camera: Camera, observation: Observation) -> View:
    """The scene as this pose shows it."""
    points = pose.see(model.points, camera)
    return render(points, model.faces, 1 + model.owner, model.one_sided, observation.lens)


def judge(pose: Pose, view: View, knowledge: Knowledge, observation: Observation) -> Fit:
    """Overlap of what is drawn with the masks, and agreement with depth and boxes.

    Pixels of instances without a mesh count for nothing. The score is the mean square of the overlaps: as in the
    coarse search, some in full agreement are worth more than all half.
    """
    count = len(knowledge.model.ids)
    iou = overlap_by_instance(view, observation, count)
    score = float(np.mean(np.where(np.isnan(iou), 0.0, iou) ** 2))
    if observation.log_depth is not None:
        both = (view.labels > 0) & (view.labels == observation.labels) & np.isfinite(observation.log_depth)
        if both.any():
            off = pose.log_scale + np.log(view.depth[both]) - observation.log_depth[both]
            score *= 0.5 + 0.5 * float(np.mean(1 / (1 + (off / DEPTH_SOFTNESS) ** 2)))
    if knowledge.bounds:
        matrix = pose.similarity(knowledge.model, knowledge.camera)
        middles = knowledge.model.centre + knowledge.model.radius * (knowledge.model.low + knowledge.model.high) / 2
        places = middles @ matrix[:3, :3].T + matrix[:3, 3]
        agree = [
            1 / (1 + (np.linalg.norm(place - box.centre) / (BOX_SOFTNESS * np.linalg.norm(box.size))) ** 2)
            for number, place in zip(knowledge.model.ids.tolist(), places, strict=True)
            if (box := knowledge.bounds.get(number)) is not None
        ]
        score *= 0.5 + 0.5 * float(np.mean(agree)) if agree else 1.0
    return Fit(pose, iou, score)


def overlap_by_instance(view: View, observation: Observation, count: int) -> Floats:
    """(count,) intersection over union of what is drawn of each mesh with its mask; NaN where both are empty."""
    known = observation.labels != OTHER
    drawn, seen = view.labels[known], observation.labels[known]
    both = np.bincount(seen[seen == drawn], minlength=count + 1)[1:]
    union = np.bincount(seen, minlength=count + 1)[1:] + np.bincount(drawn, minlength=count + 1)[1:] - both
    overlap: Floats = np.where(union > 0, both / np.maximum(union, 1), np.nan)
    return overlap


def first_scale(pose: Pose, knowledge: Knowledge, observation: Observation) -> Pose:
    """The pose with the scale that is told best: by depth, else by the ground, else by boxes, else assumed."""
    if observation.log_depth is not None:
        view = draw(pose, knowledge.model, knowledge.camera, observation)
        both = (view.labels > 0) & (view.labels == observation.labels) & np.isfinite(observation.log_depth)
        if both.any():
            ratio = observation.log_depth[both] - np.log(view.depth[both])
            return Pose(pose.turn, pose.offset, float(np.median(ratio)))
    bare = Pose(pose.turn, pose.offset)
    if knowledge.ground:
        row = _ground(bare, knowledge, observation)
        if row is not None:
            return Pose(pose.turn, pose.offset, -float(row.residual[0] / row.derivative[0, 6]))
    rows = evidence.boxes(bare, knowledge.model, knowledge.camera, knowledge.bounds)
    if len(rows.residual):
        return Pose(pose.turn, pose.offset, -float(np.median(rows.residual / rows.derivative[:, 6])))
    return Pose(pose.turn, pose.offset, float(np.log(evidence.ASSUMED_DISTANCE / max(pose.offset[2], 1e-6))))


def _ground(pose: Pose, knowledge: Knowledge, observation: Observation) -> Rows | None:
    level = evidence.standing_level(knowledge.model, pose.turn)
    return evidence.ground(pose, level, knowledge.camera, 1 / observation.lens.fy)


def _step(pose: Pose, view: View, knowledge: Knowledge, observation: Observation, tolerance: float) -> Floats:
    """One Gauss-Newton step (PARAMETERS,)."""
    parts = [evidence.outlines(pose, view, observation, knowledge.camera, tolerance)]
    trust = _trust(parts[0], len(knowledge.model.ids))
    if observation.log_depth is not None:
        parts.append(evidence.surfaces(pose, view, observation, knowledge.camera))
    if knowledge.bounds:
        parts.append(evidence.boxes(pose, knowledge.model, knowledge.camera, knowledge.bounds))
    if knowledge.ground and (row := _ground(pose, knowledge, observation)) is not None:
        parts.append(row)
    rows = Rows.joined(parts)
    weight = rows.weight * np.append(trust, 1.0)[rows.owner]
    free = np.array([knowledge.tilt, knowledge.tilt, knowledge.yaw is None, True, True, True, True])
    derivative = rows.derivative[:, free]
    normal = derivative.T @ (weight[:, None] * derivative)
    if knowledge.tilt:
        normal[:2, :2] += np.eye(2) / TILT_NOISE**2
    normal += np.diag(DAMPING * np.diag(normal) + 1e-9)
    right = -derivative.T @ (weight * rows.residual)
    step = np.zeros(PARAMETERS)
    step[free] = np.linalg.solve(normal, right)
    long = max(np.abs(step[:3]).max() / LONGEST_TURN, np.linalg.norm(step[3:6]) / LONGEST_SHIFT, 1.0)
    limited: Floats = step / long
    return limited


def _trust(rows: Rows, count: int) -> Floats:
    """(count,) weight of each mesh: less the farther its outline is off, compared with the median mesh."""
    off = np.zeros(count)
    for place in range(count):
        mine = np.abs(rows.residual[rows.owner == place])
        off[place] = float(np.median(mine)) if len(mine) else 0.0
    usual = max(float(np.median(off)), 1.0)
    trust: Floats = 1 / (1 + (off / (2 * usual)) ** 2) ** 2
    return trust
