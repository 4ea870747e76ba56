"""What the settings ask to be prepared: which preparations, with which values. All of it follows from what the backend
describes (`state/catalogue.py`); no preparation is known by its name.

What makes the picture goes with the source for a sentence, what finds objects with the choice to have them found, and
every other preparation has a switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from ..state import catalogue, desk
from ..state.catalogue import BOXES, SENTENCE, description_of
from . import parameters, properties
from .controls import SWITCHED_ON

KEPT: Mapping[str, str] = {"imagine": "imagine"}
"""Step -> the property of `scene.set_dresser` that is its switch. Files of 0.1 have it there, and scripts set it; the
switches of all others lie with their parameters."""

PICTURES = ("FILE", "IMAGE")
"""Sources of one picture, which boxes can be drawn on and objects be found in."""


def described(identifier: str) -> dict[str, Any] | None:
    """What the backend says of a preparation; None if it does not have it."""
    return description_of(desk.current.preparations, identifier)


def makes_picture(settings: bpy.types.PropertyGroup) -> bool:
    """Whether the picture is to be made, in place of one that is there."""
    return bool(settings.source == properties.SENTENCE[0])


def finds_objects(settings: bpy.types.PropertyGroup) -> bool:
    """Whether the objects of the picture are to be found."""
    return settings.source in PICTURES and settings.labels == "FIND"


def has_boxes(settings: bpy.types.PropertyGroup) -> bool:
    """Whether boxes can be drawn: on one picture that is there."""
    return settings.source in PICTURES


def offered(settings: properties.SetDresserSettings) -> list[dict[str, Any]]:
    """The steps that the source brings enough for and the pipeline makes use of, in the backend's order."""
    pipeline = description_of(desk.current.pipelines, properties.chosen_pipeline(settings)) or {}
    with_depth = settings.source == "CAMERA"
    with_instances = with_depth or (settings.source in PICTURES and settings.labels == "LABELS")
    return [
        each
        for each in catalogue.steps(desk.current.preparations)
        if (with_depth or not each.get("needs_depth"))
        and (with_instances or not each.get("needs_instances"))
        and (pipeline.get("hears_words") or not each.get("learns_words"))
    ]


def switch(scene: bpy.types.Scene, step: str) -> tuple[bpy.types.PropertyGroup, str] | None:
    """Whose property it is that says whether a step is wanted, and its name; None while the step is not known."""
    if step in KEPT:
        return scene.set_dresser, KEPT[step]
    holder = parameters.preparations.group(scene, step)
    return None if holder is None else (holder, SWITCHED_ON)


def is_on(scene: bpy.types.Scene, step: str) -> bool:
    found = switch(scene, step)
    return found is not None and bool(getattr(*found))


def turn(scene: bpy.types.Scene, step: str, on: bool) -> None:
    """Switch a step on or off, if it is known."""
    if (found := switch(scene, step)) is not None:
        setattr(*found, on)


def missing_steps(settings: bpy.types.PropertyGroup) -> list[str]:
    """The switches of steps that a file has switched on and that this backend does not have, properties of the
    settings. They count for the camera alone, as they did in 0.1."""
    if settings.source != "CAMERA":
        return []
    return [name for step, name in KEPT.items() if described(step) is None and getattr(settings, name)]


def chosen(scene: bpy.types.Scene) -> list[str]:
    """The preparations that the settings ask for, by identifier, as far as the backend has them: what makes the picture
    or finds its objects, then the steps."""
    settings, found = scene.set_dresser, []
    if makes_picture(settings):
        found.append(properties.chosen_maker(settings))
    if finds_objects(settings):
        found.append(properties.chosen_finder(settings))
    found += [each["id"] for each in offered(settings) if is_on(scene, each["id"])]
    return [identifier for identifier in found if identifier]


def values(scene: bpy.types.Scene) -> dict[str, dict[str, Any]]:
    """What the settings ask for, as `prepare` of `api.generate`."""
    return {identifier: _values(scene, identifier) for identifier in chosen(scene)}


def _values(scene: bpy.types.Scene, identifier: str) -> dict[str, Any]:
    settings, description = scene.set_dresser, described(identifier) or {}
    found = parameters.preparations.values(scene, identifier)
    if description.get("makes_picture") and (sentence := catalogue.marked(description, SENTENCE)):
        found[sentence] = settings.text
    if has_boxes(settings) and (boxes := catalogue.marked(description, BOXES)):
        found[boxes] = [
            {"left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom, "name": box.name}
            for box in settings.boxes
        ]
    return found


def put(scene: bpy.types.Scene, prepare: Mapping[str, Mapping[str, Any]]) -> None:
    """Set what a former job was prepared with; what the backend does not have any more is passed over."""
    settings, known = scene.set_dresser, desk.current.preparations
    for each in catalogue.steps(known):
        turn(scene, each["id"], each["id"] in prepare)
    if (maker := catalogue.maker_of(known, prepare)) is not None:
        settings.source_id, settings.maker_id = properties.SENTENCE[0], maker["id"]
        settings.text = str(prepare[maker["id"]].get(catalogue.marked(maker, SENTENCE)) or "")
    elif makes_picture(settings):
        settings.source_id = properties.SOURCES[0][0]  # it was no text: which picture it was is not known
    for name, given in prepare.items():
        parameters.preparations.put(scene, name, given)
        if description_of(catalogue.finders(known), name) is not None:
            settings.labels, settings.finder_id = "FIND", name


def has_chance(scene: bpy.types.Scene) -> bool:
    """Whether another seed would make something else with what is chosen."""
    pipeline = description_of(desk.current.pipelines, properties.chosen_pipeline(scene.set_dresser))
    return catalogue.takes_chance(pipeline, desk.current.preparations, chosen(scene))
