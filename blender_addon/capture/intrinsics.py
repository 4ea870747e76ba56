"""Blender's camera settings as the pinhole camera of the HTTP contract.

Contract: pixels with (0, 0) at the upper left corner of the picture and y down, metres, world Z up, the camera
looking along its own -Z with +Y up. Blender's lengths are multiplied by the scene's unit scale on the way out;
Blender's glTF importer divides by it on the way back.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..ground.messages import SetDresserError

MAXIMUM_PIXELS = 64_000_000


class CaptureError(SetDresserError):
    """The shot cannot be taken as things are; the hint says what to change."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, "capture")


class Pinhole(NamedTuple):
    """Focal lengths and principal point in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


def pinhole(
    lens: float,
    sensor_fit: str,
    sensor_width: float,
    sensor_height: float,
    shift_x: float,
    shift_y: float,
    width: int,
    height: int,
    pixel_aspect_x: float = 1.0,
    pixel_aspect_y: float = 1.0,
) -> Pinhole:
    """What Blender's perspective camera amounts to on a picture of width x height pixels.

    The sensor spans the *view*: the picture's width where the fit is horizontal, else its height, both counted in
    units of pixel aspect. AUTO takes the longer one, and the sensor's width for either. Lens and sensor share a unit
    (millimetres); a shift of 1 is one view.
    """
    horizontal = sensor_fit == "HORIZONTAL" or (
        sensor_fit == "AUTO" and width * pixel_aspect_x >= height * pixel_aspect_y
    )
    view = width * pixel_aspect_x if horizontal else height * pixel_aspect_y
    sensor = sensor_height if sensor_fit == "VERTICAL" else sensor_width
    return Pinhole(
        fx=lens * view / sensor / pixel_aspect_x,
        fy=lens * view / sensor / pixel_aspect_y,
        cx=width / 2 - shift_x * view / pixel_aspect_x,
        cy=height / 2 + shift_y * view / pixel_aspect_y,
    )


def picture_size(render: Any) -> tuple[int, int]:
    """Width and height in pixels of the whole frame, rounded as Blender rounds (a render border is not counted)."""
    percentage = render.resolution_percentage
    return render.resolution_x * percentage // 100, render.resolution_y * percentage // 100


def check_size(width: int, height: int, hint: str) -> None:
    """Raises CaptureError, with the hint, for a picture that is too large or has no pixels."""
    if width * height > MAXIMUM_PIXELS:
        raise CaptureError(f"{width} x {height} pixels are too many; 64 megapixels are the limit.", hint)
    if width < 1 or height < 1:
        raise CaptureError("The picture would have no pixels.", hint.replace("Lower", "Raise"))


def rigid(matrix: Any) -> list[list[float]]:
    """A world matrix without its scale, 4x4 row major: Blender renders through a scaled camera as if it had none.

    Raises CaptureError: if it is mirrored or sheared, which no camera can be.
    """
    columns = [matrix.col[axis].to_3d() for axis in range(3)]
    if min(column.length for column in columns) < 1e-12:
        raise CaptureError("The camera is scaled to nothing.", "Clear its scale with Alt+S.")
    x, y, z = (column.normalized() for column in columns)
    if max(abs(x.dot(y)), abs(y.dot(z)), abs(z.dot(x))) > 1e-4:
        message = "The camera is sheared by the scale of its parent."
        raise CaptureError(message, "Apply the parent's scale with Ctrl+A, or clear the camera's parent.")
    if x.cross(y).dot(z) < 0:
        raise CaptureError("The camera is mirrored by a negative scale.", "Clear its scale with Alt+S.")
    # Blender's matrices are 32-bit; made orthogonal anew so that the receiver sees a rotation to full precision.
    y = z.cross(x).normalized()
    x = y.cross(z).normalized()
    position = matrix.to_translation()
    return [[x[row], y[row], z[row], position[row]] for row in range(3)] + [[0.0, 0.0, 0.0, 1.0]]


def camera_json(scene: Any, camera: Any, width: int | None = None, height: int | None = None) -> dict[str, Any]:
    """The camera of the HTTP contract.

    Args:
        scene: for resolution, pixel aspect and unit scale.
        camera: the evaluated camera object (constraints, drivers and animation applied).
        width, height: size of the picture; that of the scene's render if left out.

    Raises CaptureError: if the camera is orthographic, panoramic, custom, mirrored or sheared.
    """
    data = camera.data
    if data.type != "PERSP":
        kind = {"ORTHO": "orthographic", "PANO": "panoramic"}.get(data.type, data.type.lower())
        message = f"The camera {camera.name} is {kind}; props can only be placed through a perspective camera."
        raise CaptureError(message, "Set Camera properties > Lens > Type to Perspective.")
    if width is None or height is None:
        width, height = picture_size(scene.render)
    lens = pinhole(
        data.lens,
        data.sensor_fit,
        data.sensor_width,
        data.sensor_height,
        data.shift_x,
        data.shift_y,
        width,
        height,
        scene.render.pixel_aspect_x,
        scene.render.pixel_aspect_y,
    )
    pose = rigid(camera.matrix_world)
    metres = scene.unit_settings.scale_length
    for row in pose[:3]:
        row[3] *= metres
    if not all(math.isfinite(value) for value in (*lens, *(value for row in pose for value in row))):
        raise CaptureError("The camera's place is not a number.", "Clear its location and rotation, then set it anew.")
    return {**lens._asdict(), "width": width, "height": height, "world_from_camera": pose}
