"""Views are read as they were made, whatever the layout: poses, lenses, alpha, what is known beside them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.data.sets import SIZE, cameras, write_ours, write_pictures, write_published_mira
from training.layouts import HI3D_AZIMUTHS, HI3D_ELEVATIONS, LAYOUTS, METADATA, SOLID, Layout
from training.render.drawing import draw_cameras
from training.render.settings import DEFAULTS
from training.views import PUBLISHED_FOCAL, ViewsError, composed, open_views, read_picture


def rings() -> object:
    return draw_cameras(DEFAULTS["hi3d"], "known", np.zeros((1, 3)))


def sentence(root: Path, **choices: object) -> str:
    with pytest.raises(ViewsError) as raised:
        open_views(root, **choices)
    return str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_in_a_layout_is_read_back(layout: Layout, tmp_path: Path) -> None:
    known = rings() if layout == "hi3d" else cameras(focal=(0.6, 0.9))
    solid = np.random.default_rng(0).random((7, 7, 7)) > 0.5
    write_ours(tmp_path / "chair", layout, known, solid)
    (one,) = open_views(tmp_path)
    scale = 2 / DEFAULTS[layout].span
    assert (one.name, one.count, one.metadata["layout"]) == ("chair", len(known.poses), layout)
    np.testing.assert_allclose(one.poses[:, :3, :3], known.poses[:, :3, :3], atol=1e-12)
    np.testing.assert_allclose(one.poses[:, :3, 3], known.poses[:, :3, 3] * scale, atol=1e-12)
    np.testing.assert_array_equal(one.intrinsics, known.intrinsics)
    assert [int(one.picture(index)[8, 8, 0]) for index in range(one.count)] == list(range(one.count))
    np.testing.assert_array_equal(one.solid(), solid)


@pytest.mark.parametrize("focal", [(0.75, 0.75), (0.6, 0.9)])
def test_openlrm_is_read_without_our_metadata(focal: tuple[float, float], tmp_path: Path) -> None:
    known = cameras(focal=focal)
    (write_ours(tmp_path / "chair", "openlrm", known) / METADATA).unlink()
    (one,) = open_views(tmp_path)
    np.testing.assert_allclose(one.poses, known.poses, atol=1e-12)
    np.testing.assert_allclose(one.intrinsics, known.intrinsics, atol=1e-12)
    assert one.solid() is None and one.metadata == {}
    stored = np.load(tmp_path / "chair" / "pose" / "000.npy")
    assert stored.shape == (3, 4) and stored[1, 3] < 0, "camera-to-world, from the front"
    if focal[0] == focal[1]:
        pixels = np.load(tmp_path / "chair" / "intrinsics.npy")
        np.testing.assert_array_equal(pixels, [[0.75 * SIZE] * 2, [SIZE / 2] * 2, [SIZE] * 2])


def test_published_poses_of_mira_become_camera_to_world(tmp_path: Path) -> None:
    """FACTS 7.4 and 7.5: what is stored is the inverse, for a lens of 35 mm and an object of half the size."""
    known = cameras()
    write_published_mira(tmp_path / "chair", known)
    (one,) = open_views(tmp_path)
    np.testing.assert_allclose(one.poses[:, :3, :3], known.poses[:, :3, :3], atol=1e-9)
    np.testing.assert_allclose(one.poses[:, :3, 3], 2 * known.poses[:, :3, 3], atol=1e-9)
    np.testing.assert_allclose(one.intrinsics[:, 0, 0], PUBLISHED_FOCAL)
    assert one.metadata == {"mesh_count": 1}, "it lies beside the views, and is found there"


def test_poses_of_mira_in_our_layout_are_camera_to_world_for_every_reader(tmp_path: Path) -> None:
    """FACTS 7.4: the trainer of the paper takes what is in the files for camera-to-world."""
    known = cameras()
    folder = write_ours(tmp_path / "chair", "mira", known)
    stored = np.stack([np.load(file) for file in sorted(folder.glob("*.npy"))])
    np.testing.assert_allclose(stored, known.poses[:, :3], atol=1e-12)
    (folder / METADATA).unlink()
    (one,) = open_views(tmp_path)
    np.testing.assert_allclose(one.poses[:, :3, :3], known.poses[:, :3, :3], atol=1e-12)


def test_poses_that_can_be_either_have_to_be_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "chair", "mira", 1)
    np.save(folder / "000.npy", np.eye(4)[:3] + np.array([[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3]]))
    assert "camera-to-world cannot be seen" in sentence(tmp_path)
    (one,) = open_views(tmp_path, poses="world-to-camera")
    np.testing.assert_allclose(one.poses[0, :3, 3], [-2, -4, -6])


def test_hi3d_as_published_has_its_known_cameras(tmp_path: Path) -> None:
    write_pictures(tmp_path / "chair", "hi3d", len(HI3D_ELEVATIONS) * HI3D_AZIMUTHS)
    (one,) = open_views(tmp_path)
    places = one.poses[:, :3, 3]
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 3.0, atol=1e-5)
    np.testing.assert_allclose(np.degrees(np.arcsin(places[::16, 2] / 3)), HI3D_ELEVATIONS, atol=1e-4)
    np.testing.assert_allclose(places[16], [3, 0, 0], atol=1e-5)
    np.testing.assert_allclose(places[20], [0, 3, 0], atol=1e-5)


def test_alpha_is_kept_and_what_it_leaves_open_becomes_white(tmp_path: Path) -> None:
    """FACTS 7.6: black where nothing is, against a white background of the renderer."""
    write_ours(tmp_path / "chair", "mira", cameras())
    stored = open_views(tmp_path)[0].picture(3)
    assert stored.shape == (SIZE, SIZE, 4) and set(np.unique(stored[:, :, 3])) == {0, 128, 255}
    white = composed(stored)
    np.testing.assert_array_equal(white[0, 0], 1)
    np.testing.assert_allclose(white[8, 8], [3 / 255, 100 / 255, 50 / 255], atol=1e-6)
    np.testing.assert_allclose(white[3, 8, 1], (100 * 128 / 255 + 127) / 255, atol=1e-6)
    np.testing.assert_array_equal(composed(stored, 0.5)[0, 0], 0.5)


def test_a_source_pose_can_be_brought_to_the_canonical_camera(tmp_path: Path) -> None:
    """FACTS 7.10: any of the views can be the source; what is between it and the others is in the poses."""
    write_ours(tmp_path / "chair", "openlrm", cameras())
    poses = open_views(tmp_path)[0].poses
    distance = np.linalg.norm(poses[2, :3, 3])
    canonical = np.array([[1, 0, 0, 0], [0, 0, -1, -distance], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    moved = canonical @ np.linalg.inv(poses[2]) @ poses
    np.testing.assert_allclose(moved[2], canonical, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(moved[:, :3, 3], axis=1), np.linalg.norm(poses[:, :3, 3], axis=1))
    front = open_views(tmp_path)[0].poses[0]
    np.testing.assert_allclose(front[:3, :3], canonical[:3, :3], atol=1e-7), "the first view is that camera already"


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits per channel that uses all five filters, a row each in turn."""
    height, width, channels = values.shape
    step, rows, above = 2 * channels, b"", bytes(2 * channels * width)
    for number, row in enumerate(values.astype(">u2")):
        line = row.tobytes()
        kind = number % 5
        coded = bytearray()
        for index, byte in enumerate(line):
            left = line[index - step] if index >= step else 0
            up, corner = above[index], above[index - step] if index >= step else 0
            guess = left + up - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            coded.append((byte - (0, left, up, (left + up) // 2, nearest)[kind]) & 255)
        rows, above = rows + bytes([kind]) + bytes(coded), line

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_are_read_to_the_last(channels: int, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 65536, (11, 9, channels)).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(deep_png(values))
    read = read_picture(tmp_path / "deep.png")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read[:, :, :channels], values)
    assert channels == 4 or (read[:, :, 3] == 65535).all()


def test_a_picture_without_alpha_is_opaque_and_others_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "plain.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "plain.png")[0, 0], [1, 2, 3, 255])
    Image.new("I;16", (4, 4)).save(tmp_path / "depth.png")
    Image.new("CMYK", (4, 4)).save(tmp_path / "print.jpg")
    for name in ("depth.png", "print.jpg"):
        with pytest.raises(ViewsError, match="views are RGB or RGBA"):
            read_picture(tmp_path / name)
    whole = (tmp_path / "plain.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ViewsError, match="or cut"):
        read_picture(tmp_path / "cut.png")
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 6, 0, 0, 0)
    huge = whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]
    (tmp_path / "huge.png").write_bytes(huge)
    with pytest.raises(ViewsError, match="is not a picture"):
        read_picture(tmp_path / "huge.png")
    with pytest.raises(ViewsError, match="is missing"):
        read_picture(tmp_path / "none.png")


def test_what_is_not_a_data_set_gets_a_sentence(tmp_path: Path) -> None:
    assert "is not a folder" in sentence(tmp_path / "none")
    (tmp_path / ".chair.partial").mkdir()
    (tmp_path / "render.json").write_text("{}")
    assert "no object in" in sentence(tmp_path)
    (tmp_path / "chair").mkdir()
    assert "no views of a layout that is known" in sentence(tmp_path)
    write_ours(tmp_path / "chair", "openlrm", cameras())
    (tmp_path / "chair" / METADATA).unlink()
    (tmp_path / "chair" / "pose" / "002.npy").unlink()
    assert "5 pictures and 4 poses" in sentence(tmp_path)
    np.save(tmp_path / "chair" / "pose" / "002.npy", np.full((3, 4), np.nan))
    assert "not finite" in sentence(tmp_path)
    (tmp_path / "chair" / "pose" / "002.npy").write_bytes(b"no numbers")
    assert "not a file of numbers" in sentence(tmp_path)


def test_one_object_that_cannot_be_read_is_told_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bed", "chair", "desk"):
        write_ours(tmp_path / name, "openlrm", cameras())
    (tmp_path / "chair" / METADATA).write_text("{")
    told: list[str] = []
    assert [one.name for one in open_views(tmp_path, told.append)] == ["bed", "desk"]
    assert len(told) == 1 and told[0].startswith("chair is left out: ") and "is not JSON" in told[0]
    assert "is not JSON" in sentence(tmp_path), "where nobody is told, it is raised"

    # A folder that may not be looked into: the word of the system becomes a sentence.
    real = Path.read_text

    def forbidden(self: Path, *arguments: object, **options: object) -> str:
        if self.parent.name == "desk":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", forbidden)
    assert [one.name for one in open_views(tmp_path, told.append)] == ["bed"]
    assert "desk" in told[-1] and "Permission denied" in told[-1]
    (tmp_path / "bed" / METADATA).write_text("[]")
    with pytest.raises(ViewsError, match="Permission denied"):
        open_views(tmp_path, told.append)


def test_metadata_that_tells_nothing_gets_a_sentence(tmp_path: Path) -> None:
    folder = write_ours(tmp_path / "chair", "mira", cameras())
    content = json.loads((folder / METADATA).read_text())
    for damage, told in (
        ({"version": 99}, "of version 99"),
        ({"views": []}, "does not tell"),
        ({"views": [{"picture": "000.png"}]}, "does not tell"),
        ({"settings": {}}, "does not tell"),
    ):
        (folder / METADATA).write_text(json.dumps({**content, **damage}))
        assert told in sentence(tmp_path)
    for text in ("{", "[]"):
        (folder / METADATA).write_text(text)
        assert "JSON" in sentence(tmp_path)


def test_a_solid_that_is_none_gets_a_sentence(tmp_path: Path) -> None:
    folder = write_ours(tmp_path / "chair", "mira", cameras())
    for content in (b"PK no", b"PK\x03\x04" + bytes(40), b""):
        (folder / SOLID).write_bytes(content)
        with pytest.raises(ViewsError, match="not a solid"):
            open_views(tmp_path)[0].solid()


def test_a_picture_outside_of_its_folder_is_not_read(tmp_path: Path) -> None:
    file = write_ours(tmp_path / "chair", "mira", cameras()) / METADATA
    for place in ("../other/000.png", "/000.png"):
        content = json.loads(file.read_text())
        content["views"][0]["picture"] = place
        file.write_text(json.dumps(content))
        assert "outside the folder" in sentence(tmp_path)
