"""Cameras and light are a function of the seed and the name, and stand where they were asked to stand."""

from __future__ import annotations

import numpy as np
import pytest

from training.render.drawing import WORLDS, draw_cameras, draw_light
from training.render.settings import DEFAULTS, Settings, SettingsError

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


def angles(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances, elevations, azimuths."""
    places = poses[:, :3, 3]
    distances = np.linalg.norm(places, axis=1)
    azimuths = np.degrees(np.arctan2(places[:, 1], places[:, 0]))
    return distances, np.degrees(np.arcsin(places[:, 2] / distances)), azimuths


def test_the_same_seed_gives_the_same_bytes() -> None:
    settings = Settings(views=8, focal=(0.7, 0.9), seed=5)
    first, second = draw_cameras(settings, "chair", CUBE), draw_cameras(settings, "chair", CUBE)
    assert first.poses.tobytes() == second.poses.tobytes() and first.focals.tobytes() == second.focals.tobytes()
    assert draw_light(settings, "chair") == draw_light(settings, "chair")
    for other, name in ((settings, "table"), (Settings(views=8, focal=(0.7, 0.9), seed=6), "chair")):
        assert draw_cameras(other, name, CUBE).poses.tobytes() != first.poses.tobytes()
        assert draw_light(other, name) != draw_light(settings, "chair")


def test_cameras_look_at_the_middle_upright_from_where_they_may_be() -> None:
    settings = Settings(views=400, elevation=(-5, 40), distance=(2.0, 2.7))
    cameras = draw_cameras(settings, "chair", CUBE)
    distances, elevations, azimuths = angles(cameras.poses)
    assert (distances >= 2.0 - 1e-6).all() and (distances <= 2.7 + 1e-6).all() and np.ptp(distances) > 0.6
    assert (elevations[1:] > -5.01).all() and (elevations[1:] < 40.01).all() and np.ptp(elevations) > 42
    assert len(np.histogram(azimuths, 12, (-180, 180))[0].nonzero()[0]) == 12
    backward = cameras.poses[:, :3, 2]
    np.testing.assert_allclose(backward, cameras.poses[:, :3, 3] / distances[:, None], atol=1e-6)
    np.testing.assert_allclose(cameras.poses[:, 2, 0], 0, atol=1e-6), "x is level"
    assert (cameras.poses[:, 2, 1] > 0).all(), "y is up"


def test_the_first_view_is_straight_from_the_front() -> None:
    pose = draw_cameras(Settings(views=3), "chair", CUBE).poses[0]
    distance = -pose[1, 3]
    np.testing.assert_allclose(pose, [[1, 0, 0, 0], [0, 0, -1, -distance], [0, 1, 0, 0], [0, 0, 0, 1]], atol=1e-6)


def test_rings_and_orbits_go_round() -> None:
    distances, elevations, azimuths = angles(draw_cameras(DEFAULTS["hi3d"], "chair", CUBE).poses)
    np.testing.assert_allclose(distances, 1.5, atol=1e-6)
    np.testing.assert_allclose(
        elevations.reshape(6, 16), np.repeat([[-10], [0], [10], [20], [30], [40]], 16, 1), atol=1e-4
    )
    steps = np.diff(np.unwrap(np.radians(azimuths.reshape(6, 16)), axis=1), axis=1)
    np.testing.assert_allclose(np.degrees(steps), 22.5, atol=1e-4), "counter-clockwise, seen from above"
    orbit = Settings(path="orbit", views=8, distance=(2.0, 2.0), front=False)
    distances, elevations, azimuths = angles(draw_cameras(orbit, "chair", CUBE).poses)
    np.testing.assert_allclose(2 * np.sin(np.radians(elevations)), 0.8, atol=1e-5)
    assert azimuths[0] == pytest.approx(-90, abs=1e-4)


def test_a_camera_steps_back_until_the_whole_is_seen() -> None:
    settings = Settings(views=60, elevation=(-60, 80), focal=(0.6, 1.4), whole=0.05)
    cameras = draw_cameras(settings, "cube", CUBE)
    seen = np.einsum("vji,vpj->vpi", cameras.poses[:, :3, :3], CUBE[None] - cameras.poses[:, None, :3, 3])
    reach = cameras.focals[:, None] * np.abs(seen[:, :, :2]).max(2) / -seen[:, :, 2]
    assert (reach.max(1) <= 0.45 + 1e-6).all() and (reach.max(1) > 0.44).any()
    farther, _, _ = angles(cameras.poses)
    assert (farther >= 1.9).all()


def test_white_stays_below_white_in_every_light() -> None:
    for number in range(200):
        light = draw_light(Settings(), f"object-{number}")
        strongest = sum(sun["strength"] for sun in light["suns"]) / np.pi
        assert light["brightness"] + strongest <= 1.05
        assert light["world"] in (None, *WORLDS)
        assert all(np.linalg.norm(sun["towards"]) == pytest.approx(1) for sun in light["suns"])
    drawn = {draw_light(Settings(), f"object-{number}")["world"] for number in range(200)}
    assert len(drawn) == 9
    assert {draw_light(Settings(light="soft"), f"object-{number}")["world"] for number in range(50)} == {None}
    assert draw_light(Settings(light="even"), "a") == draw_light(Settings(light="even"), "b")


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"distance": (3.0, 2.0)}, "distance range"),
        ({"focal": (0.0, 1.0)}, "focal range"),
        ({"elevation": (0.0, 95.0)}, "zenith"),
        ({"depth": 12}, "8 or 16"),
        ({"views": 0}, "views is 0"),
        ({"whole": 0.5}, "no room"),
        ({"path": "rings"}, "Rings need"),
        ({"path": "rings", "elevations": (100.0,)}, "not between"),
        ({"layout": "hi3d"}, "no poses"),
    ],
)
def test_choices_that_cannot_be_get_a_sentence(choices: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings(**choices)
