"""Where props live: a collection "Set Dresser", and in it one for each set, which the next press finds again.

Both are known by custom properties, so an artist may rename and move them. One that is excluded or hidden is left as it
is, with what is in it: what comes in is to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bpy
from bpy.types import Collection, Context, LayerCollection, ViewLayer

NAME = "Set Dresser"
ALL = "set_dresser_sets"
"""Custom property of the collection that has the sets."""

SET = "set_dresser_set"
"""Custom property of a set's collection: what its jobs are called."""


def collection_for(context: Context, result: Mapping[str, Any]) -> Collection:
    """The collection for a job's props, in the context's scene; a new one if the set has none that is seen."""
    name = str(result.get("name") or "").strip()
    key = name or str(result.get("job", ""))[:8]
    own = [each for each in seen(context.view_layer) if each.library is None and each.override_library is None]
    found = next((each for each in own if each.get(SET) == key), None)
    if found is None:
        whole = next((each for each in own if ALL in each), None)
        if whole is None:
            whole = _new(NAME, ALL, True)
            context.scene.collection.children.link(whole)
        found = _new(f"{name} props" if name else f"Set {key}".strip(), SET, key)
        whole.children.link(found)
    return found


def remove_if_empty(collection: Collection) -> None:
    """Remove a set's collection that has nothing in it any more, and the one around it if it was the last."""
    if SET not in collection or collection.objects or collection.children:
        return
    around = [each for each in bpy.data.collections if ALL in each and collection in list(each.children)]
    bpy.data.collections.remove(collection)
    for each in around:
        if not each.objects and not each.children:
            bpy.data.collections.remove(each)


def _new(name: str, mark: str, value: Any) -> Collection:
    made = bpy.data.collections.new(name)
    made[mark] = value
    return made


def seen(view_layer: ViewLayer) -> Iterator[Collection]:
    """The layer's collections whose objects are seen, below the scene's own."""
    pending: list[LayerCollection] = list(view_layer.layer_collection.children)
    while pending:
        layer = pending.pop(0)
        collection = layer.collection
        if layer.exclude or layer.hide_viewport or collection.hide_viewport or collection.hide_render:
            continue
        yield collection
        pending.extend(layer.children)
