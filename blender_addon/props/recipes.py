"""The recipe on a prop: a custom property that says what it was made of and how, and so which props are variants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import bpy
from bpy.types import Object
from mathutils import Matrix, Quaternion, Vector

from ..capture import sentences
from ..capture.block_outs import in_a_scene
from ..ground.references import contains

RECIPE = "set_dresser"
"""Custom property of a prop: job, pipeline, parameters, … (see `make`), all that is needed to make it again."""

POSE = "set_dresser_pose"
"""Custom property of a prop: where its file puts it in the world, in Blender's units: location and quaternion."""

_LARGEST_INTEGER = 2**31 - 1


def make(number: int, record: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of instance `number`, as custom properties. `record`: its row of `props` in the result."""
    pipeline = result.get("pipeline") or {}
    measured = ("mask_iou", "placement", "quality", "dimensions", "mask_pixels")
    about = [each for each in result.get("warnings") or () if each.get("instance") in (None, number)]
    recipe: dict[str, Any] = storable(
        {
            "format": 1,
            "job": result.get("job"),
            "name": result.get("name"),
            "created": result.get("created"),
            "pipeline": pipeline.get("id"),
            "version": pipeline.get("version"),
            "parameters": result.get("parameters"),
            "seed": result.get("seed"),
            "prepared": " ".join(result.get("prepared") or ()),
            "text": sentences.of_result(result),
            "inputs": result.get("inputs") or None,
            "camera": result.get("camera"),
            "camera_source": result.get("camera_source"),
            "instance_id": number,
            "label": record.get("name"),
            **{name: record.get(name) for name in measured},
            "warnings": "\n".join(str(each.get("message", "")) for each in about),
            "versions": result.get("versions"),
        }
    )
    return recipe


def storable(value: Any) -> Any:
    """JSON as nested custom properties: nothing is left out where possible, whole numbers over 32 bits become text.

    A list that Blender cannot keep as an array (of mixed things, or of dictionaries) becomes JSON text.
    """
    if isinstance(value, Mapping):
        return {str(name): storable(item) for name, item in value.items() if item is not None}
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return str(value)
    if isinstance(value, (list, tuple)):
        rows = [item for item in value if isinstance(item, (list, tuple))]
        numbers = (item for row in rows for item in row) if rows and len(rows) == len(value) else iter(value)
        if all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in numbers):
            return [[float(item) for item in row] for row in rows] if rows else [float(item) for item in value]
        return json.dumps(value)
    return value


def is_prop(candidate: Object | None) -> bool:
    return candidate is not None and RECIPE in candidate


def of(prop: Object) -> Mapping[str, Any]:
    """The recipe of a prop as it is stored; empty if somebody has spoilt it."""
    recipe = prop.get(RECIPE)
    return recipe if hasattr(recipe, "keys") else {}


def job(prop: Object) -> str:
    return str(of(prop).get("job") or "")


def pictures(prop: Object) -> int:
    """How many pictures a prop was made of; 1 if that is not known any more."""
    try:
        rows = json.loads(str(of(prop).get("inputs") or ""))
        return sum(row["role"] == "image" for row in rows) or 1
    except (ValueError, TypeError, KeyError):
        return 1


def edition(prop: Object) -> tuple[str, int]:
    """The same for all copies of a prop: its job, and how many times that had been imported here before."""
    return job(prop), int(of(prop).get("imports", 0))


def number_import(prop: Object, twins: Iterable[Object]) -> None:
    """Tell a new prop from those that the same job made of the same instance before."""
    if earlier := [int(of(twin).get("imports", 0)) for twin in twins]:
        prop[RECIPE]["imports"] = max(earlier) + 1


def lineage(prop: Object) -> tuple[str, int, str] | None:
    """What a prop was made of, the same for every job on the same pictures or the same sentence: their hashes or its
    words, the instance, its label."""
    return _line(of(prop))


def is_of(prop: Object, recipe: Mapping[str, Any]) -> bool:
    """Whether a prop was made of the same pictures, and the same instance of them, as the recipe."""
    line = _line(recipe)
    return line is not None and lineage(prop) == line


def _line(recipe: Mapping[str, Any]) -> tuple[str, int, str] | None:
    start = recipe.get("inputs") or recipe.get("text")
    if not start or "instance_id" not in recipe:
        return None
    return str(start), int(recipe["instance_id"]), str(recipe.get("label") or "")


def keep_pose(prop: Object, place: Matrix) -> None:
    prop[POSE] = [*place.to_translation(), *place.to_quaternion()]


def pose(prop: Object) -> tuple[Vector, Quaternion] | None:
    """Where the prop's file puts it; None for a prop that came in before that was kept."""
    numbers = prop.get(POSE)
    return None if numbers is None or len(numbers) != 7 else (Vector(numbers[:3]), Quaternion(numbers[3:]))


def relatives(prop: Object) -> list[Object]:
    """All props in scenes that were made of the same block-out or the same pictures, this one too: first come first."""
    line, block_out = lineage(prop), prop.set_dresser_block_out
    found = [
        candidate
        for candidate in bpy.data.objects
        if RECIPE in candidate and (candidate == prop or _related(candidate, line, block_out)) and _stands(candidate)
    ]
    return sorted(found, key=lambda each: (str(of(each).get("created") or ""), *edition(each), each.name))


def _stands(prop: Object) -> bool:
    """As `in_a_scene`, which is slow among thousands of objects; the panel asks at every drawing."""
    return any(contains(scene.objects, prop) for scene in bpy.data.scenes) or in_a_scene(prop)


def _related(candidate: Object, line: tuple[str, int, str] | None, block_out: Object | None) -> bool:
    if block_out is not None and candidate.set_dresser_block_out == block_out:
        return True
    return line is not None and lineage(candidate) == line
