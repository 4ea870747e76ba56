"""Generate again, import again: the new prop goes on where the artist has got with the one that is there.

What was done to it since it came (moved, turned, scaled, parented, put into collections) goes over, however the
block-out has moved meanwhile; it stays as a hidden variant. No undo step is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bpy.types import Context, Object, Scene
from mathutils import Matrix

from ..capture import block_outs
from ..capture.block_outs import HIDDEN
from ..ground.references import contains
from . import recipes, sets, variants
from .recipes import RECIPE

_SAME = 1e-6


def remembered(scene: Scene, wanted: Mapping[int, Mapping[str, Any]]) -> dict[int, Object]:
    """Instance id -> its block-out, as far as props in the scene know it: props of the same job, or of the same
    pictures. `wanted`: the recipes of the instances."""
    found: dict[int, Object] = {}
    for prop in _props(scene):
        block_out = block_outs.block_out_of(prop)
        for number, recipe in wanted.items() if block_out is not None else ():
            if _same_instance(recipes.of(prop), recipe) or recipes.is_of(prop, recipe):
                found.setdefault(number, block_out)
    return found


def take_over(context: Context, made: Iterable[Object], keep_moves: bool) -> None:
    """Let new props take over from those that are seen in their stead, where there are any, and hide these.

    A copy that the artist has made of such a one stays as it is: it stands for itself.
    """
    new = list(made)
    there = [prop for prop in _props(context.scene) if prop not in new]
    for prop in new:
        recipes.number_import(prop, _twins(there, prop))
        former, others = _seen_in_its_stead(there, prop)
        if former is None:
            continue
        if keep_moves and recipes.pose(former) is not None:
            _follow_parent(former, prop)
            variants.take_place(former, prop)
            variants.take_children(former, prop)
            _take_collections(context, former, prop)
        variants.swap_names(former, prop)
        for replaced in (former, *others):
            block_outs.hide(replaced, context.view_layer)


def _twins(there: Iterable[Object], new: Object) -> list[Object]:
    """What the same job has made of the same instance before."""
    return [prop for prop in there if _same_instance(recipes.of(prop), recipes.of(new))]


def _seen_in_its_stead(there: Iterable[Object], new: Object) -> tuple[Object | None, list[Object]]:
    """The prop that is seen now, and others that stand in the same place."""
    twins = _twins(there, new)
    former = next((prop for prop in twins if HIDDEN not in prop), None)
    if former is None and twins:
        former = variants.seen_instead(twins[0], new)
    block_out = new.set_dresser_block_out
    rivals = [prop for prop in there if HIDDEN not in prop and _stands_for(prop, block_out)]
    rivals.sort(key=lambda prop: str(recipes.of(prop).get("created") or ""))
    if former is None and rivals:
        newest = recipes.edition(rivals[-1])
        former = next(prop for prop in rivals if recipes.edition(prop) == newest)
    if former is None and any(recipes.job(prop) == recipes.job(new) for prop in there):
        # The job was here, this instance of it was not: it is a variant of what other jobs made of the same pictures.
        former = next((prop for prop in there if HIDDEN not in prop and recipes.is_of(prop, recipes.of(new))), None)
    once = {} if former is None else {recipes.edition(former): former}
    for prop in rivals:
        once.setdefault(recipes.edition(prop), prop)
    return former, [prop for prop in once.values() if prop != former]


def _props(scene: Scene) -> Iterable[Object]:
    return sorted((each for each in scene.objects if RECIPE in each and each.library is None), key=lambda it: it.name)


def _same_instance(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return bool(one.get("job")) and all(one.get(name) == two.get(name) for name in ("job", "instance_id"))


def _stands_for(prop: Object, block_out: Object | None) -> bool:
    return block_out is not None and prop.set_dresser_block_out == block_out


def _follow_parent(former: Object, new: Object) -> None:
    """A parent that has moved with the block-out since the former prop came has moved the pictures' world, too: the
    new prop's file has that already. Of the former one's place, it is no part of what the artist did to it."""
    if not variants.same_parent(former, new) or recipes.lineage(former) == recipes.lineage(new):
        return
    world, pose, scale = former.matrix_world.copy(), recipes.pose(former), former.scale.copy()
    drift = world @ former.matrix_basis.inverted_safe()
    if pose is None or max(abs(drift[i][j] - Matrix()[i][j]) for i in range(4) for j in range(4)) < _SAME:
        return
    former.matrix_parent_inverse = new.matrix_parent_inverse
    former.matrix_basis = world
    former.scale = scale
    recipes.keep_pose(former, drift @ Matrix.LocRotScale(*pose, None))


def _take_collections(context: Context, former: Object, new: Object) -> None:
    """Those of the former prop that are seen."""
    seen = {context.scene.collection, *sets.seen(context.view_layer)}
    own, wanted = list(new.users_collection), [each for each in former.users_collection if each in seen]
    if not wanted:
        return
    for collection in wanted:
        if not contains(collection.objects, new):
            collection.objects.link(new)
    for collection in own:
        if collection not in wanted:
            collection.objects.unlink(new)
            sets.remove_if_empty(collection)
