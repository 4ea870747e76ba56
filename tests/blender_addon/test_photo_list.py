"""The list of photos in the panel: what its buttons do, what is seen, and why Generate is grey."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.capture import photo_files
from blender_addon.capture.pictures import png
from blender_addon.settings import photo_list
from blender_addon.ui.operators.generate import shot_of
from blender_addon.ui.panels.photos import SET_DRESSER_UL_photos, azimuth_text
from tests.blender_addon import snapshots
from tests.blender_addon.catalogue import take_pipelines
from tests.blender_addon.drawing import PIPELINES, draw
from tests.blender_addon.pumping import came, pump_until
from tests.blender_addon.recorder import Recorder
from tests.blender_addon.small_room import ROUND, camera_at

SEVERAL = {**PIPELINES[0], "id": "test-several", "title": "Several", "images": {"least": 2, "most": 4}}
ONE = {**PIPELINES[0], "images": {"least": 1, "most": 1}}


@pytest.fixture
def settings(addon: Any) -> Any:
    take_pipelines([SEVERAL, ONE])
    session.current.desk.set_up_problem = None
    made = bpy.context.scene.set_dresser
    made.pipeline, made.source = "test-several", "PHOTOS"
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose natural order is not that of their characters."""
    import numpy as np

    for name in ("view10.png", "View2.png", "view1.png"):
        (tmp_path / name).write_bytes(png(np.full((8, 8, 3), 90, np.uint8)))
    return tmp_path


def add_files(folder: Path, *names: str) -> None:
    files = [{"name": name} for name in names]
    bpy.ops.set_dresser.add_photo_files(directory=str(folder), files=files)


def titles(settings: Any) -> list[str]:
    return [photo_list.title(photo) for photo in settings.photos]


def reason() -> str:
    """What the panel says while Generate is grey."""
    texts = draw().texts.replace("\n", " ").replace("block- out", "block-out")
    assert not bpy.ops.set_dresser.generate.poll()
    return texts


def test_photos_are_offered_where_the_pipeline_takes_several(settings: Any) -> None:
    settings.source = "CAMERA"
    assert "PHOTOS" in _offered(settings)
    assert "Takes up to 4 pictures of one object" in draw().texts.replace("\n", " ")
    settings.pipeline = "test-one"
    assert "PHOTOS" not in _offered(settings)
    settings.pipeline, settings.source = "test-several", "PHOTOS"
    settings.pipeline = "test-one"
    assert settings.source == "PHOTOS", "a choice stays until another one is made"
    settings.source = "FILE"
    assert settings.source == "FILE"


def _offered(settings: Any) -> str:
    """What Blender says may be chosen."""
    with pytest.raises(TypeError) as caught:
        settings.source = "NOTHING"
    return str(caught.value)


def test_files_come_in_the_natural_order_of_their_names(settings: Any, folder: Path) -> None:
    add_files(folder, "view10.png", "View2.png", "view1.png")
    assert titles(settings) == ["view1.png", "View2.png", "view10.png"]
    assert [photo.name for photo in settings.photos] == ["view1", "View2", "view10"]
    assert settings.photo_index == 2
    names = ["b", "a10", "A9", "a9b", "10", "9", "a"]
    assert sorted(names, key=photo_list.natural) == ["9", "10", "a", "A9", "a9b", "a10", "b"]


def test_photos_are_moved_and_removed_and_the_marked_one_stays_marked(settings: Any, folder: Path) -> None:
    assert not bpy.ops.set_dresser.remove_photo.poll()
    add_files(folder, "view1.png", "View2.png", "view10.png")
    bpy.ops.set_dresser.move_photo(direction="UP")
    assert (titles(settings), settings.photo_index) == (["view1.png", "view10.png", "View2.png"], 1)
    for _ in range(3):
        bpy.ops.set_dresser.move_photo(direction="UP")
    assert (titles(settings), settings.photo_index) == (["view10.png", "view1.png", "View2.png"], 0)
    bpy.ops.set_dresser.move_photo(direction="DOWN")
    bpy.ops.set_dresser.remove_photo()
    assert (titles(settings), settings.photo_index) == (["view1.png", "View2.png"], 1)
    bpy.ops.set_dresser.remove_photo()
    assert settings.photo_index == 0
    bpy.ops.set_dresser.clear_photos()
    assert (titles(settings), settings.photo_index) == ([], 0)


def test_every_change_is_one_step_to_undo(settings: Any, folder: Path) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.set_dresser.add_photo_files("EXEC_DEFAULT", True, directory=str(folder), files=[{"name": "view1.png"}])
    bpy.ops.set_dresser.add_photo_cameras("EXEC_DEFAULT", True, collection="Collection")
    assert len(bpy.context.scene.set_dresser.photos) == 2
    bpy.ops.ed.undo()
    assert titles(bpy.context.scene.set_dresser) == ["view1.png"]
    bpy.ops.ed.undo()
    assert titles(bpy.context.scene.set_dresser) == []
    bpy.ops.ed.redo()
    assert titles(bpy.context.scene.set_dresser) == ["view1.png"]


def test_cameras_come_from_the_selection_or_a_collection_each_once(settings: Any, around: list[Any]) -> None:
    around[0].name = "Shot 10"
    for camera in around:
        camera.select_set(True)
    bpy.ops.set_dresser.add_photo_cameras()
    assert titles(settings) == ["Shot 2", "Shot 3", "Shot 4", "Shot 10"]
    with pytest.raises(RuntimeError, match="no camera that is not in the list yet"):
        bpy.ops.set_dresser.add_photo_cameras()
    bpy.ops.set_dresser.add_photo_cameras(collection="Collection")
    assert titles(settings)[4:] == ["Camera"]
    image = bpy.data.images.new("Painted", 8, 8)
    bpy.ops.set_dresser.add_photo_image(image=image.name)
    assert titles(settings)[5:] == ["Painted"]
    with pytest.raises(RuntimeError, match="No image is chosen"):
        bpy.ops.set_dresser.add_photo_image(image="")
    with pytest.raises(RuntimeError, match="No picture is chosen"):
        bpy.ops.set_dresser.add_photo_files(directory="/nowhere")


def test_pictures_are_spread_evenly_and_degrees_come_out_exact(settings: Any, folder: Path, around: list[Any]) -> None:
    add_files(folder, "view1.png", "View2.png", "view10.png")
    bpy.ops.set_dresser.spread_photos()
    assert [angle for _, angle in photo_list.entries(settings)] == [0.0, 120.0, 240.0]
    settings.photos[1].azimuth_known = False
    settings.photos[2].azimuth = math.radians(-90)
    assert [angle for _, angle in photo_list.entries(settings)] == [0.0, None, -90.0]
    settings.photos[2].azimuth = 100.0
    assert photo_list.entries(settings)[2][1] == 360.0, "no more than the contract allows"
    photo_list.add_cameras(settings, around[:1])
    assert not bpy.ops.set_dresser.spread_photos.poll(), "cameras tell where they stand"


def _too_few(settings: Any) -> None:
    photo_list.remove(settings)


def _none(settings: Any) -> None:
    photo_list.clear(settings)


def _too_many(settings: Any) -> None:
    photo_list.add_files(settings, [settings.photos[0].path] * 4)


def _file_gone(settings: Any) -> None:
    Path(settings.photos[0].path).unlink()
    settings.photo_index = 0  # whoever looks at the list has it looked after


def _no_path(settings: Any) -> None:
    settings.photos[0].path = ""


def _no_image(settings: Any) -> None:
    bpy.data.images.remove(settings.photos[1].image)


def _no_camera(settings: Any) -> None:
    bpy.data.objects.remove(settings.photos[2].camera)


def _camera_out_of_scene(settings: Any) -> None:
    bpy.context.scene.collection.objects.unlink(settings.photos[2].camera)


def _orthographic(settings: Any) -> None:
    settings.photos[2].camera.data.type = "ORTHO"


def _no_selection(settings: Any) -> None:
    bpy.ops.object.select_all(action="DESELECT")


def _only_a_camera_selected(settings: Any) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    settings.photos[2].camera.select_set(True)


def _no_collection(settings: Any) -> None:
    settings.instances = "COLLECTION"


def _looks_away(settings: Any) -> None:
    settings.photos[2].camera.rotation_euler.x += math.pi
    bpy.context.view_layer.update()


def _one_picture(settings: Any) -> None:
    settings.pipeline = "test-one"


def _camera_source(settings: Any) -> None:
    settings.source = "CAMERA"


def _nothing_to_match(settings: Any) -> None:
    settings.use_active_camera, bpy.context.scene.camera = True, None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_none, "Add photos to the list"),
        (_too_many, "Several takes up to 4 pictures, and there are 7"),
        (_file_gone, "view1.png is missing: choose the file again, or remove photo 1"),
        (_no_path, "Choose a file for photo 1"),
        (_no_image, "Choose an image for photo 2"),
        (_no_camera, "Photo 3 has no camera of this scene"),
        (_camera_out_of_scene, "Photo 3 has no camera of this scene"),
        (_orthographic, "Shot 1 is not a perspective camera"),
        (_no_selection, "Select the objects of your block-out"),
        (_only_a_camera_selected, "Nothing that is selected can become a prop"),
        (_no_collection, "Choose the collection of your block-out"),
        (_looks_away, "Shot 1 does not see the block-out: point it there, or remove it"),
        (_one_picture, "One takes one picture, and there are 3"),
        (_camera_source, "Several takes at least 2 pictures, and there is one"),
        (_nothing_to_match, "The scene has no active camera"),
    ],
)
def test_a_grey_generate_says_why(
    settings: Any,
    folder: Path,
    around: list[Any],
    make: Any,
    sentence: str,
) -> None:
    add_files(folder, "view1.png")
    photo_list.add_image(settings, bpy.data.images.new("Painted", 8, 8))
    photo_list.add_cameras(settings, around[:1])
    draw()
    assert bpy.ops.set_dresser.generate.poll()
    make(settings)
    assert sentence in reason()


def test_a_short_list_says_what_is_lacking(settings: Any, folder: Path) -> None:
    add_files(folder, "view1.png")
    assert "Several takes at least 2 pictures, and there is one" in reason()


def test_a_file_that_comes_back_is_noticed(settings: Any, folder: Path, tmp_path: Path) -> None:
    add_files(folder, "view1.png", "View2.png")
    (folder / "view1.png").rename(tmp_path / "elsewhere.png")
    settings.photo_index = 0
    assert "view1.png is missing" in reason()
    settings.photos[0].path = str(tmp_path / "elsewhere.png")
    draw()
    assert bpy.ops.set_dresser.generate.poll()
    saved = str(tmp_path / "list.blend")
    bpy.ops.wm.save_as_mainfile(filepath=saved)
    (tmp_path / "elsewhere.png").unlink()
    bpy.ops.wm.open_mainfile(filepath=saved)
    kept = bpy.context.scene.set_dresser
    assert (kept.source, titles(kept)) == ("PHOTOS", ["elsewhere.png", "View2.png"])
    assert photo_files.is_missing(kept.photos[0].path), "looked for when the file was opened"


def rows(settings: Any) -> list[Recorder]:
    """The rows of the list as they are drawn."""
    drawn = []
    for index, photo in enumerate(settings.photos):
        layout = Recorder()
        item = SET_DRESSER_UL_photos.draw_item
        item(SimpleNamespace(), bpy.context, layout, settings, photo, 0, settings, "photo_index", index)
        drawn.append(layout)
    return drawn


def test_the_list_shows_each_photo_and_from_which_side_it_is(settings: Any, folder: Path, around: list[Any]) -> None:
    add_files(folder, "view1.png")
    photo_list.add_cameras(settings, around)
    photo_list.add_cameras(settings, [camera_at("Straight", 0, (3, -2, 1), away=0.0)])
    layout = draw()
    assert "Straight looks from straight above or below" in layout.texts.replace("\n", " ")
    assert "Move a camera to the top" in layout.texts.replace("\n", " ")
    assert {"use_active_camera", "instances", "hide_block_outs", "camera"} <= set(layout.controls)
    assert not {"azimuth", "labels", "imagine", "image_path"} & set(layout.controls), "the marked one is a camera"
    wanted = {"files", "image", "cameras"}
    assert {f"set_dresser.add_photo_{each}" for each in wanted} <= set(layout.buttons)
    drawn = rows(settings)
    assert drawn[0].controls == ["azimuth_known", "azimuth"]
    assert [each.texts.split("\n")[1] for each in drawn[1:]] == ["0°", "90°", "180°", "-45°", "–"]
    assert azimuth_text(22.5) == "22.5°" and azimuth_text(-0.01) == "0°"
    settings.photo_index = 0
    assert {"path", "azimuth", "azimuth_known"} <= set(draw().controls)
    settings.photos.move(0, 5)
    assert "use_active_camera" not in draw().controls
    photo_list.clear(settings)
    photo_list.add_files(settings, [folder / "view1.png"])
    assert not {"instances", "hide_block_outs"} & set(draw().controls), "pictures have no block-out"


def test_several_selected_objects_are_said_to_be_one(settings: Any, around: list[Any]) -> None:
    photo_list.add_cameras(settings, around)
    assert "become one prop" not in draw().texts
    bpy.ops.mesh.primitive_cube_add(location=(3, -2, 2))
    bpy.data.objects["Cube"].select_set(True)
    assert "All of them together become one prop" in draw().texts.replace("\n", " ")


def test_drawing_the_list_changes_nothing(settings: Any, folder: Path, around: list[Any]) -> None:
    add_files(folder, "view1.png")
    photo_list.add_cameras(settings, around)
    before = snapshots.everything()
    draw()
    rows(settings)
    assert snapshots.differences(before, snapshots.everything()) == []


def test_the_button_is_the_call(several: Any, around: list[Any], folder: Path) -> None:
    several.pipelines()
    settings = bpy.context.scene.set_dresser
    settings.pipeline, settings.source, settings.seed = "test-photos", "PHOTOS", 5
    photo_list.add_cameras(settings, around[:3])
    add_files(folder, "view10.png")
    settings.photos[3].azimuth_known, settings.photos[3].azimuth = True, math.radians(-45)
    settings.use_active_camera = True
    assert shot_of(settings)["match_camera"] is False, "the first one is a camera, which knows itself"
    assert bpy.ops.set_dresser.generate() == {"FINISHED"}
    record = next(iter(session.current.desk.jobs.values()))
    assert record.state == "capturing"
    assert "Shot 1, 1 of 4, 0%" in [drawn.text for drawn in draw().drawn if drawn.function == "progress"]
    pump_until(lambda: record.arrival == "imported", "the prop")
    told = came(SimpleNamespace(warnings=record.warnings))
    names = ("Shot 1", "Shot 2", "Shot 3", "view10")
    assert told["photos"] == [
        {"name": name, "azimuth": angle} for name, angle in zip(names, (*ROUND[:3], -45.0), strict=True)
    ]
    (prop,) = (bpy.data.objects[name] for name in record.imported)
    assert prop["set_dresser"]["seed"] == 5
    assert prop.set_dresser_block_out == bpy.data.objects["Cube"]
