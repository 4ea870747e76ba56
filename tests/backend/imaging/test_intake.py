"""A request and its files become a shot, or a problem that names what does not fit."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.camera import Camera, default_camera
from backend.contract import GenerateRequest, InstanceLabel, Photo
from backend.errors import Problem
from backend.imaging.intake import check_inputs, make_shot, read_job_folder
from tests.backend.imaging.pictures import png, saved

WIDTH, HEIGHT = 40, 30


def picture(alpha: Any = 255) -> bytes:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[...] = (230, 230, 230, 255)
    pixels[8:22, 10:30, :3] = (200, 20, 20)
    pixels[..., 3] = alpha
    return saved(Image.fromarray(pixels))


def instance_map() -> bytes:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[8:22, 10:20] = 3
    values[8:22, 20:30] = 5
    return png(values)


def depth(shape: tuple[int, int] = (HEIGHT, WIDTH)) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.full(shape, 2.5, np.float32))
    return stream.getvalue()


def request(**fields: Any) -> GenerateRequest:
    return GenerateRequest(pipeline="inflate", **fields)


def test_a_capture_becomes_a_shot_with_everything_in_its_place() -> None:
    camera = default_camera(WIDTH, HEIGHT)
    files = picture(), instance_map(), depth()
    wanted = request(camera=camera, instances=[InstanceLabel(id=3, name="chair"), InstanceLabel(id=9)])
    check_inputs(wanted, [files[0]], files[1], files[2])
    shot = make_shot(wanted, [files[0]], files[1], files[2])
    assert shot.image.shape == (HEIGHT, WIDTH, 4)
    assert shot.instances.names == {3: "chair", 5: ""}
    assert shot.instances.mask(3).sum() == shot.instances.mask(5).sum() == 140
    assert shot.depth is not None and shot.depth.shape == (HEIGHT, WIDTH)
    assert shot.camera == camera and shot.camera_source == "request" and shot.instance_source == "map"
    names = ("image-0", "instances", "depth")
    assert shot.hashes == {name: hashlib.sha256(data).hexdigest() for name, data in zip(names, files, strict=True)}


def test_a_cut_out_picture_is_one_object_with_the_requests_name() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[5:10, 5:15] = 128
    alpha[10, 5:15] = 127
    shot = make_shot(request(name=" Old chair "), [picture(alpha)], None, None)
    assert shot.instance_source == "alpha" and shot.instances.names == {1: "Old chair"}
    assert shot.instances.mask(1).sum() == 50 and shot.instances.mask(1)[5:10, 5:15].all()
    assert shot.camera == default_camera(WIDTH, HEIGHT) and shot.camera_source == "default"


def test_an_opaque_picture_is_freed_from_its_background() -> None:
    for alpha in (255, 200, 100):
        shot = make_shot(request(), [picture(alpha)], None, None)
        assert shot.instance_source == "background" and shot.instances.names == {1: "Object"}
        truth = np.zeros((HEIGHT, WIDTH), bool)
        truth[8:22, 10:30] = True
        assert (shot.instances.mask(1) ^ truth).sum() <= 8


def test_what_a_background_was_removed_by_is_told_and_none_keeps_all_of_it() -> None:
    shot = make_shot(request(), [picture()], None, None, background="plain")
    assert shot.background == {"way": "plain"} and shot.cover is not None
    assert ((shot.cover > 127) == shot.instances.mask(1)).all()
    whole = make_shot(request(), [picture()], None, None, background="none")
    assert whole.instance_source == "whole" and whole.instances.mask(1).all() and whole.background == {"way": "none"}
    mapped = make_shot(request(), [picture()], instance_map(), None)
    assert mapped.background == {} and mapped.cover is None


@pytest.mark.parametrize("make", [check_inputs, make_shot])
@pytest.mark.parametrize(
    ("code", "fields", "images", "instances", "distances", "said"),
    [
        ("request-invalid", {}, [], None, None, "no picture"),
        ("image-truncated", {}, [picture()[:50]], None, None, "The picture"),
        ("image-truncated", {}, [picture(), picture()[:50]], None, None, "Picture 2"),
        ("image-empty", {}, [picture(alpha=9)], None, None, "transparent"),
        ("instances-mismatch", {}, [picture()], png(np.ones((3, 4))), None, "4 × 3 pixels and the picture 40 × 30"),
        ("instances-empty", {}, [picture()], png(np.zeros((HEIGHT, WIDTH))), None, "background"),
        ("depth-mismatch", {}, [picture()], None, depth((3, 4)), "4 × 3 pixels and the picture 40 × 30"),
        ("depth-unreadable", {}, [picture()], None, b"no depth", ".npy"),
        ("camera-invalid", {"camera": default_camera(80, 60)}, [picture()], None, None, "80 × 60"),
    ],
)
def test_what_does_not_fit_is_named(
    make: Any, code: str, fields: Any, images: list[bytes], instances: bytes, distances: bytes, said: str
) -> None:
    with pytest.raises(Problem) as caught:
        make(request(**fields), images, instances, distances)
    assert caught.value.code == code
    assert said in caught.value.detail and caught.value.hint


def test_a_map_makes_transparency_and_background_irrelevant() -> None:
    shot = make_shot(request(), [picture(alpha=0)], instance_map(), None)
    assert shot.instance_source == "map" and list(shot.instances.names) == [3, 5]


def test_a_job_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    wanted = request(seed=7, name="set", camera=default_camera(WIDTH, HEIGHT))
    (tmp_path / "request.json").write_text(wanted.model_dump_json(), encoding="utf-8")
    shades = list(range(12))
    for index in shades:
        (inputs / f"image-{index}.bin").write_bytes(saved(Image.new("RGB", (WIDTH, HEIGHT), (index, 0, 0))))
    (inputs / "instances.bin").write_bytes(instance_map())
    (inputs / "depth.npy").write_bytes(depth())
    found, shot = read_job_folder(tmp_path)
    assert found == wanted
    assert [int(image[0, 0, 0]) for image in shot.images] == shades  # by number: 2 before 10
    assert shot.depth is not None and shot.instance_source == "map"
    assert set(shot.hashes) == {"instances", "depth", *(f"image-{index}" for index in shades)}
    (inputs / "instances.bin").unlink()
    (inputs / "depth.npy").unlink()
    for index in shades[1:]:
        (inputs / f"image-{index}.bin").unlink()
    (inputs / "image-0.bin").write_bytes(picture())
    _, bare = read_job_folder(tmp_path)
    assert bare.depth is None and bare.instance_source == "background"


def test_checking_inputs_loads_nothing_heavy() -> None:
    program = (
        "import sys; from backend.contract import GenerateRequest; from backend.imaging.intake import check_inputs\n"
        "check_inputs(GenerateRequest(pipeline='inflate'), [sys.stdin.buffer.read()], None, None)\n"
        "heavy = {'scipy', 'skimage', 'trimesh', 'torch', 'onnxruntime'} & set(sys.modules); print(*heavy)\n"
        "sys.exit(bool(heavy))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    run = subprocess.run(
        [sys.executable, "-c", program], input=picture(), capture_output=True, timeout=60, env=environment, check=False
    )
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()


def test_only_the_objects_that_are_named_are_kept() -> None:
    table = [InstanceLabel(id=3, name="chair"), InstanceLabel(id=5, name="table")]
    files = [picture()], instance_map(), None
    assert check_inputs(request(instances=table), *files) == 2
    wanted = request(instances=table, only=[5])
    assert check_inputs(wanted, *files) == 1, "as many as are made count against the pipeline's limit"
    shot = make_shot(wanted, *files)
    assert shot.instances.names == {5: "table"}
    assert set(np.unique(shot.instances.labels)) == {0, 5}, "the others are background"
    assert shot.instances.mask(5).sum() == 140


def test_an_object_that_is_not_there_cannot_be_chosen() -> None:
    with pytest.raises(Problem) as caught:
        check_inputs(request(only=[5, 9]), [picture()], instance_map(), None)
    assert caught.value.code == "instances-mismatch"
    assert caught.value.detail == "Object 9 is to be made and is not in the instance map."
    assert "[3, 5]" in caught.value.hint


@pytest.mark.parametrize("wrong", [[0], [-1], [70000], ["chair"], [1.5]])
def test_objects_are_chosen_by_their_numbers(wrong: list[Any]) -> None:
    with pytest.raises(ValueError, match="only"):
        request(only=wrong)


def test_what_is_known_of_photos_comes_with_their_pictures() -> None:
    rows = [Photo(name="front", azimuth=0), Photo(azimuth=90)]
    assert make_shot(request(photos=rows), [picture()] * 2, instance_map(), None).photos == tuple(rows)
    assert make_shot(request(), [picture()] * 2, instance_map(), None).photos == (Photo(), Photo())
    with pytest.raises(Problem, match="request-invalid") as caught:
        check_inputs(request(photos=rows), [picture()], instance_map(), None)
    assert "2 photo(s) and 1 picture(s)" in caught.value.detail


def test_a_large_picture_and_all_that_belongs_to_it_are_reduced_together() -> None:
    camera = Camera(**{**default_camera(400, 300).model_dump(), "fx": 500, "fy": 480, "cx": 190, "cy": 160})
    labels = np.zeros((300, 400), np.uint16)
    labels[80:220, 100:200], labels[80:220, 200:300] = 3, 5
    labels[11, 11] = 8
    pixels = np.full((300, 400, 3), 230, np.uint8)
    pixels[80:220, 100:300] = (200, 20, 20)
    distances = io.BytesIO()
    np.save(distances, np.where(labels == 3, 2.0, 5.0).astype(np.float32))
    table = [InstanceLabel(id=3, name="chair"), InstanceLabel(id=8, name="mouse")]
    wanted = request(camera=camera, instances=table)
    files = [saved(Image.fromarray(pixels))], png(labels), distances.getvalue()
    asked: list[bool] = []

    def side(objects: bool) -> int:
        asked.append(objects)
        return 100

    shot = make_shot(wanted, *files, side=side)
    assert asked == [True], "there is an instance map"
    assert shot.image.shape == (75, 100, 4) and shot.instances.labels.shape == (75, 100)
    assert shot.depth is not None and set(np.unique(shot.depth)) == {2.0, 5.0}, "distances are never mixed"
    assert (shot.depth[shot.instances.mask(3)] == 2).all()
    assert shot.instances.names == {3: "chair", 5: ""}
    assert [(remark.code, remark.instance) for remark in shot.remarks] == [("instance-small", 8)]
    assert set(shot.sizes.values()) == {(400, 300)} and set(shot.sizes) == set(shot.hashes)
    assert (shot.camera.width, shot.camera.height) == (100, 75) and shot.given_camera == camera
    corners = np.array([[0, 0], [400, 300], [130, 270]])
    assert shot.camera.directions(corners / 4) == pytest.approx(camera.directions(corners))
    same = make_shot(wanted, *files, side=lambda objects: 400)
    assert same.given_camera is None and same.camera == camera and same.image.shape == (300, 400, 4)
    assert [make_shot(request(), files[0], None, None, side=side).image.shape, asked[-1]] == [(75, 100, 4), False]
