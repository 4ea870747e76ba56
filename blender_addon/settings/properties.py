"""What an artist sets, kept in the scene. What is true only while Blender runs is in `session`, never here."""

from __future__ import annotations

import math
from typing import Any

import bpy

from ..capture import photo_files, sentences
from ..capture.sentences import PROMPT, TEXT
from ..props import photo_places
from ..state import desk
from . import parameters

SOURCES = [
    ("CAMERA", "Active Camera", "What the scene's camera renders", 0),
    ("FILE", "Image File", "A picture on disk", 1),
    ("IMAGE", "Image", "A picture in this file", 2),
]
PHOTOS = ("PHOTOS", "Photos", "Several pictures of one object: files, images, cameras round its block-out", 3)
"""For pipelines that take several pictures."""

SENTENCE = ("TEXT", "Text", "A picture is painted from a sentence, and the prop is made of that", 4)
"""For pipelines that are content with one picture."""

PHOTO_KINDS = [
    ("FILE", "Image File", "A picture on disk"),
    ("IMAGE", "Image", "A picture in this file"),
    ("CAMERA", "Camera", "What a camera of the scene sees of the block-out"),
]
PICTURE_QUALITIES = (
    ("FAST", "Fast", "As much as pipelines look at: at most 1024 pixels long, few samples. Blender goes on meanwhile"),
    ("SCENE", "As the Scene Renders", "Size, engine and samples of the scene's render. EEVEE holds Blender meanwhile"),
)
INSTANCES = [
    ("SELECTED", "Selected Objects", "The selected objects are the block-out; each becomes a prop"),
    ("COLLECTION", "Collection", "The objects of a collection are the block-out; each becomes a prop"),
]
LABELS = [
    ("SINGLE", "One Object", "The picture shows one object; its background is removed"),
    (
        "LABELS",
        "Label Image",
        "A picture of the same size with one colour or index per object, black for the background",
    ),
    ("FIND", "Find Objects", "The objects are found in the picture: by words, by boxes drawn on it, or both"),
]
MAXIMUM_SEED = 2**31 - 1
IMAGINE, SEGMENT = "imagine", "segment"
"""The preparations that the panel knows what to do with, beside `TEXT`: a picture of the block-out, and objects of a
picture."""

_pipeline_items: list[tuple[str, str, str, int]] = []
"""Blender does not keep an enumeration's strings alive; this does."""


def _sources(self: SetDresserSettings | None, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
    """What the chosen pipeline can use, and what is chosen."""
    several = self is None or self.source_id == PHOTOS[0] or takes_several(self)
    one = self is None or self.source_id == SENTENCE[0] or takes_one(self)
    return [*SOURCES, *([SENTENCE] if one else []), *([PHOTOS] if several else [])]


def _source_number(self: SetDresserSettings) -> int:
    return next((item[3] for item in (*SOURCES, PHOTOS, SENTENCE) if item[0] == self.source_id), 0)


def _choose_source(self: SetDresserSettings, number: int) -> None:
    self.source_id = (*SOURCES, PHOTOS, SENTENCE)[number][0]


def _is_camera(self: Any, candidate: bpy.types.Object) -> bool:
    return bool(candidate.type == "CAMERA")


def _files_changed(self: Any, context: bpy.types.Context) -> None:
    photo_files.look(self.id_data)


def _picture_changed(self: Any, context: bpy.types.Context) -> None:
    photo_files.look_at(self.image_path)


def _items(self: SetDresserSettings | None, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
    """The pipelines that the server has, or had when it last ran."""
    global _pipeline_items
    views = desk.current.pipelines
    items = [
        (v["id"], v.get("title", v["id"]), v.get("description", "").removesuffix("."), n) for n, v in enumerate(views)
    ]
    if items != _pipeline_items:
        _pipeline_items = items
    return _pipeline_items


def _chosen_number(self: SetDresserSettings) -> int:
    known = [view["id"] for view in desk.current.pipelines]
    return known.index(self.pipeline_id) if self.pipeline_id in known else 0


def _choose_number(self: SetDresserSettings, number: int) -> None:
    self.pipeline_id = desk.current.pipelines[number]["id"]


class SetDresserBox(bpy.types.PropertyGroup):
    """A box in pixels of the picture, from the upper left corner, y down; `name` is what the prop will be called."""

    left: bpy.props.IntProperty(name="Left", description="Left edge in pixels of the picture", min=0)
    top: bpy.props.IntProperty(name="Top", description="Upper edge in pixels of the picture", min=0)
    right: bpy.props.IntProperty(name="Right", description="Right edge in pixels of the picture", min=0)
    bottom: bpy.props.IntProperty(name="Bottom", description="Lower edge in pixels of the picture", min=0)


class SetDresserPhoto(bpy.types.PropertyGroup):
    """One picture of several; `name` is what it was called when it was added."""

    kind: bpy.props.EnumProperty(name="Kind", description="What the photo is", items=PHOTO_KINDS)
    path: bpy.props.StringProperty(
        name="File", description="The picture to use", subtype="FILE_PATH", update=_files_changed
    )
    image: bpy.props.PointerProperty(name="Image", description="The picture to use", type=bpy.types.Image)
    camera: bpy.props.PointerProperty(
        name="Camera", description="The camera that takes the picture", type=bpy.types.Object, poll=_is_camera
    )
    azimuth_known: bpy.props.BoolProperty(
        name="Azimuth Known", description="Whether it is known from which side the picture was taken"
    )
    azimuth: bpy.props.FloatProperty(
        name="Azimuth",
        description="From which side the picture was taken: round the object, counter-clockwise seen from above. "
        "Only differences count; the first camera of the list is at 0",
        subtype="ANGLE",
        min=-math.tau,
        max=math.tau,
        step=500,
    )


class SetDresserSettings(bpy.types.PropertyGroup):
    """`scene.set_dresser`"""

    source_id: bpy.props.StringProperty(
        name="Source Identifier", description="What is saved of the choice", options={"HIDDEN"}
    )
    source: bpy.props.EnumProperty(
        name="Source",
        description="Where the picture comes from",
        items=_sources,
        get=_source_number,
        set=_choose_source,
    )
    instances: bpy.props.EnumProperty(name="Block-Out", description="Which objects become props", items=INSTANCES)
    collection: bpy.props.PointerProperty(
        name="Collection", description="Its objects are the block-out", type=bpy.types.Collection
    )
    hide_block_outs: bpy.props.BoolProperty(
        name="Hide Block-Out", description="Hide each block-out when its prop has come; it is kept", default=True
    )
    picture_quality: bpy.props.EnumProperty(
        name="Picture Quality", description="How the camera's picture is taken", items=PICTURE_QUALITIES
    )
    keep_moves: bpy.props.BoolProperty(
        name="Keep Where Props Were Moved",
        description="A prop made again takes the place to which you have moved the one that is there; otherwise it "
        "stands where its block-out stands",
        default=True,
    )
    height: bpy.props.FloatProperty(
        name="Height",
        description="Of the tallest object in the picture, where no camera tells its size; 0 leaves it as guessed",
        subtype="DISTANCE",
        min=0.0,
        max=photo_places.TALLEST,
        soft_max=5.0,
    )
    place_at: bpy.props.EnumProperty(
        name="Place at", description="Where the set of a picture without a camera stands", items=photo_places.PLACES
    )
    image_path: bpy.props.StringProperty(
        name="Image File", description="The picture to use", subtype="FILE_PATH", update=_picture_changed
    )
    image: bpy.props.PointerProperty(name="Image", description="The picture to use", type=bpy.types.Image)
    text: bpy.props.StringProperty(
        name="Text", description="What is to be made, in a sentence or a few words", maxlen=sentences.LONGEST
    )
    labels: bpy.props.EnumProperty(name="Objects", description="What the picture shows", items=LABELS)
    labels_path: bpy.props.StringProperty(
        name="Label Image", description="One colour or index per object, black for the background", subtype="FILE_PATH"
    )
    labels_image: bpy.props.PointerProperty(
        name="Label Image",
        description="One colour or index per object, black for the background",
        type=bpy.types.Image,
    )
    boxes: bpy.props.CollectionProperty(
        name="Boxes", description="Boxes around objects of the picture", type=SetDresserBox
    )
    box_index: bpy.props.IntProperty(name="Active Box", description="The box that is marked")
    photos: bpy.props.CollectionProperty(
        name="Photos", description="Pictures of one object, in the order in which they are sent", type=SetDresserPhoto
    )
    photo_index: bpy.props.IntProperty(
        name="Active Photo", description="The photo that is marked", update=_files_changed
    )
    imagine: bpy.props.BoolProperty(
        name="Imagine", description="Paint the block-out from a description first, and make the props of that picture"
    )
    use_active_camera: bpy.props.BoolProperty(
        name="Match Active Camera",
        description="The picture was taken with the scene's camera; otherwise a camera is assumed "
        "and the props are put in front of yours",
        default=False,
    )
    pipeline_id: bpy.props.StringProperty(
        name="Pipeline Identifier",
        description="What is saved of the choice: the list may be another one, or not be there yet, when it is loaded",
        options={"HIDDEN"},
    )
    pipeline: bpy.props.EnumProperty(
        name="Pipeline", description="How props are made", items=_items, get=_chosen_number, set=_choose_number
    )
    seed: bpy.props.IntProperty(name="Seed", description="Where chance starts from", min=0, max=MAXIMUM_SEED)


CLASSES = (SetDresserBox, SetDresserPhoto, SetDresserSettings)


def chosen_pipeline(settings: SetDresserSettings) -> str:
    """The pipeline that is chosen; the first one if that is not there any more, "" if none is known."""
    views = desk.current.pipelines
    return views[_chosen_number(settings)]["id"] if views else ""


def description_of(views: list[dict[str, Any]], identifier: str) -> dict[str, Any] | None:
    """What the server says about a pipeline or a preparation; None if it does not have it."""
    return next((view for view in views if view["id"] == identifier), None)


def takes_several(settings: SetDresserSettings) -> bool:
    """Whether the chosen pipeline takes more than one picture."""
    view = description_of(desk.current.pipelines, chosen_pipeline(settings)) or {}
    return bool(view.get("images", {}).get("most", 1) > 1)


def takes_one(settings: SetDresserSettings) -> bool:
    """Whether the chosen pipeline is content with one picture."""
    view = description_of(desk.current.pipelines, chosen_pipeline(settings)) or {}
    return bool(view.get("images", {}).get("least", 1) <= 1)


def has_chance(settings: SetDresserSettings) -> bool:
    """Whether another seed would make something else with what is chosen."""
    view = description_of(desk.current.pipelines, chosen_pipeline(settings)) or {}
    return bool(view.get("chance", True)) or chosen_preparation(settings) in (IMAGINE, TEXT)


def chosen_preparation(settings: SetDresserSettings) -> str:
    """The preparation that the settings ask for; "" for none."""
    if settings.source == "PHOTOS":
        return ""
    if settings.source == "CAMERA":
        return IMAGINE if settings.imagine else ""
    if settings.source == SENTENCE[0]:
        return TEXT
    return SEGMENT if settings.labels == "FIND" else ""


def preparation_values(scene: bpy.types.Scene) -> dict[str, dict[str, Any]]:
    """What the settings ask for, as `prepare` of `api.generate`."""
    chosen = chosen_preparation(scene.set_dresser)
    if not chosen:
        return {}
    values = parameters.preparations.values(scene, chosen)
    if chosen == TEXT:
        values[PROMPT] = scene.set_dresser.text
    if chosen == SEGMENT:
        values["boxes"] = [
            {"left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom, "name": box.name}
            for box in scene.set_dresser.boxes
        ]
    return {chosen: values}


def register() -> None:
    bpy.types.Scene.set_dresser = bpy.props.PointerProperty(type=SetDresserSettings)


def unregister() -> None:
    del bpy.types.Scene.set_dresser
