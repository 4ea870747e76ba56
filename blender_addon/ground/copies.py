"""Only one copy of the add-on may be at work: classes, operators and properties have one name each in Blender, and a
second copy would take them away from the first."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from .messages import SetDresserError


class AnotherCopy(SetDresserError):
    """Set Dresser is switched on already, as another add-on."""

    def __init__(self, name: str) -> None:
        message = f"Set Dresser is switched on already, as the add-on '{name}'."
        hint = "Use that one, or switch it off in Preferences > Add-ons and this one on again."
        super().__init__(message, hint, "another-copy")

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"  # Blender shows the exception itself when an add-on is not switched on


def refuse_a_second(classes: Iterable[type], package: str) -> None:
    """Raises AnotherCopy: if a class of the same name is registered by another package than this copy's."""
    for each in classes:
        registered = getattr(bpy.types, each.__name__, None)
        if registered is not None and registered.__module__ != each.__module__:
            raise AnotherCopy(registered.__module__.removesuffix(each.__module__.removeprefix(package)))
