"""Pictures that were not rendered here: image files, and images of every kind in the blend file."""

from __future__ import annotations

import struct

import bpy
import numpy as np
import pytest

from blender_addon.capture import pictures
from blender_addon.capture.image_capture import capture_image, capture_image_file
from blender_addon.capture.intrinsics import CaptureError
from blender_addon.ground import files
from tests.blender_addon import snapshots
from tests.blender_addon.small_room import labels_of, read

pytestmark = pytest.mark.usefixtures("relation")

# pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_the_png_writer_writes_blender_reads(tmp_path, dtype, channels):
    largest = np.iinfo(dtype).max
    pixels = np.random.default_rng(1).integers(0, largest + 1, (13, 7, channels)).astype(dtype)
    if channels == 4:
        pixels[..., 3] = largest
    path = files.write_whole(tmp_path / "picture.png", pictures.png(pixels))
    values = np.rint(read(path) * largest).astype(int)
    assert np.array_equal(values[..., : min(channels, 3)], pixels[..., :3])
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_of_nothing_is_no_png():
    for wrong in (np.zeros((0, 3), np.uint8), np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.uint8)):
        with pytest.raises(ValueError, match="no PNG"):
            pictures.png(wrong)


def image(name="Picture", size=(6, 4), *, float_buffer=False, alpha=True):
    made = bpy.data.images.new(name, *size, alpha=alpha, float_buffer=float_buffer)
    values = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 4)).astype(np.float32) / 255
    values[..., 3] = 1.0
    made.pixels.foreach_set(values.ravel())
    return made, values[::-1]


def state(datablock):
    return snapshots.plain(datablock)


def srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def test_a_generated_image_is_written_as_it_is_and_not_touched(tmp_path):
    made, values = image()
    before, data = state(made), snapshots.everything()
    shot = capture_image(made, tmp_path)
    assert read(shot.image) == pytest.approx(values, abs=1e-6)
    assert state(made) == before
    assert snapshots.differences(data, snapshots.everything()) == []
    assert (shot.instances, shot.depth, shot.camera, shot.labels) == (None, None, None, [])


def test_a_packed_image_with_unsaved_strokes_is_written_as_painted(tmp_path):
    made, values = image()
    made.pack()
    painted = values.copy()
    painted[1, 2, :3] = (1.0, 0.0, 0.0)
    made.pixels.foreach_set(painted[::-1].ravel())
    assert made.is_dirty
    before = state(made)
    assert read(capture_image(made, tmp_path).image) == pytest.approx(painted, abs=1e-6)
    assert state(made) == before


@pytest.mark.parametrize(("mode", "opaque"), [("NONE", True), ("CHANNEL_PACKED", True), ("STRAIGHT", False)])
def test_an_image_whose_alpha_is_no_transparency_is_opaque(tmp_path, mode, opaque):
    made, values = image()
    values = values.copy()
    values[..., 3] = np.linspace(0.2, 0.6, 6, dtype=np.float32)
    made.pixels.foreach_set(values[::-1].ravel())
    made.alpha_mode = mode
    written = read(capture_image(made, tmp_path).image)
    if opaque:
        values[..., 3] = 1.0
    assert written == pytest.approx(values, abs=0.01 if opaque else 0.02)
    assert made.alpha_mode == mode


def test_a_file_image_is_not_tied_to_another_file(tmp_path):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    path = files.write_whole(tmp_path / "file.png", pictures.png(pixels))
    loaded = bpy.data.images.load(str(path))
    before = state(loaded)
    shot = capture_image(loaded, tmp_path / "shot")
    assert np.array_equal(np.rint(read(shot.image)[..., :3] * 255), pixels)
    assert state(loaded) == before


def test_a_float_image_is_converted_from_linear_and_white_is_the_brightest(tmp_path):
    made, values = image(float_buffer=True)
    values = values.copy()
    values[0, 0, :3] = 9.0
    made.pixels.foreach_set(values[::-1].ravel())
    written = read(capture_image(made, tmp_path).image)
    assert written[..., :3] == pytest.approx(np.minimum(srgb(values[..., :3]), 1.0), abs=0.6 / 255)


def test_a_render_result_is_an_image_too(room, tmp_path):
    bpy.context.scene.view_settings.view_transform = "Standard"
    bpy.context.scene.render.image_settings.file_format = "PNG"
    bpy.context.scene.render.image_settings.color_mode = "RGB"
    bpy.context.scene.render.filepath = str(tmp_path / "render.png")
    bpy.ops.render.render(write_still=True)
    result = next(image for image in bpy.data.images if image.type == "RENDER_RESULT")
    before = snapshots.everything()
    shot = capture_image(result, tmp_path / "shot")
    assert read(shot.image)[..., :3] == pytest.approx(read(tmp_path / "render.png")[..., :3], abs=1.1 / 255)
    assert snapshots.differences(before, snapshots.everything()) == []


@pytest.mark.parametrize(("source", "word"), [("TILED", "UDIM"), ("SEQUENCE", "sequence"), ("MOVIE", "movie")])
def test_images_of_many_pictures_are_refused(tmp_path, source, word):
    made, _ = image()
    made.source = source
    with pytest.raises(CaptureError, match=word) as caught:
        capture_image(made, tmp_path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_image_whose_file_is_gone_is_refused(tmp_path):
    path = files.write_whole(tmp_path / "file.png", pictures.png(np.zeros((2, 2), np.uint8)))
    loaded = bpy.data.images.load(str(path))
    path.unlink()
    loaded.reload()
    with pytest.raises(CaptureError, match="no pixels"):
        capture_image(loaded, tmp_path / "shot")


def test_a_label_image_keeps_its_exact_values(tmp_path):
    picture, _ = image(size=(16, 16))
    labels = bpy.data.images.new("Labels", 16, 16)
    values = np.zeros((16, 16, 4), np.float32)
    values[..., 0] = values[..., 1] = values[..., 2] = np.arange(256).reshape(16, 16) / 255
    values[..., 3] = 1
    labels.pixels.foreach_set(values.ravel())
    shot = capture_image(picture, tmp_path, labels)
    assert shot.instances.read_bytes()[24:26] == bytes([8, 0]), "grey"
    assert np.array_equal(labels_of(shot), np.arange(256).reshape(16, 16)[::-1])
    values[..., 2] = 0
    labels.pixels.foreach_set(values.ravel())
    shot = capture_image(picture, tmp_path, labels)
    assert shot.instances.read_bytes()[25] == 2, "RGB"
    assert np.array_equal(labels_of(shot), np.arange(256).reshape(16, 16)[::-1])


@pytest.mark.parametrize("packed", [False, True])
def test_a_loaded_label_png_is_passed_on_byte_by_byte(tmp_path, packed):
    picture, _ = image(size=(4, 4))
    data = pictures.png(np.arange(16, dtype=np.uint16).reshape(4, 4) * 1000)
    path = files.write_whole(tmp_path / "labels.png", data)
    labels = bpy.data.images.load(str(path))
    if packed:
        labels.pack()
        path.unlink()
    assert capture_image(picture, tmp_path / "shot", labels).instances.read_bytes() == data


def test_a_float_label_image_is_refused_because_its_values_are_not_exact(tmp_path):
    picture, _ = image()
    labels, _ = image("Labels", float_buffer=True)
    with pytest.raises(CaptureError, match="8 bits"):
        capture_image(picture, tmp_path, labels)
    assert list(tmp_path.iterdir()) == []


def test_files_are_copied_as_they_are(tmp_path):
    (tmp_path / "photo.JPG").write_bytes(b"any bytes; the backend judges them")
    (tmp_path / "map.PNG").write_bytes(b"more bytes")
    shot = capture_image_file(tmp_path / "photo.JPG", tmp_path / "shot", tmp_path / "map.PNG", {"fx": 1})
    assert (shot.image.name, shot.instances.name) == ("image.jpg", "instances.png")
    assert shot.image.read_bytes() == (tmp_path / "photo.JPG").read_bytes()
    assert shot.instances.read_bytes() == b"more bytes"
    assert shot.camera == {"fx": 1}


def test_a_missing_or_huge_file_is_said_and_nothing_is_copied(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(CaptureError, match="does not exist"):
        capture_image_file(tmp_path / "photo.png", tmp_path / "shot", tmp_path / "nothing.png")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.seek(257 * 1024 * 1024)
        huge.write(struct.pack("B", 0))
    with pytest.raises(CaptureError, match="256 MB"):
        capture_image_file(tmp_path / "huge.png", tmp_path / "shot")
    assert list((tmp_path / "shot").iterdir()) == []
