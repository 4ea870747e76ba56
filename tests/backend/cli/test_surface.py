"""`surface`: a folder of pictures and their cameras become a mesh file and a report, or a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

torch = pytest.importorskip("torch")

from backend.cli import main  # noqa: E402
from models.multiview.views import orbit  # noqa: E402
from models.rendering import preview  # noqa: E402
from tests.backend import multiview_shots as shots  # noqa: E402
from tests.models.rendering.solids import ball  # noqa: E402

Capture = pytest.CaptureFixture[str]
QUICK = ["--quality", "draft", "--resolution", "48", "--side", "128", "--faces", "3000", "--texture-size", "256"]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def views(tmp_path: Path) -> Path:
    """A folder of eight pictures of the stool; `cameras.json` lies beside it."""
    folder = tmp_path / "views"
    folder.mkdir()
    cameras = shots.cameras(8)
    for index, camera in enumerate(cameras):
        (folder / f"{index:02}.png").write_bytes(shots.as_file(shots.picture(camera)))
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    listed = [camera.model_dump() for camera in cameras]
    (tmp_path / "cameras.json").write_text(json.dumps(listed), encoding="utf-8")
    return folder


def corners(file: Path) -> tuple[Any, Any]:
    """Least and largest coordinates of a mesh file, z up."""
    vertices = trimesh.load_scene(file).to_geometry().vertices[:, [0, 2, 1]] * (1, -1, 1)
    return vertices.min(0), vertices.max(0)


def test_pictures_with_cameras_become_a_mesh_in_their_world(views: Path, tmp_path: Path, capsys: Capture) -> None:
    out, report = tmp_path / "mesh.glb", tmp_path / "report.json"
    given = ["--views", str(views), "--cameras", str(tmp_path / "cameras.json")]
    assert main(["surface", *given, "--out", str(out), "--report", str(report), *QUICK]) == 0
    said = capsys.readouterr()
    assert str(out) in said.out and "surface" in said.err
    truth = shots.stool()[0].numpy()
    low, high = corners(out)
    assert np.abs(low - truth.min(0)).max() < 0.06 and np.abs(high - truth.max(0)).max() < 0.06
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["pictures"] == [f"{index:02}.png" for index in range(8)]
    assert min(told["quality"]["view_ious"]) > 0.9 and told["quality"]["view_psnr"] > 18
    assert [time["stage"] for time in told["timings"]] == ["views", "surface", "clean", "texture", "place"]


def test_an_orbit_needs_no_file_of_cameras(tmp_path: Path, capsys: Capture) -> None:
    """The front first, and then counter-clockwise seen from above; what has no alpha is cut out."""
    vertices, faces = ball(16, 1.0)
    vertices = vertices * torch.tensor([0.5, 0.25, 0.3])
    cameras = orbit(16, 5.0, size=96)
    for index in range(16):
        view = preview(vertices, faces, cameras.camera(index), shots.shades, width=96, samples=2)
        pixels = (view.colour * 255).round().to(torch.uint8).numpy()
        (tmp_path / f"{index:02}.png").write_bytes(shots.as_file(pixels))
    out = tmp_path / "mesh.glb"
    given = ["--views", str(tmp_path), "--orbit", "16", "--elevation", "5", "--layout", "hi3d", "--background", "plain"]
    assert main(["surface", *given, "--out", str(out), "--quiet", *QUICK]) == 0
    assert capsys.readouterr() == ("", "")
    low, high = corners(out)
    truth = np.array([0.5, 0.25])
    assert np.abs(high[:2] - truth).max() < 0.06 and np.abs(low[:2] + truth).max() < 0.06


def without_one(views: Path) -> None:
    (views / "03.png").unlink()


def of_another_size(views: Path) -> None:
    file = views.parent / "cameras.json"
    cameras = json.loads(file.read_text(encoding="utf-8"))
    cameras[4]["width"] = 200
    file.write_text(json.dumps(cameras), encoding="utf-8")


def scaled(views: Path) -> None:
    file = views.parent / "cameras.json"
    cameras = json.loads(file.read_text(encoding="utf-8"))
    cameras[1]["world_from_camera"][0] = [2.0, 0.0, 0.0, 0.0]
    file.write_text(json.dumps(cameras), encoding="utf-8")


def cut(views: Path) -> None:
    (views.parent / "cameras.json").write_text("[{", encoding="utf-8")


def nothing(views: Path) -> None:
    return None


CAMERAS = ["--cameras", "cameras.json"]


@pytest.mark.parametrize(
    ("spoil", "given", "sentence"),
    [
        (without_one, CAMERAS, "8 cameras, and views has 7 pictures"),
        (of_another_size, CAMERAS, "200 × 120 pixels and picture 5 has 160 × 120"),
        (scaled, CAMERAS, "1.world_from_camera: the upper left 3x3 must be a rotation"),
        (cut, CAMERAS, "is not JSON"),
        (nothing, ["--cameras", "missing.json"], "does not exist"),
        (nothing, [*CAMERAS, "--elevation", "10"], "belong to an orbit"),
        (nothing, ["--orbit", "16"], "An orbit of 16 views was given, and views has 8 pictures"),
        (nothing, ["--orbit", "8"], "00.png has 160 × 120 pixels; the pictures of an orbit are square"),
        (nothing, [], "--cameras --orbit is required"),
        (nothing, [*CAMERAS, "--views", "elsewhere"], "no folder elsewhere"),
        (nothing, [*CAMERAS, "--views", "."], "has no pictures"),
        (nothing, [*CAMERAS, "--report", "mesh.glb"], "the same name"),
        (nothing, [*CAMERAS, "--resolution", "5"], "resolution"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(
    views: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    spoil: Callable[[Path], None],
    given: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(views.parent)
    spoil(views)
    assert main(["surface", "--views", "views", *given, "--out", "mesh.glb"]) == 2
    said, hint = capsys.readouterr().err.splitlines()
    assert sentence in said and said.endswith(".") and hint
    assert not (views.parent / "mesh.glb").exists()


@pytest.mark.parametrize(("more", "sentence"), [(["--elevation", "60"], "60"), (["--layout", "mira"], "'mira'")])
def test_an_orbit_that_nobody_makes_is_refused(tmp_path: Path, capsys: Capture, more: list[str], sentence: str) -> None:
    for index in range(2):
        (tmp_path / f"{index}.png").write_bytes(shots.as_file(np.full((32, 32, 3), 255, np.uint8)))
    given = ["surface", "--views", str(tmp_path), "--orbit", "2", *more, "--out", str(tmp_path / "mesh.glb")]
    assert main(given) == 2
    assert sentence in capsys.readouterr().err
