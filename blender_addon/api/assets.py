"""Props as assets of Blender's asset browser: marked, with tags, a description, the licence and a small picture."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..ground.messages import SetDresserError
from ..props import recipes, variants
from ..settings.properties import description_of
from ..state import desk
from ..work import results

TAG = "Set Dresser"


def mark_as_asset(prop: bpy.types.Object | None = None, *, tags: tuple[str, ...] = (), description: str = "") -> None:
    """Mark a prop as an asset, or bring the metadata of one up to date.

    It gets a description (label, pipeline, seed), tags (the pipeline, the job's name, the label) and the pipeline's
    licence with what that forbids; the author is left to the artist. Its picture is drawn by Blender from the mesh. In
    background mode, where that takes a window, it is the picture of the whole result, if that has been fetched.

    Args:
        prop: the selected prop if left out.
        tags: further tags.
        description: instead of the one made from the recipe.

    Raises SetDresserError: for what is no prop.
    """
    prop = variants.selected(bpy.context) if prop is None else prop
    if not recipes.is_prop(prop):
        raise SetDresserError("This is no prop.", "Select a prop that Set Dresser has made.", "no-prop")
    assert prop is not None
    recipe = recipes.of(prop)
    prop.asset_mark()
    data = prop.asset_data
    data.description = description or _description(recipe)
    for tag in (TAG, *(str(recipe.get(name) or "") for name in ("pipeline", "name", "label")), *tags):
        if tag.strip():
            data.tags.new(tag.strip()[:63], skip_if_exists=True)
    if hasattr(data, "license"):
        data.license = licence(str(recipe.get("pipeline") or ""))
    if bpy.app.background:
        _show_result(prop, recipes.job(prop))
    else:
        prop.asset_generate_preview()


def licence(pipeline: str) -> str:
    """What the backend says of a pipeline's licence; empty while it is not known."""
    view: dict[str, Any] = description_of(desk.current.pipelines, pipeline) or {}
    return ". ".join(filter(None, (str(view.get("licence") or ""), str(view.get("licence_note") or ""))))


def _description(recipe: Any) -> str:
    label = str(recipe.get("label") or "Prop")
    return f"{label}, made with {recipe.get('pipeline')} {recipe.get('version')}, seed {recipe.get('seed')}"


def _show_result(prop: bpy.types.Object, job: str) -> None:
    """The picture of the result as the preview, if it has been fetched."""
    path = results.folder_of(job, create=False) / results.THUMBNAIL
    if not path.is_file():
        return
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        preview = prop.preview_ensure()
        preview.image_size = tuple(image.size)
        preview.image_pixels_float.foreach_set(pixels)
    finally:
        bpy.data.images.remove(image)
