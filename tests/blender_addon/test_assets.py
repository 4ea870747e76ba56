"""A prop in the asset browser says what it is, how it was made and what its licence allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import session
from blender_addon.ground.messages import SetDresserError
from blender_addon.props import recipes
from blender_addon.work import results
from blender_addon.work.results import THUMBNAIL
from tests.blender_addon.test_session import pump_until


@pytest.fixture
def prop(addon: Any, picture: Path) -> Any:
    (made,) = addon.generate(
        source=picture, pipeline="inflate", parameters={"resolution": 32, "texture_size": 64}
    ).objects
    return made


def test_metadata_comes_from_the_recipe_and_the_licence_from_the_pipeline(
    addon: Any, prop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [{**view, "licence_note": "Not in space."} for view in session.current.desk.pipelines]
    monkeypatch.setattr(session.current.desk, "pipelines", views)
    addon.mark_as_asset(prop, tags=("set 12",))
    data = prop.asset_data
    assert {tag.name for tag in data.tags} == {"Set Dresser", "inflate", "square", "set 12"}
    assert data.description.startswith("square, made with inflate ") and data.description.endswith(", seed 0")
    assert data.author == ""
    assert data.license == "GPL-3.0-or-later. Not in space."
    addon.mark_as_asset(prop, description="A better one")
    assert (len(data.tags), data.description) == (4, "A better one"), "done twice, nothing is there twice"


def test_without_a_window_the_picture_is_that_of_the_result(addon: Any, prop: Any, current: Any) -> None:
    job = recipes.job(prop)
    pump_until(lambda: current.desk.jobs[job].thumbnail == "ready", "the picture")
    images = len(bpy.data.images)
    assert bpy.ops.set_dresser.mark_asset() == {"FINISHED"}
    assert tuple(prop.preview.image_size) == (256, 256)
    pixels = np.array(prop.preview.image_pixels_float[:]).reshape(256, 256, 4)
    assert pixels[128, 128, 3] == pytest.approx(1.0, abs=0.02), "the prop is in its middle"
    assert pixels[128, 128, 0] > 2 * pixels[128, 128, 2] and pixels[0, 0, 3] == 0.0
    assert len(bpy.data.images) == images
    assert (results.folder_of(job) / THUMBNAIL).is_file()


def test_only_props_become_assets(addon: Any) -> None:
    with pytest.raises(SetDresserError, match="no prop"):
        addon.mark_as_asset(bpy.data.objects["Cube"])
    assert bpy.data.objects["Cube"].asset_data is None
    with pytest.raises(RuntimeError):
        bpy.ops.set_dresser.mark_asset()


def test_a_variant_shown_instead_leaves_the_asset_an_asset(addon: Any, prop: Any) -> None:
    addon.mark_as_asset(prop)
    (new,) = addon.new_variant(prop, seed=1).objects
    assert prop.asset_data is not None and new.asset_data is None
    assert addon.show_variant(new) == prop
    assert prop.asset_data is not None
