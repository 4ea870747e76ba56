"""Which objects the scene shows as instances, and who makes them.

An instance (of a collection, of particles, of geometry nodes) counts as the object of the scene that makes it, however
deep it is nested.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from bpy.types import Collection, Context, Depsgraph, Object
from mathutils import Matrix

from . import block_outs

Makers = dict[Object, set[Object]]
"""Each object that can be seen -> those of the scene that show it, itself among them where it stands in the scene."""


def makers(context: Context) -> Makers:
    """Who shows what, in the viewport or not. A superset: a maker may make none in this frame."""
    found: Makers = {}
    for thing in context.view_layer.objects:
        found.setdefault(thing, set()).add(thing)
        for shown in _collected(thing):
            found.setdefault(shown, set()).add(thing)
    for instance in context.evaluated_depsgraph_get().object_instances:
        if instance.is_instance:
            found.setdefault(instance.object.original, set()).add(instance.parent.original)
    return found


def shown_by(things: Iterable[Object], all_makers: Makers) -> set[Object]:
    """The things, and whatever they show as instances."""
    wanted = set(things)
    return wanted | {shown for shown, of in all_makers.items() if of & wanted}


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


def corners(things: Iterable[Object], depsgraph: Depsgraph) -> Any:
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
