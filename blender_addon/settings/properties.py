"""What an artist sets, kept in the scene. What is true only while Blender runs is in `session`, never here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import bpy

from ..capture import photo_files, sentences
from ..props import photo_places
from ..state import catalogue, desk
from ..state.catalogue import description_of

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


Item = tuple[str, str, str, int]
Chosen = tuple[Callable[..., list[Item]], Callable[..., int], Callable[..., None]]


def _choice(saved_as: str, known: Callable[[], list[dict[str, Any]]]) -> Chosen:
    """The functions of an enumeration of methods: its items, and how the choice is read and set.

    saved_as: the property that keeps the identifier: the list may be another one, or not be there yet, when a file is
    loaded. What is not there any more gives way to the first.
    """
    kept: list[list[Item]] = [[]]  # Blender does not keep an enumeration's strings alive; this does

    def items(self: SetDresserSettings | None, context: bpy.types.Context | None) -> list[Item]:
        made = [
            (each["id"], catalogue.title_of(each), str(each.get("description", "")).removesuffix("."), number)
            for number, each in enumerate(known())
        ]
        if made != kept[0]:
            kept[0] = made
        return kept[0]

    def number(self: SetDresserSettings) -> int:
        identifiers, wanted = [each["id"] for each in known()], getattr(self, saved_as)
        return identifiers.index(wanted) if wanted in identifiers else 0

    def choose(self: SetDresserSettings, number: int) -> None:
        setattr(self, saved_as, known()[number]["id"])

    return items, number, choose


def known_makers() -> list[dict[str, Any]]:
    """The preparations that make a picture where there is none."""
    return catalogue.makers(desk.current.preparations)


def known_finders() -> list[dict[str, Any]]:
    """The preparations that find the objects of a picture."""
    return catalogue.finders(desk.current.preparations)


_pipelines = _choice("pipeline_id", lambda: desk.current.pipelines)
_makers = _choice("maker_id", known_makers)
_finders = _choice("finder_id", known_finders)


def _saved(what: str) -> Any:
    """The property that keeps the identifier of a choice."""
    return bpy.props.StringProperty(
        name=f"{what} Identifier", description="What is saved of the choice", options={"HIDDEN"}
    )


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

    source_id: _saved("Source")
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
    # The switch of one step, kept here since 0.1: files and scripts have it. `preparing.KEPT` says whose it is.
    imagine: bpy.props.BoolProperty(
        name="Imagine", description="Paint the block-out from a description first, and make the props of that picture"
    )
    use_active_camera: bpy.props.BoolProperty(
        name="Match Active Camera",
        description="The picture was taken with the scene's camera; otherwise a camera is assumed "
        "and the props are put in front of yours",
        default=False,
    )
    pipeline_id: _saved("Pipeline")
    pipeline: bpy.props.EnumProperty(
        name="Pipeline", description="How props are made", items=_pipelines[0], get=_pipelines[1], set=_pipelines[2]
    )
    maker_id: _saved("Painter")
    maker: bpy.props.EnumProperty(
        name="Painter", description="What makes the picture", items=_makers[0], get=_makers[1], set=_makers[2]
    )
    finder_id: _saved("Finder")
    finder: bpy.props.EnumProperty(
        name="Finder", description="What finds the objects", items=_finders[0], get=_finders[1], set=_finders[2]
    )
    seed: bpy.props.IntProperty(name="Seed", description="Where chance starts from", min=0, max=MAXIMUM_SEED)


CLASSES = (SetDresserBox, SetDresserPhoto, SetDresserSettings)


def chosen_pipeline(settings: SetDresserSettings) -> str:
    """The pipeline that is chosen; the first one if that is not there any more, "" if none is known."""
    return _chosen(desk.current.pipelines, _pipelines, settings)


def chosen_maker(settings: SetDresserSettings) -> str:
    """As `chosen_pipeline`, of what makes a picture where there is none."""
    return _chosen(known_makers(), _makers, settings)


def chosen_finder(settings: SetDresserSettings) -> str:
    """As `chosen_pipeline`, of what finds the objects of a picture."""
    return _chosen(known_finders(), _finders, settings)


def _chosen(known: list[dict[str, Any]], choice: Chosen, settings: SetDresserSettings) -> str:
    return str(known[choice[1](settings)]["id"]) if known else ""


def takes_several(settings: SetDresserSettings) -> bool:
    """Whether the chosen pipeline takes more than one picture."""
    described = description_of(desk.current.pipelines, chosen_pipeline(settings)) or {}
    return bool(described.get("images", {}).get("most", 1) > 1)


def takes_one(settings: SetDresserSettings) -> bool:
    """Whether the chosen pipeline is content with one picture."""
    described = description_of(desk.current.pipelines, chosen_pipeline(settings)) or {}
    return bool(described.get("images", {}).get("least", 1) <= 1)


def register() -> None:
    bpy.types.Scene.set_dresser = bpy.props.PointerProperty(type=SetDresserSettings)


def unregister() -> None:
    del bpy.types.Scene.set_dresser
