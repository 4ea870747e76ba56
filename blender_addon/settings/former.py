"""Parameters that had another name or took other values: what an older file or an older result holds of them goes on.

A field's schema says it under "formerly": {"names": […], "values": [[former value, the same now], …]}; the backend
understands the same. Blender keeps a choice as a number that follows from its name and a switch as 0 or 1, and tells
such a number for whatever the property is today: a choice "4096" that became a number would read 995,642,713.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy

MARK = "formerly"


def check(field: Mapping[str, Any]) -> None:
    """Raises AttributeError, TypeError or ValueError for a field whose mark is not what it should be."""
    mark = field.get(MARK, {})
    if not all(isinstance(name, str) for name in mark.get("names", ())):
        raise TypeError("a former name that is no text")
    for former, _ in mark.get("values", ()):
        if isinstance(former, str):
            former.encode("utf-8")


def of_today(given: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A method's parameters as a former version told them, by the names of today."""
    found: dict[str, Any] = {}
    for name, field in fields.items():
        for each in (*_names(field), name):
            if each in given:
                found[name] = _now(field, given[each], lambda former: former)
    return found


def carried(
    holder: bpy.types.PropertyGroup, attribute: str, field: Mapping[str, Any], stored_as: Callable[[Any], Any]
) -> Any:
    """What an older file holds of a parameter, as it is today; None where there is nothing to carry over.

    Args:
        attribute: its property today.
        stored_as: what Blender keeps in the place of a former value.
    """
    if MARK not in field:
        return None
    if (own := holder.get(attribute)) is not None:
        now = _now(field, own, stored_as)
        return None if now is own else now
    return next((_now(field, value, stored_as) for value in _kept(holder, field)), None)


def forget(holder: bpy.types.PropertyGroup, field: Mapping[str, Any]) -> None:
    """Drop what an older file holds under former names: it would come back when the parameter is reset."""
    for name in _names(field):
        holder.pop(name, None)


def _kept(holder: bpy.types.PropertyGroup, field: Mapping[str, Any]) -> Iterator[Any]:
    values = (holder.get(name) for name in _names(field))
    return (value for value in values if value is not None)


def _names(field: Mapping[str, Any]) -> list[str]:
    return list(field.get(MARK, {}).get("names", ()))


def _now(field: Mapping[str, Any], value: Any, stored_as: Callable[[Any], Any]) -> Any:
    for former, now in field.get(MARK, {}).get("values", ()):
        there = stored_as(former)
        if isinstance(value, type(there)) and there == value:
            return now
    return value
