"""What stands in a scene and can be seen: who shows what, and what hides nothing.

An instance (of a collection, of particles, of geometry nodes) counts as the object of the scene that makes it, however
deep it is nested. Objects are meant by their session ids, which may be kept between turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from bpy.types import Collection, Depsgraph, Material, Object, ViewLayer
from mathutils import Matrix

from ..ground import compat
from . import block_outs

Makers = dict[int, set[int]]
"""Each object that can be seen -> those of the scene that show it, itself among them where it stands in the scene."""


@dataclass(frozen=True)
class Scenery:
    """What a picture is taken of.

    engine: "CYCLES", or the other one that decides what materials mean in the picture; makers: who shows what;
    standing: what stands in the scene and can be seen -> its name; out_of_sight: what the camera is not to see, such as
    mist, which has a volume and no surface.
    """

    engine: str
    makers: Makers
    standing: dict[int, str]
    out_of_sight: frozenset[int]


def survey(view_layer: ViewLayer, engine: str) -> Scenery:
    """The scenery of a view layer that is up to date."""
    standing = {each.session_uid: each.name for each in view_layer.objects if block_outs.can_be_seen(each)}
    made_over = view_layer.material_override is not None or engine == "BLENDER_WORKBENCH"
    mist = frozenset() if made_over else frozenset(_only_volumes(view_layer.depsgraph, engine))
    return Scenery(engine, _makers(view_layer), standing, mist)


def _makers(view_layer: ViewLayer) -> Makers:
    """Who shows what, in the viewport or not. A superset: a maker may make none in this frame."""
    found: Makers = {}
    for thing in view_layer.objects:
        for shown in (thing, *_collected(thing)):
            found.setdefault(shown.session_uid, set()).add(thing.session_uid)
    for instance in view_layer.depsgraph.object_instances:
        if instance.is_instance:
            maker = instance.parent.original.session_uid
            found.setdefault(instance.object.original.session_uid, set()).add(maker)
    return found


def shown_by(things: Iterable[int], makers: Makers) -> set[int]:
    """The things, and whatever they show as instances."""
    wanted = set(things)
    return wanted | {shown for shown, of in makers.items() if of & wanted}


def _collected(thing: Object) -> Iterator[Object]:
    """What an object shows of collections and by particles, even while the viewport hides it."""
    pending: list[Any] = [thing.instance_collection] if thing.instance_type == "COLLECTION" else []
    for system in thing.particle_systems:
        pending += [system.settings.instance_collection, system.settings.instance_object]
    done: set[Any] = {None}
    while pending:
        each = pending.pop()
        if each in done:
            continue
        done.add(each)
        if isinstance(each, Collection):
            pending += list(each.all_objects)
        else:
            yield each
            if each.instance_type == "COLLECTION":
                pending.append(each.instance_collection)


def instance_corners(things: Iterable[Object], depsgraph: Depsgraph) -> Any:
    """(N, 3) points in the world between which lies whatever is shown as an instance by these things."""
    wanted = set(things)
    boxes = [np.empty((0, 3))]
    for thing in wanted:
        if thing.instance_type == "COLLECTION" and thing.instance_collection is not None:
            boxes += _boxes(thing.instance_collection, thing.matrix_world)
    for instance in depsgraph.object_instances:
        if instance.is_instance and instance.parent.original in wanted and instance.object.type in block_outs.SHAPES:
            boxes.append(_box(instance.object, instance.matrix_world))
    return np.concatenate(boxes)


def _boxes(collection: Collection, place: Matrix) -> list[Any]:
    found = []
    place = place @ Matrix.Translation(-collection.instance_offset)
    for each in collection.all_objects:
        if each.instance_type == "COLLECTION" and each.instance_collection is not None:
            found += _boxes(each.instance_collection, place @ each.matrix_world)
        elif each.type in block_outs.SHAPES:
            found.append(_box(each, place @ each.matrix_world))
    return found


def _box(shown: Object, matrix: Matrix) -> Any:
    place = np.array(matrix)
    return np.array(shown.bound_box) @ place[:3, :3].T + place[:3, 3]


def output(material: Material, engine: str) -> bpy.types.Node | None:
    """The node that says what an engine makes of a material; None if it has none."""
    tree = compat.nodes_of(material)
    return None if tree is None else tree.get_output_node("EEVEE" if "EEVEE" in engine else "CYCLES")


def _only_volumes(depsgraph: Depsgraph, engine: str) -> Iterator[int]:
    """Objects that have a volume and no surface, as mist has: rays pass, and some would be scattered on the way."""
    for candidate in bpy.data.objects:
        if candidate.type not in block_outs.SHAPES:
            continue
        materials = {slot.material for slot in candidate.material_slots}
        data = candidate.evaluated_get(depsgraph).data
        materials.update(material and material.original for material in getattr(data, "materials", ()))
        if materials and all(_only_volume(material, engine) for material in materials):
            yield candidate.session_uid


def _only_volume(material: Material | None, engine: str) -> bool:
    end = None if material is None else output(material, engine)
    return end is not None and end.inputs["Volume"].is_linked and not end.inputs["Surface"].is_linked
