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
from bpy.types import Context, Object

from . import block_outs as relation
from . import identity, instancing, outlines, pictures, render_settings
from .block_outs import BlockOutRef, resolve
from .intrinsics import CaptureError, camera_json, check_size, picture_size
from .outlines import Outlines
from .tasks import at_once

__all__ = [
    "BlockOutRef",
    "Capture",
    "CaptureError",
    "capture_camera",
    "capture_photo",
    "resolve",
]

MAXIMUM_INSTANCES = identity.LARGEST_ID


@dataclass(frozen=True)
class Capture:
    """A shot as files, ready to be sent.

    labels: {"id", "name", "world_from_box"} of each object in the instance map; block_outs: which object each id is.
    warnings: sentences on what was left out or done differently.
    outlines: instance maps of the whole outlines of those block-outs that something hides parts of, each id in one of
    them; outline_depths: the depth of each map as it would be without what hides it.
    further: where there are several pictures, those after the first, which all the rest belongs to; photos: {"name",
    "azimuth"} of each of them, the first one too; one_with: further objects of the only block-out.
    """

    image: Path
    instances: Path | None = None
    depth: Path | None = None
    outlines: list[Path] = field(default_factory=list)
    outline_depths: list[Path] = field(default_factory=list)
    camera: dict[str, Any] | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    block_outs: dict[int, BlockOutRef] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    further: list[Path] = field(default_factory=list)
    photos: list[dict[str, Any]] = field(default_factory=list)
    one_with: list[BlockOutRef] = field(default_factory=list)

    @property
    def request(self) -> dict[str, Any]:
        """What the request says of it."""
        about = {"camera": self.camera, "instances": self.labels}
        return {**about, "photos": self.photos} if self.photos else about

    @property
    def files(self) -> dict[str, list[Path]]:
        """What is sent of it, by role."""
        once = {"instances": self.instances, "depth": self.depth}
        several = {"outlines": self.outlines, "outline_depths": self.outline_depths}
        files = {"image": [self.image, *self.further], **{role: [path] for role, path in once.items() if path}}
        return files | {role: paths for role, paths in several.items() if paths}


def capture_camera(context: Context, block_outs: Sequence[Object], folder: Path) -> Capture:
    """Render what the active camera sees and which pixel is which block-out.

    Writes `image.png`, `instances.png` (grey, 8 bits up to 255 block-outs, else 16) and `depth.npy` (float32 metres
    along the view, NaN where nothing is) into the folder, and `outlines-0.png`, `outline-depths-0.npy` and so on where
    block-outs are partly hidden, all of them or none. The whole frame is rendered, a render border is ignored.
    Everything in the scene that is no block-out occludes, with id 0. Block-outs that an earlier generation has hidden
    are shown for the occasion, and their props hidden. Every setting is put back.

    Raises CaptureError: without block-outs, without a perspective camera, or if the camera sees none of them.
    """
    camera = context.scene.camera
    chosen = relation.roots(block_outs)
    if len(chosen) > MAXIMUM_INSTANCES:
        raise CaptureError(f"{len(chosen)} block-outs are too many for one picture.", "Choose fewer of them.")
    if camera is None or camera.type != "CAMERA":
        message = "The scene has no active camera."
        raise CaptureError(message, "Add a camera (Shift+A), look through it, and make it active with Ctrl+Numpad 0.")
    pose = _prepared(context, camera, chosen)
    ids = {part: number for number, root in enumerate(chosen, 1) for part in relation.members(root)}
    numbered = dict(enumerate(chosen, 1))
    with _view(context, camera, ids, folder) as view:
        sight, kind = view.sight, np.uint8 if len(chosen) <= 255 else np.uint16
        found = at_once(outlines.whole(context, numbered, sight, pose, view.makers, view.renders))
        seen = {number: root for number, root in numbered.items() if np.any(sight.labels == number)}
        warnings = _unseen(numbered, seen, found, sight) + _crowded(numbered, found)
        table = [_label(context, number, root) for number, root in seen.items()]
        files = [view.picture(), view.instances(sight.labels, kind), view.distances(sight.depth)]
        for number, (labels, depth) in enumerate(found.layers):
            files += [view.instances(labels, kind, f"outlines-{number}")]
            files += [view.distances(depth, f"outline-depths-{number}")]
        image, instances, depth, *whole = pictures.move(files, folder)
    return Capture(
        image=image,
        instances=instances,
        depth=depth,
        outlines=whole[0::2],
        outline_depths=whole[1::2],
        camera=pose,
        labels=table,
        block_outs={number: BlockOutRef.of(root) for number, root in seen.items()},
        warnings=[*warnings, *view.notes],
    )


def capture_photo(
    context: Context, camera: Object, block_outs: Sequence[Object], folder: Path, *, cut_out: bool
) -> Capture:
    """One of several pictures of one prop: what any camera sees of the block-outs, which count as one object, id 1,
    named after the first.

    Everything else is out of the camera's sight, so that all pictures show the object whole; with Cycles it goes on
    giving light and shadow. Files, settings and errors are as `capture_camera` has them.

    Args:
        cut_out: write `image.png` alone, with the object's pixels opaque and all others transparent.
    """
    chosen = relation.together(relation.roots(block_outs))
    pose = _prepared(context, camera, chosen)
    ids = {part: 1 for root in chosen for part in relation.members(root)}
    with _view(context, camera, ids, folder, alone=True) as view:
        labels, depth = view.sight.labels, view.sight.depth
        if not labels.any():
            raise unseen(camera)
        if cut_out:
            return Capture(image=pictures.move([view.cut_out()], folder)[0], warnings=view.notes)
        row = _label(context, 1, chosen[0], chosen[1:])
        files = [view.picture(), view.instances(labels, np.uint8), view.distances(depth)]
        image, instances, depth = pictures.move(files, folder)
    references = [BlockOutRef.of(root) for root in chosen]
    return Capture(
        image=image,
        instances=instances,
        depth=depth,
        camera=pose,
        labels=[row],
        block_outs={1: references[0]},
        warnings=view.notes,
        one_with=references[1:],
    )


def unseen(camera: Object) -> CaptureError:
    """The error of one of several cameras that looks elsewhere."""
    message = f"The camera {camera.name} does not see the block-out."
    return CaptureError(message, "Point it at the block-out, or take it off the list of photos.")


def _prepared(context: Context, camera: Object, chosen: Sequence[Object]) -> dict[str, Any]:
    """Check what can be checked before anything is changed; returns the camera of the contract."""
    if not chosen:
        message = "Nothing is chosen that could become a prop."
        raise CaptureError(message, "Select the objects that block out your props, or choose their collection.")
    check_size(*picture_size(context.scene.render), "Lower the resolution in Output properties.")
    context.view_layer.update()
    for edited in context.view_layer.objects:
        if edited.mode != "OBJECT":
            edited.update_from_editmode()
    return camera_json(context.scene, camera.evaluated_get(context.evaluated_depsgraph_get()))


@dataclass
class _View:
    """What a camera sees, while the render settings are those of a capture; files are written into `scratch`.

    renders: where the passes may be written; notes: what was done differently.
    """

    scene: bpy.types.Scene
    overrides: render_settings.Overrides
    scratch: Path
    makers: instancing.Makers
    sight: identity.Sight
    notes: list[str] = field(default_factory=list)

    @property
    def renders(self) -> Path:
        return self.scratch / "identity.exr"

    def picture(self) -> Path:
        note = render_settings.for_picture(self.overrides, self.scene)
        self.notes += [note] if note else []
        render_settings.render_to(self.scene, self.scratch / "image.png")
        return self.scratch / "image.png"

    def cut_out(self) -> Path:
        """The picture with opaque pixels where anything has a number; straight alpha, the colours stay as they are."""
        pixels = np.rint(pictures.read_floats(self.picture()) * 255).astype(np.uint8)
        alpha = np.where(self.sight.labels > 0, 255, 0).astype(np.uint8)
        return pictures.write_whole(self.scratch / "image.png", pictures.png(np.dstack([pixels[..., :3], alpha])))

    def instances(self, labels: Any, kind: Any, name: str = "instances") -> Path:
        return pictures.write_whole(self.scratch / f"{name}.png", pictures.png(labels.astype(kind)))

    def distances(self, depth: Any, name: str = "depth") -> Path:
        metres = depth * np.float32(self.scene.unit_settings.scale_length)
        return pictures.write_whole(self.scratch / f"{name}.npy", pictures.npy(metres))


@contextlib.contextmanager
def _view(
    context: Context, camera: Object, ids: dict[Object, int], folder: Path, alone: bool = False
) -> Iterator[_View]:
    """Look through a camera; `alone`: at nothing but what has a number."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pictures.scratch(folder) as scratch,
        render_settings.for_capture(context.scene, context.view_layer, camera) as overrides,
    ):
        _show_block_outs(overrides, ids)
        makers = instancing.makers(context)
        if alone:
            _hide_others(overrides, context.scene, instancing.shown_by(ids, makers))
        sight = at_once(identity.look(context, ids, makers, scratch / "identity.exr"))
        yield _View(context.scene, overrides, scratch, makers, sight)


def _hide_others(overrides: render_settings.Overrides, scene: bpy.types.Scene, shown: Container[Object]) -> None:
    """Take all else out of the camera's sight."""
    for other in scene.objects:
        if other not in shown and relation.can_be_seen(other):
            if render_settings.will_be_cycles(scene):
                overrides.set(other, "visible_camera", False)
            else:
                overrides.set(other, "hide_render", True)


def _label(context: bpy.types.Context, number: int, block_out: Object, others: Sequence[Object] = ()) -> dict[str, Any]:
    """A row of the label table: the block-out's name, and its box in metres."""
    row: dict[str, Any] = {"id": number, "name": printable(block_out.name)}
    box = relation.world_from_box(block_out, context.evaluated_depsgraph_get(), others)
    if box is not None:
        box[:3] *= context.scene.unit_settings.scale_length
        row["world_from_box"] = box.tolist()
    return row


def _show_block_outs(overrides: render_settings.Overrides, ids: dict[Object, int]) -> None:
    """Show what an earlier generation has hidden, and hide what it made instead."""
    for part in ids:
        if relation.is_hidden(part):
            overrides.set(part, "hide_render", False)
    for prop in relation.props_of(ids):
        overrides.set(prop, "hide_render", True)


def _unseen(
    numbered: Mapping[int, Object], seen: Mapping[int, Object], found: Outlines, sight: identity.Sight
) -> list[str]:
    """A warning naming the block-outs that the camera does not see, and what hides them. Raises CaptureError if it sees
    none at all."""
    missing = {number: root for number, root in numbered.items() if number not in seen}
    if not missing:
        return []
    things = sight.names | {number: root.name for number, root in numbered.items()}
    texts = []
    for number, root in missing.items():
        front = things.get(found.before.get(number, 0))
        texts.append(f"{root.name} (behind {front})" if front else root.name)
    message = f"The camera does not see {_listed(texts)}."
    if seen:
        return [message + " Left out."]
    hint = "Point the camera at the block-outs; see that they and their collections are not hidden in renders."
    if found.before:
        hint = "Move what stands in front, or hide it in renders. Glass that bends light counts as solid; a pane that \
is mostly transparent does not."
    raise CaptureError(message, hint)


def _crowded(numbered: Mapping[int, Object], found: Outlines) -> list[str]:
    """A warning naming block-outs of which the hidden part is not known."""
    if not found.crowded:
        return []
    names = _listed([numbered[number].name for number in found.crowded])
    return [f"Too many block-outs stand before each other: {names} may be incomplete where hidden."]


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


def printable(name: str) -> str:
    """A name as the contract allows it."""
    return "".join(" " if ord(character) < 32 or ord(character) == 127 else character for character in name)[:200]
