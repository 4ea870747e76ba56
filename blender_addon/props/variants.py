"""Variants of a prop: what other jobs made of the same block-out or the same pictures, one of them seen at a time.

The one that is seen has the name, the place, the parent, the collections, the children and the selection. All that an
artist does to it after the import (moving, turning, scaling, parenting) goes over to the next one; modifiers,
constraints, animation and materials stay with the mesh they were made for. The others are hidden in viewport and
render.

No undo step is made here; the operators that call this make one each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import bpy
from bpy.types import Context, Object, ViewLayer
from mathutils import Matrix, Quaternion, Vector

from ..capture import block_outs
from ..capture.block_outs import HIDDEN
from ..ground.messages import SetDresserError
from ..ground.references import Reference, contains
from . import recipes, sets

AWAITED = "set_dresser_awaited"
"""Custom property of a prop: ids of jobs that make variants of it, so that they find it in a file opened again."""

REPLACED_BY = "replaced_by"
_SAME = 1e-5
_EULER = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
_DELTAS = ("delta_location", "delta_rotation_euler", "delta_rotation_quaternion", "delta_scale")


def selected(context: Context) -> Object | None:
    """The prop that buttons and panel are about: the active object, else the first selected one that is a prop."""
    active = context.active_object
    if recipes.is_prop(active) and active.select_get():
        return active
    return next((each for each in context.selected_objects if recipes.is_prop(each)), None)


def of(prop: Object) -> list[Object]:
    """The prop and its hidden variants, at most one of each import of a job, first come first.

    A copy of a prop that stands elsewhere is no variant of it: it has the same hidden variants.
    """
    found = {recipes.edition(prop): prop}
    family = recipes.relatives(prop)
    for relative in family:
        if HIDDEN in relative:
            found.setdefault(recipes.edition(relative), relative)
    return [relative for relative in family if found.get(recipes.edition(relative)) == relative]


def step(context: Context, prop: Object, steps: int = 1) -> Object:
    """Show the next variant instead (`steps` -1: the one before); returns it. Raises SetDresserError."""
    variants = of(prop)
    if len(variants) < 2:
        raise SetDresserError("The prop has no other variant.", "Press New Variant first.", "no-variant")
    return show(context, prop, variants[(variants.index(prop) + steps) % len(variants)])


def show(context: Context, prop: Object, other: Object) -> Object:
    """Show `other` where `prop` is, and hide `prop`; returns `other`. Raises SetDresserError outside Object Mode."""
    if context.mode != "OBJECT":
        raise SetDresserError("Variants change in Object Mode only.", "Press Tab first.", "mode")
    if other == prop:
        return prop
    take_place(prop, other)
    take_children(prop, other)
    if other.set_dresser_block_out is None:
        other.set_dresser_block_out = prop.set_dresser_block_out
    _change_sight(context.view_layer, prop, other)
    swap_names(prop, other)
    return other


def swap_names(prop: Object, other: Object) -> None:
    name, prop.name = prop.name, "set_dresser"
    other.name, prop.name = name, other.name


def keep_only(context: Context, prop: Object) -> int:
    """Remove all other hidden variants of a prop with what only they use; returns how many."""
    others = [each for each in recipes.relatives(prop) if each != prop and HIDDEN in each]
    for other in others:
        hidden = list(other.children)
        take_children(other, prop)
        for child in hidden:
            block_outs.show(child, context.view_layer)
    _remove(others)
    return len(others)


def await_job(props: Mapping[int, Reference], job: str) -> None:
    """Remember on the props which job makes variants of them."""
    for prop in filter(None, map(block_outs.resolve, props.values())):
        prop[AWAITED] = " ".join([*str(prop.get(AWAITED, "")).split(), job])


def awaiting(job: str, known: Mapping[int, Reference]) -> dict[int, Object | None]:
    """Instance id -> the prop that a job makes a variant of, None if it was deleted; empty if it makes none.

    known: what is remembered since the job was begun; after a restart the props themselves tell.
    """
    found: dict[int, Object | None] = {}
    for candidate in bpy.data.objects:
        if AWAITED in candidate and job in str(candidate[AWAITED]).split() and block_outs.in_a_scene(candidate):
            found[int(recipes.of(candidate).get("instance_id", 0))] = candidate
    certain = {number: each for number, each in known.items() if each.session_uid or number not in found}
    return {**found, **{number: _prop_of(number, reference) for number, reference in certain.items()}}


def _prop_of(number: int, reference: Reference) -> Object | None:
    """The prop meant. What merely has its name in a file opened again, and was not made of this instance, is not it."""
    prop = block_outs.resolve(reference)
    known = prop is None or reference.session_uid or recipes.of(prop).get("instance_id") == number
    return prop if known else None


def join(context: Context, job: str, names: Iterable[str], props: Mapping[int, Object | None]) -> list[str]:
    """Put new variants where the props are that they are variants of; returns the names they have then.

    names: the new objects. A prop that was deleted meanwhile leaves its variant where the file puts it. One that is
    itself replaced by now is followed to what is seen in its place.
    """
    made: list[Object] = []
    for new in [bpy.data.objects[name, None] for name in names]:  # of this file, not linked ones
        former = props.get(int(recipes.of(new).get("instance_id", 0)))
        if former is not None and AWAITED in former:
            rest = [each for each in str(former.pop(AWAITED)).split() if each != job]
            if rest:
                former[AWAITED] = " ".join(rest)
        seen = seen_instead(former, new) if former is not None else None
        if seen is not None:
            own = list(new.users_collection)
            show(context, seen, new)
            for collection in own:
                sets.remove_if_empty(collection)
        made.append(new)
    return [new.name for new in made]


def seen_instead(prop: Object, new: Object) -> Object | None:
    """What is seen in the place of a prop: itself, or the variant that has replaced it."""
    family = [each for each in recipes.relatives(prop) if each != new]
    by_id = {str(each.session_uid): each for each in family}
    met = {prop}
    while HIDDEN in prop:
        follower = by_id.get(str(prop[HIDDEN].get(REPLACED_BY, "")))
        if follower is None or follower in met:
            return next((each for each in family if HIDDEN not in each), None)
        prop = follower
        met.add(prop)
    return prop


def same_parent(prop: Object, other: Object) -> bool:
    one, two = ((each.parent, each.parent_type, each.parent_bone) for each in (prop, other))
    return one == two


def take_place(prop: Object, other: Object) -> None:
    """Parent and transform of `prop`, and where their files differ the difference."""
    wanted = _place_for(prop, other)
    under_same = same_parent(prop, other)
    if not under_same:
        other.parent = prop.parent
        if prop.parent is not None:
            other.parent_type = prop.parent_type
            other.parent_bone = prop.parent_bone
    other.matrix_parent_inverse = prop.matrix_parent_inverse
    # Coming back to a variant that nothing has happened to meanwhile changes no digit: its place would give this one.
    same_rest = all(tuple(getattr(other, name)) == tuple(getattr(prop, name)) for name in _DELTAS)
    same_rest &= other.rotation_mode == prop.rotation_mode and under_same
    if same_rest and _close(_place_for(other, prop), _place(prop)):
        return
    other.rotation_mode = prop.rotation_mode
    for attribute in _DELTAS:
        setattr(other, attribute, getattr(prop, attribute))
    location, rotation, scale = wanted
    other.location, other.scale = location, scale
    if other.rotation_mode == "QUATERNION":
        other.rotation_quaternion = rotation
    elif other.rotation_mode == "AXIS_ANGLE":
        axis, angle = rotation.to_axis_angle()
        other.rotation_axis_angle = (angle, *axis)
    else:
        other.rotation_euler = rotation.to_euler(other.rotation_mode, prop.rotation_euler)


def _place_for(prop: Object, other: Object) -> tuple[Vector, Quaternion, Vector]:
    """Location, rotation and scale that `other` has where `prop` is, under the same parent.

    Their files put both into one world. What lies between the two poses there is turned and scaled with the prop, and
    `other` gets its scale along its own axes, so that nothing is sheared.
    """
    location, rotation, scale = _place(prop)
    here, there = recipes.pose(prop), recipes.pose(other)
    if here is None or there is None:
        return location, rotation, scale
    between = here[1].inverted() @ there[1]
    offset = here[1].inverted() @ (there[0] - here[0])
    whole_scale = Vector(a * b for a, b in zip(scale, prop.delta_scale, strict=True))
    stretched = Vector(a * b for a, b in zip(offset, whole_scale, strict=True))
    return location + _delta_rotation(prop) @ rotation @ stretched, rotation @ between, scale


def _place(prop: Object) -> tuple[Vector, Quaternion, Vector]:
    if prop.rotation_mode == "QUATERNION":
        rotation = prop.rotation_quaternion.normalized()
    elif prop.rotation_mode == "AXIS_ANGLE":
        angle, *axis = prop.rotation_axis_angle
        rotation = Quaternion(axis, angle)
    else:
        rotation = prop.rotation_euler.to_quaternion()
    return prop.location.copy(), rotation, prop.scale.copy()


def _delta_rotation(prop: Object) -> Quaternion:
    turned = prop.rotation_mode in _EULER
    return prop.delta_rotation_euler.to_quaternion() if turned else prop.delta_rotation_quaternion.copy()


def _close(one: tuple[Vector, Quaternion, Vector], two: tuple[Vector, Quaternion, Vector]) -> bool:
    size = max(1.0, *map(abs, two[0]))
    near = (one[0] - two[0]).length < _SAME * size and (one[2] - two[2]).length < _SAME * max(1.0, two[2].length)
    return bool(near and abs(one[1].dot(two[1])) > 1.0 - _SAME**2)


def take_children(prop: Object, other: Object) -> None:
    """What is parented to the prop goes over and stays where it is."""
    moved: Matrix = other.matrix_basis.inverted_safe() @ prop.matrix_basis
    for child in prop.children:
        if child.parent_type == "OBJECT" and child != other:
            inverse = moved @ child.matrix_parent_inverse
            child.parent = other
            child.matrix_parent_inverse = inverse


def _change_sight(view_layer: ViewLayer, prop: Object, other: Object) -> None:
    """Collections, visibility and selection."""
    for collection in set(other.users_collection) - set(prop.users_collection):
        collection.objects.unlink(other)
    for collection in set(prop.users_collection) - set(other.users_collection):
        collection.objects.link(other)
    view_layer.update()
    in_layer = contains(view_layer.objects, prop)
    was_selected, was_active = prop.select_get(view_layer=view_layer), view_layer.objects.active == prop
    hidden_in_render = prop.hide_render
    block_outs.show(other, view_layer)
    other.hide_viewport, other.hide_render = prop.hide_viewport, hidden_in_render
    if in_layer:
        other.hide_set(prop.hide_get(view_layer=view_layer), view_layer=view_layer)
        prop.select_set(False, view_layer=view_layer)
    prop[HIDDEN] = {"render": hidden_in_render, "viewport": False, REPLACED_BY: str(other.session_uid)}
    prop.hide_viewport = prop.hide_render = True
    if in_layer:
        other.select_set(was_selected, view_layer=view_layer)
        if was_active:
            view_layer.objects.active = other


def _remove(props: list[Object]) -> None:
    """Remove objects, then their meshes, then materials, then pictures, as far as nobody else uses them."""
    meshes = {prop.data for prop in props if prop.data is not None}
    materials = {material for mesh in meshes for material in mesh.materials if material is not None}
    trees = [material.node_tree for material in materials if material.node_tree is not None]
    nodes = [node for tree in trees for node in tree.nodes]
    images = {node.image for node in nodes if getattr(node, "image", None) is not None}
    bpy.data.batch_remove(props)
    for layer in (meshes, materials, images):
        bpy.data.batch_remove([datablock for datablock in layer if not datablock.users])
