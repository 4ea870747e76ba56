"""Which mesh belongs to which mask, where nothing says so.

For every yaw each mesh is laid over each mask (the largest ones), which fixes where the camera stands; all meshes
are drawn from there, and the overlaps with all masks are matched (Hungarian method, Kuhn 1955). The best matchings
are fitted in full, and the one with the best score stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from backend.camera import Camera
from backend.errors import Problem
from backend.registration.fit import COARSE, FACES, Registration, has_surface, register
from backend.registration.model import Model, tidy
from backend.registration.observation import Observation
from backend.registration.pose import picture_from_world, upright
from backend.registration.search import ALONE_ROUNDS, overlaps, place
from backend.registration.snap import Box
from backend.scene import Mesh
from backend.shot import InstanceMap

Floats = NDArray[np.float64]

YAWS = 36
MOST = 6
"""Largest meshes and largest masks that are laid over each other."""

MATCHED = 4
"""Best places of each yaw whose matching is worked out."""

FITTED = 3
"""Most matchings that are fitted in full."""

CONVINCING = 0.9
"""Mean overlap from which no other matching is tried."""


def register_unnamed(
    meshes: Sequence[Mesh],
    instances: InstanceMap,
    camera: Camera,
    *,
    depth: NDArray[np.floating[Any]] | None = None,
    bounds: Mapping[int, Box] | None = None,
    ground: bool = True,
    tilt: bool = False,
    seed: int = 0,
) -> tuple[Registration, dict[int, int]]:
    """Like `register`, for meshes whose instances are not known.

    Returns:
        The registration, and for each instance that got a mesh its place in `meshes`.

    Raises:
        Problem: as `register`.
    """
    options: dict[str, Any] = {"depth": depth, "bounds": bounds, "ground": ground, "tilt": tilt, "seed": seed}
    best: tuple[Registration, dict[int, int]] | None = None
    for matching in matchings(meshes, instances, camera, seed)[:FITTED]:
        found = register({number: meshes[at] for number, at in matching.items()}, instances, camera, **options)
        # Fewer pairs are a smaller claim: what is left without a partner counts as no agreement.
        if best is None or found.score * len(found.iou) > best[0].score * len(best[0].iou):
            best = found, matching
        if best[0].mean_iou >= CONVINCING:
            break
    if best is None:
        raise Problem("geometry-failed", "No mesh could be matched with an instance of the map.")
    return best


def matchings(meshes: Sequence[Mesh], instances: InstanceMap, camera: Camera, seed: int) -> list[dict[int, int]]:
    """Ways to match, likeliest first: instance id -> place in `meshes`."""
    usable = {at: tidy(mesh, FACES) for at, mesh in enumerate(meshes) if has_surface(mesh)}
    if not usable:
        raise Problem("geometry-failed", "None of the meshes has a surface, so there is nothing to place.")
    ids = sorted(instances.names)
    model = Model.of(usable, FACES, seed)
    observation = Observation.of(instances.labels, ids, camera, None, COARSE)
    areas = observation.areas()
    sides, trust = observation.sides()
    volume = np.linalg.norm(model.high - model.low, axis=1)
    large_masks = [mask for mask in np.argsort(-areas, kind="stable")[:MOST] if areas[mask] > 0]
    large_meshes = np.argsort(-volume, kind="stable")[:MOST]
    if not large_masks:
        raise Problem("instances-empty", "The masks are too small to place anything by.")
    mesh, mask = (pairs.reshape(-1) for pairs in np.meshgrid(large_meshes, large_masks, indexing="ij"))

    scores: dict[tuple[tuple[int, int], ...], float] = {}
    for yaw in np.arange(YAWS) * 2 * np.pi / YAWS:
        rotation = picture_from_world(camera) @ upright(yaw)
        extremes, samples = model.extremes @ rotation.T, model.samples @ rotation.T
        offsets = place(extremes[mesh], sides[mask], trust[mask], np.eye(len(mesh)), observation.lens, ALONE_ROUNDS)
        likeness = _likeness(overlaps(samples, offsets, observation), areas)
        for start in np.argsort(-likeness.max(axis=2).sum(axis=1))[:MATCHED]:
            pairs = _matched(likeness[start])
            chosen, partner = pairs.T
            # All pairs together tell the place better than the one it began from.
            everyone = np.ones((1, len(pairs)))
            offset = place(extremes[chosen], sides[partner], trust[partner], everyone, observation.lens)
            again = _likeness(overlaps(samples, offset, observation), areas)[0]
            pairs = _matched(again)
            key = tuple(sorted((ids[second], int(model.ids[first])) for first, second in pairs))
            scores[key] = max(scores.get(key, 0.0), float(again[pairs[:, 0], pairs[:, 1]].sum()))
    return [dict(key) for key in sorted(scores, key=lambda key: -scores[key])]


def _likeness(overlap: NDArray[np.int64], areas: NDArray[np.int64]) -> Floats:
    """(H, M, N) squared overlap over union of every mesh with every mask."""
    covered = overlap.sum(axis=2, keepdims=True)
    union = np.maximum(areas + covered - overlap[:, :, 1:], 1)
    likeness: Floats = (overlap[:, :, 1:] / union) ** 2
    return likeness


def _matched(likeness: Floats) -> NDArray[np.int64]:
    """(K, 2) mesh and mask of each pair of the best matching."""
    return np.stack(linear_sum_assignment(likeness, maximize=True), axis=1)
