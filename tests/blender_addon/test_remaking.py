"""One prop of a set made again with another pipeline: it alone is made, and stands where the former one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon import session
from blender_addon.api import remaking
from blender_addon.capture.block_outs import HIDDEN
from blender_addon.props import recipes, variants
from tests.blender_addon.recorder import Recorder
from tests.blender_addon.test_session import PATIENCE, pump_until
from tests.blender_addon.test_variants import close, stands


@pytest.fixture(autouse=True)
def plugins(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline,asking_pipeline,views_pipeline")


@pytest.fixture
def dressed(addon: Any) -> list[Any]:
    """Two props of one shot, under a parent, moved, turned and larger; the second with a material of the artist's."""
    bpy.ops.mesh.primitive_cube_add(location=(0.8, 0.8, 0), size=0.5)
    both = [bpy.data.objects["Cube"], bpy.context.object]
    props = addon.generate(objects=both, pipeline="test-planks", seed=4).objects
    parent = bpy.data.objects.new("Shelf", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.matrix_world = Matrix.Translation((3, 0, 1)) @ Matrix.Rotation(0.4, 4, "X")
    bpy.context.view_layer.update()
    edit = Matrix.Translation((5, -2, 0.5)) @ Matrix.Rotation(1.1, 4, "Z") @ Matrix.Rotation(0.3, 4, "X")
    for number, prop in enumerate(props):
        place = prop.matrix_world.copy()
        prop.parent, prop.matrix_parent_inverse = parent, parent.matrix_world.inverted()
        prop.matrix_world = edit @ place @ Matrix.Scale(1.5, 4)
        prop.name = ["Hero", "Neighbour"][number]
    props[1].data.materials.clear()
    props[1].data.materials.append(bpy.data.materials.new("Oak"))
    bpy.context.view_layer.objects.active = props[0]
    for prop in props:
        prop.select_set(prop == props[0])
    return props


def corners(prop: Any) -> np.ndarray:
    """The mesh's corners in the world, in an order that does not depend on the mesh's."""
    bpy.context.view_layer.update()
    points = {tuple(np.round(prop.matrix_world @ vertex.co, 3) + 0.0) for vertex in prop.data.vertices}
    return np.array(sorted(points))


@pytest.mark.parametrize("pipeline", ["test-turned", "test-planks"])
def test_a_prop_of_another_pipeline_covers_the_same_place(addon: Any, dressed: list[Any], pipeline: str) -> None:
    """The frames of the two are turned against each other; in the world of the shot they are the same thing."""
    hero, neighbour = dressed
    before, beside, place = corners(hero), corners(neighbour), stands(neighbour)
    parent, collections = hero.parent, set(hero.users_collection)
    (new,) = addon.again(hero, pipeline=pipeline).objects
    assert np.abs(corners(new) - before).max() < 2e-3
    assert (new.name, new.parent, set(new.users_collection)) == ("Hero", parent, collections)
    assert tuple(new.scale) == pytest.approx((1.5, 1.5, 1.5), abs=1e-4)
    assert addon.variants_of(new) == [hero, new] and HIDDEN in hero and new.select_get()
    turned = not close(stands(hero), stands(new), 1e-3)
    assert turned == (pipeline == "test-turned"), "frames that differ are put in differently"
    assert (neighbour.name, neighbour.data.materials[0].name, HIDDEN in neighbour) == ("Neighbour", "Oak", False)
    assert close(stands(neighbour), place) and np.array_equal(corners(neighbour), beside)
    assert variants.of(neighbour) == [neighbour]


def test_flipping_between_pipelines_moves_nothing(addon: Any, dressed: list[Any]) -> None:
    hero = dressed[0]
    (seen,) = addon.again(hero, pipeline="test-turned").objects
    wanted = corners(seen)
    for _ in range(6):
        seen = addon.show_variant(seen)
        assert np.abs(corners(seen) - wanted).max() < 2e-3
    seen.location.x += 2.0
    moved = corners(seen)
    assert np.abs(corners(addon.show_variant(seen)) - moved).max() < 2e-3


def test_only_what_was_chosen_is_made_with_another_pipeline(addon: Any, dressed: list[Any]) -> None:
    hero, neighbour = dressed
    alone = addon.again(neighbour, pipeline="test-turned")
    assert [row["id"] for row in alone.result["props"]] == [recipes.of(neighbour)["instance_id"]]
    assert len(addon.new_variant(hero).result["props"]) == 2, "with its own pipeline the set is made as it was"
    both = addon.again(alone)
    assert len(both.result["props"]) == 1, "a job is run again as it was"


def test_several_props_of_a_job_are_made_together(addon: Any, dressed: list[Any]) -> None:
    job = addon.again(dressed, pipeline="test-turned")
    assert [new.name for new in job.objects] == ["Hero", "Neighbour"]
    assert all(HIDDEN in prop for prop in dressed)


def test_the_menu_lists_the_other_pipelines_that_are_ready(addon: Any, dressed: list[Any]) -> None:
    from blender_addon.ui.panels.prop import draw_prop

    views = session.current.desk.pipelines
    for view in views:
        view["ready"] = view["id"] in ("test-planks", "test-turned", "test-box", "test-views")
    views[[view["id"] for view in views].index("test-box")]["images"] = {"least": 2, "most": 8}
    layout = Recorder()
    draw_prop(layout, bpy.context)
    (menu,) = (drawn for drawn in layout.drawn if drawn.function == "menu")
    listed = Recorder()
    getattr(bpy.types, menu.menu).draw(type("Menu", (), {"layout": listed})(), bpy.context)
    assert [(drawn.text, drawn.given.pipeline) for drawn in listed.drawn] == [
        ("Views", "test-views"),
        ("Turned", "test-turned"),
    ]
    describe = bpy.types.SET_DRESSER_OT_remake.description
    assert describe(bpy.context, listed.drawn[1].given).startswith("Makes planks.\nMake this prop alone")
    for wrong in ("test-box", "test-planks", "nobody", ""):
        with pytest.raises(RuntimeError, match="cannot be made with"):
            bpy.ops.set_dresser.remake(pipeline=wrong)
        assert session.current.desk.problem.code == "pipeline-unknown"
    for view in views:
        view["ready"] = False
    layout = Recorder()
    draw_prop(layout, bpy.context)
    assert not [drawn for drawn in layout.drawn if drawn.function == "menu"], "a button that leads nowhere is not there"


def test_the_menu_makes_it_with_the_parameters_of_the_scene(addon: Any, dressed: list[Any]) -> None:
    hero = dressed[0]
    bpy.context.scene.set_dresser_test_box.size = 1.25
    assert bpy.ops.set_dresser.remake(pipeline="test-box") == {"FINISHED"}
    pump_until(lambda: len(variants.of(variants.selected(bpy.context))) == 2, "the variant")
    new = variants.selected(bpy.context)
    recipe = recipes.of(new)
    assert (new.name, recipe["pipeline"], recipe["seed"], recipe["parameters"]["size"]) == ("Hero", "test-box", 4, 1.25)
    assert recipes.pictures(new) == recipes.pictures(hero) == 1
    new.select_set(False)
    assert not bpy.ops.set_dresser.remake.poll()


def test_a_prop_is_made_again_by_a_pipeline_that_asks(addon: Any, dressed: list[Any]) -> None:
    hero = dressed[0]
    place = stands(hero)
    job = addon.again(hero, pipeline="test-views")
    addon.pick_views(job, [(0, number) for number in range(6)])
    job.wait(PATIENCE)
    (new,) = job.objects
    assert new.name == "Hero" and new.parent == hero.parent
    assert recipes.pose(new) is not None and addon.variants_of(new) == [hero, new]
    assert close(stands(addon.show_variant(new)), place)


def test_a_picture_of_one_object_is_made_again_too(addon: Any, picture: Path) -> None:
    """It has no instance map that could be made smaller."""
    (prop,) = addon.generate(source=picture, pipeline="test-planks").objects
    (new,) = addon.again(prop, pipeline="test-turned").objects
    assert np.abs(corners(new) - corners(prop)).max() < 2e-3
    assert remaking.variants_of(new) == [prop, new]
