"""Several pictures of one prop: what cameras see, from which side, what arrives at the pipeline, and what stays."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Vector

from blender_addon import session
from blender_addon.backend_process import setting_up
from blender_addon.capture import azimuths, block_outs, photos, render_settings, rendering
from blender_addon.capture.capture import capture_camera
from blender_addon.capture.intrinsics import CaptureError
from blender_addon.capture.pictures import png
from blender_addon.capture.rendering import finished
from blender_addon.ground import folders
from blender_addon.ground.messages import SetDresserError
from tests.blender_addon import snapshots
from tests.blender_addon.small_room import ROUND, add, camera_at, labels_of, read
from tests.blender_addon.test_session import pump_until


def came(job: Any) -> dict[str, Any]:
    """What the pipeline says it got."""
    return json.loads(next(each["message"] for each in job.warnings if each["code"] == "photos"))


# from which side


@pytest.mark.usefixtures("relation")
def test_a_camera_that_moves_to_its_own_right_has_a_larger_azimuth(around: list[Any]) -> None:
    centre = azimuths.middle(azimuths.corners([bpy.data.objects["Cube"]]), around)
    assert tuple(centre) == pytest.approx((3, -2, 1), abs=1e-6)
    assert azimuths.relative(around, centre) == pytest.approx(ROUND, abs=1e-4)
    camera = around[0]
    camera.location += camera.matrix_world.to_3x3() @ Vector((0.5, 0, 0))
    bpy.context.view_layer.update()
    moved = azimuths.relative([around[1], camera], centre)[1]
    assert -90 < moved < -80, "-90 before"


@pytest.mark.usefixtures("relation")
def test_without_a_block_out_the_view_axes_tell_the_middle(around: list[Any]) -> None:
    nothing = azimuths.corners([])
    assert tuple(azimuths.middle(nothing, around)) == pytest.approx((3, -2, 1), abs=1e-4)
    assert tuple(azimuths.middle(nothing, around[:1])) == (0, 0, 0), "one axis has no middle"
    around[1].matrix_world = around[0].matrix_world.copy()
    around[1].location.x += 3
    bpy.context.view_layer.update()
    assert tuple(azimuths.middle(nothing, around[:2])) == (0, 0, 0), "parallel axes have none"


@pytest.mark.usefixtures("relation")
def test_a_camera_straight_above_has_no_azimuth_and_is_never_the_first(around: list[Any]) -> None:
    above = camera_at("Above", 0, (3, -2, 1), away=0.0)
    given = photos.ask(bpy.context, [above, *around[:2]], None, False)
    assert [photo.azimuth for photo in given.photos] == [None, 0.0, 90.0]
    assert given.warnings == ("Above looks from straight above or below: from which side is not known.",)
    above.location.x += 1.0
    assert photos.ask(bpy.context, [above, around[0]], None, False).photos[0].azimuth is not None


@pytest.mark.usefixtures("relation")
def test_the_middle_is_that_of_parts_and_instances_too() -> None:
    cube = bpy.data.objects["Cube"]
    part = add("cube", "Part", size=2, location=(4, 0, 0))
    part.parent = cube
    inside = bpy.data.collections.new("Inside")
    inside.objects.link(add("cube", "Inner", size=2, location=(0, 6, 0)))
    shown = bpy.data.objects.new("Shown", None)
    shown.instance_type, shown.instance_collection = "COLLECTION", inside
    bpy.context.scene.collection.objects.link(shown)
    bpy.context.view_layer.update()
    assert tuple(azimuths.middle(azimuths.corners([cube]), [])) == pytest.approx((2, 0, 0))
    assert tuple(azimuths.middle(azimuths.corners([cube, shown]), [])) == pytest.approx((2, 3, 0))


# what is rendered


@pytest.mark.usefixtures("relation")
def test_the_first_photo_is_a_shot_and_the_others_are_cut_out(around: list[Any], tmp_path: Path) -> None:
    cube = bpy.data.objects["Cube"]
    planned = photos.ask(bpy.context, around[:2], [cube], False)
    first, second = (finished(photos.take(planned, number, tmp_path / str(number))) for number in (0, 1))
    bpy.context.scene.camera = around[0]
    plain = capture_camera(bpy.context, [cube], tmp_path / "plain")
    assert (first.camera, first.labels, first.block_outs) == (plain.camera, plain.labels, plain.block_outs)
    assert np.array_equal(labels_of(first), labels_of(plain))
    assert np.array_equal(np.load(first.depth), np.load(plain.depth), equal_nan=True)
    assert np.array_equal(read(first.image), read(plain.image)), "nothing else is in the scene"
    assert (second.instances, second.depth) == (None, None)
    bpy.context.scene.camera = around[1]
    plain = capture_camera(bpy.context, [cube], tmp_path / "plain")
    assert second.camera == plain.camera
    whole, mask = read(plain.image), labels_of(plain) == 1
    cut = read(second.image)
    assert second.image.read_bytes()[25] == 6, "RGBA"
    assert np.array_equal(cut[..., 3], mask.astype(np.float32))
    assert np.array_equal(cut[mask][:, :3], whole[mask][:, :3]), "straight alpha: colours as they are"
    assert 500 < mask.sum() < mask.size / 2


@pytest.mark.usefixtures("relation")
@pytest.mark.parametrize("by", ["visible_camera", "hide_render"])
def test_only_the_block_out_is_seen_and_all_of_it_is_one_object(
    room: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """A wall stands before the camera, the floor below; the room's three are one block-out. Engines other than Cycles
    know no `visible_camera`."""
    camera = bpy.context.scene.camera
    free = labels_of(capture_camera(bpy.context, room, tmp_path / "free")) > 0
    wall = add("cube", "Wall", size=4, location=(0, -5, 2))
    with pytest.raises(CaptureError):
        capture_camera(bpy.context, room, tmp_path / "blocked")
    if by == "hide_render":
        monkeypatch.setattr(render_settings, "will_be_cycles", lambda *_: False)
    before = snapshots.everything()
    planned = photos.ask(bpy.context, [camera, camera], room, False)
    first, second = (finished(photos.take(planned, number, tmp_path / str(number))) for number in (0, 1))
    assert np.array_equal(labels_of(first) == 1, free)
    assert np.array_equal(read(second.image)[..., 3] == 1, free)
    assert [(row["id"], row["name"]) for row in first.labels] == [(1, "Box")]
    assert [each.name for each in first.one_with] == ["Ball", "Cone"]
    box = np.array(first.labels[0]["world_from_box"])
    corners = np.array([(x, y, z, 1) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) @ box.T
    reached = azimuths.corners(room)
    assert np.all(corners[:, :3].min(axis=0) <= reached.min(axis=0) + 0.2)
    assert np.all(corners[:, :3].max(axis=0) >= reached.max(axis=0) - 0.2)
    assert snapshots.differences(before, snapshots.everything()) == []
    assert wall.visible_camera and not wall.hide_render


@pytest.mark.usefixtures("relation")
def test_a_block_out_of_instances_is_seen(tmp_path: Path) -> None:
    """What an instance shows may stand in the scene itself, too, and must not be taken out of sight with it."""
    inner = bpy.data.objects["Cube"]
    inside = bpy.data.collections.new("Inside")
    bpy.context.scene.collection.children.link(inside)
    inside.objects.link(inner)
    shown = bpy.data.objects.new("Shown", None)
    shown.instance_type, shown.instance_collection, shown.location = "COLLECTION", inside, (5, 0, 0)
    bpy.context.scene.collection.objects.link(shown)
    camera = camera_at("Shot", 30, (5, 0, 0))
    shot = finished(photos.take(photos.ask(bpy.context, [camera], [shown], False), 0, tmp_path))
    assert np.count_nonzero(labels_of(shot) == 1) > 500
    assert shot.labels[0]["name"] == "Shown"


@pytest.mark.usefixtures("relation")
def test_a_camera_bound_to_a_marker_does_not_take_the_others_place(around: list[Any], tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.timeline_markers.new("Cut", frame=scene.frame_current).camera = around[0]
    planned = photos.ask(bpy.context, around, [bpy.data.objects["Cube"]], False)
    before = snapshots.everything()
    masks = [read(finished(photos.take(planned, number, tmp_path / str(number))).image)[..., 3] for number in (1, 3)]
    assert not np.array_equal(*masks)
    assert snapshots.differences(before, snapshots.everything()) == []
    assert scene.timeline_markers[0].camera == around[0]


@pytest.mark.usefixtures("relation")
@pytest.mark.parametrize("fails_at", [1, 2])
def test_everything_is_as_before_if_a_photo_fails(
    around: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    real, calls = bpy.ops.render.render, []

    def render(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == fails_at:
            raise RuntimeError("Error: Out of memory")
        return real(*arguments, **options)

    scene = bpy.context.scene
    scene.timeline_markers.new("Cut", frame=1).camera = around[0]
    add("plane", "Floor", size=9)
    planned = photos.ask(bpy.context, around, [bpy.data.objects["Cube"]], False)
    before = snapshots.everything()
    operators = SimpleNamespace(render=SimpleNamespace(render=render))
    monkeypatch.setattr(rendering, "bpy", SimpleNamespace(ops=operators, data=bpy.data, app=bpy.app, types=bpy.types))
    with pytest.raises(CaptureError, match="Out of memory"):
        finished(photos.take(planned, 2, tmp_path))
    assert snapshots.differences(before, snapshots.everything()) == []
    assert list(tmp_path.iterdir()) == []


# what cannot be used


def _elsewhere(around: list[Any]) -> list[Any]:
    around[1].rotation_euler.x += math.pi
    return around


def _orthographic(around: list[Any]) -> list[Any]:
    around[1].data.type = "ORTHO"
    return around


def _no_camera(around: list[Any]) -> list[Any]:
    return [around[0], bpy.data.objects["Cube"]]


def _not_in_the_scene(around: list[Any]) -> list[Any]:
    bpy.context.scene.collection.objects.unlink(around[1])
    return around


def _nothing_selected(around: list[Any]) -> list[Any]:
    bpy.ops.object.select_all(action="DESELECT")
    around[0].select_set(True)
    return around


@pytest.mark.usefixtures("relation")
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_elsewhere, "Shot 2 does not see the block-out"),
        (_orthographic, "Shot 2 is orthographic"),
        (_no_camera, "Cube is no camera"),
        (_not_in_the_scene, "Shot 2 is not in the scene"),
        (_nothing_selected, "Nothing is chosen that the cameras could look at"),
        (lambda around: [], "There are no photos"),
        (lambda around: [around[0], "/nowhere/chair.png"], "chair.png does not exist"),
        (lambda around: [around[0], bpy.data.images.new("Tiles", 8, 8, tiled=True)], "UDIM"),
        (lambda around: [(around[0], 361.0)], "from -360 to 360"),
        (lambda around: [(around[0], math.nan)], "from -360 to 360"),
        (lambda around: [(around[0], "left")], "from -360 to 360"),
        (lambda around: [around[0], None], "Photo 2 shows nothing"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_before_anything_is_rendered(
    around: list[Any], make: Any, sentence: str
) -> None:
    entries = make(around)
    with pytest.raises(CaptureError, match=sentence) as caught:
        photos.ask(bpy.context, entries, None, False)
    assert caught.value.hint.endswith(".")


# on the way


def test_photos_arrive_with_names_and_azimuths_and_the_prop_on_the_block_out(several: Any, around: list[Any]) -> None:
    several.pipelines()
    cube = bpy.data.objects["Cube"]
    selected = [each.name for each in bpy.context.selected_objects]
    before = snapshots.everything()
    job = several.generate(photos=around, pipeline="test-photos", import_result=False)
    assert snapshots.differences(before, snapshots.everything()) == []
    assert [each.name for each in bpy.context.selected_objects] == selected
    told = came(job)
    assert told["photos"] == [{"name": f"Shot {number}", "azimuth": angle} for number, angle in enumerate(ROUND, 1)]
    assert told["sizes"] == told["cameras"] == [[96, 64]] * 4
    assert told["clear"][0] == 0, "the first one has its map instead"
    assert all(500 < pixels < 3000 for pixels in (told["mask"], *told["opaque"][1:]))
    assert all(opaque + clear == 96 * 64 for opaque, clear in zip(told["opaque"], told["clear"], strict=True))
    assert (told["instance_source"], told["camera_source"], told["depth"]) == ("map", "request", True)
    assert job.name == "Cube"
    several.import_job(job)
    (prop,) = job.objects
    assert prop.set_dresser_block_out == cube
    assert tuple(prop.location) == pytest.approx((3, -2, 0), abs=1e-3)
    assert cube.hide_render
    assert list((folders.temporary() / "shots").iterdir()) == []


def test_files_images_and_cameras_mix_and_keep_their_bytes(several: Any, around: list[Any], picture: Path) -> None:
    painted = bpy.data.images.new("Painted", 24, 16, alpha=True)
    painted.pixels.foreach_set(np.tile(np.array([1, 0, 0, 1], np.float32), (24 * 16)))
    given = [(picture, 12.5), painted, around[0], around[2]]
    job = several.generate(photos=given, pipeline="test-photos", name="Chair")
    told = came(job)
    assert told["photos"] == [
        {"name": "square", "azimuth": 12.5},
        {"name": "Painted", "azimuth": None},
        {"name": "Shot 1", "azimuth": 0.0},
        {"name": "Shot 3", "azimuth": 180.0},
    ]
    assert told["sizes"] == [[64, 48], [24, 16], [96, 64], [96, 64]]
    assert told["cameras"] == [None, None, [96, 64], [96, 64]]
    assert (told["instance_source"], told["camera_source"], told["depth"]) == ("alpha", "default", False)
    inputs = setting_up.server_environment(session.current.desk.installation).data / "jobs" / job.id / "inputs"
    assert (inputs / "image-0.bin").read_bytes() == picture.read_bytes()
    assert job.name == "Chair"


def test_the_first_picture_may_match_the_active_camera(several: Any, picture: Path) -> None:
    job = several.generate(photos=[picture, picture], pipeline="test-photos", match_camera=True)
    assert came(job)["camera_source"] == "request"


def test_the_wrong_number_of_photos_is_refused_before_the_first_is_taken(
    several: Any, around: list[Any], picture: Path
) -> None:
    several.pipelines()
    for count, pipeline, sentence in (
        (1, "test-photos", "Several takes at least 2 pictures, and there is one."),
        (5, "test-photos", "Several takes up to 4 pictures, and there are 5."),
        (2, "test-one-photo", "Single takes one picture, and there are 2."),
    ):
        with pytest.raises(SetDresserError) as caught:
            several.generate(photos=[around[0]] * count, pipeline=pipeline)
        assert caught.value.message == sentence
    with pytest.raises(SetDresserError, match="stand for themselves"):
        several.generate(source=picture, photos=[picture, picture], pipeline="test-photos")
    assert session.current.desk.jobs == {}
    assert not list((folders.temporary()).glob("shots/*"))


def start(several: Any, around: list[Any]) -> Any:
    job = several.generate(photos=around, pipeline="test-photos", wait=False)
    assert (job.state, job.fraction) == ("capturing", 0.0), "the press of the button renders nothing"
    return job


def taken() -> int:
    return len(list(folders.temporary().glob("shots/*/*/image.png")))


def test_one_picture_is_taken_in_each_turn(several: Any, around: list[Any]) -> None:
    job = start(several, around)
    turns, message = [], []
    while job.state == "capturing":
        before = taken()
        message.append(session.current.desk.jobs[job.id].message)
        session.pump()
        turns.append(taken() - before)
    assert max(turns) == 1 and sum(turns) == 4
    assert list(dict.fromkeys(message)) == [f"Shot {number}, {number} of 4" for number in (1, 2, 3, 4)]
    counted = session.current.line.slices.longest(), sum(session.current.line.captures.seconds)
    assert counted[0] < counted[1] / 2, "what was rendered is counted apart"
    job.wait()
    assert len(came(job)["photos"]) == 4


def test_a_job_is_cancelled_between_two_pictures(several: Any, around: list[Any]) -> None:
    before = snapshots.everything()
    job = start(several, around)
    pump_until(lambda: taken() == 2, "two pictures")
    job.cancel()
    assert job.state == "cancelled"
    session.pump()
    assert list((folders.temporary() / "shots").iterdir()) == []
    assert snapshots.differences(before, snapshots.everything()) == []


def _moved(around: list[Any]) -> None:
    bpy.data.objects["Cube"].location.x += 0.5


def _deleted(around: list[Any]) -> None:
    bpy.data.objects.remove(around[3])


def _deleted_but_used(around: list[Any]) -> None:
    bpy.context.scene.set_dresser.photos.add().camera = around[3]
    bpy.context.scene.collection.objects.unlink(around[3])


def _other_file(around: list[Any]) -> None:
    bpy.ops.wm.read_homefile(use_factory_startup=True)


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (_moved, "was moved before all pictures were taken"),
        (_deleted, "A camera of the list is not there any more"),
        (_deleted_but_used, "A camera of the list is not there any more"),
        (_other_file, "The scene is not there any more"),
    ],
)
def test_pictures_of_different_sets_never_make_one_prop(
    several: Any, around: list[Any], happens: Any, sentence: str
) -> None:
    job = start(several, around)
    pump_until(lambda: taken() == 1, "a picture")
    happens(around)
    with pytest.raises(SetDresserError, match=sentence):
        job.wait()
    assert job.state == "failed"
    assert list((folders.temporary() / "shots").iterdir()) == []


def test_undo_between_two_pictures_is_no_hindrance(several: Any, around: list[Any]) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.data.materials.new("Something")
    bpy.ops.ed.undo_push(message="something")
    job = start(several, around)
    pump_until(lambda: taken() == 1, "a picture")
    bpy.ops.ed.undo()
    assert "Something" not in bpy.data.materials
    job.wait()
    assert len(came(job)["photos"]) == 4
    assert bpy.data.objects["Cube"].hide_render


def test_a_photo_waits_for_a_render_or_a_move(several: Any, around: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    busy = ["Waiting for the render to end"]
    monkeypatch.setattr("blender_addon.ground.moments.capture_hindrance", lambda: busy[0])
    job = start(several, around)
    for _ in range(5):
        session.pump()
    assert taken() == 0
    assert session.current.desk.jobs[job.id].message == busy[0]
    busy[0] = ""
    pump_until(lambda: taken() == 4, "the pictures")


def test_several_objects_are_one_block_out_also_when_their_prop_is_made_anew(several: Any, room: list[Any]) -> None:
    cameras = [camera_at("A", -90, (0, 0, 0.8)), camera_at("B", -60, (0, 0, 0.8))]
    box = room[0]
    job = several.generate(photos=cameras, objects=room, pipeline="test-photos")
    (prop,) = job.objects
    assert prop.set_dresser_block_out == box
    assert all(each.hide_render and each.hide_get() for each in room)
    mask = came(job)["mask"]
    again = several.generate(photos=cameras, objects=[prop], pipeline="test-photos")
    assert came(again)["mask"] == mask, "the prop stands for all that it was made of"
    assert prop.hide_render
    for each in room:
        block_outs.show(each, bpy.context.view_layer)
    assert not any(each.hide_render for each in room)


def test_photos_of_one_colour_are_read_as_they_are(tmp_path: Path) -> None:
    """A file is copied, byte by byte; not even its suffix matters to the order."""
    for name in ("b10.PNG", "b9.png"):
        (tmp_path / name).write_bytes(png(np.full((8, 8, 3), 90, np.uint8)))
    planned = photos.ask(bpy.context, [tmp_path / "b10.PNG", str(tmp_path / "b9.png")], None, False)
    shots = [finished(photos.take(planned, number, tmp_path / str(number))) for number in (0, 1)]
    whole = photos.joined(planned, shots)
    assert [path.name for path in whole.files["image"]] == ["image.png", "image.png"]
    assert whole.request["photos"] == [{"name": "b10", "azimuth": None}, {"name": "b9", "azimuth": None}]
    assert whole.request["camera"] is None
