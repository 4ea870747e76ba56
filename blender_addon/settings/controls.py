"""A parameter of a JSON schema as properties of Blender's: what they are, and values there and back.

Numbers, switches, texts and choices are what they are in Blender. A list of names is a text with commas between them; a
list of numbers is a vector where its length is fixed, otherwise also a text. Of an object each member is a property; a
list or an object of anything else is written as JSON. What a list or an object has no property of here (a default of
null, several types, members with none) can be set from Python only, as can a type that is not known.
"""

from __future__ import annotations

import json
import keyword
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy

from . import former

INTEGER_RANGE = (-(2**31), 2**31 - 1)
FLOAT_RANGE = (-3.0e38, 3.0e38)
LONGEST_VECTOR = 32
"""Blender's."""

HOW_TO_WRITE = {
    "words": "Separated by commas",
    "numbers": "Numbers, separated by commas",
    "list": "As JSON: […]",
    "object": "As JSON: {…}",
}
"""What a tooltip adds where a text stands for a list or an object."""

SWITCHED_ON = "is_switched_on"
"""A property that groups may have beside the parameters, see `parameters.py`."""

_TAKEN = frozenset({SWITCHED_ON, "name", "rna_type", "id_data", "type_recast", *dir(bpy.types.PropertyGroup)})
"""What a property would stand in the way of."""

LONGEST_NAME = 63
"""Bytes in UTF-8; Blender's."""

_UNUSABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What comes of a schema in which something is not what its word stands for."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Control:
    """One parameter, or one member of a parameter that is an object.

    path: the parameter's name, then the member's. attribute: the property's name. field: its schema.
    made: the property. read: what is in it as JSON; raises ValueError, with a sentence, for a text that cannot be read.
    write: JSON as it is put into it; raises TypeError or ValueError for what does not fit.
    """

    path: Path
    attribute: str
    field: Mapping[str, Any]
    made: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]

    @property
    def title(self) -> str:
        return str(self.field.get("title") or self.path[-1])

    def value(self, holder: bpy.types.PropertyGroup) -> Any:
        """What the property holds, as JSON. A text that cannot be read is passed on: the backend says what it wants."""
        held = getattr(holder, self.attribute)
        try:
            return self.read(held)
        except ValueError:
            return held

    def fault(self, holder: bpy.types.PropertyGroup) -> str:
        """Why what the property holds cannot be read; "" if it can."""
        try:
            self.read(getattr(holder, self.attribute))
        except ValueError as error:
            return f"{self.title}: {error}"
        return ""


def controls(name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Control]:
    """The controls of one parameter of a schema; none if it has none here, or if no control can be made of what a
    plug-in says of it: Blender would refuse the whole group then."""
    try:
        found = list(_controls((name,), resolved(field, schema), schema))
        for control in found:
            _check(control.field)
    except _UNUSABLE:
        return []
    return found


def is_usable(field: Any) -> bool:
    """Whether the marks of a field are what they should be."""
    try:
        _check(field)
    except _UNUSABLE:
        return False
    return True


def _check(field: Mapping[str, Any]) -> None:
    """Raises one of `_UNUSABLE` for marks that nothing can be made of."""
    former.check(field)
    for text in (field.get("title", ""), field.get("description", "")):
        _checked(str(text))
    if special := field.get("special"):
        _checked(str(special["title"]))
        low, high = _limits(field, INTEGER_RANGE if field["type"] == "integer" else FLOAT_RANGE, 0)
        if not all(low <= special[name] <= high for name in ("value", "otherwise")):
            raise ValueError("a special value that the number cannot have")


def _checked(text: str) -> str:
    """A text as Blender can keep it. Raises ValueError."""
    if "\0" in text:
        raise ValueError("a text with a null character")
    text.encode("utf-8")
    return text


def _controls(path: Path, field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Control]:
    if len(path) == 1 and field.get("type") == "object" and isinstance(field.get("default", {}), dict):
        members = [list(_controls((*path, name), each, schema)) for name, each in _members(path[0], field, schema)]
        if members and all(members):  # otherwise something would be left out
            yield from (control for each in members for control in each)
            return
    found = _property(field, path[-1], schema)
    if found is not None:
        made, read, write = found
        yield Control(path, property_name("__".join(path)), field, made, read, write)


def _members(name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The members of an object by name, each with what it has from the whole: default, group, and title before its
    own."""
    inherited = {mark: field[mark] for mark in ("group", "prominent") if mark in field}
    defaults = field.get("default", {})
    for each, member in field.get("properties", {}).items():
        whole = {**inherited, **resolved(member, schema)}
        if each in defaults:
            whole["default"] = defaults[each]
        whole["title"] = f"{field.get('title') or name}: {whole.get('title') or each}"
        yield each, whole


def resolved(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The field with its reference followed and a "null" alternative left out."""
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        return {**schema.get("$defs", {}).get(name, {}), **field}
    options = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    return {**resolved(options[0], schema), **field} if len(options) == 1 else field


def property_name(name: str) -> str:
    unusable = not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN or name.startswith(("bl_", "_"))
    usable = "parameter_" + re.sub(r"\W", "_", name) if unusable else name
    return usable if len(usable.encode("utf-8")) <= LONGEST_NAME else shortened(usable, name)


def shortened(name: str, key: str, room: int = 0) -> str:
    """A name that depends on the key, short enough for Blender with `room` bytes after it."""
    short = name.encode("utf-8")[: LONGEST_NAME - 9 - room].decode("utf-8", "ignore")
    return f"{short}_{zlib.crc32(key.encode('utf-8')):08x}"


def enum_number(identifier: str) -> int:
    """A number for an enumeration's item that depends on its name only: Blender stores the number, and a list that
    has changed its order must not change the choice."""
    return zlib.crc32(identifier.encode()) & 0x7FFFFFFF


def stored_as(value: Any) -> Any:
    """What Blender keeps in a file for a value."""
    return enum_number(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value


def _property(
    field: Mapping[str, Any], name: str, schema: Mapping[str, Any]
) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]] | None:
    """Blender's property, and how its values are read and written; None for what has no control. A text, a list or an
    object without a default begins empty."""
    kind, tooltip = field.get("type"), str(field.get("description", "")).removesuffix(".")  # Blender adds one
    common = {"name": str(field.get("title") or name), "description": tooltip}
    if "enum" in field and all(isinstance(choice, str) and choice for choice in field["enum"]):
        return _enumeration(field["enum"], field.get("default"), common, field.get("titles", {})), _as_is, _as_is
    if kind == "array":
        return _list(field, common, schema)
    if kind == "object" and isinstance(field.get("default", {}), dict):
        return _text(common, "object", field.get("default", {}), _read_json(dict, "an object, {…}"), json.dumps)
    default = field.get("default", "" if kind == "string" else None)
    if kind == "boolean" and isinstance(default, bool):
        return bpy.props.BoolProperty(default=default, **common), _as_is, _as_is
    if kind == "integer" and isinstance(default, int):
        low, high = _limits(field, INTEGER_RANGE, 1)
        _check_default(default, INTEGER_RANGE)
        return bpy.props.IntProperty(default=default, min=int(low), max=int(high), **common), _as_is, _as_is
    if kind == "number" and isinstance(default, (int, float)):
        low, high = _limits(field, FLOAT_RANGE, 1e-6)
        _check_default(default, FLOAT_RANGE)
        step = min(max((high - low), 1.0), 100.0) if high - low < FLOAT_RANGE[1] else 10.0
        made = bpy.props.FloatProperty(default=default, min=low, max=high, step=step, precision=3, **common)
        return made, _as_typed, _as_is
    if kind == "string" and isinstance(default, str):
        maximum = int(field.get("maxLength", 0))
        maximum = maximum if 0 < maximum <= INTEGER_RANGE[1] else 0
        return bpy.props.StringProperty(default=_checked(default), maxlen=maximum, **common), _as_is, _as_is
    return None


def _list(
    field: Mapping[str, Any], common: Mapping[str, str], schema: Mapping[str, Any]
) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]] | None:
    """A list: of names, of numbers, or of anything else. None for one whose default is none."""
    default = field.get("default", [])
    if not isinstance(default, list):
        return None
    items = field.get("prefixItems") or [field.get("items") or {}]
    kinds = {resolved(item, schema).get("type") for item in items}
    if kinds == {"string"}:
        return _text(common, "words", default, _read_words, _write_words)
    if kinds and kinds <= {"integer", "number"}:
        number: Callable[[str], Any] = int if kinds == {"integer"} else float
        fixed = field.get("minItems") == field.get("maxItems") == len(default)
        if fixed and 0 < len(default) <= LONGEST_VECTOR:
            return _vector(items[0] if len(items) == 1 else {}, common, default, number)
        return _text(common, "numbers", default, lambda text: _read_numbers(text, number), _write_numbers)
    return _text(common, "list", default, _read_json(list, "a list, […]"), json.dumps)


def _vector(
    item: Mapping[str, Any], common: Mapping[str, str], default: Sequence[Any], number: Callable[[str], Any]
) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
    if number is int:
        low, high = _limits(item, INTEGER_RANGE, 1)
        _check_default(default, INTEGER_RANGE)
        integers = bpy.props.IntVectorProperty(
            default=default, size=len(default), min=int(low), max=int(high), **common
        )
        return integers, list, _as_is
    low, high = _limits(item, FLOAT_RANGE, 1e-6)
    _check_default(default, FLOAT_RANGE)
    made = bpy.props.FloatVectorProperty(default=default, size=len(default), min=low, max=high, precision=3, **common)
    return made, lambda held: [_as_typed(each) for each in held], _as_is


def _text(
    common: Mapping[str, str],
    how: str,
    default: Any,
    read: Callable[[str], Any],
    write: Callable[[Any], str],
) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """A text that stands for a list or an object. An empty one is empty, whatever the default."""
    tooltip = ". ".join(filter(None, (common["description"], HOW_TO_WRITE[how])))
    begins_with = _checked(write(default)) if default else ""
    return bpy.props.StringProperty(default=begins_with, **{**common, "description": tooltip}), read, write


def _read_words(text: str) -> list[str]:
    return [word for word in (" ".join(part.split()) for part in text.split(",")) if word]


def _write_words(words: Any) -> str:
    if not all(isinstance(word, str) and "," not in word for word in words):
        raise ValueError("a word with a comma in it cannot be written")
    return ", ".join(words)


def _read_numbers(text: str, number: Callable[[str], Any]) -> list[Any]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(number(part))
        except ValueError as error:
            raise ValueError(f"“{part[:20]}” is no {'whole ' if number is int else ''}number") from error
    return found


def _write_numbers(numbers: Any) -> str:
    return ", ".join(f"{each:.12g}" if isinstance(each, float) else str(int(each)) for each in numbers)


def _read_json(kind: type, called: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            found = json.loads(text) if text.strip() else kind()
        except (ValueError, RecursionError) as error:
            raise ValueError("that cannot be read as JSON") from error
        if not isinstance(found, kind):
            raise ValueError(f"that is not {called}")
        return found

    return read


def _as_is(value: Any) -> Any:
    return value


def _as_typed(value: float) -> float:
    """Blender keeps 32-bit floats: 0.1 would come back as 0.10000000149 and could pass a limit."""
    return float(f"{value:.6g}")


def _enumeration(choices: list[str], default: Any, common: Mapping[str, str], titles: Mapping[str, str]) -> Any:
    named = {
        _checked(choice): _checked(str(titles.get(choice) or choice.replace("_", " ").capitalize()))
        for choice in choices
    }
    items = [(choice, title, "", enum_number(choice)) for choice, title in named.items()]
    return bpy.props.EnumProperty(items=items, default=default if default in choices else choices[0], **common)


def _limits(field: Mapping[str, Any], widest: tuple[float, float], grain: float) -> tuple[float, float]:
    low = field.get("minimum", field.get("exclusiveMinimum", widest[0] - grain) + grain)
    high = field.get("maximum", field.get("exclusiveMaximum", widest[1] + grain) - grain)
    low, high = max(low, widest[0]), min(high, widest[1])
    if not low <= high:
        raise ValueError("no number is between these limits")
    return low, high


def _check_default(default: Any, widest: tuple[float, float]) -> None:
    """Raises ValueError for a number, or numbers, that Blender cannot keep."""
    for number in default if isinstance(default, list) else [default]:
        if isinstance(number, bool) or not widest[0] <= number <= widest[1]:
            raise ValueError("a default that is too large")
