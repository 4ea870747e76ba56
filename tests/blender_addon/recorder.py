"""Stands in for a `UILayout`, which cannot be made without a window, and holds what is drawn against Blender's RNA."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

FUNCTIONS = bpy.types.UILayout.bl_rna.functions
PROPERTIES = bpy.types.UILayout.bl_rna.properties
CONTAINERS = ("row", "column", "box", "split", "column_flow", "grid_flow")


class Drawn(SimpleNamespace):
    """One call: its function and arguments, and for buttons the operator's arguments."""


class Recorder:
    """Records calls; every one must exist in this Blender with these arguments, icons, properties and operators."""

    def __init__(self, drawn: list[Drawn] | None = None) -> None:
        self.__dict__["drawn"] = [] if drawn is None else drawn

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in PROPERTIES, f"UILayout has no property {name}"
        self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        assert name in FUNCTIONS, f"UILayout has no function {name}"

        def call(*values: Any, **named: Any) -> Any:
            function = FUNCTIONS[name]
            inputs = [parameter for parameter in function.parameters if not parameter.is_output]
            names = [parameter.identifier for parameter in inputs]
            arguments = {**dict(zip(names, values, strict=False)), **named}
            assert set(arguments) <= set(names), f"{name} has no {set(arguments) - set(names)}"
            for parameter in inputs:
                _check(parameter, arguments)
            drawn = Drawn(function=name, **arguments)
            self.drawn.append(drawn)
            if name == "template_list":
                assert arguments["propname"] in arguments["dataptr"].bl_rna.properties
                assert arguments["active_propname"] in arguments["active_dataptr"].bl_rna.properties
                assert arguments["listtype_name"] == "" or hasattr(bpy.types, arguments["listtype_name"])
            if name == "prop":
                assert arguments["property"] in arguments["data"].bl_rna.properties
            if name in CONTAINERS:
                return Recorder(self.drawn)
            if name == "panel":
                return Recorder(self.drawn), Recorder(self.drawn)
            if name == "operator":
                drawn.given = Arguments(arguments["operator"])
                return drawn.given
            return None

        return call

    @property
    def texts(self) -> str:
        """All that can be read."""
        return "\n".join(str(drawn.text) for drawn in self.drawn if getattr(drawn, "text", ""))

    @property
    def buttons(self) -> list[str]:
        return [drawn.operator for drawn in self.drawn if drawn.function == "operator"]

    @property
    def controls(self) -> list[str]:
        return [drawn.property for drawn in self.drawn if drawn.function == "prop"]


class Arguments:
    """What a button gives its operator."""

    def __init__(self, operator: str) -> None:
        room, _, name = operator.partition(".")
        self.__dict__["_rna"] = getattr(getattr(bpy.ops, room), name).get_rna_type()

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self._rna.properties, f"{self._rna.identifier} has no {name}"
        self.__dict__[name] = value


def _check(parameter: Any, arguments: dict[str, Any]) -> None:
    name = parameter.identifier
    if name not in arguments:
        assert not parameter.is_required, f"{name} is missing"
        return
    value = arguments[name]
    if parameter.type == "ENUM" and parameter.enum_items:
        assert value in parameter.enum_items, f"{value!r} is no {name}"
    elif parameter.type == "STRING":
        assert isinstance(value, str)
    elif parameter.type == "FLOAT" and not parameter.is_array:
        assert parameter.hard_min <= value <= parameter.hard_max
