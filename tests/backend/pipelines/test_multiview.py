"""multiview: pictures with cameras of the world become one mesh where the cameras see it, or a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

torch = pytest.importorskip("torch")

from backend.camera import Camera  # noqa: E402
from backend.contract import Photo  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.jobs.checks import check_job  # noqa: E402
from backend.jobs.run import run_job  # noqa: E402
from backend.pipelines.multiview import MULTIVIEW, MultiviewParameters  # noqa: E402
from backend.pipelines.multiview.framing import frame_of, framed, views_of  # noqa: E402
from tests.backend import multiview_shots as shots  # noqa: E402

QUICK = {"quality": "draft", "resolution": 64, "side": 128, "faces": 4000, "texture_size": 256}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(folder: Path) -> Any:
    """A job to its end."""
    return run_job("job", folder, lambda news: None, lambda: False, lambda question: question)


def world_vertices(file: Path) -> Any:
    """(V, 3) of a scene, z up, metres."""
    return trimesh.load_scene(file).to_geometry().vertices[:, [0, 2, 1]] * (1, -1, 1)


def test_a_stool_stands_where_its_cameras_see_it(tmp_path: Path) -> None:
    """Of pictures that are not square, away from the origin, with a principal point beside the middle."""
    result = run(shots.write_views(tmp_path, 8, QUICK, 0))
    (prop,) = result.props
    assert prop.placement == "cameras" and prop.watertight and prop.name == "Stool"
    assert min(prop.quality["view_ious"]) > 0.93
    assert prop.mask_iou > 0.93
    assert prop.quality["view_psnr"] > 20
    found, truth = world_vertices(tmp_path / "output" / "scene.glb"), shots.stool()[0].numpy()
    assert np.abs(found.min(0) - truth.min(0)).max() < 0.05
    assert np.abs(found.max(0) - truth.max(0)).max() < 0.05
    assert result.record["pictures_used"] == list(range(1, 9))
    assert [photo.camera is not None for photo in result.photos] == [True] * 8


def test_squares_see_what_the_pictures_saw() -> None:
    """A point of the object lies at the same place of the object in both."""
    camera = shots.cameras(8)[3]
    square = framed(shots.picture(camera), camera, 64)
    assert square.picture.shape == (64, 64, 4)
    points = shots.stool()[0].numpy()
    inside, _ = square.camera.project(points)
    assert 0 < inside.min() < 8 and 56 < inside.max() < 64
    again = shots.picture(square.camera)
    assert np.abs(again[..., 3].astype(int) - square.picture[..., 3]).mean() < 2
    covered = (again[..., 3] > 250) & (square.picture[..., 3] > 250)
    assert np.abs(again[covered, :3].astype(int) - square.picture[covered, :3]).mean() < 4


def test_the_frame_of_the_views_is_about_the_object() -> None:
    taken = shots.cameras(5)
    squares = [framed(shots.picture(camera), camera, 64) for camera in taken]
    frame = frame_of([square.camera for square in squares])
    points = (shots.stool()[0].double().numpy() - frame.centre) / frame.scale
    assert np.abs(points).max() < 0.7 and np.ptp(points, axis=0).max() > 0.6
    assert np.allclose(frame.to_world(points), shots.stool()[0].numpy(), atol=1e-5)
    views = views_of(squares, frame)
    pixels, _ = views.cameras.project(torch.from_numpy(points))
    for index, square in enumerate(squares):
        assert np.allclose(pixels[index].numpy(), square.camera.project(shots.stool()[0].numpy())[0], atol=1e-3)


def test_a_picture_in_which_the_object_is_cut_is_left_out(tmp_path: Path) -> None:
    folder = shots.write_views(tmp_path, 5, QUICK, 0)
    file = folder / "inputs" / "image-2.bin"
    taken = shots.cameras(5)[2]
    pixels = shots.picture(taken.model_copy(update={"cx": 20.0}))
    assert pixels[:, 0, 3].any()
    file.write_bytes(shots.as_file(pixels))
    result = run(folder)
    (warning,) = [each for each in result.warnings if each.code == "view-cut"]
    assert "picture 3" in warning.message
    assert result.record["pictures_used"] == [1, 2, 4, 5]


@pytest.mark.parametrize("dies_in", ["coloured", "judged"])
def test_no_finished_stage_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str) -> None:
    from backend.pipelines.multiview import run as judging
    from backend.pipelines.viewed import shaping

    works = {"surfaced": shaping, "coloured": shaping, "judged": judging}
    made: list[str] = []

    def counted(name: str) -> Any:
        real = getattr(works[name], name)

        def call(*given: Any, **more: Any) -> Any:
            made.append(name)
            return real(*given, **more)

        return call

    whole = run(shots.write_views(tmp_path / "whole", 4, QUICK, 0))
    folder = shots.write_views(tmp_path / "cut", 4, QUICK, 0)
    for name, module in works.items():
        monkeypatch.setattr(module, name, counted(name))
    done = {"coloured": ["surfaced"], "judged": ["surfaced", "coloured"]}[dies_in]

    def stop(*given: Any, **more: Any) -> Any:
        raise KeyboardInterrupt

    working = getattr(works[dies_in], dies_in)
    monkeypatch.setattr(works[dies_in], dies_in, stop)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert made == done
    monkeypatch.setattr(works[dies_in], dies_in, working)
    again = run(folder)
    assert made == ["surfaced", "coloured", "judged"]
    assert again.props == whole.props
    glb = [(tmp_path / each / "output" / "scene.glb").read_bytes() for each in ("whole", "cut")]
    assert glb[0] == glb[1]


REFUSED: dict[str, tuple[Callable[[list[Camera | None]], list[Camera | None]], str, str]] = {
    "no camera": (lambda taken: [*taken[:2], None, taken[3]], "camera-invalid", "picture 3"),
    "no cameras at all": (lambda taken: [None] * 4, "camera-invalid", "picture 1"),
    "another size": (
        lambda taken: [*taken[:3], taken[3].model_copy(update={"width": 100})],  # type: ignore[union-attr]
        "camera-invalid",
        "picture 4 has 160 × 120",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_used_is_refused_while_the_user_waits(name: str) -> None:
    change, code, sentence = REFUSED[name]
    taken = shots.cameras(4)
    images = [shots.as_file(shots.picture(camera)) for camera in taken]
    with pytest.raises(Problem) as raised:
        check_job(shots.request_of(change(list(taken)), {}), images)
    assert raised.value.code == code and sentence in raised.value.detail and raised.value.hint


def test_one_picture_is_too_few() -> None:
    (camera,) = shots.cameras(1)
    with pytest.raises(Problem, match="2 to 64 picture"):
        check_job(shots.request_of([camera], {}), [shots.as_file(shots.picture(camera))])


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        (lambda pixels: pixels[..., :3] * 0 + 128, "background-unclear", "Picture 2"),
        (lambda pixels: pixels * 0, "image-empty", "Picture 2"),
    ],
)
def test_a_picture_without_an_object_is_named(tmp_path: Path, change: Any, code: str, sentence: str) -> None:
    folder = shots.write_views(tmp_path, 3, {**QUICK, "background": "plain"}, 0)
    file = folder / "inputs" / "image-1.bin"
    file.write_bytes(shots.as_file(change(shots.picture(shots.cameras(3)[1]))))
    with pytest.raises(Problem, match=sentence) as raised:
        run(folder)
    assert raised.value.code == code


def test_haze_around_the_object_is_nothing(tmp_path: Path) -> None:
    """As the removal of a background may leave it: it neither reaches the border nor widens the square."""
    folder = shots.write_views(tmp_path, 5, QUICK, 0)
    for index, camera in enumerate(shots.cameras(5)):
        pixels = shots.picture(camera)
        pixels[..., 3] = np.maximum(pixels[..., 3], 12)
        (folder / "inputs" / f"image-{index}.bin").write_bytes(shots.as_file(pixels))
    result = run(folder)
    assert result.record["pictures_used"] == [1, 2, 3, 4, 5]
    assert min(result.props[0].quality["view_ious"]) > 0.9


def test_pictures_without_alpha_are_cut_out(tmp_path: Path) -> None:
    folder = shots.write_views(tmp_path, 6, {**QUICK, "background": "plain"}, 0)
    for index, camera in enumerate(shots.cameras(6)):
        pixels = shots.picture(camera)
        alpha = pixels[..., 3:] / 255
        flat = (pixels[..., :3] * alpha + 250 * (1 - alpha)).round().astype(np.uint8)
        (folder / "inputs" / f"image-{index}.bin").write_bytes(shots.as_file(flat))
    result = run(folder)
    assert min(result.props[0].quality["view_ious"]) > 0.88


def test_cameras_that_see_nothing_of_each_other_are_refused(tmp_path: Path) -> None:
    """All from one place, and one that looks the other way."""
    one = shots.cameras(3)[0]
    folder = shots.write_views(tmp_path, 3, QUICK, 0)
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    for photo in request["photos"]:
        photo["camera"] = one.model_dump()
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    for index in range(3):
        (folder / "inputs" / f"image-{index}.bin").write_bytes(shots.as_file(shots.picture(one)))
    with pytest.raises(Problem, match="from the same side"):
        run(folder)


def test_the_first_pictures_camera_may_be_told_in_either_place() -> None:
    taken = shots.cameras(2)
    images = [shots.as_file(shots.picture(camera)) for camera in taken]
    request = shots.request_of([None, taken[1]], {}, camera=taken[0])
    assert request.cameras(2) == taken
    assert check_job(request, images) is MULTIVIEW
    with pytest.raises(ValueError, match="differ"):
        shots.request_of([taken[1], taken[1]], {}, camera=taken[0])
    assert Photo().camera is None


def test_a_draft_takes_the_outlines_alone() -> None:
    assert MultiviewParameters(quality="draft").needed_weights() == ()
    assert MultiviewParameters().needed_weights() == ("hull-prior",)
    assert MultiviewParameters(colour="none").skipped_stages() == ("texture",)
