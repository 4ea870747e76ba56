"""From Blender to a shot: a camera's picture with instance map and depth (`identity`).

An instance (of a collection, of particles, of geometry nodes) counts as the object that makes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Context, Object, Scene, ViewLayer

from ..ground.files import write_whole
from ..ground.references import Place, Reference, of_session
from ..wire.tasks import Steps
from . import best_views, identity, noticing, outlines, pictures, render_settings, rendering, scenery
from . import block_outs as relation
from .best_views import View
from .block_outs import resolve
from .identity import Sight
from .intrinsics import CaptureError, camera_json, check_size, picture_size
from .outlines import Outlines
from .render_settings import Overrides
from .rendering import Disturbed, Stage, Told, finished
from .scenery import Scenery

__all__ = [
    "Capture",
    "CaptureError",
    "PlannedPicture",
    "ask_camera",
    "ask_photo",
    "capture_camera",
    "resolve",
    "take",
]

MAXIMUM_INSTANCES = identity.LARGEST_ID
ATTEMPTS = 4
FAST, AS_SCENE = "FAST", "SCENE"


@dataclass(frozen=True)
class Capture:
    """A shot as files, ready to be sent; no file at all where the picture is made of a sentence.

    labels: {"id", "name", "world_from_box"} of each object in the instance map; block_outs: which object each id is.
    warnings: {"code", "message", "hint", "instance"} of what should be known, see `noticing`.
    left_out: block-outs that were asked for and are not in the map.
    outlines: instance maps of the whole outlines of those block-outs that something hides parts of, each id in one of
    them; outline_depths: the depth of each map as it would be without what hides it.
    further: where there are several pictures, those after the first, which all the rest belongs to; photos: {"name",
    "azimuth"} of each of them, the first one too, and "camera" where it is known; one_with: further objects of the
    only block-out.
    views: how the picture shows each of the block-outs in it, where there are several.
    """

    image: Path | None = None
    instances: Path | None = None
    depth: Path | None = None
    camera: dict[str, Any] | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    block_outs: dict[int, Reference] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[Reference] = field(default_factory=list)
    further: list[Path] = field(default_factory=list)
    photos: list[dict[str, Any]] = field(default_factory=list)
    one_with: list[Reference] = field(default_factory=list)
    outlines: list[Path] = field(default_factory=list)
    outline_depths: list[Path] = field(default_factory=list)
    views: dict[int, View] = field(default_factory=dict)

    @property
    def request(self) -> dict[str, Any]:
        """What the request says of it."""
        about = {"camera": self.camera, "instances": self.labels}
        return {**about, "photos": self.photos} if self.photos else about

    @property
    def files(self) -> dict[str, list[Path]]:
        """What is sent of it, by role."""
        once = {"image": self.image, "instances": self.instances, "depth": self.depth}
        files = {role: [path] for role, path in once.items() if path}
        several = {"image": self.further, "outlines": self.outlines, "outline_depths": self.outline_depths}
        return files | {role: [*files.get(role, ()), *paths] for role, paths in several.items() if paths}


@dataclass(frozen=True)
class PlannedPicture:
    """What is to be captured: ids of this session and values, which outlive undo and whatever the artist does.

    place: scene and view layer; camera, block_outs: session ids; quality: of the picture, "FAST" or "SCENE".
    alone: everything but the block-outs, which count as one, is out of sight; cut_out: the picture alone, transparent
        where the block-outs are not.
    """

    place: Place
    camera: int
    block_outs: tuple[int, ...]
    quality: str = FAST
    alone: bool = False
    cut_out: bool = False


def ask_camera(
    context: Context, block_outs: Sequence[Object], quality: str = FAST, camera: Object | None = None
) -> PlannedPicture:
    """Check all that can be checked before a picture is taken of what a camera sees, the active one if none is given;
    see `take`.

    Raises CaptureError: without block-outs, or without a perspective camera.
    """
    camera = camera or context.scene.camera
    chosen = relation.roots(block_outs)
    if len(chosen) > MAXIMUM_INSTANCES:
        raise CaptureError(f"{len(chosen)} block-outs are too many for one picture.", "Choose fewer of them.")
    if camera is None or camera.type != "CAMERA":
        message = "The scene has no active camera."
        raise CaptureError(message, "Add a camera (Shift+A), look through it, and make it active with Ctrl+Numpad 0.")
    return _asked(context.scene, context.view_layer, camera, chosen, quality=quality)


def ask_photo(
    context: Context, camera: Object, block_outs: Sequence[Object], *, cut_out: bool, quality: str = FAST
) -> PlannedPicture:
    """As `ask_camera`, for one of several pictures of one prop: what any camera sees of the block-outs, which count as
    one object, id 1, named after the first.

    Everything else is out of the camera's sight, so that all pictures show the object whole; with Cycles it goes on
    giving light and shadow.

    Args:
        cut_out: `image.png` alone, with the object's pixels opaque and all others transparent.
    """
    chosen = relation.together(relation.roots(block_outs))
    return _asked(context.scene, context.view_layer, camera, chosen, quality=quality, alone=True, cut_out=cut_out)


def capture_camera(context: Context, block_outs: Sequence[Object], folder: Path, quality: str = FAST) -> Capture:
    """`ask_camera` and `take` at once: for background mode."""
    return finished(take(ask_camera(context, block_outs, quality), folder))


def take(planned: PlannedPicture, folder: Path, told: Told = rendering.untold) -> Steps[Capture]:
    """Render what the camera sees and which pixel is which block-out; returns the `Capture`. Each render is a step.

    Writes `image.png`, `instances.png` (grey, 8 bits up to 255 block-outs, else 16) and `depth.npy` (float32 metres
    along the view, NaN where nothing is) into the folder, and `outlines-0.png`, `outline-depths-0.npy` and so on where
    block-outs are partly hidden, all of them or none. The whole frame is rendered, a render border is ignored.
    Everything in the scene that is no block-out occludes, with id 0. Block-outs that an earlier generation has hidden
    are shown for the occasion, and their props hidden. No setting of the file is different while Blender handles
    events. If the scene changes between the renders they are taken anew.

    Raises CaptureError: if the camera sees no block-out, or something is gone.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return (yield from _take(planned, folder, told))
        except Disturbed:
            yield
    return (yield from _take(planned, folder, told))


def _take(planned: PlannedPicture, folder: Path, told: Told) -> Steps[Capture]:
    if not bpy.app.background:  # a scene is not copied while Blender's own threads read it
        yield from rendering.free_moment(told)
    stands = planned.place.find()
    if stands is None:
        raise gone("The scene")
    scene, layer = stands
    camera = found(bpy.data.objects, planned.camera, "The camera")
    chosen = [found(bpy.data.objects, uid, "A block-out") for uid in planned.block_outs]
    _flush(layer)
    pose, camera_name = _pose(scene, layer, camera, planned.quality), camera.name
    numbered = [(1, chosen)] if planned.alone else [(number, [root]) for number, root in enumerate(chosen, 1)]
    ids = {part.session_uid: number for number, whole in numbered for root in whole for part in relation.members(root)}
    rows = {number: _label(scene, layer, number, whole) for number, whole in numbered}
    references = {number: [Reference.of(root) for root in whole] for number, whole in numbered}
    metres = np.float32(scene.unit_settings.scale_length)
    engine = "CYCLES" if render_settings.will_be_cycles(scene, planned.quality) else scene.render.engine
    what, extents, whole = scenery.survey(layer, engine), {}, outlines.Outlines()
    if not planned.alone:
        extents = {number: outlines.extent(layer, root, float(metres), pose) for number, (root,) in numbered}
    folder.mkdir(parents=True, exist_ok=True)
    with pictures.scratch(folder) as scratch:
        with _stage(scene, layer, camera, pose, planned, what, told) as stage:
            sight = yield from identity.look(stage, ids, what, scratch / "identity.exr")
            if not planned.alone:
                whole = yield from outlines.whole(stage, ids, extents, sight, what, scratch / "identity.exr")
        labels = sight.labels
        seen = [number for number in references if np.any(labels == number)]
        if planned.alone and not seen:
            raise unseen(camera_name)
        left_out = [each for number, whole in references.items() if number not in seen for each in whole]
        named = {number: each[0].name for number, each in references.items()}
        warnings = _unseen(named, seen, whole, sight) + _too_many(named, whole)
        warnings += noticing.cut_by_the_frame(labels, {number: named[number] for number in seen})
        with _stage(scene, layer, camera, pose, planned, what, told) as stage:
            note = render_settings.for_picture(stage.scene, planned.quality)
            yield from stage.render(scratch / "image.png", counts=True)
        warnings += [noticing.warning("engine", note)] if note else []
        warnings += noticing.darkness(pictures.read_floats(scratch / "image.png")[..., :3], labels > 0)
        files = [scratch / "image.png"]
        if planned.cut_out:
            _cut_out(files[0], labels)
        else:
            kind = np.uint8 if len(references) <= 255 else np.uint16
            layers = [("instances", "depth", labels, sight.depth)]
            layers += [
                (f"outlines-{index}", f"outline-depths-{index}", *each) for index, each in enumerate(whole.layers)
            ]
            for map_name, depth_name, ids_there, depth in layers:
                files.append(write_whole(scratch / f"{map_name}.png", pictures.png(ids_there.astype(kind))))
                files.append(write_whole(scratch / f"{depth_name}.npy", pictures.npy(depth * metres)))
        moved = pictures.move(files, folder)
    if planned.cut_out:
        return Capture(image=moved[0], camera=pose, warnings=warnings)
    image, instances, depth_file = moved[:3]
    middles = {number: _middle(rows[number], scene, references[number][0]) for number in seen}
    return Capture(
        image=image,
        instances=instances,
        depth=depth_file,
        outlines=moved[3::2],
        outline_depths=moved[4::2],
        camera=pose,
        labels=[rows[number] for number in seen],
        block_outs={number: references[number][0] for number in seen},
        warnings=warnings,
        left_out=left_out,
        one_with=references[1][1:] if planned.alone else [],
        views=best_views.measured(labels, [each for each, _ in whole.layers], middles, pose),
    )


def _middle(row: dict[str, Any], scene: Scene, block_out: Reference) -> tuple[float, float, float]:
    """Of a block-out in metres: of its box, or where it stands if nothing of it has a surface."""
    if box := row.get("world_from_box"):
        return box[0][3], box[1][3], box[2][3]
    place = found(bpy.data.objects, block_out.session_uid, "A block-out").matrix_world.to_translation()
    x, y, z = (float(value) * scene.unit_settings.scale_length for value in place)
    return x, y, z


def unseen(camera_name: str) -> CaptureError:
    """The error of one of several cameras that looks elsewhere."""
    message = f"The camera {camera_name} does not see the block-out."
    return CaptureError(message, "Point it at the block-out, or take it off the list of photos.")


def found(collection: Any, session_uid: int, called: str) -> Any:
    """A datablock by its id of this session, which survives undo but neither deletion nor another file.

    Raises CaptureError: if it is gone.
    """
    datablock = of_session(collection, session_uid)
    if datablock is None or (isinstance(datablock, Object) and not relation.in_a_scene(datablock)):
        raise gone(called)
    return datablock


def gone(called: str) -> CaptureError:
    """The error of what was deleted meanwhile."""
    return CaptureError(f"{called} is not there any more.", "Generate again with what is there.")


def _asked(
    scene: Scene, view_layer: ViewLayer, camera: Object, chosen: Sequence[Object], **values: Any
) -> PlannedPicture:
    if not chosen:
        message = "Nothing is chosen that could become a prop."
        raise CaptureError(message, "Select the objects that block out your props, or choose their collection.")
    planned = PlannedPicture(
        Place.of(scene, view_layer),
        camera.session_uid,
        tuple(each.session_uid for each in chosen),
        **values,
    )
    check_size(*picture_size(scene.render), "Lower the resolution in Output properties.")
    _flush(view_layer)
    _pose(scene, view_layer, camera, planned.quality)
    return planned


def _flush(view_layer: ViewLayer) -> None:
    """Have the view layer as it is seen, with what is being edited."""
    view_layer.update()
    for edited in view_layer.objects:
        if edited.mode != "OBJECT":
            edited.update_from_editmode()


def _pose(scene: Scene, view_layer: ViewLayer, camera: Object, quality: str) -> dict[str, Any]:
    """The camera of the contract, for a picture of this quality."""
    size = render_settings.picture_size(scene, quality)
    return camera_json(scene, camera.evaluated_get(view_layer.depsgraph), *size)


@contextlib.contextmanager
def _stage(
    scene: Scene,
    view_layer: ViewLayer,
    camera: Object,
    pose: dict[str, Any],
    planned: PlannedPicture,
    what: Scenery,
    told: Told,
) -> Iterator[Stage]:
    """Look through a camera as it stands now; `alone`: at nothing but the block-outs."""
    parts = frozenset(
        part.session_uid
        for root in bpy.data.objects
        if root.session_uid in planned.block_outs
        for part in relation.members(root)
    )
    with rendering.stage(scene, view_layer, told) as stage:
        render_settings.for_capture(stage.scene, stage.view_layer, pose["width"], pose["height"])
        stage.scene.camera = camera

        def always(overrides: Overrides) -> None:
            overrides.set(stage.scene.camera.data.dof, "use_dof", False)
            shown = [each for each in bpy.data.objects if each.session_uid in parts]
            _show_block_outs(overrides, shown)
            if planned.alone:
                _hide_others(overrides, stage.scene, scenery.shown_by(parts, what.makers), what.engine == "CYCLES")

        stage.always = always
        yield stage


def _cut_out(path: Path, labels: Any) -> None:
    """Make pixels opaque where anything has a number, and only there; straight alpha, the colours stay as they are."""
    pixels = np.rint(pictures.read_floats(path) * 255).astype(np.uint8)
    alpha = np.where(labels > 0, 255, 0).astype(np.uint8)
    write_whole(path, pictures.png(np.dstack([pixels[..., :3], alpha])))


def _hide_others(overrides: Overrides, scene: Scene, shown: Container[int], cycles: bool) -> None:
    """Take all else out of the camera's sight."""
    for other in scene.objects:
        if other.session_uid not in shown and relation.can_be_seen(other):
            if cycles:
                overrides.set(other, "visible_camera", False)
            else:
                overrides.set(other, "hide_render", True)


def _label(scene: Scene, view_layer: ViewLayer, number: int, whole: Sequence[Object]) -> dict[str, Any]:
    """A row of the label table: the block-out's name, and its box in metres."""
    row: dict[str, Any] = {"id": number, "name": printable(whole[0].name)}
    box = relation.world_from_box(whole[0], view_layer.depsgraph, whole[1:])
    if box is not None:
        box[:3] *= scene.unit_settings.scale_length
        row["world_from_box"] = box.tolist()
    return row


def _show_block_outs(overrides: Overrides, parts: Sequence[Object]) -> None:
    """Show what an earlier generation has hidden, and hide what it made instead."""
    for part in parts:
        if relation.is_hidden(part):
            overrides.set(part, "hide_render", False)
    for prop in relation.props_of(parts):
        overrides.set(prop, "hide_render", True)


def _unseen(named: Mapping[int, str], seen: Sequence[int], whole: Outlines, sight: Sight) -> list[dict[str, Any]]:
    """A warning naming the block-outs that the camera does not see, and what hides them. Raises CaptureError if it sees
    none at all."""
    missing = {number: name for number, name in named.items() if number not in seen}
    if not missing:
        return []
    things, texts = sight.names | dict(named), []
    for number, name in missing.items():
        front = things.get(whole.before.get(number, 0))
        texts.append(f"{name} (behind {front})" if front else name)
    message = f"The camera does not see {noticing.listed(texts)}."
    hint = "Point the camera at the block-outs; see that they and their collections are not hidden in renders."
    if whole.before:
        hint = (
            "Move what stands in front, or hide it in renders. Glass that bends light counts as solid; a pane that is "
            "mostly transparent does not."
        )
    if seen:
        return [noticing.warning("not-seen", message + " Left out.", hint)]
    raise CaptureError(message, hint)


def _too_many(named: Mapping[int, str], whole: Outlines) -> list[dict[str, Any]]:
    """A warning naming block-outs of which the hidden part is not known."""
    if not whole.too_many:
        return []
    names = noticing.listed([named[number] for number in whole.too_many])
    message = f"Too many block-outs stand before each other: {names} may be incomplete where hidden."
    return [noticing.warning("outlines-crowded", message, "Generate fewer of them at a time.")]


def printable(name: str) -> str:
    """A name as the contract allows it, also of a file whose name is no text."""
    spaced = "".join(" " if ord(character) < 32 or ord(character) == 127 else character for character in name)
    return spaced.encode("utf-8", "replace").decode("utf-8")[:200]
