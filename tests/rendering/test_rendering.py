"""What is in the pictures is where the cameras that were saved say, in every layout and from every format."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial

from tests.rendering.conftest import render
from training.layouts import METADATA
from training.render.blender import Blender, command
from training.render.drawing import draw_light
from training.render.settings import Settings
from training.views import ObjectViews, composed, open_views

RADIUS = 0.08
MARKERS = {
    (255, 0, 0): (-0.9, -0.3, 0.2),
    (0, 255, 0): (0.9, -0.5, -0.6),
    (0, 0, 255): (0.1, 0.6, 0.7),
    (255, 255, 0): (-0.2, -0.6, -0.3),
    (0, 255, 255): (0.5, 0.1, 0.1),
    (255, 0, 255): (-0.5, 0.4, -0.7),
}
"""Colour → where a ball is, in Blender's axes and in no special place."""

LAYOUTS = {
    "openlrm": ["--views", "6"],
    "mira": ["--views", "6", "--focal", "0.6", "0.9"],
    "hi3d": ["--elevations", "-10", "40", "--azimuths", "3"],
}
ACCURATE = ["--size", "160", "--samples", "24", "--light", "even"]


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A glTF file of small balls, y up, as all glTF files are."""
    scene = trimesh.Scene()
    for colour, (x, y, z) in MARKERS.items():
        ball = trimesh.creation.icosphere(4, RADIUS)
        ball.apply_translation([x, z, -y])
        ball.visual = trimesh.visual.TextureVisuals(material=PBRMaterial(baseColorFactor=(*colour, 255)))
        scene.add_geometry(ball)
    folder = tmp_path_factory.mktemp("balls")
    scene.export(folder / "balls.glb")
    return folder


def expected_places() -> dict[tuple[int, int, int], np.ndarray]:
    """Where the balls are after their common box was centred, and its longest side made 2."""
    points = np.array(list(MARKERS.values()))
    low, high = points.min(0) - RADIUS, points.max(0) + RADIUS
    scale = 2 / (high - low).max()
    return {colour: (np.array(place) - (low + high) / 2) * scale for colour, place in MARKERS.items()}


def seen_at(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[np.ndarray, float]:
    """The middle of what has a colour, in pixels, and its area: each pixel counts as much as its alpha."""
    hue = picture[:, :, :3].astype(float) / np.maximum(picture[:, :, :3].max(2, keepdims=True), 1)
    match = (np.abs(hue - np.array(colour) / 255) < 0.5).all(2)
    weights = picture[:, :, 3] / 255 * match
    v, u = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    area = weights.sum()
    return np.array([(weights * u).sum(), (weights * v).sum()]) / max(area, 1e-9), float(area)


def projected(
    place: np.ndarray, radius: float, pose: np.ndarray, lens: np.ndarray, size: int
) -> tuple[np.ndarray, float]:
    """The middle of a ball's outline in pixels, which is an ellipse not quite around its centre, and its area."""
    x, y, z = pose[:3, :3].T @ (place - pose[:3, 3])
    depth, focal = -z, lens[0, 0] * size
    nearer = depth**2 - radius**2
    middle = np.array([x, -y]) * focal * depth / nearer + lens[:2, 2] * size
    area = np.pi * focal**2 * radius**2 * np.sqrt((x**2 + y**2 + depth**2 - radius**2) / nearer**3)
    return middle, float(area)


def errors(views: ObjectViews) -> list[float]:
    """Pixels between where the saved camera puts a ball and where it is in the picture, of all that stand free."""
    found = []
    places = expected_places()
    points = np.array(list(MARKERS.values()))
    radius = RADIUS * 2 / (np.ptp(points, axis=0) + 2 * RADIUS).max()
    for index in range(views.count):
        picture = views.picture(index)
        size, pose, lens = picture.shape[0], views.poses[index], views.intrinsics[index]
        outlines = {colour: projected(place, radius, pose, lens, size) for colour, place in places.items()}
        for colour, (middle, area) in outlines.items():
            reach = 1.2 * np.sqrt(area / np.pi) + 2
            apart = [
                np.linalg.norm(middle - other) - 1.2 * np.sqrt(large / np.pi) for other, large in outlines.values()
            ]
            if sum(each < reach for each in apart) > 1 or not ((middle > reach) & (middle < size - reach)).all():
                continue  # something may hide it, or the border cuts it off
            seen, seen_area = seen_at(picture, colour)
            assert abs(seen_area - area) < 0.03 * area
            found.append(float(np.linalg.norm(seen - middle)))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_saved_cameras_put_every_point_where_it_is_in_the_picture(
    layout: str, balls: Path, blender: str, tmp_path: Path
) -> None:
    assert render(blender, balls, tmp_path, "--layout", layout, *LAYOUTS[layout], *ACCURATE) == 0
    (views,) = open_views(tmp_path)
    found = errors(views)
    assert len(found) > 2 * views.count and max(found) < 0.1, f"{max(found):.3f} pixels"
    if layout == "mira":
        stored = np.stack([np.load(file) for file in sorted((tmp_path / "balls").glob("*.npy"))])
        np.testing.assert_allclose(stored, views.poses[:, :3], atol=1e-12)
        assert np.ptp(views.intrinsics[:, 0, 0]) > 0.05, "each view's own lens is saved, and is the one it has"
    if layout == "openlrm":
        (tmp_path / "balls" / METADATA).unlink()
        (published,) = open_views(tmp_path)
        assert max(errors(published)) < 0.1, "a reader of the published files alone"
    box = np.array(views.metadata["box"])
    np.testing.assert_allclose((box[1] - box[0]).max(), 1.0 if layout == "hi3d" else 2.0, atol=1e-5)
    np.testing.assert_allclose(box.sum(0), 0, atol=1e-5)


def test_every_format_gives_the_same_object(blender: str, tmp_path: Path) -> None:
    models, out = tmp_path / "models", tmp_path / "out"
    models.mkdir()
    program = Path(__file__).with_name("exporting.py")
    start = (
        [blender, str(program)] if command(blender)[1].endswith(".py") else [*command(blender)[:-1], str(program), "--"]
    )
    subprocess.run([*start, str(models)], check=True, timeout=120, capture_output=True)
    written = json.loads((models / "written.json").read_text())
    assert len(written) == 11
    assert render(blender, models, out, "--views", "1", "--distance", "2", "2", "--solid", "32", "--light", "even") == 0
    views = {one.name: one for one in open_views(out)}
    assert sorted(views) == sorted(Path(name).stem for name in written)
    reference = views["glb"]
    for name, one in views.items():
        np.testing.assert_allclose(one.metadata["box"], [[-1, -0.5, -0.5], [1, 0.5, 0.5]], atol=1e-4, err_msg=name)
        assert one.metadata["triangles"] == 24
        agreed = (one.solid() & reference.solid()).sum() / (one.solid() | reference.solid()).sum()
        assert agreed > 0.99, f"{name} stands otherwise"
        difference = np.abs(one.picture(0)[:, :, 3].astype(int) - reference.picture(0)[:, :, 3])
        assert difference.mean() < 2, f"{name} is seen otherwise"
    assert reference.solid()[1, 9, 22] and not reference.solid()[30, 9, 22], "the post stands in front, on the left"


def test_broken_models_are_skipped_with_a_sentence(
    blender: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "cut.glb").write_bytes(b"glTF\x02\0\0\0")
    (models / "empty.obj").write_text("# nothing\n")
    scene = trimesh.Scene([trimesh.creation.box()]).export(file_type="gltf")
    tree = json.loads(scene["model.gltf"])
    tree["nodes"][-1]["translation"] = [1e39, 0, 0]
    tree["nodes"][-1].pop("matrix", None)
    for name, content in {**scene, "far.gltf": json.dumps(tree).encode()}.items():
        if name != "model.gltf":
            (models / name).write_bytes(content)
    (models / "point.obj").write_text("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n")
    (models / "text.fbx").write_text("no")
    (models / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert render(blender, models, tmp_path / "out", "--views", "1") == 3
    assert [one.name for one in open_views(tmp_path / "out")] == ["flat"]
    lines = {message.strip().partition(": ")[0]: message for message in caplog.messages}
    for name, told in (
        ("cut", "Blender cannot read it"),
        ("empty", "no surface"),
        ("far", "not a finite number"),
        ("point", "in one point"),
        ("text", "Blender cannot read it"),
    ):
        assert told in lines[name], name


def wavefront(folder: Path, material: str) -> Path:
    """A square that faces the front, y up."""
    folder.mkdir()
    (folder / "square.mtl").write_text(f"newmtl Surface\n{material}\n")
    lines = [
        "mtllib square.mtl",
        "v -1 -1 0",
        "v 1 -1 0",
        "v 1 1 0",
        "v -1 1 0",
        "vt 0 0",
        "vt 1 0",
        "vt 1 1",
        "vt 0 1",
    ]
    (folder / "square.obj").write_text("\n".join([*lines, "usemtl Surface", "f 1/1 2/2 3/3 4/4", ""]))
    return folder


def test_a_missing_texture_is_told_and_is_not_magenta(
    blender: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = wavefront(tmp_path / "models", "Kd 0.2 0.6 0.2\nmap_Kd gone.png")
    assert render(blender, models, tmp_path / "out", "--views", "1", "--light", "even") == 0
    assert "textures are missing (gone.png)" in caplog.text
    red, green, blue, alpha = open_views(tmp_path / "out")[0].picture(0)[16, 16].tolist()
    assert green > 1.2 * red and green > 1.2 * blue and alpha == 255


@pytest.mark.parametrize(("choices", "opaque"), [([], True), (["--glass"], False)])
def test_glass_makes_holes_only_where_that_is_asked_for(
    choices: list[str], opaque: bool, blender: str, tmp_path: Path
) -> None:
    models = wavefront(tmp_path / "models", "Kd 0.5 0.5 0.9\nd 0.3")
    assert render(blender, models, tmp_path / "out", "--views", "1", "--samples", "16", *choices) == 0
    alpha = open_views(tmp_path / "out")[0].picture(0)[12:20, 12:20, 3].mean()
    assert (alpha == 255) if opaque else (20 < alpha < 150)


def test_what_a_texture_cuts_out_stays_cut_out_and_colours_are_its_own(blender: str, tmp_path: Path) -> None:
    models = wavefront(tmp_path / "models", "map_Kd leaf.png\nmap_d leaf.png")
    texture = np.zeros((64, 64, 4), np.uint8)
    texture[:, :32] = (200, 40, 40, 255)
    Image.fromarray(texture).save(models / "leaf.png")
    assert render(blender, models, tmp_path / "out", "--views", "1", "--light", "even") == 0
    picture = open_views(tmp_path / "out")[0].picture(0)
    assert picture[16, 12, 3] == 255 and picture[16, 20, 3] == 0, "the left half, seen from the front, is there"
    red, green, blue = composed(picture)[16, 12]
    assert red > 2 * green and red > 2 * blue


def test_sixteen_bits_wholeness_and_worlds(blender: str, balls: Path, tmp_path: Path) -> None:
    """One light of a world that comes with Blender, and one without."""
    choices = ["--views", "3", "--depth", "16", "--whole", "0.05", "--distance", "1.2", "1.2", "--light", "random"]
    worlds = {seed: draw_light(Settings(seed=seed), "balls")["world"] for seed in range(12)}
    plain = next(seed for seed, world in worlds.items() if world is None)
    lit = next(seed for seed, world in worlds.items() if world is not None)
    for seed in (plain, lit):
        assert render(blender, balls, tmp_path / str(seed), *choices, "--seed", str(seed)) == 0
        (views,) = open_views(tmp_path / str(seed))
        assert views.metadata["light"]["world"] == worlds[seed]
        for index in range(views.count):
            picture = views.picture(index)
            assert picture.dtype == np.uint16 and picture[:, :, 3].max() == 65535
            edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert edge[:, 3].max() == 0, "nothing touches the border"
            assert 2000 < picture[picture[:, :, 3] > 60000][:, :3].mean() < 60000, "neither black nor white"


def test_a_renderer_ends_with_whoever_started_it(blender: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, Blender(blender, log) as running:
        process = running._process
        assert running.version[0].isdigit() and running.alive
        process.stdin.close()
        assert process.wait(20) == 0
