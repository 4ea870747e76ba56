"""The parameters of pipelines and preparations as Blender properties, made from the JSON schemas the server tells.

For every method there is a property group on the scene: `scene.set_dresser_<pipeline>` and
`scene.prepare_set_dresser_<preparation>`. Blender keeps the values by name in the file, so they come back when the
group is registered again, also before the server has run.

Beyond the usual words of a JSON schema a field may have: "prominent", whether artists turn it; "group", what it is
about; "special", {"value", "title", "otherwise"}: its one value that is no number, what to call that, and the number to
begin with instead; "titles", what to call choices; "examples", of which the first stands in an empty text; "formerly",
see `former.py`.
"""

from __future__ import annotations

import contextlib
import keyword
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import bpy

from . import former

INTEGER_RANGE = (-(2**31), 2**31 - 1)
FLOAT_RANGE = (-3.0e38, 3.0e38)
PROMINENT, UNMARKED = 5, 3
"""So many parameters are prominent at most, and so many where a schema marks none."""

GROUPS = ("picture", "making", "views", "mesh", "texture", "placing", "computing")
"""What parameters are about, in the order of the panel; what it does not know comes after these."""

SWITCH = "_is_special"
"""Ends the name of the switch that belongs to a number."""

_TAKEN = frozenset({"name", "rna_type", "bl_rna", "id_data", "get", "items", "keys", "values", "pop", "type_recast"})


class Groups:
    """The property groups of one kind of method, by the method's identifier.

    prefix: what the names of the scene's properties begin with; kinds that have different ones never collide.
    """

    def __init__(self, prefix: str, class_prefix: str) -> None:
        self._prefix = prefix
        self._class_prefix = class_prefix
        self._groups: dict[str, type[bpy.types.PropertyGroup]] = {}
        self._names: dict[str, dict[str, str]] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._switches: dict[str, set[str]] = {}

    def register(self, methods: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Make the property groups of these (identifier, parameter schema) pairs; those of others go."""
        wanted = dict(methods)
        for method in list(self._groups):
            if wanted.get(method) != self._schemas[method]:
                self._remove(method)
        for method, schema in wanted.items():
            if method not in self._groups:
                self._add(method, schema)
        self.carry_over(getattr(bpy.data, "scenes", ()))  # there are none while add-ons are switched on

    def unregister(self) -> None:
        for method in list(self._groups):
            self._remove(method)

    def group(self, scene: bpy.types.Scene, method: str) -> bpy.types.PropertyGroup | None:
        """The property group that holds the method's parameters; None if the method is not known (yet)."""
        return getattr(scene, self._attribute(method), None) if method in self._groups else None

    def attributes(self, method: str) -> list[str]:
        """The names of the group's properties, in the schema's order."""
        return list(self._names.get(method, {}).values())

    def prominent(self, method: str, most: int = PROMINENT) -> list[str]:
        """The names of the properties that artists turn, `most` at most: those marked, else the first three."""
        names, fields = self._names.get(method, {}), self._schemas.get(method, {}).get("properties", {})
        marked = [attribute for name, attribute in names.items() if fields[name].get("prominent")]
        return marked[:most] or list(names.values())[:UNMARKED]

    def folded(self, method: str, most: int = PROMINENT) -> dict[str, list[str]]:
        """The names of the other properties, by group; "" has those that belong to none."""
        names, fields = self._names.get(method, {}), self._schemas.get(method, {}).get("properties", {})
        shown = self.prominent(method, most)
        found: dict[str, list[str]] = {group: [] for group in GROUPS}
        for name, attribute in names.items():
            if attribute not in shown:
                found.setdefault(str(fields[name].get("group") or ""), []).append(attribute)
        return {group: attributes for group, attributes in found.items() if attributes}

    def switch(self, method: str, attribute: str) -> str:
        """The name of the switch, a boolean property, that stands for a number's special value; "" if it has none."""
        name = attribute + SWITCH
        return name if name in self._switches.get(method, ()) else ""

    def example(self, method: str, attribute: str) -> str:
        """What could stand in a text; "" if nothing is known."""
        fields = self._schemas.get(method, {}).get("properties", {})
        name = next((name for name, each in self._names.get(method, {}).items() if each == attribute), "")
        return str((fields.get(name, {}).get("examples") or [""])[0])

    def put(self, scene: bpy.types.Scene, method: str, given: Mapping[str, Any]) -> None:
        """Set what a former job was made with; what is not a parameter any more, or does not fit, is passed over."""
        holder = self.group(scene, method)
        if holder is None:
            return
        given = former.of_today(given, self._schemas.get(method, {}).get("properties", {}))
        for name, attribute in self._names[method].items():
            holder.property_unset(attribute)
            if name in given:
                with contextlib.suppress(TypeError, ValueError):  # another version of the method made that job
                    setattr(holder, attribute, given[name])

    def values(self, scene: bpy.types.Scene, method: str) -> dict[str, Any]:
        """The parameters as the server takes them. Empty if the method is not known (yet): its defaults count then."""
        holder = self.group(scene, method)
        if holder is None:
            return {}
        carried = self._carried(holder, method)
        return {
            name: carried[name] if name in carried else _plain(holder, attribute)
            for name, attribute in self._names[method].items()
        }

    def carry_over(self, scenes: Iterable[bpy.types.Scene]) -> None:
        """Put what older files hold of parameters that have changed since into the properties of today."""
        for scene in scenes:
            for method, schema in self._schemas.items():
                holder, names = self.group(scene, method), self._names[method]
                if holder is not None:
                    for name, value in self._carried(holder, method).items():
                        setattr(holder, names[name], value)
                    for field in schema.get("properties", {}).values():
                        former.forget(holder, field)

    def _carried(self, holder: bpy.types.PropertyGroup, method: str) -> dict[str, Any]:
        fields = self._schemas[method].get("properties", {})
        found = {
            name: former.carried(holder, attribute, fields[name], stored_as)
            for name, attribute in self._names[method].items()
        }
        return {name: value for name, value in found.items() if value is not None}

    def _add(self, method: str, schema: Mapping[str, Any]) -> None:
        annotations: dict[str, Any] = {}
        names: dict[str, str] = {}
        switches: set[str] = set()
        for name, field in schema.get("properties", {}).items():
            made = _property(name, _resolved(field, schema))
            if made is not None:
                attribute = _property_name(name)
                annotations[attribute], names[name] = made, attribute
                if special := field.get("special"):
                    annotations[attribute + SWITCH] = _switch(attribute, special, field)
                    switches.add(attribute + SWITCH)
        label = self._class_prefix + re.sub(r"\W", "_", method)
        made_class = type(label, (bpy.types.PropertyGroup,), {"__annotations__": annotations})
        bpy.utils.register_class(made_class)
        setattr(bpy.types.Scene, self._attribute(method), bpy.props.PointerProperty(type=made_class))
        self._groups[method], self._names[method], self._schemas[method] = made_class, names, schema
        self._switches[method] = switches

    def _remove(self, method: str) -> None:
        delattr(bpy.types.Scene, self._attribute(method))
        bpy.utils.unregister_class(self._groups.pop(method))
        del self._names[method], self._schemas[method], self._switches[method]

    def _attribute(self, method: str) -> str:
        return self._prefix + re.sub(r"\W", "_", method)[:40]


pipelines = Groups("set_dresser_", "SetDresserParameters_")
preparations = Groups("prepare_set_dresser_", "SetDresserPreparation_")


def carry_over() -> None:
    """A file was opened: what it holds of parameters that have changed since goes on in those of today."""
    for groups in (pipelines, preparations):
        groups.carry_over(bpy.data.scenes)


def enum_number(identifier: str) -> int:
    """A number for an enumeration's item that depends on its name only: Blender stores the number, and a list that
    has changed its order must not change the choice."""
    return zlib.crc32(identifier.encode()) & 0x7FFFFFFF


def stored_as(value: Any) -> Any:
    """What Blender keeps in a file for a value."""
    return enum_number(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value


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
    method's default counts there. A text without a default begins empty."""
    default = field.get("default", "" if field.get("type") == "string" else None)
    tooltip = str(field.get("description", "")).removesuffix(".")  # Blender adds one
    common = {"name": str(field.get("title") or name), "description": tooltip}
    if "enum" in field and all(isinstance(choice, str) for choice in field["enum"]):
        return _enumeration(field["enum"], default, common, field.get("titles", {}))
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


def _enumeration(choices: list[str], default: Any, common: Mapping[str, str], titles: Mapping[str, str]) -> Any:
    named = {choice: str(titles.get(choice) or choice.replace("_", " ").capitalize()) for choice in choices}
    items = [(choice, title, "", enum_number(choice)) for choice, title in named.items()]
    return bpy.props.EnumProperty(items=items, default=default if default in choices else choices[0], **common)


def _switch(attribute: str, special: Mapping[str, Any], field: Mapping[str, Any]) -> Any:
    """A boolean that is on while the number has its special value. It keeps nothing itself: scripts and older files
    set the number alone."""
    value, otherwise = special["value"], special["otherwise"]

    def is_on(holder: bpy.types.PropertyGroup) -> bool:
        return bool(getattr(holder, attribute) == value)

    def turn(holder: bpy.types.PropertyGroup, on: bool) -> None:
        if on != is_on(holder):
            setattr(holder, attribute, value if on else otherwise)

    tooltip = str(field.get("description", "")).removesuffix(".")
    return bpy.props.BoolProperty(name=str(special["title"]), description=tooltip, get=is_on, set=turn)


def _limits(field: Mapping[str, Any], widest: tuple[float, float], grain: float) -> tuple[float, float]:
    low = field.get("minimum", field.get("exclusiveMinimum", widest[0] - grain) + grain)
    high = field.get("maximum", field.get("exclusiveMaximum", widest[1] + grain) - grain)
    return max(low, widest[0]), min(high, widest[1])


def _plain(holder: bpy.types.PropertyGroup, attribute: str) -> Any:
    """Blender keeps 32-bit floats: 0.1 would come back as 0.10000000149 and could pass a limit."""
    value = getattr(holder, attribute)
    return float(f"{value:.6g}") if isinstance(value, float) else value
