"""A pipeline's parameters as Blender properties, made from the JSON schema that the server tells.

For every pipeline there is a property group on the scene, `scene.set_dresser_<pipeline>`. Blender keeps the values by
name in the file, so they come back when the group is registered again, also before the server has run.
"""

from __future__ import annotations

import keyword
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import bpy

INTEGER_RANGE = (-(2**31), 2**31 - 1)
FLOAT_RANGE = (-3.0e38, 3.0e38)
_TAKEN = frozenset({"name", "rna_type", "bl_rna", "id_data", "get", "items", "keys", "values", "pop", "type_recast"})

_groups: dict[str, type[bpy.types.PropertyGroup]] = {}
_names: dict[str, dict[str, str]] = {}
_schemas: dict[str, Mapping[str, Any]] = {}


def register(pipelines: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Make the property groups of these (pipeline, parameter schema) pairs; those of others go."""
    wanted = dict(pipelines)
    for pipeline in list(_groups):
        if wanted.get(pipeline) != _schemas[pipeline]:
            _remove(pipeline)
    for pipeline, schema in wanted.items():
        if pipeline not in _groups:
            _add(pipeline, schema)


def unregister() -> None:
    for pipeline in list(_groups):
        _remove(pipeline)


def group(scene: bpy.types.Scene, pipeline: str) -> bpy.types.PropertyGroup | None:
    """The property group that holds the pipeline's parameters; None if the pipeline is not known (yet)."""
    return getattr(scene, _attribute(pipeline), None) if pipeline in _groups else None


def attributes(pipeline: str) -> list[str]:
    """The names of the group's properties, in the schema's order."""
    return list(_names.get(pipeline, {}).values())


def values(scene: bpy.types.Scene, pipeline: str) -> dict[str, Any]:
    """The parameters as the server takes them. Empty if the pipeline is not known (yet): its defaults count then."""
    holder = group(scene, pipeline)
    if holder is None:
        return {}
    return {name: _plain(holder, attribute) for name, attribute in _names[pipeline].items()}


def enum_number(identifier: str) -> int:
    """A number for an enumeration's item that depends on its name only: Blender stores the number, and a list that
    has changed its order must not change the choice."""
    return zlib.crc32(identifier.encode()) & 0x7FFFFFFF


def _add(pipeline: str, schema: Mapping[str, Any]) -> None:
    annotations: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, field in schema.get("properties", {}).items():
        made = _property(name, _resolved(field, schema))
        if made is not None:
            attribute = _property_name(name)
            annotations[attribute], names[name] = made, attribute
    label = re.sub(r"\W", "_", pipeline)
    made_class = type(f"SetDresserParameters_{label}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})
    bpy.utils.register_class(made_class)
    setattr(bpy.types.Scene, _attribute(pipeline), bpy.props.PointerProperty(type=made_class))
    _groups[pipeline], _names[pipeline], _schemas[pipeline] = made_class, names, schema


def _remove(pipeline: str) -> None:
    delattr(bpy.types.Scene, _attribute(pipeline))
    bpy.utils.unregister_class(_groups.pop(pipeline))
    del _names[pipeline], _schemas[pipeline]


def _attribute(pipeline: str) -> str:
    return "set_dresser_" + re.sub(r"\W", "_", pipeline)[:40]


def _property_name(name: str) -> str:
    unusable = not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN or name.startswith("bl_")
    return "parameter_" + re.sub(r"\W", "_", name) if unusable else name


def _resolved(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The field with its reference followed and a "null" alternative left out."""
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        return {**schema.get("$defs", {}).get(name, {}), **field}
    options = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    return {**_resolved(options[0], schema), **field} if len(options) == 1 else field


def _property(name: str, field: Mapping[str, Any]) -> Any:
    """The Blender property for one field; None for what has no control (lists, objects, defaults of null): the
    pipeline's default counts there."""
    default = field.get("default")
    common = {"name": str(field.get("title") or name), "description": str(field.get("description", ""))}
    if "enum" in field and all(isinstance(choice, str) for choice in field["enum"]):
        return _enumeration(field["enum"], default, common)
    kind = field.get("type")
    if kind == "boolean" and isinstance(default, bool):
        return bpy.props.BoolProperty(default=default, **common)
    if kind == "integer" and isinstance(default, int):
        low, high = _limits(field, INTEGER_RANGE, 1)
        return bpy.props.IntProperty(default=default, min=int(low), max=int(high), **common)
    if kind == "number" and isinstance(default, (int, float)):
        low, high = _limits(field, FLOAT_RANGE, 1e-6)
        step = min(max((high - low), 1.0), 100.0) if high - low < FLOAT_RANGE[1] else 10.0
        return bpy.props.FloatProperty(default=default, min=low, max=high, step=step, precision=3, **common)
    if kind == "string" and isinstance(default, str):
        return bpy.props.StringProperty(default=default, maxlen=int(field.get("maxLength", 0)), **common)
    return None


def _enumeration(choices: list[str], default: Any, common: Mapping[str, str]) -> Any:
    items = [(choice, choice.replace("_", " ").capitalize(), "", enum_number(choice)) for choice in choices]
    return bpy.props.EnumProperty(items=items, default=default if default in choices else choices[0], **common)


def _limits(field: Mapping[str, Any], widest: tuple[float, float], grain: float) -> tuple[float, float]:
    low = field.get("minimum", field.get("exclusiveMinimum", widest[0] - grain) + grain)
    high = field.get("maximum", field.get("exclusiveMaximum", widest[1] + grain) - grain)
    return max(low, widest[0]), min(high, widest[1])


def _plain(holder: bpy.types.PropertyGroup, attribute: str) -> Any:
    """Blender keeps 32-bit floats: 0.1 would come back as 0.10000000149 and could pass a limit."""
    value = getattr(holder, attribute)
    return float(f"{value:.6g}") if isinstance(value, float) else value
