"""Coarse search: every yaw all round, the camera's place for each from the masks' bounding boxes, then a rough score.

For one yaw the place has three unknowns, and a side of a mask's bounding box is one linear equation for them: the
mesh's outermost point on that side lies on the plane through the camera and the side. The equations are solved by
least squares, the outermost points found again in perspective, and so on, with Cauchy's weights against sides that
are hidden or wrong. That is begun from all instances together and from each large one alone, so that a wrong mesh
cannot spoil all beginnings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.raster import Lens
from backend.registration.model import Model
from backend.registration.observation import Observation
from backend.registration.pose import Pose, picture_from_world, upright

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

YAWS = 72
"""Directions tried, all round."""

MOST_STARTS = 8
"""Instances that a fit begins from alone, the largest ones."""

ALONE_ROUNDS, ROUNDS = 2, 6
"""Rounds in which only the beginning's own instances count; rounds in all."""

TOLERANCE = 0.03
"""Cauchy's scale, as a share of the picture's longer side."""

LEAST_TRUST = 0.02
"""Weight of a side at the border of the picture: it only keeps the equations solvable."""

CLOSEST = 0.05
"""Least depth of any point, in model units (half the scene's diagonal)."""

APART = np.radians(12.0)
"""Candidates differ in yaw by at least this."""


@dataclass(frozen=True)
class Candidate:
    """A rough pose and its score, 0 to 1."""

    pose: Pose
    score: float


def search(
    model: Model, observation: Observation, camera: Camera, most: int, known: float | None = None
) -> list[Candidate]:
    """The best rough poses of different yaw, best first; at most `most` of them. `known`: the only yaw, radians."""
    sides, trust = observation.sides()
    areas = observation.areas()
    starts = _starts(areas)
    found = []
    for yaw in np.arange(YAWS) * 2 * np.pi / YAWS if known is None else [known]:
        turn = upright(yaw)
        rotation = picture_from_world(camera) @ turn
        offsets = place(model.extremes @ rotation.T, sides, trust, starts, observation.lens)
        scores = agreement(overlaps(model.samples @ rotation.T, offsets, observation), areas)
        best = int(np.argmax(scores))
        found.append(Candidate(Pose(turn, offsets[best]), float(scores[best])))
    found.sort(key=lambda candidate: -candidate.score)
    kept: list[Candidate] = []
    for candidate in found:
        if len(kept) < most and all(yaw_between(candidate.pose, other.pose) >= APART for other in kept):
            kept.append(candidate)
    return kept


def yaw_between(first: Pose, second: Pose) -> float:
    """Absolute difference of yaw, radians, 0 to pi."""
    return abs((first.yaw - second.yaw + np.pi) % (2 * np.pi) - np.pi)


def place(extremes: Floats, sides: Floats, trust: Floats, starts: Floats, lens: Lens, rounds: int = ROUNDS) -> Floats:
    """Where the scene lies before the camera, for one orientation and several beginnings.

    Args:
        extremes: (N, D, 3) outermost points of each mesh, turned into picture axes.
        sides, trust: (N, 4), see `Observation.sides`.
        starts: (H, N) the instances that each beginning counts on.
        lens: the picture that `sides` belong to.
        rounds: after the first `ALONE_ROUNDS` of them every instance counts in every beginning.

    Returns:
        (H, 3) offsets in picture axes, model units.
    """
    focal = np.array([lens.fx, lens.fx, lens.fy, lens.fy])
    slopes = (sides - np.array([lens.cx, lens.cx, lens.cy, lens.cy])) / focal
    sign = np.array([1.0, -1.0, 1.0, -1.0])
    tolerance = TOLERANCE * max(lens.width, lens.height)
    everyone = np.maximum(trust, LEAST_TRUST) * starts.max(axis=0)[:, None]
    nearest = CLOSEST - extremes[..., 2].min()
    # Parallel rays to begin with: the scene as if from far away.
    offsets = np.tile([0.0, 0.0, 1e6], (len(starts), 1))
    weights = starts[:, :, None] * everyone
    for turn in range(rounds):
        moved = extremes[None] + offsets[:, None, None, :]
        flat = moved[..., :2] / moved[..., 2:]
        # Outermost point on each side: left, right, top, bottom.
        along = np.repeat(flat, 2, axis=-1) * sign
        pick = along.argmin(axis=2)
        points = np.take_along_axis(extremes[None], pick[..., None], axis=2)
        depth = points[..., 2] + offsets[:, None, None, 2]
        if turn:
            at = np.take_along_axis(along, pick[:, :, None, :], axis=2)[:, :, 0] * sign
            residual = (at - slopes) * focal
            counted = starts[:, :, None] if turn < ALONE_ROUNDS else 1.0
            weights = counted * everyone / (1 + (residual / tolerance) ** 2)
        # x / z = slope on the left and right, y / z = slope above and below, each with the offset added.
        rows = np.zeros((*pick.shape, 3))
        rows[..., :2, 0], rows[..., 2:, 1] = 1.0, 1.0
        rows[..., 2] = -slopes
        wanted = slopes * points[..., 2] - points[..., np.arange(4), np.array([0, 0, 1, 1])]
        weights = weights * (focal / np.maximum(depth, CLOSEST)) ** 2
        weights = weights / weights.max(axis=(1, 2), keepdims=True)
        normal = np.einsum("hns,hnsi,hnsj->hij", weights, rows, rows) + 1e-9 * np.eye(3)
        right = np.einsum("hns,hnsi,hns->hi", weights, rows, wanted)
        offsets = np.linalg.solve(normal, right[..., None])[..., 0]
        offsets[:, 2] = np.maximum(offsets[:, 2], nearest)
    return offsets


def overlaps(samples: Floats, offsets: Floats, observation: Observation) -> Integers:
    """How meshes, drawn as points, cover the masks.

    Args:
        samples: (M, S, 3) surface points of each mesh, turned into picture axes.
        offsets: (H, 3).
        observation: small, so that the points are dense in it.

    Returns:
        (H, M, 1 + N): covered pixels of each mesh that lie on background or outside the picture, and on each mask.
    """
    lens = observation.lens
    moved = samples[None] + offsets[:, None, None, :]
    pixels = lens.project(moved)
    # A rim of one pixel stands for everything outside.
    across = np.clip(np.floor(pixels[..., 0]) + 1, 0, lens.width + 1).astype(np.int64)
    down = np.clip(np.floor(pixels[..., 1]) + 1, 0, lens.height + 1).astype(np.int64)
    labels = np.pad(np.maximum(observation.labels, 0), 1)
    counts = (len(offsets), len(samples))
    owner = np.arange(counts[0] * counts[1]).reshape(*counts, 1)
    covered = np.zeros(counts[0] * counts[1] * labels.size, dtype=bool)
    covered[(owner * labels.size + down * (lens.width + 2) + across).reshape(-1)] = True
    kinds = np.zeros((labels.size, 1 + len(observation.distance)), dtype=np.float32)
    kinds[np.arange(labels.size), labels.reshape(-1)] = 1
    found: Integers = (covered.reshape(*counts, -1).astype(np.float32) @ kinds).astype(np.int64)
    return found


def agreement(overlap: Integers, areas: Integers) -> Floats:
    """(H,) score of poses: mean square, over the instances, of overlap over union; mesh n belongs to mask n.

    What a mesh covers of other masks counts for nothing, as it may be hidden there. The square makes some instances
    in full agreement worth more than all of them half.
    """
    own = np.einsum("hnn->hn", overlap[:, :, 1:])
    score: Floats = ((own / np.maximum(areas + overlap[:, :, 0], 1)) ** 2).mean(axis=1)
    return score


def _starts(areas: Integers) -> Floats:
    """(H, N): all instances, and each of the largest alone."""
    seen = (areas > 0).astype(np.float64)
    largest = np.argsort(-areas, kind="stable")[:MOST_STARTS]
    alone = np.eye(len(areas))[[place for place in largest if areas[place] > 0]]
    return np.concatenate([seen[None], alone]) if len(areas) > 1 else seen[None]
