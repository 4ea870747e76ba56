"""Cameras stand where their angles say and look at the object."""

import pytest

torch = pytest.importorskip("torch")

from models.lrm.cameras import (  # noqa: E402
    camera_rays,
    camera_vectors,
    circular_poses,
    pinhole,
    slot_cameras,
    spherical_poses,
    view_cameras,
)


def test_azimuth_0_is_on_the_x_axis_and_90_on_the_y_axis() -> None:
    positions = spherical_poses([0, 90, 0], [0, 0, 90], 2.0)[:, :3, 3]
    assert torch.allclose(positions, torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]]), atol=1e-6)


@pytest.mark.parametrize("elevation", [-90.0, -89.999, 0.0, 45.0, 90.0])
def test_a_pose_is_rigid_and_looks_at_the_origin_from_any_height(elevation: float) -> None:
    poses = spherical_poses([0, 77, 200], [elevation] * 3, [1.0, 2.0, 3.0])
    turns = poses[:, :3, :3]
    assert torch.allclose(turns @ turns.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(3), atol=1e-6)
    assert torch.allclose(poses[:, :3, 3], turns[:, :, 2] * torch.tensor([[1.0], [2.0], [3.0]]), atol=1e-6)
    assert (turns[:, 2, 1] >= -1e-6).all(), "up in the picture is never down in the world"


def test_the_ray_in_the_middle_of_the_picture_hits_the_origin() -> None:
    pose = spherical_poses([33], [-12], 4.0)
    origins, directions = camera_rays(pose, pinhole(), 5, 5)
    middle = origins[0, 12] + 4.0 * directions[0, 12]
    assert middle.norm() < 1e-6
    above, right = directions[0, 2], directions[0, 14]
    assert above[2] > directions[0, 12, 2], "the first row is the upper one"
    assert right @ pose[0, :3, 0] > 0.1, "the last column is on the right"


def test_slots_are_views_like_any_other() -> None:
    own = view_cameras([30, 90, 150, 210, 270, 330], [20, -10, 20, -10, 20, -10], 4.0, 30.0)
    assert torch.equal(slot_cameras(), own)
    assert torch.equal(slot_cameras(slots=[0, 2, 4, 5]), own[[0, 2, 4, 5]])


def test_four_rows_and_the_intrinsics_make_the_twenty_numbers_of_other_models() -> None:
    poses = circular_poses(3, 2.0, 23.6, start=-90.0)
    vectors = camera_vectors(poses, pinhole(67.4), rows=4)
    assert torch.equal(vectors[:, :16].view(3, 4, 4), poses)
    assert torch.allclose(vectors[:, 16:], torch.tensor([0.75, 0.75, 0.5, 0.5]), atol=1e-3)


def test_what_is_no_camera_is_refused() -> None:
    with pytest.raises(ValueError, match="2 azimuths with 1 elevations"):
        spherical_poses([0, 1], [0])
    with pytest.raises(ValueError, match="not a finite number"):
        spherical_poses([float("nan")], [0])
    with pytest.raises(ValueError, match="between 0 and 180"):
        pinhole(180)
