"""Generate again and import again: what the artist has done to a prop goes on with the one that replaces it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from mathutils import Matrix

from blender_addon.capture import block_outs
from blender_addon.capture.block_outs import HIDDEN
from blender_addon.ground.references import Reference
from blender_addon.props import recipes, sets, variants
from blender_addon.props.importer import RECIPE, import_result
from tests.blender_addon import glb
from tests.blender_addon.glb import Node
from tests.blender_addon.measuring import close, stands

pytestmark = pytest.mark.usefixtures("relation")

CHAIR = Node(1, "Chair", (1.0, 2.0, 0.0), 0.7, (0.5, 0.6, 1.0))
LAMP = Node(2, "Lamp", (-1.0, 3.0, 0.5), -2.0, (0.2, 0.2, 1.6))


def bring(folder: Path, job: str, nodes: list[Node], made_of: dict[int, Any] | None = None, **options: Any) -> Any:
    """Import a result of a job, whose pictures are its own unless they are given; its props."""
    fields = {"job": job, "created": f"2026-01-01T00:00:{job}", "inputs": [{"role": "image", "sha256": job}]}
    path = glb.write(folder / "scene.glb", nodes)
    result = glb.result(nodes, **{**fields, **options.pop("fields", {})})
    references = {number: Reference.of(each) for number, each in (made_of or {}).items()}
    names = import_result(bpy.context, path, result, references, **options)
    bpy.context.view_layer.update()
    return [bpy.data.objects[name] for name in names]


def pose(node: Node) -> Matrix:
    return Matrix.Translation(node.place) @ Matrix.Rotation(node.turn, 4, "Z")


def seen_props() -> list[Any]:
    return [each for each in bpy.context.scene.objects if RECIPE in each and HIDDEN not in each]


@pytest.fixture
def cube() -> Any:
    return bpy.data.objects["Cube"]


# moves


def test_the_new_prop_takes_the_place_of_the_moved_one(tmp_path: Path, cube: Any) -> None:
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    edit = Matrix.Translation((5, -2, 0.5)) @ Matrix.Rotation(1.1, 4, "Z") @ Matrix.Rotation(0.3, 4, "X")
    first.matrix_world = edit @ first.matrix_world @ Matrix.Scale(1.5, 4)
    first.name = "Hero"
    wanted = stands(first)
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    assert close(stands(second), wanted)
    assert tuple(second.scale) == pytest.approx((1.5,) * 3, abs=1e-6)
    assert second.name == "Hero" and second.select_get() and not first.select_get()
    assert seen_props() == [second] and first.hide_render and first.hide_get()
    assert variants.of(second) == [first, second], "nothing is lost"
    assert variants.show(bpy.context, second, first) == first and close(stands(first), wanted)


@pytest.mark.parametrize("kept", [True, False])
def test_what_the_block_out_did_and_what_the_artist_did_are_both_there(tmp_path: Path, cube: Any, kept: bool) -> None:
    """The block-out was moved, and so the second file says another place; the prop was moved by two metres along X."""
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    first.location.x += 2
    moved = Node(1, "Chair", (4.0, -3.0, 0.25), 0.2)
    (second,) = bring(tmp_path, "02", [moved], {1: cube}, keep_moves=kept)
    wanted = Matrix.Translation((2, 0, 0)) @ pose(moved) if kept else pose(moved)
    assert close(stands(second), wanted)
    assert seen_props() == [second]


def test_a_prop_that_nobody_moved_follows_its_block_out(tmp_path: Path, cube: Any) -> None:
    bring(tmp_path, "01", [CHAIR], {1: cube})
    moved = Node(1, "Chair", (4.0, -3.0, 0.25), 0.2)
    (second,) = bring(tmp_path, "02", [moved], {1: cube})
    assert close(stands(second), pose(moved))
    assert tuple(second.scale) == (1, 1, 1)


def test_a_parent_that_took_block_out_and_prop_along_is_no_move_of_the_prop(tmp_path: Path, cube: Any) -> None:
    parent = bpy.data.objects.new("Room", None)
    bpy.context.scene.collection.objects.link(parent)
    cube.parent, parent.location = parent, (1, 0, 0)
    bpy.context.view_layer.update()
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    shift = Matrix.Translation((0, 7, 0)) @ Matrix.Rotation(0.5, 4, "Z")
    parent.matrix_world = shift @ parent.matrix_world
    bpy.context.view_layer.update()
    place = shift @ pose(CHAIR)
    assert close(stands(first), place)
    node = Node(1, "Chair", tuple(place.translation), place.to_euler().z, CHAIR.size)
    (second,) = bring(tmp_path, "02", [node], {1: cube})
    assert close(stands(second), place), "the second picture was taken where the room is now"
    second.location.x += 1
    third_wanted = stands(second)
    (third,) = bring(tmp_path, "03", [node], {1: cube})
    assert close(stands(third), third_wanted)
    assert close(stands(variants.show(bpy.context, third, first)), third_wanted), "its variants know the way, too"


def test_a_parent_that_the_artist_chose_moves_the_prop(tmp_path: Path, cube: Any) -> None:
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    group = bpy.data.objects.new("Group", None)
    bpy.context.scene.collection.objects.link(group)
    first.parent = group
    group.location = (0, 0, 3)
    wanted = stands(first)
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    assert second.parent == group and close(stands(second), wanted)


def test_what_was_parented_to_a_prop_and_its_collections_go_over(tmp_path: Path, cube: Any) -> None:
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    shelf = bpy.data.collections.new("Shelf")
    bpy.context.scene.collection.children.link(shelf)
    (own,) = first.users_collection
    shelf.objects.link(first)
    own.objects.unlink(first)
    cushion = bpy.data.objects.new("Cushion", None)
    shelf.objects.link(cushion)
    cushion.parent, cushion.location = first, (0.1, 0, 0.5)
    lies = stands(cushion)
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    assert second.users_collection == (shelf,)
    assert cushion.parent == second and close(stands(cushion), lies) and cushion.visible_get()


def test_copies_that_the_artist_made_stay_as_they_are(tmp_path: Path, cube: Any) -> None:
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    copy = first.copy()
    first.users_collection[0].objects.link(copy)
    copy.location.x += 4
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    assert set(seen_props()) == {copy, second} and close(stands(second), pose(CHAIR))


# import again


def test_importing_again_replaces_what_is_there(tmp_path: Path, cube: Any) -> None:
    first = bring(tmp_path, "01", [CHAIR, LAMP], {1: cube})
    first[0].location.x, first[1].name = 9.0, "Standard lamp"
    wanted = [stands(prop) for prop in first]
    second = bring(tmp_path, "01", [CHAIR, LAMP], {1: cube})
    assert set(seen_props()) == set(second) and not set(first) & set(second)
    assert [prop.name for prop in second] == ["Cube_prop", "Standard lamp"]
    assert all(close(stands(prop), place) for prop, place in zip(second, wanted, strict=True))
    assert [block_outs.block_out_of(prop) for prop in second] == [cube, None]
    assert variants.of(second[0]) == [first[0], second[0]], "an artist may have worked on the former one"
    third = bring(tmp_path, "01", [CHAIR, LAMP], {1: cube}, keep_moves=False)
    assert close(stands(third[0]), pose(CHAIR))
    assert [recipes.edition(prop) for prop in variants.of(third[0])] == [("01", 0), ("01", 1), ("01", 2)]
    block_outs.show(cube, bpy.context.view_layer)
    assert not cube.hide_render and not cube.hide_get(), "what was remembered is how it was before the first import"


def test_in_a_file_opened_again_an_import_finds_place_collection_and_block_out(tmp_path: Path, cube: Any) -> None:
    chair, _ = bring(tmp_path, "01", [CHAIR, LAMP], {1: cube})
    chair.location.x = 9.0
    wanted, had = stands(chair), len(bpy.data.collections)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "set.blend"))
    chair, lamp = bring(tmp_path, "01", [CHAIR, LAMP])
    assert set(seen_props()) == {chair, lamp} and close(stands(chair), wanted)
    assert block_outs.block_out_of(chair) == bpy.data.objects["Cube"]
    assert len(bpy.data.collections) == had


def test_a_job_made_again_on_the_same_pictures_knows_their_block_outs(tmp_path: Path, cube: Any) -> None:
    pictures = {"inputs": [{"role": "image", "sha256": "the same"}]}
    bring(tmp_path, "01", [CHAIR], {1: cube}, fields=pictures)
    (second,) = bring(tmp_path, "02", [CHAIR], fields=pictures)
    assert block_outs.block_out_of(second) == cube and seen_props() == [second]


def test_the_variant_that_is_seen_gives_way_when_another_is_imported_again(tmp_path: Path, cube: Any) -> None:
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    second.location.z = 4.0
    wanted = stands(second)
    (again,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    assert seen_props() == [again] and close(stands(again), wanted)
    assert variants.of(again) == [first, again, second]


def test_two_sets_of_one_picture_are_two_sets(tmp_path: Path) -> None:
    """Without block-outs nothing says that the second is meant to replace the first."""
    pictures = {"inputs": [{"role": "image", "sha256": "the same"}]}
    first, second = (bring(tmp_path, job, [CHAIR], fields=pictures)[0] for job in ("01", "02"))
    assert set(seen_props()) == {first, second}


# collections


def tree(collection: Any) -> dict[str, Any]:
    return {child.name: tree(child) for child in collection.children}


def test_sets_live_in_one_collection_and_are_used_again(tmp_path: Path, cube: Any) -> None:
    for job in ("01", "02", "03"):
        bring(tmp_path, job, [CHAIR], {1: cube})
    bring(tmp_path, "04", [LAMP], fields={"name": "Photo"})
    bring(tmp_path, "05", [LAMP], fields={"name": ""})
    children = tree(bpy.context.scene.collection)
    assert children == {"Collection": {}, "Set Dresser": {"Shot props": {}, "Photo props": {}, "Set 05": {}}}


def test_a_set_that_was_renamed_and_moved_is_found(tmp_path: Path) -> None:
    (prop,) = bring(tmp_path, "01", [CHAIR])
    (own,) = prop.users_collection
    own.name = "Dining room"
    bpy.context.scene.collection.children.link(own)
    bpy.context.scene.collection.children["Set Dresser"].children.unlink(own)
    (other,) = bring(tmp_path, "02", [CHAIR])
    assert other.users_collection == (own,)


@pytest.mark.parametrize("which", ["Set Dresser", "Shot props"])
@pytest.mark.parametrize("how", ["exclude", "hide_viewport", "render"])
def test_what_comes_in_is_seen_although_the_former_set_is_hidden(
    tmp_path: Path, cube: Any, how: str, which: str
) -> None:
    bring(tmp_path, "01", [CHAIR], {1: cube})
    layer = bpy.context.view_layer.layer_collection.children["Set Dresser"]
    layer = layer if which == "Set Dresser" else layer.children[which]
    if how == "render":
        layer.collection.hide_render = True
    else:
        setattr(layer, how, True)
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    assert second.visible_get() and second.select_get()
    assert not any(collection.hide_render for collection in second.users_collection)


def test_an_empty_set_is_taken_away_with_the_last_of_them(tmp_path: Path) -> None:
    one, two = bring(tmp_path, "01", [CHAIR])[0], bring(tmp_path, "02", [CHAIR], fields={"name": "Other"})[0]
    for prop, left in ((one, ["Other props"]), (two, [])):
        (own,) = prop.users_collection
        bpy.data.objects.remove(prop)
        sets.remove_if_empty(own)
        whole = bpy.data.collections.get("Set Dresser")
        assert [child.name for child in whole.children] == left if left else whole is None


def test_undo_brings_the_former_prop_back_where_it_was(tmp_path: Path, cube: Any) -> None:
    (first,) = bring(tmp_path, "01", [CHAIR], {1: cube})
    first.location.x, first.name = 9.0, "Hero"
    wanted = stands(first)
    bpy.ops.ed.undo_push(message="moved")
    (second,) = bring(tmp_path, "02", [CHAIR], {1: cube})
    new = Reference.of(second)
    bpy.ops.ed.undo_push(message="generated again")
    bpy.ops.ed.undo()
    (hero,) = seen_props()
    assert hero.name == "Hero" and close(stands(hero), wanted) and hero.visible_get()
    assert new.find(bpy.data.objects) is None
    bpy.ops.ed.redo()
    assert [new.find(bpy.data.objects)] == seen_props() and close(stands(seen_props()[0]), wanted)
