"""A fetched result comes into the scene it was made for, whatever is shown by then."""

from __future__ import annotations

from collections import Counter
from typing import Any

import bpy
from bpy.types import Context, Object, Scene, ViewLayer

from ..capture import block_outs, noticing
from ..capture.block_outs import resolve
from ..ground.references import Reference
from ..state.job import JobRecord
from . import importer, photo_places, variants

CODE = "import"
"""Of the warnings that an import adds to its job; the next import of the job takes them back."""


def place_result(context: Context, record: JobRecord, result: dict[str, Any]) -> list[Object]:
    """Import a fetched result; returns the new objects, which the record remembers.

    result: its `result.json`.

    One import is one undo step if an operator with undo calls this (`set_dresser.place_result`).
    """
    assert record.folder is not None
    scene, layer, note = _destination(context, record)
    former = variants.awaiting(record.id, record.variant_of)
    known = _block_outs(record, result)
    override = {"scene": scene} if scene != context.scene else {}
    override |= {"view_layer": layer} if override or layer != context.view_layer else {}
    height, place_at = photo_places.wish(scene, record.height, record.place_at)
    with context.temp_override(**override):
        names = importer.import_result(
            bpy.context,
            record.folder / "scene.glb",
            result,
            known,
            hide_block_outs=record.hide_block_outs and not former,
            keep_moves=record.keep_moves,
            only=former or None,
            height=height,
            place_at=place_at,
        )
        if former:
            names = variants.join(bpy.context, record.id, names, former)
        _hide_the_rest(bpy.context, record)
    props = [bpy.data.objects[name, None] for name in names]  # of this file, not linked ones
    record.props = [Reference.of(prop) for prop in props]
    record.import_count, record.result_imported = record.import_count + 1, True
    record.warnings = [row for row in record.warnings if row.get("code") != CODE]
    record.warnings += [row for row in result.get("warnings") or () if row not in record.warnings]
    if note:
        record.warnings.append(_warning(note))
    if gone := _gone(record, known):
        record.warnings.append(_warning(*_not_found(gone)))
    made_of = filter(None, map(block_outs.block_out_of, props))
    if linked := block_outs.hidden_for_now([*made_of, *filter(None, map(resolve, record.one_with))]):
        record.warnings.append(_warning(*_not_saved([part.name for part in linked])))
    return props


def _block_outs(record: JobRecord, result: dict[str, Any]) -> dict[int, Reference]:
    """Instance id -> block-out. Of a job from before a restart the label table names those that its origin had no room
    for."""
    if record.variant_of or all(each.session_uid for each in record.block_outs.values()):
        return record.block_outs
    rows = result.get("instances") or ()
    names = Counter(str(row.get("name") or "") for row in rows)  # those of several libraries may be called the same
    labels = {int(row["id"]): Reference(0, row["name"]) for row in rows if row.get("name") and names[row["name"]] == 1}
    return {**labels, **record.block_outs}


def _gone(record: JobRecord, known: dict[int, Reference]) -> list[str]:
    """What is looked for by its name and not found. Who has deleted something in this session knows of it."""
    wanted = [*known.values(), *record.one_with, *record.variant_of.values()]
    return [each.name for each in wanted if not each.session_uid and resolve(each) is None]


def _not_found(names: list[str]) -> tuple[str, str]:
    message = (
        f"Not in this file any more: {noticing.listed(names)}. What was made of it stands where the camera saw it."
    )
    return message, "What was renamed, or not saved before Blender ended, is not found again."


def _destination(context: Context, record: JobRecord) -> tuple[Scene, ViewLayer, str]:
    """Scene, view layer, and a sentence if it is another scene than it was made for.

    Block-outs that were moved to another scene meanwhile take their props with them.
    """
    made_for = record.place.find() if record.place is not None else None
    standing = filter(None, map(resolve, (record.variant_of or record.block_outs).values()))
    homes = list(dict.fromkeys(scene for each in standing for scene in each.users_scene))
    if made_for is not None and (not homes or made_for[0] in homes):
        return *made_for, ""
    scene = homes[0] if homes and context.scene not in homes else context.scene
    layer = context.view_layer if scene == context.scene else scene.view_layers[0]
    if record.place is None:
        return scene, layer, ""
    why = "The block-outs are in another scene now" if made_for else "The scene they were made for is gone"
    return scene, layer, f"{why}: the props came into {scene.name}."


def _warning(message: str, hint: str = "") -> dict[str, Any]:
    return {"code": CODE, "message": message, "hint": hint, "instance": None}


def _not_saved(names: list[str]) -> tuple[str, str]:
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    message = f"Linked from another file, and so hidden only until this file is closed: {some}."
    return (
        message,
        "Make a library override (Object > Library Override > Make), or show their collection as an instance.",
    )


def _hide_the_rest(context: Context, record: JobRecord) -> None:
    """Where several objects were one block-out: the others go with the one that the prop belongs to."""
    named = next(iter(record.block_outs.values()), None)
    main = resolve(named) if named is not None else None
    others = list(filter(None, map(resolve, record.one_with)))
    if main is None or not others:
        return
    block_outs.make_one(main, others)
    for replaced in (*others, *block_outs.props_of(others)) if record.hide_block_outs else ():
        block_outs.hide(replaced, context.view_layer)
