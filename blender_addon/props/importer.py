"""From a result to the scene: one object per instance, in a collection of its own, each knowing where it came from.

Objects are told apart by `extras.instance_id` of the glTF nodes, never by name. `scene.glb` is in metres, and Blender's
importer divides by the scene's unit scale. No undo step is made here; the operator that calls this makes one.
"""

from __future__ import annotations

import math
from collections.abc import Collection as AnyOf
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Collection, Context, Object, ViewLayer
from mathutils import Matrix

from ..capture import block_outs as relation
from ..capture.block_outs import register, resolve, unregister
from ..ground import compat
from ..ground.messages import SetDresserError
from ..ground.references import Reference
from . import glb_check, photo_places, recipes, sets, succession
from .glb_check import INSTANCE
from .recipes import RECIPE

__all__ = ["RECIPE", "ImportFailed", "import_result", "register", "unregister"]

_NOT_KEPT = ("instance_id", "name", "placement")
"""Extras of a node; they are in the recipe, and would be clutter beside it."""

_SAME_DIRECTION = math.cos(math.radians(2.0))


class ImportFailed(SetDresserError):
    """The result cannot be brought in; nothing of it is left in the file."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, "import")


def import_result(
    context: Context,
    glb: Path,
    result: Mapping[str, Any],
    block_outs: Mapping[int, Reference],
    *,
    hide_block_outs: bool = True,
    keep_moves: bool = True,
    only: AnyOf[int] | None = None,
    height: float = 0.0,
    place_at: str = photo_places.FLOOR,
) -> list[str]:
    """Bring `scene.glb` in and tie every prop to its block-out.

    Props stand where the file says: in the world that the captured camera stood in. If the camera was only assumed,
    the whole set is scaled, turned and moved as `photo_places` says, so that the active camera sees all of it.

    A prop "Sofa_prop" has the parent and, through the pointer `set_dresser_block_out`, the memory of its block-out
    "Sofa", which is hidden and kept; so is the prop that another job, or an earlier import of this one, made of it: see
    `succession`. Props are selected; if `only` some come in, as variants, the selection stays as it was, and nothing is
    replaced.

    Args:
        result: `result.json` of the same job.
        block_outs: instance id -> block-out; those that were deleted meanwhile are passed over, and those that are
            not known any more are asked of the props in the scene.
        keep_moves: whether a prop takes the place to which the artist has moved the one it replaces.
        only: ids of the instances to bring in; all if left out.
        height, place_at: of a set whose camera was assumed; see `photo_places.world_from_assumed`.

    Returns: names of the props, in order of their instance ids.
    Raises ImportFailed: if the file is missing, damaged or holds no props, or Blender is in another mode than Object.
    """
    _check_glb(glb)
    if context.mode != "OBJECT":
        raise ImportFailed("Props can only be brought in in Object Mode.", "Press Tab, then import the job again.")
    former_selection = list(context.view_layer.objects.selected), context.view_layer.objects.active
    with _only_what_is_wanted(context) as wanted:
        instances = _load(context, glb)
        if not instances:
            raise ImportFailed(f"{glb.name} holds no props.", "Generate again.")
        shift = Matrix.Identity(4)
        if result.get("camera_source") == "default":
            shift = photo_places.world_from_assumed(context, instances, result.get("camera"), height, place_at)
        if only is not None:
            instances = {number: prop for number, prop in instances.items() if number in only}
            if not instances:
                raise ImportFailed("The new result does not have this object.", "Import all of it from the job list.")
        former_collections = set(bpy.data.collections)
        collection = sets.collection_for(context, result)
        wanted |= set(bpy.data.collections) - former_collections
        kept = [part for prop in instances.values() for part in (prop, *prop.children_recursive)]
        wanted |= set(kept)
        places = {number: prop.matrix_world.copy() for number, prop in instances.items()}
        for number, prop in instances.items():
            recipes.keep_pose(prop, places[number])
        places = {number: shift @ place for number, place in places.items()}
        for part in kept:
            for other in part.users_collection:
                other.objects.unlink(part)
            collection.objects.link(part)
        records = {row["id"]: row for row in result.get("props", ())}
        made = {number: recipes.make(number, records.get(number, {}), result) for number in instances}
        resolved = {number: resolve(block_outs[number]) for number in instances if number in block_outs}
        originals = {**succession.remembered(context.scene, made), **resolved}
        for number, prop in instances.items():
            _dress(prop, made[number], records.get(number, {}), originals.get(number))
        _place(context.view_layer, {instances[number]: place for number, place in places.items()}, instances, originals)
    for original in filter(None, originals.values()) if hide_block_outs else ():
        relation.hide(original, context.view_layer)
    if only is None:
        succession.take_over(context, instances.values(), keep_moves)
        _select(context.view_layer, list(instances.values()), next(iter(instances.values())))
    else:
        _select(context.view_layer, *former_selection)
    return [prop.name for prop in instances.values()]


def _check_glb(glb: Path) -> None:
    """Raises ImportFailed unless this is a whole file of props that Blender's importer can be trusted with."""
    again = "Fetch the result again, or generate again."
    try:
        glb_check.check(glb)
    except OSError as error:
        raise ImportFailed(f"{glb.name} cannot be read: {error.strerror or error}.", again) from error
    except glb_check.Refused as error:
        raise ImportFailed(f"{glb.name} cannot be imported: {error}.", again) from error


@contextmanager
def _only_what_is_wanted(context: Context) -> Iterator[set[Any]]:
    """Afterwards of all that is new in the file only what was put in the set is left, with what it uses.

    The rest, the importer's empties for one, is removed; if anything fails, everything new is.
    """
    before = {datablock.session_uid for datablock in _datablocks()}
    active = context.view_layer.active_layer_collection.collection
    # The importer puts objects where the artist works; if that collection is excluded it cannot select them.
    context.view_layer.active_layer_collection = context.view_layer.layer_collection
    wanted: set[Any] = set()
    try:
        yield wanted
    except BaseException:
        wanted.clear()
        bpy.data.batch_remove([datablock for datablock in _datablocks() if datablock.session_uid not in before])
        raise
    finally:
        _activate_collection(context.view_layer, active)
    # Objects and collections nobody asked for go first; then, in rounds, what only they used.
    new = [datablock for datablock in _datablocks() if datablock.session_uid not in before]
    roots = (bpy.types.Object, bpy.types.Collection, bpy.types.Scene)
    unwanted = [datablock for datablock in new if isinstance(datablock, roots) and datablock not in wanted]
    while unwanted:
        bpy.data.batch_remove(unwanted)
        new = [datablock for datablock in _datablocks() if datablock.session_uid not in before]
        unwanted = [datablock for datablock in new if not datablock.users and datablock not in wanted]


def _datablocks() -> Iterator[Any]:
    for name, kind in bpy.data.bl_rna.properties.items():
        if kind.type == "COLLECTION":
            yield from getattr(bpy.data, name)


def _activate_collection(view_layer: ViewLayer, collection: Collection) -> None:
    """Make a collection the active one again; layer collections themselves do not survive changes of the tree."""
    pending = [view_layer.layer_collection]
    while pending:
        layer_collection = pending.pop()
        if layer_collection.collection == collection:
            view_layer.active_layer_collection = layer_collection
            return
        pending.extend(layer_collection.children)


def _load(context: Context, glb: Path) -> dict[int, Object]:
    """Run Blender's importer; the new objects that are instances, by id in ascending order."""
    before = {candidate.session_uid for candidate in bpy.data.objects}
    try:
        with compat.gltf_importer() as operator:
            options = compat.with_known_options(
                operator,
                merge_vertices=True,  # the two sides of a texture seam become one closed surface again
                import_pack_images=True,
                import_shading="NORMALS",
                import_scene_extras=False,
                import_scene_as_collection=False,
                import_select_created_objects=False,
                import_unused_materials=False,
                bone_heuristic="BLENDER",
            )
            outcome = operator("EXEC_DEFAULT", filepath=str(glb), **options)
    except LookupError as error:
        message = "This Blender has no glTF importer."
        raise ImportFailed(message, "Switch on Preferences > Add-ons > glTF 2.0 format.") from error
    except RuntimeError as error:
        words = str(error).removeprefix("Error: ").strip().splitlines()[-1].strip().rstrip(".")  # of a traceback
        raise ImportFailed(f"Blender could not read {glb.name}: {words}.", "Generate again.") from error
    if outcome != {"FINISHED"}:
        raise ImportFailed(f"Blender stopped reading {glb.name}.", "Import the job again.")
    context.view_layer.update()
    new = [candidate for candidate in bpy.data.objects if candidate.session_uid not in before]
    instances = {candidate[INSTANCE]: candidate for candidate in new if INSTANCE in candidate}
    numbers = (number for prop in instances.values() for row in prop.matrix_world for number in row)
    if not all(math.isfinite(number) for number in numbers):
        raise ImportFailed(f"A prop of {glb.name} has no place.", "Generate again.")
    return dict(sorted(instances.items()))


def _dress(prop: Object, recipe: dict[str, Any], record: Mapping[str, Any], block_out: Object | None) -> None:
    """Name, recipe, relation, and clean data. `record`: the prop's row in the result."""
    label = str(record.get("name") or prop.get("name") or record.get("node") or f"Object {recipe['instance_id']}")
    for extra in _NOT_KEPT:
        prop.pop(extra, None)
    prop.name = f"{block_out.name}_prop" if block_out is not None else label
    prop[RECIPE] = recipe
    prop.set_dresser_block_out = block_out
    if prop.type == "MESH":
        _clean_mesh(prop)


def _clean_mesh(prop: Object) -> None:
    """Data named after the prop, pictures packed, and plain smooth shading where the custom normals say no more."""
    mesh = prop.data
    mesh.name = prop.name
    for material in mesh.materials:
        if material is None:
            continue
        material.name = prop.name
        for node in compat.use_nodes(material).nodes:
            image = getattr(node, "image", None)
            if image is not None:
                image.name = prop.name
                if image.packed_file is None:
                    image.pack()
    if mesh.has_custom_normals and _is_smooth(mesh):
        compat.remove_custom_normals(prop)
        mesh.shade_smooth()


def _is_smooth(mesh: Any) -> bool:
    """Whether the file's normals are those that smooth shading gives anyway (an artist edits better without them)."""
    corners = np.empty(len(mesh.loops) * 3, np.float32)
    mesh.corner_normals.foreach_get("vector", corners)
    vertices = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertex_normals.foreach_get("vector", vertices)
    of_corner = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", of_corner)
    cosines = np.einsum("ij,ij->i", corners.reshape(-1, 3), vertices.reshape(-1, 3)[of_corner])
    return bool(np.mean(cosines < _SAME_DIRECTION) < 0.01)


def _place(
    view_layer: ViewLayer,
    places: Mapping[Object, Matrix],
    instances: Mapping[int, Object],
    originals: Mapping[int, Object | None],
) -> None:
    """Put props at world matrices, under their block-outs' parents, with XYZ rotation and no scale of their own."""
    for prop, place in places.items():
        prop.parent = None
        prop.rotation_mode = "XYZ"
        scale = place.to_scale()
        if prop.type == "MESH" and max(abs(factor - 1.0) for factor in scale) > 1e-5:
            prop.data.transform(Matrix.Diagonal(scale).to_4x4())
        _stand(prop, place)
        prop.matrix_parent_inverse = Matrix.Identity(4)
    parented = []
    for number, prop in instances.items():
        original = originals.get(number)
        if original is not None and original.parent is not None:
            parented.append(prop)
            _stand(prop, Matrix.Identity(4))
            _take_parent(prop, original)
    view_layer.update()
    for prop in parented:
        # At rest the prop now is where its parent puts it, whatever kind of parent; undo that, as Ctrl+P does.
        prop.matrix_parent_inverse = prop.matrix_world.inverted_safe()
        _stand(prop, places[prop])
    view_layer.update()


def _stand(prop: Object, place: Matrix) -> None:
    """Location and rotation of its own, and a scale of exactly 1."""
    prop.location = place.to_translation()
    prop.rotation_euler = place.to_euler("XYZ")
    prop.scale = (1.0, 1.0, 1.0)


def _take_parent(prop: Object, original: Object) -> None:
    prop.parent = original.parent
    if original.parent_type == "BONE":
        prop.parent_type = "BONE"
        prop.parent_bone = original.parent_bone


def _select(view_layer: ViewLayer, props: list[Object], active: Object | None) -> None:
    view_layer.update()  # until then the list holds what was removed, as None
    for selected in list(view_layer.objects.selected):
        selected.select_set(False, view_layer=view_layer)
    for prop in props:
        prop.select_set(True, view_layer=view_layer)
    view_layer.objects.active = active
