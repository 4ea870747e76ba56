"""What a job remembers of Blender's datablocks until its props come: never a pointer to Blender's memory, and never a
name alone. Names are unique per library only, and change; session ids do neither, and outlive undo.

A session id ends with its file. For the same file opened again there is nothing but name and library
(`Reference.reopened`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import bpy
from bpy.types import Object, Scene, ViewLayer


def of_session(collection: Iterable[Any], session_uid: int) -> Any | None:
    """The datablock with this session id among those of its kind; None if it was deleted."""
    return next((each for each in collection if each.session_uid == session_uid), None)


@dataclass(frozen=True)
class Reference:
    """A datablock of this session.

    session_uid: 0 once the file was opened again; name and library decide then.
    library: absolute path of the file it is linked from; "" for one of this file.
    """

    session_uid: int
    name: str
    library: str = ""

    @classmethod
    def of(cls, datablock: Any) -> Reference:
        library = datablock.library
        path = "" if library is None else os.path.normpath(bpy.path.abspath(library.filepath))
        return cls(datablock.session_uid, datablock.name, path)

    def reopened(self) -> Reference:
        """The same datablock in the same file, opened again."""
        return replace(self, session_uid=0)

    def find(self, collection: Iterable[Any]) -> Any | None:
        """The datablock meant among those of its kind; None if it was deleted, whatever has its name now."""
        if self.session_uid:
            return of_session(collection, self.session_uid)
        return next((each for each in collection if Reference.of(each).reopened() == self), None)


@dataclass(frozen=True)
class Place:
    """A scene, and the view layer in it that was worked in. Layers have no ids; they are unique by name in their scene.

    number, count: the layer's place in the scene's list, and the list's length: for one that was renamed.
    """

    scene: Reference
    layer: str
    number: int
    count: int

    @classmethod
    def of(cls, scene: Scene, view_layer: ViewLayer) -> Place:
        layers = scene.view_layers
        return cls(Reference.of(scene), view_layer.name, layers.find(view_layer.name), len(layers))

    def reopened(self) -> Place:
        return replace(self, scene=self.scene.reopened())

    def find(self) -> tuple[Scene, ViewLayer] | None:
        """Scene and layer as they are called now; None if the scene was deleted. Of a deleted layer, the first one."""
        scene = self.scene.find(bpy.data.scenes)
        if scene is None:
            return None
        layers = scene.view_layers
        named = layers.find(self.layer)
        if 0 <= named < self.count:
            return scene, layers[named]
        # It was renamed or deleted; one that has its name now was made later, at the end of the list.
        return scene, layers[self.number if self.number < min(len(layers), self.count) else 0]


def contains(objects: Any, wanted: Object) -> bool:
    """Whether an object is among those of a scene, a collection or a view layer: its name may stand for another one
    there, linked from another file."""
    found = objects.get(wanted.name)
    return found == wanted or (found is not None and any(each == wanted for each in objects))
