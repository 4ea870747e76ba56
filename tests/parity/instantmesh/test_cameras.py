"""The cameras that the networks are told of are the reference's."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

TOLERANCE = 1e-6
CLIP_TOLERANCE = 1e-5


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("cameras")


def test_the_slots_are_those_of_the_sheet(numbers: Any, close: Any) -> None:
    from models.lrm.cameras import slot_cameras

    close(slot_cameras(), numbers["out.input_cameras_default"][0], TOLERANCE)
    close(slot_cameras(numbers["in.radius"].item()), numbers["out.input_cameras_radius"][0], TOLERANCE)
    close(slot_cameras(*numbers["in.radius_fov"].tolist()), numbers["out.input_cameras_fov"][0], TOLERANCE)


def test_any_direction_has_a_pose(numbers: Any, close: Any) -> None:
    from models.lrm.cameras import spherical_poses

    for radius, expected in numbers.numbered(r"out\.spherical_c2w_r(.+)").items():
        poses = spherical_poses(
            numbers["in.azimuths_deg"], numbers["in.elevations_deg"], float(radius.replace("p", "."))
        )
        close(poses, expected, TOLERANCE)


def test_the_cameras_of_a_turntable_go_once_around(numbers: Any, close: Any) -> None:
    from models.lrm.cameras import circular_poses

    count, radius, elevation = numbers["in.circular_M_radius_elevation"].tolist()
    poses = circular_poses(int(count), radius, elevation)
    close(poses, numbers["out.circular_c2w"], TOLERANCE)
    close(torch.linalg.inv(poses.double()), numbers["out.circular_w2c"], TOLERANCE)


def test_intrinsics_are_in_units_of_the_image(numbers: Any, close: Any) -> None:
    from models.lrm.cameras import pinhole

    for angle, expected in numbers.numbered(r"out\.intrinsics_fov(\d+)").items():
        close(pinhole(int(angle)), expected, TOLERANCE)


def test_a_turntable_camera_sees_points_where_the_reference_sees_them(numbers: Any, close: Any) -> None:
    from models.lrm.cameras import circular_poses
    from models.rendering.cameras import Camera

    count, radius, elevation = numbers["in.circular_M_radius_elevation"].tolist()
    ((angle, projection),) = numbers.numbered(r"out\.projection_fovy(\d+)").items()
    camera = Camera.perspective(circular_poses(int(count), radius, elevation)[1], float(angle))
    downwards = torch.diag(
        torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    )  # the reference's first row is the top
    close(downwards @ camera.projection, projection, TOLERANCE)
    points = torch.nn.functional.pad(numbers["in.points"].double(), (0, 1), value=1.0)
    clip = points @ (downwards @ camera.projection @ torch.linalg.inv(camera.pose)).T
    close(clip, numbers["out.points_clip_cam1"], CLIP_TOLERANCE)
