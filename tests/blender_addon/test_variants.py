"""Variants of a prop: made again on the server from the same pictures, flipped in place, one seen at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from mathutils import Matrix, Vector

from blender_addon import session
from blender_addon.capture.block_outs import HIDDEN
from blender_addon.ground.messages import SetDresserError
from blender_addon.ground.references import Reference
from blender_addon.props import recipes, variants
from blender_addon.props.importer import RECIPE, import_result
from tests.blender_addon import glb
from tests.blender_addon.glb import Node
from tests.blender_addon.measuring import close, resident_bytes, sizes, stands
from tests.blender_addon.pumping import PATIENCE, pump_until
from tests.blender_addon.recorder import Recorder

CHAIR = Node(1, "Chair", (1.0, 2.0, 0.0), 0.7, (0.5, 0.6, 1.0))


def bring(tmp_path: Path, job: str, node: Node = CHAIR, block_out: Any = None, **fields: Any) -> Any:
    """A prop of a job of its own."""
    path = glb.write(tmp_path / f"{job}.glb", [node])
    result = glb.result([node], job=job, created=f"2026-01-01T00:00:{job}", **fields)
    references = {node.instance: Reference.of(block_out)} if block_out else {}
    (name,) = import_result(bpy.context, path, result, references, hide_block_outs=False)
    return bpy.data.objects[name]


def hide_behind(seen: Any, *others: Any) -> None:
    """Make the others hidden variants of the first, as their arrival does."""
    for other in others:
        variants.show(bpy.context, other, seen)


# flipping


@pytest.fixture
def family(tmp_path: Path, relation: None) -> list[Any]:
    """Three variants, the first seen; the second stands a little apart in its file, the third is turned."""
    places = [CHAIR, Node(1, "Chair", (1.1, 2.0, 0.2), 0.7), Node(1, "Chair", (1.0, 2.0, 0.0), 1.2)]
    props = [bring(tmp_path, f"0{number}", node) for number, node in enumerate(places)]
    hide_behind(props[0], *props[1:])
    return props


@pytest.mark.parametrize("mode", ["XYZ", "ZYX", "QUATERNION", "AXIS_ANGLE"])
def test_what_was_done_to_a_prop_goes_over_to_its_variants(family: list[Any], mode: str) -> None:
    first, second, third = family
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.matrix_world = Matrix.Translation((3, 0, 1)) @ Matrix.Rotation(0.4, 4, "X")
    bpy.context.view_layer.update()
    imported = {prop: stands_in_file(prop) for prop in family}
    edit = Matrix.Translation((5, -2, 0.5)) @ Matrix.Rotation(1.1, 4, "Z") @ Matrix.Rotation(0.3, 4, "X")
    first.parent, first.matrix_parent_inverse = parent, parent.matrix_world.inverted()
    first.rotation_mode = mode
    first.matrix_world = edit @ imported[first] @ Matrix.Scale(2, 4)
    before = stands(first)
    for seen in (second, third, first):
        assert variants.step(bpy.context, variants.selected(bpy.context)) == seen
        wanted = before @ imported[first].inverted() @ imported[seen]
        assert close(stands(seen), wanted, 1e-4)
        assert (seen.parent, seen.rotation_mode) == (parent, mode)
        assert tuple(seen.scale) == pytest.approx((2, 2, 2), abs=1e-5)


def stands_in_file(prop: Any) -> Matrix:
    place, turn = recipes.pose(prop)
    return Matrix.Translation(place) @ turn.to_matrix().to_4x4()


def test_the_one_that_is_seen_has_name_collections_children_and_selection(family: list[Any]) -> None:
    first, second, third = family
    first.name = "Hero"
    shelf = bpy.data.collections.new("Shelf")
    bpy.context.scene.collection.children.link(shelf)
    for collection in first.users_collection:
        collection.objects.unlink(first)
    shelf.objects.link(first)
    cushion = bpy.data.objects.new("Cushion", None)
    shelf.objects.link(cushion)
    cushion.parent, cushion.location = first, (0.1, 0, 0.5)
    lies = stands(cushion)
    variants.step(bpy.context, first)
    assert (second.name, list(second.users_collection)) == ("Hero", [shelf])
    assert first.name != "Hero" and HIDDEN in first and HIDDEN not in second
    assert (first.hide_render, first.hide_viewport, second.hide_render, second.hide_viewport) == (1, 1, 0, 0)
    assert third.hide_render and third.hide_viewport
    assert bpy.context.view_layer.objects.active == second and second.select_get()
    assert cushion.parent == second
    assert close(stands(cushion), lies, 1e-5), "what was parented to it stays where it was"


def test_a_hundred_flips_change_no_digit_and_make_nothing(family: list[Any]) -> None:
    first = family[0]
    first.location += Vector((0.123456, 7.1, -3.3))
    first.rotation_euler = (0.1, 0.2, 0.3)
    first.scale = (1.5, 0.7, 1.1)
    materials = [prop.data.materials[0] for prop in family]
    before = [tuple(first.location), tuple(first.rotation_euler), tuple(first.scale)]
    had, prop = sizes(), first
    for _ in range(99):
        prop = variants.step(bpy.context, prop)
    assert prop == first
    assert [tuple(first.location), tuple(first.rotation_euler), tuple(first.scale)] == before
    assert sizes() == had
    assert [each.data.materials[0] for each in family] == materials, "materials are each variant's own"
    assert variants.step(bpy.context, first, -1) == family[2]


def test_ten_seeds_flip_under_a_parent_beside_a_dressed_neighbour(tmp_path: Path, relation: None) -> None:
    props = [bring(tmp_path, f"{number:02}", CHAIR) for number in range(10)]
    hide_behind(props[0], *props[1:])
    first = props[0]
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    first.parent, first.location = parent, (1.5, -2.0, 0.25)
    neighbour = bpy.data.objects["Cube"]
    neighbour.data.materials[0] = bpy.data.materials.new("Oak")
    place = stands(first)

    def round_trip() -> Any:
        prop = first
        for _ in range(10):
            prop = variants.step(bpy.context, prop)
            assert close(stands(prop), place) and prop.parent == parent
        return prop

    assert round_trip() == first
    had, held = sizes(), resident_bytes()
    for _ in range(20):
        assert round_trip() == first
    assert sizes() == had
    assert resident_bytes() - held < 4_000_000, "two hundred flips leave nothing behind"
    assert neighbour.data.materials[0].name == "Oak"


def test_variants_are_found_when_block_out_and_names_are_gone(tmp_path: Path, relation: None) -> None:
    bpy.ops.mesh.primitive_cube_add()
    block_out = bpy.context.object
    first = bring(tmp_path, "01", block_out=block_out)
    second = bring(tmp_path, "02", block_out=block_out, inputs=[])
    other = bring(tmp_path, "03", Node(2, "Lamp", (0, 0, 0)))
    hide_behind(first, second)
    assert variants.of(first) == [first, second], "the same block-out, although of other pictures"
    assert variants.of(other) == [other]
    third = bring(tmp_path, "04", block_out=block_out)
    hide_behind(first, third)
    bpy.data.objects.remove(block_out)
    first.name, third.name = "Renamed", "Too"
    assert variants.of(first) == [first, third], "the same pictures and the same instance of them"
    bpy.data.objects.remove(first)
    with pytest.raises(SetDresserError, match="no other variant") as caught:
        variants.step(bpy.context, other)
    assert caught.value.code == "no-variant"


def test_a_copy_that_stands_elsewhere_is_left_alone(family: list[Any]) -> None:
    first = family[0]
    copy = first.copy()
    bpy.context.scene.collection.objects.link(copy)
    copy.location.x += 4
    assert variants.of(first) == family
    for _ in range(3):
        first = variants.step(bpy.context, first)
    assert HIDDEN not in copy and not copy.hide_render
    assert copy not in variants.of(first)


def test_keep_only_removes_the_others_and_what_only_they_use(family: list[Any]) -> None:
    first, second, third = family
    shared = second.data.materials[0]
    bpy.data.objects["Cube"].data.materials.append(shared)
    meshes, material = [second.data.name, third.data.name], third.data.materials[0].name
    assert variants.keep_only(bpy.context, first) == 2
    assert variants.of(first) == [first]
    assert not [name for name in meshes if name in bpy.data.meshes]
    assert material not in bpy.data.materials
    assert bpy.data.objects["Cube"].data.materials[-1] == shared, "somebody else uses it"
    assert [prop for prop in bpy.data.objects if RECIPE in prop] == [first]


def test_variants_do_not_change_in_edit_mode(family: list[Any]) -> None:
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(SetDresserError, match="Object Mode") as caught:
        variants.step(bpy.context, family[0])
    assert caught.value.code == "mode"
    bpy.ops.object.mode_set(mode="OBJECT")


# made again on the server


@pytest.fixture
def prop(addon: Any) -> Any:
    (made,) = addon.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box", seed=4).objects
    return made


def test_a_new_variant_takes_the_place_of_the_prop(addon: Any, prop: Any) -> None:
    prop.location, prop.name = (7.0, 8.0, 9.0), "Hero"
    collections = list(bpy.data.collections)
    job = addon.new_variant(prop)
    (new,) = job.objects
    assert new.name == "Hero"
    assert tuple(new.location) == pytest.approx((7, 8, 9), abs=1e-5)
    assert addon.variants_of(new) == [prop, new]
    assert prop.hide_render and not new.hide_render
    assert recipes.of(new)["seed"] != recipes.of(prop)["seed"]
    assert recipes.of(new)["inputs"] == recipes.of(prop)["inputs"]
    assert new.set_dresser_block_out == prop.set_dresser_block_out
    assert list(bpy.data.collections) == collections, "no collection is left over"
    assert addon.show_variant(new) == prop and prop.name == "Hero"
    assert addon.keep_only(prop) == 1


def test_again_with_other_parameters_and_only_what_was_meant_comes_in(addon: Any) -> None:
    bpy.ops.mesh.primitive_cube_add(location=(0.8, 0.8, 0), size=0.5)
    both = [bpy.data.objects["Cube"], bpy.context.object]
    first, second = addon.generate(objects=both, pipeline="test-box").objects
    job = addon.again(second, parameters={"size": 1.25, "style": "tall"})
    (new,) = job.objects
    assert new.dimensions.x == pytest.approx(2.5, abs=1e-4)
    assert recipes.of(new)["instance_id"] == recipes.of(second)["instance_id"]
    assert addon.variants_of(new) == [second, new]
    assert not first.hide_render and addon.variants_of(first) == [first]
    with pytest.raises(SetDresserError) as caught:
        addon.again([first, new])
    assert caught.value.code == "several-jobs"
    whole = addon.again(job)
    assert len(whole.objects) == 2, "of a job everything comes in"


def test_several_presses_line_up_and_all_become_variants(addon: Any, prop: Any) -> None:
    started = [addon.new_variant(prop, wait=False) for _ in range(3)]
    prop.name = "Renamed"
    pump_until(lambda: all(job.objects for job in started), "the variants")
    seen = started[-1].objects[0]
    assert seen.name == "Renamed"
    assert len(addon.variants_of(seen)) == 4
    assert [each for each in addon.variants_of(seen) if HIDDEN not in each] == [seen]


def test_a_variant_of_a_deleted_prop_stands_where_its_file_says(addon: Any, prop: Any) -> None:
    place = tuple(prop.location)
    job = addon.new_variant(prop, wait=False)
    prop.location.x += 5
    bpy.data.objects.remove(prop)
    job.wait(PATIENCE)
    (new,) = job.objects
    assert tuple(new.location) == pytest.approx(place, abs=1e-5)
    assert not new.hide_render


def test_a_file_opened_again_knows_whose_variant_is_coming(addon: Any, prop: Any, tmp_path: Path) -> None:
    prop.location.x = 6.5
    job = addon.new_variant(prop, wait=False)
    pump_until(lambda: job.state == "running" or job.state == "done", "the server having it")
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    pump_until(lambda: job.state == "done", "the end")
    names = {each.name for each in bpy.data.objects if RECIPE in each}
    assert len(names) == 1
    addon.import_job(job)
    (new,) = job.objects
    assert new.name in names and new.location.x == pytest.approx(6.5, abs=1e-5)
    assert len(addon.variants_of(new)) == 2
    assert not [each for each in bpy.data.objects if variants.AWAITED in each]


def test_when_the_pictures_are_gone_a_sentence_says_what_to_do(addon: Any, prop: Any, current: Any) -> None:
    addon.delete_job(recipes.job(prop))
    pump_until(lambda: not current.desk.jobs, "the removal")
    with pytest.raises(SetDresserError) as caught:
        addon.new_variant(prop)
    assert caught.value.code == "job-not-found"
    assert "not kept any more" in caught.value.message and "block-out" in caught.value.hint
    for wrong in ([bpy.data.objects["Camera"]], []):
        with pytest.raises(SetDresserError) as caught:
            addon.again(wrong)
        assert caught.value.code == "no-prop"


# panel and operators


def test_the_panel_tells_of_the_selected_prop_and_its_buttons_work(addon: Any, prop: Any) -> None:
    from blender_addon.ui.panels.prop import draw_prop

    layout = Recorder()
    draw_prop(layout, bpy.context)
    assert "test-box, seed 4" in layout.texts and "of its outline" in layout.texts
    assert "set_dresser.show_variant" not in layout.buttons
    bpy.ops.set_dresser.new_variant()
    pump_until(lambda: len(variants.of(variants.selected(bpy.context))) == 2, "the variant")
    layout = Recorder()
    draw_prop(layout, bpy.context)
    assert "2 of 2" in layout.texts
    bpy.ops.set_dresser.show_variant(steps=-1)
    assert variants.selected(bpy.context) == prop
    bpy.context.scene.set_dresser.seed = 77
    bpy.context.scene.set_dresser.pipeline_id = "test-box"
    bpy.ops.set_dresser.again()
    pump_until(lambda: recipes.of(variants.selected(bpy.context))["seed"] == 77, "the variant with these settings")
    assert bpy.ops.set_dresser.keep_variant() == {"FINISHED"}
    assert len([each for each in bpy.data.objects if RECIPE in each]) == 1
    bpy.ops.object.select_all(action="DESELECT")
    layout = Recorder()
    draw_prop(layout, bpy.context)
    assert layout.drawn == []
    assert not bpy.ops.set_dresser.new_variant.poll()


def test_flipping_asks_for_one_undo_step_each() -> None:
    from blender_addon.ui.operators import variants as operators

    undone = {each.bl_idname.partition(".")[2] for each in operators.CLASSES if "UNDO" in each.bl_options}
    assert undone == {"show_variant", "keep_variant", "mark_asset"}


# the list


def test_results_are_shown_in_the_list_also_after_a_restart(addon: Any, prop: Any, current: Any) -> None:
    from blender_addon.answers import thumbnails
    from blender_addon.ui.panels import SET_DRESSER_PT_jobs
    from blender_addon.ui.panels.jobs import SET_DRESSER_UL_jobs

    job = recipes.job(prop)
    pump_until(lambda: thumbnails.result_icon(job) is not None, "the picture")
    addon.unregister()
    addon.register()
    addon.start_server()
    pump_until(lambda: thumbnails.result_icon(job) is not None, "the picture, again")
    assert tuple(thumbnails._results[job].image_size) == (256, 256), "Blender can read it"
    layout = Recorder()
    SET_DRESSER_PT_jobs.draw(type("Panel", (), {"layout": layout})(), bpy.context)
    assert "in 1 job on disk" in layout.texts
    row = Recorder()
    SET_DRESSER_UL_jobs.draw_item(None, bpy.context, row, None, type("Item", (), {"name": job})(), 0, None, "")
    assert row.drawn[0].icon_value == thumbnails.result_icon(job)
    addon.delete_job(job)
    pump_until(lambda: not session.current.desk.jobs, "the removal")
    pump_until(lambda: session.current.desk.storage["jobs"] == 0, "the disk's figure")
    assert thumbnails.result_icon(job) is None
