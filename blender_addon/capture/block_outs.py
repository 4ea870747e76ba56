"""Block-outs and the props made of them: who belongs to whom, who is hidden.

A block-out is an object together with everything parented to it: a lamp made of a pole and a shade, an empty with
parts. A prop points to its block-out through `Object.set_dresser_block_out`, which survives renaming, duplicating
and saving; the way back is a search.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np
from bpy.types import Object
from numpy.typing import NDArray

from ..ground.references import Reference, contains

HIDDEN = "set_dresser_hidden"
"""Custom property of a block-out that its prop has replaced: how it was before it was hidden."""

_BEFORE = {"render": False, "viewport": False}

ONE_WITH = "set_dresser_one_with"
"""Custom property of an object that is one block-out together with another one: that other one."""

SHAPES = frozenset(
    {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME", "GPENCIL", "GREASEPENCIL"}
)
"""Object types that can be seen in a render. Lights are not among them: they go on shining for the prop."""

LEAST_SIDE = 1e-3
"""A flat block-out's box has this share of its diagonal as thickness: a box has three sides."""


def resolve(reference: Reference) -> Object | None:
    """The object meant, under whatever name; None if it was deleted."""
    found: Object | None = reference.find(bpy.data.objects)
    return found if found is not None and in_a_scene(found) else None


def in_a_scene(candidate: Object) -> bool:
    """False for an object that was deleted and lives on only because a prop points to it."""
    return bool(candidate.users_scene)


def block_out_of(prop: Object) -> Object | None:
    """The block-out that a prop was made of, if it still stands in a scene."""
    block_out: Object | None = prop.set_dresser_block_out
    return block_out if block_out is not None and in_a_scene(block_out) else None


def props_of(members: Iterable[Object]) -> list[Object]:
    """The props that were made of any of these objects."""
    wanted = set(members)
    return [candidate for candidate in bpy.data.objects if candidate.set_dresser_block_out in wanted]


def members(block_out: Object) -> list[Object]:
    """The block-out and everything that is parented to it, directly or not."""
    return [block_out, *block_out.children_recursive]


def visible_parts(block_out: Object) -> list[Object]:
    """Those members that can be seen in a render."""
    return [part for part in members(block_out) if can_be_seen(part)]


def can_be_seen(part: Object) -> bool:
    """Whether it has a shape, or shows something that may have one."""
    return part.type in SHAPES or part.instance_type != "NONE"


def surface_points(block_out: Object, depsgraph: bpy.types.Depsgraph) -> NDArray[np.float64]:
    """(N, 3) vertices of a block-out with its parts in the world, modifiers applied; empty if nothing has a surface."""
    found = [np.empty((0, 3))]
    for part in visible_parts(block_out):
        evaluated = part.evaluated_get(depsgraph)
        try:
            mesh = evaluated.to_mesh()
        except RuntimeError:  # a volume, or an empty that shows a collection
            continue
        if mesh is not None:
            local = np.empty(len(mesh.vertices) * 3, np.float32)
            mesh.vertices.foreach_get("co", local)
            matrix = np.array(evaluated.matrix_world)
            found.append(local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
            evaluated.to_mesh_clear()
    return np.concatenate(found)


def world_from_box(
    block_out: Object, depsgraph: bpy.types.Depsgraph, others: Iterable[Object] = ()
) -> NDArray[np.float64] | None:
    """The box around a block-out with its parts, along the block-out's own axes: 4x4, it takes the cube from -0.5 to
    0.5 to the box, in Blender's units; None if nothing has a surface. `others` are in the box too."""
    points = np.concatenate([surface_points(each, depsgraph) for each in (block_out, *others)])
    if not len(points):
        return None
    axes = np.array(block_out.matrix_world.to_quaternion().to_matrix(), dtype=np.float64)
    low, high = (points @ axes).min(axis=0), (points @ axes).max(axis=0)
    size = np.maximum(high - low, LEAST_SIDE * max(float(np.linalg.norm(high - low)), LEAST_SIDE))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes * size, axes @ ((low + high) / 2)
    return matrix


def roots(objects: Iterable[Object]) -> list[Object]:
    """The block-outs meant by a selection, each once, in the order given.

    A part stands for the whole it is parented to if that is selected too, a prop for the block-out it was made of
    (so selecting a prop makes it anew); lights, cameras and empties without anything visible are passed over.
    """
    meant = list(dict.fromkeys(block_out_of(candidate) or candidate for candidate in objects))
    chosen = set(meant)
    return [candidate for candidate in meant if not (_ancestors(candidate) & chosen) and visible_parts(candidate)]


def together(chosen: Iterable[Object]) -> list[Object]:
    """The block-outs given, and those that were made one with any of them."""
    found = dict.fromkeys(chosen)
    found.update(dict.fromkeys(each for each in bpy.data.objects if each.get(ONE_WITH) in found and in_a_scene(each)))
    return list(found)


def make_one(block_out: Object, others: Iterable[Object]) -> None:
    """Remember that these are one block-out: whoever chooses the first, or its prop, means all of them."""
    for other in others:
        other[ONE_WITH] = block_out


def _ancestors(descendant: Object) -> set[Object]:
    found: set[Object] = set()
    parent = descendant.parent
    while parent is not None:
        found.add(parent)
        parent = parent.parent
    return found


def hidden_for_now(block_outs: Iterable[Object]) -> list[Object]:
    """Those parts of hidden block-outs whose hiding ends with this Blender: a file does not save what is done to an
    object that it links. Of library overrides and of instances it does."""
    parts = dict.fromkeys(part for block_out in block_outs for part in members(block_out))
    return [part for part in parts if part.library is not None and HIDDEN in part]


def is_hidden(part: Object) -> bool:
    """Whether a part of a block-out was hidden for its prop. What stood on a linked object, or on a library override,
    is not in the file any more when it is opened again; that a prop was made of it is."""
    if HIDDEN in part or (part.library is None and part.override_library is None):
        return HIDDEN in part
    return bool(props_of({part, *_ancestors(part)}))


def hide(block_out: Object, view_layer: bpy.types.ViewLayer) -> None:
    """Hide a block-out that a prop has replaced, and remember how it was; done twice it is remembered once."""
    for part in members(block_out):
        if part.type not in SHAPES and part.type != "EMPTY":
            continue
        in_layer = contains(view_layer.objects, part)
        if HIDDEN not in part:
            part[HIDDEN] = {"render": part.hide_render, "viewport": in_layer and part.hide_get(view_layer=view_layer)}
        part.hide_render = True
        if in_layer:
            part.hide_set(True, view_layer=view_layer)


def show(block_out: Object, view_layer: bpy.types.ViewLayer) -> None:
    """Show a hidden block-out as it was before its prop came; nothing happens to one that was not hidden."""
    for part in members(block_out):
        if not is_hidden(part):
            continue
        before = part.pop(HIDDEN, _BEFORE)
        part.hide_render = bool(before["render"])
        if contains(view_layer.objects, part):
            part.hide_set(bool(before["viewport"]), view_layer=view_layer)


def register() -> None:
    bpy.types.Object.set_dresser_block_out = bpy.props.PointerProperty(
        type=Object, name="Block-out", description="The block-out that this prop was made of"
    )


def unregister() -> None:
    del bpy.types.Object.set_dresser_block_out
