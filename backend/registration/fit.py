"""From meshes in a frame of their own to the world: coarse search, refinement, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.contract import Warning
from backend.errors import Problem
from backend.registration import evidence
from backend.registration.model import Model, tidy
from backend.registration.observation import Observation
from backend.registration.pose import Pose, picture_from_world
from backend.registration.refine import Fit, Knowledge, draw, first_scale, overlap_by_instance, refine
from backend.registration.search import search, yaw_between
from backend.registration.snap import Box
from backend.scene import Mesh
from backend.shot import InstanceMap

Floats = NDArray[np.float64]
ScaleSource = Literal["depth", "ground", "bounds", "assumed"]

COARSE, MEDIUM, FINE, MEASURED = 40, 112, 256, 640
"""Longer side in pixels of the pictures for search, first and second refinement, and the last, on which the overlap is
reported."""

LEAST_PIXELS = 4
"""Where more than half of the masks are smaller than that in the coarse picture, it is too coarse."""

CANDIDATES, FINALISTS = 8, 2
MEDIUM_TOLERANCES = np.geomspace(12.0, 2.0, 6)
SCALED_TOLERANCES = np.array([2.0, 2.0])
FINE_TOLERANCES = np.geomspace(6.0, 1.5, 5)
LAST_TOLERANCES = np.array([2.0, 1.5])
"""Pixels, one Gauss-Newton step each."""

FACES, MEASURED_FACES = 3000, 12000
"""Most triangles of a mesh while fitting and for the reported overlap."""

RIVAL = np.radians(15.0)
"""A pose of a yaw so different is another answer, not the same one less exactly."""

CLEAR = 0.1
"""Lead over the best rival, as a share of the score, from which the yaw is clear."""

ENOUGH_PIXELS = 400
"""Masks with fewer pixels in all agree with anything."""

CONTRADICTION = 0.1
"""Ground and depth (or boxes) that differ in scale by this share contradict each other."""


@dataclass(frozen=True)
class Registration:
    """How a scene stands in the world.

    similarity: (4, 4) world from the meshes' frame: uniform scale, turn about z (and tilt where asked), translation.
    scale: metres per unit of that frame. yaw: the turn about z, degrees. tilt: degrees away from upright.
    iou: per instance with mesh and mask, intersection over union of its visible part with its mask, 0 to 1.
    mean_iou: their mean. outline_error: per instance, mean distance of its visible outline from its mask's, pixels
    of the picture; NaN where nothing of the outline can be compared.
    confidence: 0 to 1: how well the better two thirds of the instances agree with their masks, less where another yaw
    does nearly as well, or where the masks have but few pixels.
    rival_yaw: the yaw of the best other answer, degrees; None where the search met no other. lead: by which share
    its score stays behind.
    scale_source: what fixes the scale. ground_gap: metres from the scene's standing level down to z = 0; NaN without
    ground. depth_error: median relative deviation from the given depth where masks agree; NaN without depth.
    """

    similarity: Floats
    scale: float
    yaw: float
    tilt: float
    iou: dict[int, float]
    mean_iou: float
    outline_error: dict[int, float]
    confidence: float
    score: float
    rival_yaw: float | None
    lead: float
    scale_source: ScaleSource
    ground_gap: float
    depth_error: float
    warnings: list[Warning] = field(default_factory=list)

    def apply(self, points: Any) -> Floats:
        """World points (..., 3) of points (..., 3) in the meshes' frame."""
        moved: Floats = np.asarray(points, dtype=np.float64) @ self.similarity[:3, :3].T + self.similarity[:3, 3]
        return moved


def register(
    meshes: Mapping[int, Mesh],
    instances: InstanceMap,
    camera: Camera,
    *,
    depth: NDArray[np.floating[Any]] | None = None,
    bounds: Mapping[int, Box] | None = None,
    ground: bool = True,
    tilt: bool = False,
    yaw: float | None = None,
    seed: int = 0,
) -> Registration:
    """Find the similarity that makes the meshes' silhouettes agree with the masks.

    Args:
        meshes: instance id -> mesh, all in one frame, z up, of any scale, place and turn about z.
        instances: the masks; ids without a mesh may hide others and are otherwise left out, as are meshes whose id
            does not occur.
        camera: of the picture that the masks belong to.
        depth: HxW planar metres, NaN where unknown; of the set itself or of its block-out.
        bounds: instance id -> the box it belongs into.
        ground: most meshes stand on z = 0.
        tilt: look for a tilt away from upright too.
        yaw: the turn about z in degrees, where it is known; only place and scale are looked for then.
        seed: where chance starts from; the same input gives the same answer.

    Raises:
        Problem: "instances-mismatch", "depth-mismatch", "instances-empty" (no instance with mesh and mask),
            "geometry-failed" (no mesh can be used).
    """
    _check_sizes(instances, camera, depth)
    usable, warnings = _usable(meshes, instances)
    surfaces = {number: tidy(mesh, MEASURED_FACES) for number, mesh in usable.items()}
    model = Model.of(surfaces, FACES, seed)
    bounds = {number: box for number, box in (bounds or {}).items() if number in usable}
    knowledge = Knowledge(model, camera, bounds, ground, tilt, None if yaw is None else float(np.radians(yaw)))
    known = None if depth is None else np.where(np.asarray(depth) > 0, depth, np.nan).astype(np.float64)

    def observe(longest: int) -> Observation:
        return Observation.of(instances.labels, model.ids.tolist(), camera, known, longest)

    measured = observe(MEASURED)
    if not measured.areas().any():
        raise Problem("instances-empty", "The masks are too small to place anything by.")
    coarse, medium = observe(COARSE), observe(MEDIUM)
    if np.count_nonzero(coarse.areas() >= LEAST_PIXELS) < np.count_nonzero(measured.areas()) / 2:
        coarse = medium if medium.areas().any() else measured
    knowledge, fit, others = _best(knowledge, coarse, medium, observe(FINE))
    fit = refine(fit.pose, knowledge, measured, LAST_TOLERANCES)
    others = sorted((other for other in others if yaw_between(fit.pose, other.pose) > RIVAL), key=lambda it: -it.score)
    # The rival is compared at the same size: in a smaller picture every overlap is a little less.
    rival = refine(others[0].pose, knowledge, measured, LAST_TOLERANCES) if others else None
    return _report(fit, rival, knowledge, measured, Model.of(surfaces, MEASURED_FACES, seed), warnings)


def _best(
    knowledge: Knowledge, coarse: Observation, medium: Observation, fine: Observation
) -> tuple[Knowledge, Fit, list[Fit]]:
    """The best pose, all others that the search looked at, and the knowledge without a ground that is contradicted."""
    candidates = search(knowledge.model, coarse, knowledge.camera, CANDIDATES, knowledge.yaw)
    # The picture alone first: a scale from a pose still far off would only mislead.
    bare = replace(knowledge, bounds={}, ground=False, tilt=False)
    silent = medium.without_depth()
    fits = []
    for candidate in candidates:
        pose = refine(candidate.pose, bare, silent, MEDIUM_TOLERANCES).pose
        fits.append(refine(first_scale(pose, knowledge, medium), knowledge, medium, SCALED_TOLERANCES))
    fits.sort(key=lambda fit: -fit.score)
    if _contradicted(fits[0].pose, knowledge, medium):
        knowledge = replace(knowledge, ground=False)
    distinct: list[Fit] = []
    for fit in fits:
        if all(yaw_between(fit.pose, other.pose) > RIVAL / 5 for other in distinct):
            distinct.append(fit)
    # A finalist far behind would not catch up.
    finalists = [fit for fit in distinct[:FINALISTS] if fit.score >= (1 - 2 * CLEAR) * distinct[0].score]
    refined = [refine(fit.pose, knowledge, fine, FINE_TOLERANCES) for fit in finalists]
    refined.sort(key=lambda fit: -fit.score)
    return knowledge, refined[0], [*refined[1:], *distinct[len(finalists) :]]


def _contradicted(pose: Pose, knowledge: Knowledge, observation: Observation) -> bool:
    """Whether the ground gives another scale than depth or boxes do, as when a set stands on a table."""
    if not knowledge.ground or (observation.log_depth is None and not knowledge.bounds):
        return False
    told = first_scale(pose, replace(knowledge, ground=False), observation)
    level = evidence.standing_level(knowledge.model, told.turn)
    row = evidence.ground(told, level, knowledge.camera, 1 / observation.lens.fy)
    if row is None:
        return True
    # A camera near the ground sees so little of it that its scale is coarse by itself.
    deviation = 1 / float(row.derivative[0, 6])
    return abs(float(row.residual[0])) * deviation > max(
        CONTRADICTION if observation.log_depth is not None else 3 * CONTRADICTION, 5 * deviation
    )


def _report(
    fit: Fit, rival: Fit | None, knowledge: Knowledge, observation: Observation, model: Model, warnings: list[Warning]
) -> Registration:
    """Measure a fit at the size of the picture, with nearly all triangles."""
    pose, camera = fit.pose, knowledge.camera
    ids = model.ids.tolist()
    view = draw(pose, model, camera, observation)
    iou = overlap_by_instance(view, observation, len(ids))
    rows = evidence.outlines(pose, view, observation, camera, 1.0)
    enlarged = evidence.OUTLINE_NOISE * camera.width / observation.lens.width
    error = {
        number: float(np.mean(np.abs(rows.residual[rows.owner == place]))) * enlarged
        if (rows.owner == place).any()
        else float("nan")
        for place, number in enumerate(ids)
    }
    lead = 1.0 if rival is None else max(0.0, 1 - rival.score / max(fit.score, 1e-9))
    shared = np.sort(np.nan_to_num(iou))[::-1]
    most = float(shared[: -(-2 * len(shared) // 3)].mean())
    enough = min(1.0, int(observation.areas().sum()) / ENOUGH_PIXELS)
    level = evidence.standing_level(model, pose.turn)
    similarity = pose.similarity(model, camera)
    standing = level + float(picture_from_world(camera)[:, 2] @ pose.offset)
    gap = camera.position[2] + np.exp(pose.log_scale) * standing if knowledge.ground else float("nan")
    depth_error = _depth_error(fit, view.depth, view.labels, observation)
    source: ScaleSource = "depth" if np.isfinite(depth_error) else _scale_source(pose, knowledge)
    if source == "assumed":
        warnings.append(
            Warning(
                code="scale-assumed",
                message=f"Nothing tells the scale; the scene is placed {evidence.ASSUMED_DISTANCE:g} m away.",
                hint="Give depth, block-out bounds, or stand the camera above the ground.",
            )
        )
    return Registration(
        similarity=similarity,
        scale=float(np.exp(pose.log_scale)) / model.radius,
        yaw=float(np.degrees(pose.yaw)),
        tilt=float(np.degrees(np.arccos(np.clip(pose.turn[2, 2], -1, 1)))),
        iou={number: float(np.nan_to_num(value)) for number, value in zip(ids, iou, strict=True)},
        mean_iou=float(np.nan_to_num(iou).mean()),
        outline_error=error,
        confidence=most * enough * (0.5 + 0.5 * min(1.0, lead / CLEAR)),
        score=fit.score,
        rival_yaw=None if rival is None else float(np.degrees(rival.pose.yaw)),
        lead=lead,
        scale_source=source,
        ground_gap=float(gap),
        depth_error=depth_error,
        warnings=warnings,
    )


def _scale_source(pose: Pose, knowledge: Knowledge) -> ScaleSource:
    """What fixes the scale where depth does not."""
    level = evidence.standing_level(knowledge.model, pose.turn)
    if knowledge.ground and evidence.ground(pose, level, knowledge.camera, 1.0) is not None:
        return "ground"
    return "bounds" if knowledge.bounds else "assumed"


def _depth_error(fit: Fit, depth: Floats, labels: NDArray[np.int64], observation: Observation) -> float:
    if observation.log_depth is None:
        return float("nan")
    both = (labels > 0) & (labels == observation.labels) & np.isfinite(observation.log_depth)
    if not both.any():
        return float("nan")
    return float(np.median(np.abs(np.expm1(fit.pose.log_scale + np.log(depth[both]) - observation.log_depth[both]))))


def _check_sizes(instances: InstanceMap, camera: Camera, depth: NDArray[np.floating[Any]] | None) -> None:
    height, width = instances.labels.shape
    if (width, height) != (camera.width, camera.height):
        detail = (
            f"The instance map is {width} × {height} pixels and the camera's picture {camera.width} × {camera.height}."
        )
        raise Problem("instances-mismatch", detail)
    if depth is not None and depth.shape != (height, width):
        detail = f"The depth is {depth.shape[::-1]} pixels and the instance map {width} × {height}."
        raise Problem("depth-mismatch", detail)


def _usable(meshes: Mapping[int, Mesh], instances: InstanceMap) -> tuple[dict[int, Mesh], list[Warning]]:
    """The meshes that can be compared with a mask, and a warning for each that cannot."""
    warnings, usable, sound = [], {}, 0
    for number, mesh in sorted(meshes.items()):
        if not has_surface(mesh):
            message = f"The mesh of instance {number} is empty or broken; it is left out."
            warnings.append(Warning(code="mesh-unusable", message=message, instance=number))
            continue
        sound += 1
        if number in instances.names:
            usable[number] = mesh
        else:
            message = f"Instance {number} does not occur in the instance map; its mesh goes along with the others."
            warnings.append(Warning(code="instance-unseen", message=message, instance=number))
    if not sound:
        raise Problem("geometry-failed", "None of the meshes has a surface, so there is nothing to place.")
    if not usable:
        masks, have = sorted(instances.names)[:20], sorted(meshes)[:20]
        detail = f"No mesh belongs to an instance of the map: meshes have the ids {have}, masks {masks}."
        raise Problem("instances-empty", detail, "Give meshes and masks the same ids.")
    for number in sorted(set(instances.names) - set(meshes)):
        message = f"Instance {number} has no mesh; its mask is left out."
        warnings.append(Warning(code="mesh-missing", message=message, instance=number))
    return usable, warnings


def has_surface(mesh: Mesh) -> bool:
    """Whether a mesh has triangles, all of them finite, and not all without area."""
    corners = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
    if not len(corners) or not np.isfinite(corners).all():
        return False
    return bool(np.any(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])))
