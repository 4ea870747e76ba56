"""What a running job shows: a picture per slot that is painted over, never a burden for Blender or for the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import session
from blender_addon.backend_process.server_process import ServerState
from blender_addon.capture import pictures
from blender_addon.capture.pictures import png
from blender_addon.ground import temporary
from blender_addon.state.job import JobRecord
from blender_addon.state.previews import MOST_SLOTS, Preview, newest, of_descriptions
from blender_addon.ui.panels.running import draw_running
from blender_addon.wire.client import ServerEvent
from blender_addon.work import preview_fetching, preview_images
from blender_addon.work.preview_fetching import INTERVAL, PreviewFetching
from tests.blender_addon.recorder import Recorder

KEY = ("abc", "surface")


@pytest.fixture
def images() -> Iterator[Any]:
    """The images of previews alone, as the registered add-on has them."""
    temporary.register()
    preview_images.register()
    yield preview_images
    preview_images.unregister()
    temporary.unregister()


def paint(folder: Path, brightness: int, width: int = 64, height: int = 48, channels: int = 3) -> Path:
    path = folder / "preview.png"
    path.write_bytes(png(np.full((height, width, channels), brightness, np.uint8)))
    return path


def ours() -> list[bpy.types.Image]:
    return [image for image in bpy.data.images if temporary.MARK in image]


def editor() -> bpy.types.Area:
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    area.type = "IMAGE_EDITOR"
    return area


def event(slot: str, revision: int, caption: str = "") -> dict[str, Any]:
    return {"slot": slot, "revision": revision, "caption": caption, "file": f"preview-{slot}.png"}


# what is told


def test_the_newest_picture_is_the_one_that_was_painted_last() -> None:
    record = JobRecord(id="abc", state="running")
    for number, told in enumerate((event("a", 1), event("b", 2), event("a", 3, "Step 9"), {"slot": 5}), 1):
        record.take_event(ServerEvent(number, "preview", told))
    assert newest(record.previews) == Preview("a", 3, "Step 9", "preview-a.png")
    assert newest(of_descriptions([event("b", 7), event("a", 3)])).slot == "b", "the list may have any order"
    assert newest(of_descriptions(None)) is None


def test_what_comes_late_or_makes_no_sense_changes_nothing() -> None:
    record = JobRecord(id="abc", state="running")
    for told in (event("a", 7, "Step 9"), event("a", 5, "Step 5"), {**event("a", 1), "revision": True}, event("a", 7)):
        record.take_event(ServerEvent(7, "preview", told))
    assert newest(record.previews) == Preview("a", 7, "Step 9", "preview-a.png")
    record.take_event(ServerEvent(8, "preview", event("b", 8, "Two\nlines " + "x" * 500)))
    assert newest(record.previews).caption == "Two lines " + "x" * 190
    for number in range(100):
        record.take_event(ServerEvent(9, "preview", event(f"slot-{number}", 9)))
    assert len(record.previews) == MOST_SLOTS


@pytest.mark.parametrize("fraction", ["half", None, float("nan"), float("inf"), {}])
def test_progress_that_is_no_number_leaves_the_bar_where_it_was(fraction: Any) -> None:
    record = JobRecord(id="abc", state="running", fraction=0.25)
    told = {"stage": "surface", "fraction": fraction, "eta": fraction}
    record.take_event(ServerEvent(1, "progress", told))
    assert (record.stage, record.fraction, record.eta) == ("surface", 0.25, None)


# what Blender shows


def test_a_picture_is_painted_over_in_one_image_that_nobody_sees_in_menus(images: Any, tmp_path: Path) -> None:
    before = len(bpy.data.images)
    for brightness in (0, 255, 51):
        images.show(KEY, paint(tmp_path, brightness))
    (image,) = ours()
    assert len(bpy.data.images) == before + 1
    assert image.name.startswith(".")
    assert not image.is_dirty
    shown = preview_images._icons["abc/surface"]
    assert tuple(shown.image_size) == (64, 48)
    assert np.allclose(list(shown.image_pixels_float)[:4], (0.2, 0.2, 0.2, 1.0), atol=0.01)
    images.keep(())
    assert not ours()
    assert images.icon(KEY) is None


def test_what_is_no_picture_is_said_and_leaves_nothing(images: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(RuntimeError):
        images.show(KEY, path)
    images.keep(())
    assert not ours()


def test_only_a_whole_png_of_a_usual_size_is_given_to_blender(tmp_path: Path) -> None:
    path = paint(tmp_path, 90)
    pictures.check_png(path, 64)
    good = path.read_bytes()
    huge = png(np.zeros((1, 1, 3), np.uint8)).replace(bytes([0, 0, 0, 1] * 2), struct.pack(">II", 60_000, 60_000), 1)
    bad = [b"", b"GIF89a", good[:-1], good[:40], good[:8], good.replace(b"IDAT", b"IDAU"), huge, b"\xff\xd8" + good]
    for data in [*bad, good[:60] + bytes([good[60] ^ 1]) + good[61:]]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"preview\.png is"):
            pictures.check_png(path, 64)
    with pytest.raises(ValueError, match="at most 63 pixels"):
        pictures.check_png(paint(tmp_path, 90), 63)


@pytest.mark.parametrize(("height", "width", "size"), [(512, 384, (256, 192)), (48, 64, (48, 64)), (500, 1, (250, 1))])
def test_an_icon_is_small_and_keeps_its_shape(height: int, width: int, size: tuple[int, int]) -> None:
    pixels = preview_images.icon_pixels(np.full((height, width, 4), 0.5, np.float32))
    assert pixels.shape == (*size, 4)
    assert pixels.dtype == np.float32
    assert np.all(pixels == 0.5)


def test_each_pixel_of_an_icon_is_the_mean_of_its_square() -> None:
    picture = np.random.default_rng(0).random((515, 700, 4), dtype=np.float32)
    squares = picture[:513, :699].reshape(171, 3, 233, 3, 4)
    assert np.allclose(preview_images.icon_pixels(picture), squares.mean((1, 3)), atol=1e-6)


def test_an_editor_shows_it_and_afterwards_what_it_showed_before(images: Any, tmp_path: Path) -> None:
    area, former = editor(), bpy.data.images.new("Wallpaper", 4, 4)
    area.spaces.active.image = former
    for slot in ("surface", "view"):
        images.show(("abc", slot), paint(tmp_path, 90))
        images.open_in(area, ("abc", slot))
        assert area.spaces.active.image in ours()
    images.keep(())
    assert area.spaces.active.image == former
    assert not ours()


def test_what_the_artist_has_opened_since_stays(images: Any, tmp_path: Path) -> None:
    area, other = editor(), bpy.data.images.new("Other", 4, 4)
    images.show(KEY, paint(tmp_path, 90))
    images.open_in(area, KEY)
    area.spaces.active.image = other
    images.keep(())
    assert area.spaces.active.image == other


def test_an_editor_that_is_out_of_sight_when_the_job_ends_shows_what_it_showed_before(
    images: Any, tmp_path: Path
) -> None:
    hidden = bpy.data.screens["UV Editing"]
    assert all(window.screen != hidden for window in bpy.context.window_manager.windows)
    area = next(each for each in hidden.areas if each.type == "IMAGE_EDITOR")
    former = area.spaces.active.image = bpy.data.images.new("Wallpaper", 4, 4)
    images.show(KEY, paint(tmp_path, 90))
    images.open_in(area, KEY)
    assert area.spaces.active.image in ours()
    images.keep(())
    assert area.spaces.active.image == former


@pytest.mark.parametrize("sooner", ["picture", "tick"])
def test_removed_by_hand_or_by_undo_it_comes_back_in_its_editor(images: Any, tmp_path: Path, sooner: str) -> None:
    area = editor()
    images.show(KEY, paint(tmp_path, 90))
    images.open_in(area, KEY)
    bpy.data.images.remove(ours()[0])
    assert area.spaces.active.image is None
    if sooner == "picture":
        images.show(KEY, paint(tmp_path, 91))
    images.keep([KEY])
    assert area.spaces.active.image == ours()[0]
    area.spaces.active.image = None  # by the artist
    images.keep([KEY])
    images.show(KEY, paint(tmp_path, 92))
    assert area.spaces.active.image is None


def test_the_file_is_saved_without_it_and_the_editor_goes_on_showing_it(images: Any, tmp_path: Path) -> None:
    area, former = editor(), bpy.data.images.new("Wallpaper", 4, 4)
    former.use_fake_user, area.spaces.active.image = True, former
    images.show(KEY, paint(tmp_path, 90))
    images.open_in(area, KEY)
    assert ours()[0].users == 1, "an editor makes itself a user, and what has one is saved"
    path = tmp_path / "saved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)
    assert area.spaces.active.image in ours()
    assert b"Set Dresser Preview" not in path.read_bytes()
    images.keep(())
    assert area.spaces.active.image == former
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert not ours()
    shown = [area.spaces.active.image for area in bpy.context.window.screen.areas if area.type == "IMAGE_EDITOR"]
    assert shown == [bpy.data.images["Wallpaper"]], "the file has what the editor showed before"


def test_undo_and_redo_do_not_bring_it_back(images: Any, tmp_path: Path) -> None:
    bpy.ops.ed.undo_push(message="before")
    images.show(KEY, paint(tmp_path, 90))
    bpy.data.objects["Cube"].location.x = 5
    bpy.ops.ed.undo_push(message="moved")
    bpy.ops.ed.undo()
    assert bpy.data.objects["Cube"].location.x == 0, "one step: a preview is none"
    images.show(KEY, paint(tmp_path, 91))
    assert len(ours()) == 1
    images.keep(())
    bpy.ops.ed.redo()
    assert bpy.data.objects["Cube"].location.x == 5
    assert not ours()


def test_memory_stays_flat(images: Any, tmp_path: Path) -> None:
    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc here")
    path = paint(tmp_path, 90, 512, 512, 4)
    for _ in range(10):
        images.show(KEY, path)
    before = resident()
    for _ in range(60):  # one that leaks keeps a megabyte or four each time
        images.show(KEY, path)
    assert resident() - before < 20
    assert len(ours()) == 1


# what is fetched


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Connection:
    """An exchange that takes three turns."""

    status, body = 200, b""

    def __init__(self, log: list[str], name: str) -> None:
        self.left, self.log, self.name = 3, log, name

    def advance(self, deadline: float) -> bool:
        self.left -= 1
        return self.left <= 0

    def close(self) -> None:
        self.log.append(f"end {self.name}")


@pytest.fixture
def pace(current: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session with a server that answers by itself; what was asked for and shown, and when."""
    clock, log = Clock(), []

    def download(job: str, name: str, path: Path, limit: int) -> Connection:
        log.append(f"{clock.now:.2f} {name}")
        path.write_bytes(here.picture)
        return Connection(log, name)

    def ready() -> Iterator[None]:
        yield
        return SimpleNamespace(download=download)

    monkeypatch.setattr(preview_fetching, "time", clock)
    monkeypatch.setattr(preview_images, "show", lambda key, path: log.append(f"shown {key[1]}"))
    monkeypatch.setattr(current.line, "ready_client", ready)
    current.desk.server.state = ServerState.READY
    record = JobRecord(id="abc", state="running")
    current.desk.jobs = {"abc": record}
    here = SimpleNamespace(line=current.line, clock=clock, log=log, record=record, fetching=PreviewFetching())
    here.picture = png(np.zeros((4, 4, 3), np.uint8))
    return here


def tell(pace: Any, told: dict[str, Any], turns: int = 1, seconds: float = 0.05) -> None:
    pace.record.take_event(ServerEvent(told["revision"], "preview", told))
    for _ in range(turns):
        pace.clock.now += seconds / turns
        pace.fetching.show(pace.line)
        pace.line.tasks.advance(0.001)


def test_two_pictures_a_second_one_at_a_time_and_none_that_is_stale(pace: Any) -> None:
    for revision in range(1, 41):  # two seconds, twenty a second, in two slots
        tell(pace, event("ab"[revision % 2], revision), turns=4)
    asked = [float(line.split()[0]) for line in pace.log if line[0].isdigit()]
    assert 4 <= len(asked) <= 5
    assert all(later - sooner >= INTERVAL - 0.001 for sooner, later in pairwise(asked))
    assert [line.split()[0] for line in pace.log if not line[0].isdigit()][:4] == ["end", "shown", "end", "shown"]
    assert set(pace.fetching.fetched) == {("abc", "a"), ("abc", "b")}


def test_the_last_picture_comes_although_nothing_follows_it(pace: Any) -> None:
    tell(pace, event("a", 1), turns=8)
    tell(pace, event("a", 2))
    for _ in range(20):
        pace.clock.now += 0.1
        pace.line.tasks.advance(0.001)
    assert pace.fetching.fetched == {("abc", "a"): 2}
    assert pace.log.count("shown a") == 2
    assert len(pace.line.tasks) == 0


def test_a_picture_that_is_none_leaves_the_one_before(pace: Any) -> None:
    tell(pace, event("a", 1), turns=8)
    path = preview_fetching.path_of(pace.record, pace.record.previews["a"])
    assert path.read_bytes() == pace.picture
    pace.picture, good = b"no picture", pace.picture
    tell(pace, event("a", 2), turns=8, seconds=2.0)
    assert pace.log.count("shown a") == 1
    assert path.read_bytes() == good
    assert list(path.parent.iterdir()) == [path]
    pace.picture = good
    tell(pace, event("a", 3), turns=8, seconds=2.0)
    assert pace.log.count("shown a") == 2


def test_a_picture_of_a_job_that_has_ended_meanwhile_is_dropped(pace: Any) -> None:
    tell(pace, event("a", 1), turns=2)
    pace.record.state = "cancelled"
    for _ in range(8):
        pace.line.tasks.advance(0.001)
    assert pace.log[-1] == "end preview-a.png"
    pace.fetching.show(pace.line)
    assert pace.fetching.fetched == {}


# the panel


def test_the_panel_shows_it_beside_the_bar_with_a_button_for_each_slot(addon: Any, tmp_path: Path) -> None:
    record = JobRecord(id="abc", state="running", name="Shot", stage="surface", message="Sofa", fraction=0.25, eta=5400)
    for told in (event("a", 1), event("b", 2, "Step 9")):
        record.take_event(ServerEvent(1, "preview", told))
    session.current.desk.jobs = {"abc": record}
    layout = Recorder()
    draw_running(layout, bpy.context)
    assert not [drawn for drawn in layout.drawn if drawn.function == "template_icon"], "not before it is here"
    for slot in "ab":
        preview_images.show(("abc", slot), paint(tmp_path, 90))
    layout = Recorder()
    draw_running(layout, bpy.context)
    (picture,) = [drawn for drawn in layout.drawn if drawn.function == "template_icon"]
    assert picture.icon_value == preview_images.icon(("abc", "b")) is not None
    assert [drawn.given.slot for drawn in layout.drawn if getattr(drawn, "operator", "").endswith("open_preview")] == [
        "a",
        "b",
    ]
    assert "Step 9" in layout.texts
    assert {"25%, 1 h 30 min left", "Surface: Sofa"} <= set(layout.texts.splitlines()), "the time left is not cut off"
    bpy.ops.set_dresser.open_preview(job="abc")
    record.previews.clear()
    with pytest.raises(RuntimeError, match="no picture yet"):
        bpy.ops.set_dresser.open_preview(job="abc")
