"""Cameras of what is trained on are those that the network is told of, whatever was cropped, mirrored or stretched."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.lrm.cameras import LENS, canonical_pose, normalised_poses  # noqa: E402
from tests.training.mira.shapes import lens, looking  # noqa: E402
from training.mira.config import Augmentation, Crops  # noqa: E402
from training.mira.frames import Frame, frame_of  # noqa: E402

POSES = np.stack([looking(a, e, d) for a, e, d in ((-90, 0, 2.0), (37, 25, 2.3), (200, -15, 1.9), (300, 60, 2.5))])
POINTS = np.random.default_rng(3).uniform(-0.5, 0.5, (20, 3))
BOX = np.array([0.2, 0.3, 0.7, 0.9])
CHANGES = {
    "nothing": (Crops(), Augmentation()),
    "mirrored": (Crops(), Augmentation(mirror=1.0)),
    "stretched": (Crops(), Augmentation(stretch=0.3, scale=0.2)),
    "a random part": (Crops(source="random"), Augmentation()),
    "around the object": (Crops(source="object"), Augmentation()),
    "all of it": (Crops(source="object"), Augmentation(mirror=1.0, stretch=0.3, scale=0.2)),
}


def frame(source: int, kind: str, seed: int = 0, focal: float = 0.75) -> Frame:
    crops, augmentation = CHANGES[kind]
    chance = np.random.default_rng(seed)
    return frame_of(POSES[source], lens(focal), BOX, (64, 48), 0.8, crops, augmentation, chance)


def projected(points: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """[P, 2] across and down, in units of the picture."""
    seen = (points - pose[:3, 3]) @ pose[:3, :3]
    flat = seen[:, :2] / -seen[:, 2:]
    focal, centre = np.diag(intrinsics)[:2], intrinsics[:2, 2]
    return flat * [1, -1] * focal + centre


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("source", range(len(POSES)))
def test_a_point_is_where_the_told_camera_sees_it(source: int, kind: str) -> None:
    for seed in range(4):
        found = frame(source, kind, seed)
        told = found.camera(4)
        pose = told[:16].reshape(4, 4).astype(float)
        intrinsics = np.array([[told[16], 0, told[18]], [0, told[17], told[19]], [0, 0, 1]], float)
        assert np.allclose(pose, canonical_pose(found.distance).numpy(), atol=1e-6), "it is canonical, whatever it was"
        original = projected(POINTS, POSES[source], lens())
        left, top, right, bottom = found.crop
        within = (original - [left, top]) / [right - left, bottom - top]
        if found.mirrored:
            within[:, 0] = 1 - within[:, 0]
        assert np.allclose(projected(found.points(POINTS), pose, intrinsics), within, atol=1e-5)


@pytest.mark.parametrize("kind", CHANGES)
def test_rays_of_other_views_go_through_the_points_that_they_show(kind: str) -> None:
    found = frame(1, kind)
    for pose in POSES:
        origins, directions = found.rays(pose, lens(), projected(POINTS, pose, lens()))
        apart = found.points(POINTS) - origins
        missed = np.linalg.norm(np.cross(apart, directions), axis=1)
        assert missed.max() < 1e-5 and ((apart * directions).sum(1) > 0).all()
        assert np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)


def test_without_changes_the_frame_is_that_of_normalised_poses() -> None:
    for source in range(len(POSES)):
        found = frame(source, "nothing")
        moved = normalised_poses(torch.from_numpy(POSES), source).numpy()
        assert np.allclose(found.matrix @ POSES, np.diag([0.8, 0.8, 0.8, 1]) @ moved, atol=1e-9)
        assert np.allclose(found.lens, LENS.numpy()), "the published lens stays the published one"
        assert found.camera(3).shape == (16,) and found.camera(4).shape == (20,)


def test_back_is_the_way_back() -> None:
    found = frame(2, "all of it")
    assert np.allclose(found.back(found.points(POINTS)), POINTS)


def test_the_object_fills_what_it_should_of_a_square_around_it() -> None:
    found = frame(1, "around the object")
    left, top, right, bottom = found.crop
    shares = (BOX[2] - BOX[0]) / (right - left), (BOX[3] - BOX[1]) / (bottom - top)
    assert 0.6 <= max(shares) <= 0.9
    assert np.isclose(found.lens[0, 0], found.lens[1, 1])


def test_a_stretched_object_is_shown_through_the_same_lens() -> None:
    found = frame(1, "stretched")
    assert np.allclose(found.lens, lens(), atol=1e-9) and found.crop != (0, 0, 1, 1)
