"""Cameras that look at an object in the origin: poses, the vectors that condition the networks, and rays.

World: right-handed, z up. A pose is a camera-to-world matrix with OpenGL axes: x right, y up, −z ahead. Azimuth 0 is on
the +x axis and grows towards +y (the camera moves to its right); elevation is the angle above the ground. Intrinsics
are in units of the image size. Angles are in degrees.

The six slots are those of Zero123++ v1.2 (Shi et al. 2023, arXiv 2310.15110): azimuths relative to the input picture,
absolute elevations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from models.lrm.single_view import SingleViewConfig

SLOT_AZIMUTHS = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
SLOT_ELEVATIONS = (20.0, -10.0, 20.0, -10.0, 20.0, -10.0)
RADIUS = 4.0
FIELD_OF_VIEW = 30.0

FOCAL, CENTRE = 0.75, 0.5
LENS = torch.tensor([[FOCAL, 0.0, CENTRE], [0.0, FOCAL, CENTRE], [0.0, 0.0, 1.0]])
"""Intrinsics [3, 3] of OpenLRM and MIRA: 24 mm before a sensor of 32 mm, 67.4 degrees."""

SOURCE_DISTANCE = 2.0
ORBIT_RADIUS, ORBIT_HEIGHT, ORBIT_VIEWS = 2.0, 0.8, 160
FRONT = -90.0  # azimuth from which the single picture of OpenLRM and MIRA is taken

Orbit = Literal["mira", "openlrm-1.0", "openlrm-1.1"]
"""The first two stop one step before the beginning, the last one shows it twice."""

Angles = Sequence[float] | Tensor


def spherical_poses(azimuths: Angles, elevations: Angles, radius: float | Angles = RADIUS) -> Tensor:
    """Poses [V, 4, 4] float32 on a sphere, looking at its centre with the z axis up in the picture.

    The right axis follows from the azimuth alone, so views from straight above or below are defined too.

    Args:
        azimuths, elevations: V angles each.
        radius: one for all, or V.

    Raises:
        ValueError: not as many elevations (or radii) as azimuths, or a number that is not finite.
    """
    azimuth, elevation, distance = (
        torch.as_tensor(values, dtype=torch.float64).reshape(-1) for values in (azimuths, elevations, radius)
    )
    if len(elevation) != len(azimuth) or len(distance) not in (1, len(azimuth)):
        raise ValueError(f"{len(azimuth)} azimuths with {len(elevation)} elevations and {len(distance)} radii.")
    if not all(bool(values.isfinite().all()) for values in (azimuth, elevation, distance)):
        raise ValueError("An azimuth, an elevation or a radius is not a finite number.")
    a, e = azimuth.deg2rad(), elevation.deg2rad()
    right = torch.stack([-a.sin(), a.cos(), torch.zeros_like(a)], dim=1)
    backward = torch.stack([e.cos() * a.cos(), e.cos() * a.sin(), e.sin()], dim=1)
    poses = torch.zeros(len(a), 4, 4, dtype=torch.float64)
    poses[:, :3] = torch.stack(
        [right, torch.linalg.cross(backward, right), backward, backward * distance[:, None]], dim=2
    )
    poses[:, 3, 3] = 1.0
    return poses.float()


def circular_poses(count: int, radius: float, elevation: float, start: float = 0.0) -> Tensor:
    """Poses [count, 4, 4] once around the object, at even angles from azimuth `start`, the end excluded."""
    azimuths = start + torch.arange(count, dtype=torch.float64) * (360.0 / count)
    return spherical_poses(azimuths, torch.full_like(azimuths, elevation), radius)


def canonical_pose(distance: float = SOURCE_DISTANCE) -> Tensor:
    """The pose [4, 4] float32 of the single picture of OpenLRM and MIRA: at (0, −distance, 0), looking along +y.

    Raises:
        ValueError: the distance is not a positive number.
    """
    if not 0.0 < distance < math.inf:
        raise ValueError(f"The distance of a camera is a positive number, not {distance}.")
    # Written out, because the sine of a right angle is not quite 1 in floating point.
    return torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, -distance], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def source_vectors(config: SingleViewConfig, distance: float | Angles = SOURCE_DISTANCE) -> Tensor:
    """What a single-view network is told of the camera of its pictures: [N, 16], or [N, 20] for MIRA.

    Args:
        config: of the network.
        distance: one for each picture; a single number gives N = 1.

    Raises:
        ValueError: a distance is not a positive number.
    """
    distances = torch.as_tensor(distance, dtype=torch.float64).reshape(-1).tolist()
    poses = torch.stack([canonical_pose(each) for each in distances])
    return camera_vectors(poses, LENS, rows=4 if config.camera_numbers == 20 else 3)


def normalised_poses(poses: Tensor, source: int, distance: float | None = None) -> Tensor:
    """The poses moved, all together, so that one of them becomes the canonical pose of single-view networks.

    Args:
        poses: [V, 4, 4] camera-to-world, float32 or float64.
        source: the one that becomes canonical.
        distance: that it gets; None: its own from the origin.

    Returns:
        [V, 4, 4] of the type of the poses.

    Raises:
        ValueError: no camera-to-world matrices, or the source camera is in the origin.
    """
    if poses.dim() != 3 or poses.shape[1:] != (4, 4) or not bool(poses.isfinite().all()):
        raise ValueError(f"Poses are finite matrices [V, 4, 4], not {list(poses.shape)} or with other numbers.")
    exact = poses.double()
    rotation = exact[source, :3, :3]
    if float((rotation @ rotation.T - torch.eye(3, dtype=torch.float64, device=poses.device)).abs().max()) > 1e-3:
        raise ValueError(f"Pose {source} does more than turn and move; scaled or mirrored cameras cannot be used.")
    if distance is None:
        distance = float(exact[source, :3, 3].norm())
    canonical = canonical_pose(distance).to(exact)
    canonical[1, 3] = -distance  # unrounded
    moved: Tensor = canonical @ torch.linalg.inv(exact[source]) @ exact
    return moved.to(poses.dtype)


def orbit_poses(convention: Orbit, count: int = ORBIT_VIEWS) -> Tensor:
    """Poses [count, 4, 4] once around the object from the source's side, seen from a little above, as published.

    Raises:
        ValueError: less than one view.
    """
    if count < 1:
        raise ValueError(f"An orbit has at least one view, not {count}.")
    steps = max(count - 1, 1) if convention == "openlrm-1.1" else count
    azimuths = FRONT + torch.arange(count, dtype=torch.float64) * (360.0 / steps)
    elevation = math.degrees(math.asin(ORBIT_HEIGHT / ORBIT_RADIUS))
    return spherical_poses(azimuths, torch.full_like(azimuths, elevation), ORBIT_RADIUS)


def pinhole(field_of_view: float = FIELD_OF_VIEW) -> Tensor:
    """Intrinsics [3, 3] float32 of a square picture with its centre in the middle.

    Raises:
        ValueError: the angle is not between 0 and 180.
    """
    if not 0.0 < field_of_view < 180.0:
        raise ValueError(f"A field of view is between 0 and 180 degrees, not {field_of_view}.")
    focal = 0.5 / math.tan(math.radians(field_of_view) / 2)
    return torch.tensor([[focal, 0.0, 0.5], [0.0, focal, 0.5], [0.0, 0.0, 1.0]])


def camera_vectors(poses: Tensor, intrinsics: Tensor, rows: int = 3) -> Tensor:
    """What the networks are told of a camera: rows of its pose, one after the other, then fx, fy, cx, cy.

    Args:
        poses: [V, 4, 4].
        intrinsics: [3, 3] for all, or [V, 3, 3].
        rows: of the pose; 3 gives [V, 16] (InstantMesh, OpenLRM), 4 gives [V, 20].
    """
    lens = intrinsics.expand(len(poses), 3, 3)
    numbers = torch.stack([lens[:, 0, 0], lens[:, 1, 1], lens[:, 0, 2], lens[:, 1, 2]], dim=1)
    return torch.cat([poses[:, :rows].flatten(1), numbers.to(poses)], dim=1)


def view_cameras(
    azimuths: Angles,
    elevations: Angles,
    radius: float | Angles = RADIUS,
    field_of_view: float = FIELD_OF_VIEW,
) -> Tensor:
    """Camera vectors [V, 16] of any views of the object. Arguments and errors: `spherical_poses`, `pinhole`."""
    return camera_vectors(spherical_poses(azimuths, elevations, radius), pinhole(field_of_view))


def slot_cameras(
    radius: float = RADIUS, field_of_view: float = FIELD_OF_VIEW, slots: Sequence[int] = range(6)
) -> Tensor:
    """Camera vectors [V, 16] of places on the sheet of Zero123++, by default all six in order.

    A smaller radius says that the same pictures were taken from nearer, and gives a smaller object.
    """
    return view_cameras(
        [SLOT_AZIMUTHS[slot] for slot in slots], [SLOT_ELEVATIONS[slot] for slot in slots], radius, field_of_view
    )


def camera_rays(poses: Tensor, intrinsics: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Origins and unit directions, [V, height · width, 3] each, of the rays through the pixel centres, row by row.

    Args:
        poses: [V, 4, 4].
        intrinsics: [3, 3] for all, or [V, 3, 3].
    """
    rows, columns = (torch.arange(size, device=poses.device) + 0.5 for size in (height, width))
    return _rays(poses, intrinsics, (rows / height)[None], (columns / width)[None])


def patch_rays(
    poses: Tensor, intrinsics: Tensor, anchors: Tensor, resolutions: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Rays of a square part of each view, [V, size · size, 3] each, as `camera_rays` gives those of the whole.

    Args:
        poses: [V, 4, 4].
        intrinsics: [3, 3] for all, or [V, 3, 3]; of the whole views.
        anchors: [V, 2], row and column of each part's first pixel.
        resolutions: [V], sides in pixels of the whole views.
        size: side of the parts.

    Raises:
        ValueError: a part reaches beyond its view.
    """
    anchors, resolutions = anchors.to(poses.device).round().long(), resolutions.to(poses.device).round().long()
    if bool((anchors < 0).any()) or bool((anchors + size > resolutions[:, None]).any()):
        raise ValueError(f"Parts of {size} pixels at {anchors.tolist()} reach beyond views of {resolutions.tolist()}.")
    steps = torch.arange(size, device=poses.device) + 0.5
    rows, columns = ((anchors[:, axis, None] + steps) / resolutions[:, None] for axis in range(2))
    return _rays(poses, intrinsics, rows, columns)


def _rays(poses: Tensor, intrinsics: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Rays through all crossings of rows [V or 1, height] and columns [V or 1, width], 0 … 1 from the upper left."""
    lens = intrinsics.expand(len(poses), 3, 3).to(poses)
    x = (columns.to(poses) - lens[:, 0, 2:]) / lens[:, 0, :1]
    y = (rows.to(poses) - lens[:, 1, 2:]) / lens[:, 1, 1:2]
    across, down = x[:, None, :].expand(-1, y.shape[1], -1), y[:, :, None].expand(-1, -1, x.shape[1])
    ahead = torch.stack([across, -down, -torch.ones_like(across)], dim=3).flatten(1, 2)
    directions = torch.nn.functional.normalize(ahead @ poses[:, :3, :3].transpose(1, 2), dim=2)
    return poses[:, None, :3, 3].expand_as(directions), directions
