"""What parameters were called before, and what they took: the one place that knows it.

A field that has changed says so where it stands, with `formerly(…)`. The schema carries that to the add-on, too.
Nothing depends on a version: a former value is told by its name or its type, so requests, recipes and results of any
age are read alike, also such as were written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FORMERLY = "formerly"

_SWITCHES = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
"""The words in which a command line gives a switch."""


def formerly(*names: str, values: Iterable[tuple[Any, Any]] = ()) -> dict[str, Any]:
    """Marks a parameter that has changed.

    Args:
        names: what it was called.
        values: (former value, the same now) where it took others: of another type, or of the same but none of those
            that it takes now.
    """
    return {FORMERLY: {"names": list(names), "values": [list(pair) for pair in values]}}


def as_numbers(*texts: str) -> list[tuple[str, int]]:
    """The pairs for `formerly` of a number that was one of a few choices, which are texts."""
    return [(text, int(text)) for text in texts]


def migrate(values: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A method's parameters as they are called today; what is not known stays, for the check that follows.

    Args:
        values: as they came.
        fields: what `formerly` marked, by the parameter's name.

    Raises ValueError: a parameter is given twice, under its former name and its own.
    """
    now = {former: name for name, mark in fields.items() for former in mark["names"]}
    migrated: dict[str, Any] = {}
    for given, value in values.items():
        name = now.get(given, given)
        if name != given and name in values:
            raise ValueError(f"{given} is called {name} now, and both are given; leave {given} out")
        pairs = fields[name]["values"] if name in fields else ()
        migrated[name] = next((new for old, new in pairs if _same(value, old)), value)
    return migrated


def _same(value: Any, former: Any) -> bool:
    if isinstance(former, bool):
        word = str(value).lower() if isinstance(value, str | int) else ""
        return _SWITCHES.get(word) is former
    return type(value) is type(former) and bool(value == former)
