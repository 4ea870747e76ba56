"""Where the prop stands: upright, its front towards the camera that took the first photo, as large as it is seen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.pipelines.base import Context
from backend.pipelines.instantmesh import InstantMeshParameters
from backend.registration import Box, register
from backend.registration.props import stand
from backend.scene import Mesh, Prop
from backend.shot import InstanceMap, Shot

Floats = NDArray[np.float64]

FRONT = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From the frame of the reconstruction, in which the photo is taken from +x, to a prop's: its front is -y, as Blender's
front view sees it."""

STEEP = 0.05
"""Of a ray's horizontal part: below that the camera looks straight down, where behind is what the picture has above, or
straight up, where it is what the picture has below."""


def place(mesh: Mesh, instance: int, shot: Shot, parameters: InstantMeshParameters, context: Context) -> Prop:
    """The prop in the world.

    Its turn is known: the photo's camera looks at its front. Place and size come from the registration, which makes the
    silhouette agree with the mask, with the whole outline where that is known; `size` sets another size about the foot.

    Args:
        mesh: its front is -y, see `FRONT`; any unit.
    """
    box = Box.of(shot.boxes[instance]) if instance in shot.boxes else None
    name, mask = shot.instances.names[instance], shot.whole_mask(instance)
    instances, depth = shot.instances, shot.depth
    if instance in shot.outlines:  # alone, nothing stands before it
        instances = InstanceMap(np.where(mask, np.uint16(instance), np.uint16(0)), {instance: name})
        depth = shot.whole_depth(instance)
    registration = register(
        {instance: mesh},
        instances,
        shot.camera,
        depth=depth,
        bounds={} if box is None else {instance: box},
        yaw=facing(shot.camera, mask),
        seed=context.seed,
    )
    for warning in registration.warnings:
        if warning.code == "mesh-missing":
            continue  # the others are placed one by one, too
        context.warn(warning.code, warning.message, warning.hint, instance)
    prop = stand(instance, name, mesh, registration, box=box, snap=parameters.snap, to_ground=parameters.to_ground)
    prop.quality |= {
        "mask_iou": registration.iou.get(instance),
        "scale": registration.scale,
        "scale_source": registration.scale_source,
    }
    if parameters.size:
        used = prop.mesh.vertices[np.unique(prop.mesh.faces)]
        factor = parameters.size / float(np.ptp(used, axis=0).max())
        prop.mesh.vertices *= factor
        prop.quality |= {"scale_source": "size", "scale": registration.scale * factor}
        prop.placement = "size"
    return prop


def facing(camera: Camera, mask: NDArray[np.bool_]) -> float:
    """Degrees by which an object is turned about the vertical so that its front, -y, looks towards the camera.

    mask: HxW, the object in the camera's picture.
    """
    rows, columns = np.nonzero(mask)
    x = (float(columns.mean()) + 0.5 - camera.cx) / camera.fx
    y = (float(rows.mean()) + 0.5 - camera.cy) / camera.fy
    axes = camera.matrix[:3, :3]
    ray = axes @ np.array([x, -y, -1.0])
    back: Floats = -ray[:2] / np.linalg.norm(ray)
    if np.linalg.norm(back) < STEEP:
        back = np.sign(ray[2]) * axes[:2, 1]
    return math.degrees(math.atan2(back[0], -back[1]))
