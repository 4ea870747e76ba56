"""The parameters of pipelines and preparations as Blender properties, made from the JSON schemas the server tells.

For every method there is a property group on the scene: `scene.set_dresser_<pipeline>` and
`scene.prepare_set_dresser_<preparation>`. Blender keeps the values by name in the file, so they come back when the
group is registered again, also before the server has run.

What becomes which property is told in `controls.py`. Beyond the usual words of a JSON schema a field may have:
"prominent", whether artists turn it; "group", what it is about; "special", {"value", "title", "otherwise"}: its one
value that is no number, what to call that, and the number to begin with instead; "titles", what to call choices;
"examples", of which the first stands in an empty text; "control", see `state/catalogue.py`; "formerly", see
`former.py`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import bpy

from ..state import catalogue
from . import former
from .controls import LONGEST_NAME, SWITCHED_ON, Control, controls, is_usable, shortened, stored_as

PROMINENT, UNMARKED = 5, 3
"""So many parameters are prominent at most, and so many where a schema marks none."""

GROUPS = ("picture", "making", "views", "optimising", "mesh", "texture", "placing", "computing")
"""What parameters are about, in the order of the panel; what it does not know comes after these."""

SWITCH = "_is_special"
"""Ends the name of the switch that belongs to a number."""


class Groups:
    """The property groups of one kind of method, by the method's identifier.

    prefix: what the names of the scene's properties begin with; kinds that have different ones never collide.
    more: properties that every group has beside the parameters.
    """

    def __init__(self, prefix: str, class_prefix: str, more: Mapping[str, Any] | None = None) -> None:
        self._more = dict(more or {})
        self._prefix = prefix
        self._class_prefix = class_prefix
        self._groups: dict[str, type[bpy.types.PropertyGroup]] = {}
        self._controls: dict[str, list[Control]] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._fields: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._attributes: dict[str, str] = {}

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
        return getattr(scene, self._attributes[method], None) if method in self._groups else None

    def attributes(self, method: str) -> list[str]:
        """The names of the group's properties, in the schema's order."""
        return [control.attribute for control in self._controls.get(method, ())]

    def prominent(self, method: str, most: int = PROMINENT) -> list[str]:
        """The names of the properties that artists turn, `most` at most: those marked, else the first three."""
        marked = [control.attribute for control in self._controls.get(method, ()) if control.field.get("prominent")]
        return marked[:most] or self.attributes(method)[:UNMARKED]

    def folded(self, method: str, most: int = PROMINENT) -> dict[str, list[str]]:
        """The names of the other properties, by group; "" has those that belong to none."""
        shown = self.prominent(method, most)
        found: dict[str, list[str]] = {group: [] for group in GROUPS}
        for control in self._controls.get(method, ()):
            if control.attribute not in shown:
                found.setdefault(str(control.field.get("group") or ""), []).append(control.attribute)
        return {group: attributes for group, attributes in found.items() if attributes}

    def uncontrolled(self, method: str) -> list[str]:
        """What to call the parameters that have no property, and so can be set from Python only."""
        shown = {control.path[0] for control in self._controls.get(method, ())}
        return [
            str(field.get("title") or name)
            for name, field in self._fields.get(method, {}).items()
            if name not in shown and field.get("control") != catalogue.BOXES
        ]

    def switch(self, method: str, attribute: str) -> str:
        """The name of the switch, a boolean property, that stands for a number's special value; "" if it has none."""
        control = self._control(method, attribute)
        return attribute + SWITCH if control is not None and control.field.get("special") else ""

    def example(self, method: str, attribute: str) -> str:
        """What could stand in a text; "" if nothing is known."""
        control = self._control(method, attribute)
        examples = control.field.get("examples") if control is not None else None
        example = examples[0] if isinstance(examples, list) and examples else ""
        try:
            return str(control.write(example)) if control is not None and isinstance(example, list) else str(example)
        except (TypeError, ValueError):
            return ""

    def mark(self, method: str, attribute: str) -> str:
        """What a parameter is marked as, see `state/catalogue.py`; "" if it is not."""
        control = self._control(method, attribute)
        return str(control.field.get("control") or "") if control is not None else ""

    def fault(self, scene: bpy.types.Scene, method: str) -> str:
        """Why one of the texts that stand for a list cannot be read; "" if all can."""
        holder = self.group(scene, method)
        found = (control.fault(holder) for control in self._controls.get(method, ()) if holder is not None)
        return next(filter(None, found), "")

    def put(self, scene: bpy.types.Scene, method: str, given: Mapping[str, Any]) -> None:
        """Set what a former job was made with; what is not a parameter any more, or does not fit, is passed over."""
        holder = self.group(scene, method)
        if holder is None:
            return
        given = former.of_today(given, self._fields[method])
        for control in self._controls[method]:
            holder.property_unset(control.attribute)
            with contextlib.suppress(KeyError, TypeError, ValueError):  # another version of the method made that job
                value: Any = given
                for name in control.path:
                    value = value[name]
                setattr(holder, control.attribute, control.write(value))

    def values(self, scene: bpy.types.Scene, method: str) -> dict[str, Any]:
        """The parameters as the server takes them. Empty if the method is not known (yet): its defaults count then."""
        holder = self.group(scene, method)
        if holder is None:
            return {}
        carried = self._carried(holder, method)
        found: dict[str, Any] = {}
        for control in self._controls[method]:
            value = carried[control.attribute] if control.attribute in carried else control.value(holder)
            inside: dict[str, Any] = found
            for name in control.path[:-1]:
                inside = inside.setdefault(name, {})
            inside[control.path[-1]] = value
        return found

    def carry_over(self, scenes: Iterable[bpy.types.Scene]) -> None:
        """Put what older files hold of parameters that have changed since into the properties of today."""
        for scene in scenes:
            for method, fields in self._fields.items():
                holder = self.group(scene, method)
                if holder is not None:
                    for attribute, value in self._carried(holder, method).items():
                        setattr(holder, attribute, value)
                    for field in fields.values():
                        former.forget(holder, field)

    def _control(self, method: str, attribute: str) -> Control | None:
        return next((each for each in self._controls.get(method, ()) if each.attribute == attribute), None)

    def _carried(self, holder: bpy.types.PropertyGroup, method: str) -> dict[str, Any]:
        """By the property of today, what an older file holds of a parameter that has changed since."""
        found = {
            control.attribute: former.carried(holder, control.attribute, control.field, stored_as)
            for control in self._controls[method]
        }
        return {attribute: value for attribute, value in found.items() if value is not None}

    def _add(self, method: str, schema: Mapping[str, Any]) -> None:
        """Have the method's group. A parameter whose description nothing can be made of counts as one of which only the
        name is known: it is told as one that has no control."""
        described = schema.get("properties")
        known = described.items() if isinstance(described, dict) else ()
        fields = {name: field if is_usable(field) else {} for name, field in known}
        annotations, made = dict(self._more), []
        for name, field in fields.items():
            if field.get("control") == catalogue.BOXES:  # they are drawn on a picture, and lie with it
                continue
            for control in controls(name, field, schema):
                own = _with_a_name_of_its_own(control, annotations)
                annotations[own.attribute] = own.made
                if special := own.field.get("special"):
                    annotations[own.attribute + SWITCH] = _switch(own.attribute, special, own.field)
                made.append(own)
        attribute, label = (_of_its_own(each, method, self._taken()) for each in self._names(method))
        made_class = type(label, (bpy.types.PropertyGroup,), {"__annotations__": annotations})
        bpy.utils.register_class(made_class)
        setattr(bpy.types.Scene, attribute, bpy.props.PointerProperty(type=made_class))
        self._groups[method], self._controls[method], self._schemas[method] = made_class, made, schema
        self._attributes[method], self._fields[method] = attribute, fields

    def _remove(self, method: str) -> None:
        delattr(bpy.types.Scene, self._attributes.pop(method))
        bpy.utils.unregister_class(self._groups.pop(method))
        del self._controls[method], self._schemas[method], self._fields[method]

    def _names(self, method: str) -> tuple[str, str]:
        """What to call the scene's property and the class, as far as no other method is called alike."""
        name = re.sub(r"\W", "_", method)[:40]
        return self._prefix + name, self._class_prefix + name

    def _taken(self) -> set[str]:
        return {*self._attributes.values(), *(each.__name__ for each in self._groups.values())}


def _with_a_name_of_its_own(control: Control, taken: AnyOf[str]) -> Control:
    """The control, its property called otherwise where another one, or a number's switch, is called so already."""
    name = control.attribute
    switch = name + SWITCH if control.field.get("special") else ""
    clashes = name in taken or switch in taken or len(switch.encode("utf-8")) > LONGEST_NAME
    return replace(control, attribute=shortened(name, "/".join(control.path), len(SWITCH))) if clashes else control


def _of_its_own(name: str, key: str, taken: AnyOf[str]) -> str:
    """The name, or one that depends on the key too if it is taken."""
    return name if name not in taken else shortened(name, key)


pipelines = Groups("set_dresser_", "SetDresserParameters_")
preparations = Groups(
    "prepare_set_dresser_",
    "SetDresserPreparation_",
    {SWITCHED_ON: bpy.props.BoolProperty(name="Switched On", description="Do this to the picture first")},
)


def carry_over() -> None:
    """A file was opened: what it holds of parameters that have changed since goes on in those of today."""
    for groups in (pipelines, preparations):
        groups.carry_over(bpy.data.scenes)


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
