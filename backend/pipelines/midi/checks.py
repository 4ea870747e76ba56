"""What is worth saying before the long wait: which objects MIDI will make badly, and which it cannot make."""

from __future__ import annotations

import math

import numpy as np

from backend.camera import Camera
from backend.errors import Problem
from backend.pipelines.context import Context
from backend.pipelines.midi import MidiParameters
from backend.shot import InstanceMap, Shot

ELEVATIONS = (0.0, 30.0)
"""Degrees by which the camera looked down on MIDI's training scenes."""

TOLERANCE = 1.0
"""Degrees beyond those that are not worth a word."""

USUAL_INSTANCES = 7


def examine(shot: Shot, parameters: MidiParameters, context: Context) -> InstanceMap:
    """Warn of what will come out badly, and leave out what is too small.

    Returns:
        The instances that are generated, with everything else as background.

    Raises:
        Problem: "instances-empty" if no instance is large enough.
    """
    _look_at_camera(shot, context)
    kept: dict[int, str] = {}
    for instance, name in shot.instances.names.items():
        mask = shot.instances.mask(instance)
        pixels = int(np.count_nonzero(mask))
        title = shot.title(instance)
        if pixels < parameters.smallest_mask:
            message = f"{title} has only {pixels} visible pixels and was left out."
            hint = "Bring the camera closer, render larger, or lower Smallest mask."
            context.warn("instance-too-small", message, hint, instance)
            continue
        kept[instance] = name
        if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
            message = f"{title} is cut by the border of the picture; its missing part will be guessed."
            context.warn("instance-cut", message, "Move the camera until all of it is seen.", instance)
    if not kept:
        detail = f"No object has {parameters.smallest_mask} visible pixels."
        raise Problem("instances-empty", detail, "Bring the camera closer, or lower Smallest mask.")
    if len(kept) > USUAL_INSTANCES:
        message = f"There are {len(kept)} objects; MIDI knows scenes of up to {USUAL_INSTANCES}, so quality may suffer."
        if len(kept) > parameters.instances_per_pass:
            message += f" They are made in overlapping groups of {parameters.instances_per_pass}, in one common frame."
        context.warn("instances-many", message, "Take several shots of fewer objects for the best quality.")
    labels = np.where(np.isin(shot.instances.labels, list(kept)), shot.instances.labels, np.uint16(0))
    return InstanceMap(labels, kept)


def elevation(camera: Camera) -> float:
    """Degrees by which a camera looks down; negative when it looks up."""
    return math.degrees(math.asin(float(np.clip(camera.matrix[2, 2], -1.0, 1.0))))


def _look_at_camera(shot: Shot, context: Context) -> None:
    if shot.camera_source != "request":
        return
    angle = elevation(shot.camera)
    low, high = ELEVATIONS
    if low - TOLERANCE <= angle <= high + TOLERANCE:
        return
    how = f"{angle:.0f}° down" if angle > 0 else f"{-angle:.0f}° up"
    message = f"The camera looks {how}; MIDI has learned from cameras that look {low:.0f}° to {high:.0f}° down."
    context.warn("camera-steep", message, "Lower or raise the camera, or expect bent shapes.")
