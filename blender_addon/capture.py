"""From Blender to a shot: the active camera's picture with instance map and depth, or any image as it is.

Instance map and depth come from one Cycles render with one sample in which every surface glows with two numbers,
its object's index and its planar depth. It needs no compositor and no graphics card and is exact: a pixel is what
its middle sees. An instance (of a collection, of particles, of geometry nodes) counts as the object that makes it.
Cut-out (alpha) materials count as solid.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Context, Image, Material, Object

from . import block_outs as relation
from . import compat, pictures, render_settings
from .block_outs import BlockOutRef, resolve
from .intrinsics import MAXIMUM_PIXELS, CaptureError, camera_json, picture_size

__all__ = ["BlockOutRef", "Capture", "CaptureError", "capture_camera", "capture_image", "capture_image_file", "resolve"]

MAXIMUM_INSTANCES = 65535
MAXIMUM_FILE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Capture:
    """A shot as files, ready to be sent.

    labels: {"id", "name", "world_from_box"} of each object in the instance map; block_outs: which object each id is.
    warnings: sentences on what was left out or done differently.
    """

    image: Path
    instances: Path | None = None
    depth: Path | None = None
    camera: dict[str, Any] | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    block_outs: dict[int, BlockOutRef] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def capture_camera(context: Context, block_outs: Sequence[Object], folder: Path) -> Capture:
    """Render what the active camera sees and which pixel is which block-out.

    Writes `image.png`, `instances.png` (grey, 8 bits up to 255 block-outs, else 16) and `depth.npy` (float32 metres
    along the view, NaN where nothing is) into the folder, all of them or none. The whole frame is rendered, a render
    border is ignored. Everything in the scene that is no block-out occludes, with id 0. Block-outs that an earlier
    generation has hidden are shown for the occasion, and their props hidden. Every setting is put back.

    Raises CaptureError: without block-outs, without a perspective camera, or if the camera sees none of them.
    """
    scene, camera = context.scene, context.scene.camera
    chosen = relation.roots(block_outs)
    if not chosen:
        message = "Nothing is chosen that could become a prop."
        raise CaptureError(message, "Select the objects that block out your props, or choose their collection.")
    if len(chosen) > MAXIMUM_INSTANCES:
        raise CaptureError(f"{len(chosen)} block-outs are too many for one picture.", "Choose fewer of them.")
    if camera is None or camera.type != "CAMERA":
        message = "The scene has no active camera."
        raise CaptureError(message, "Add a camera (Shift+A), look through it, and make it active with Ctrl+Numpad 0.")
    _check_size(*picture_size(scene.render), "Lower the resolution in Output properties.")
    context.view_layer.update()
    for edited in context.view_layer.objects:
        if edited.mode != "OBJECT":
            edited.update_from_editmode()
    pose = camera_json(scene, camera.evaluated_get(context.evaluated_depsgraph_get()))

    ids = {part: number for number, root in enumerate(chosen, 1) for part in relation.members(root)}
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _scratch(folder) as scratch,
        render_settings.for_capture(scene, context.view_layer, camera) as overrides,
    ):
        _show_block_outs(overrides, ids)
        labels, depth = identity_pass(context, ids, scratch / "identity.exr")
        seen = {number: root for number, root in enumerate(chosen, 1) if np.any(labels == number)}
        table = [_label(context, number, root) for number, root in seen.items()]
        warnings = _unseen([root for number, root in enumerate(chosen, 1) if number not in seen], bool(seen))
        note = render_settings.for_picture(overrides, scene)
        render_settings.render_to(scene, scratch / "image.png")
        narrow = labels.astype(np.uint8 if len(chosen) <= 255 else np.uint16)
        pictures.write_whole(scratch / "instances.png", pictures.png(narrow))
        pictures.write_whole(scratch / "depth.npy", pictures.npy(depth * np.float32(scene.unit_settings.scale_length)))
        image, instances, depth_file = _move(
            [scratch / name for name in ("image.png", "instances.png", "depth.npy")], folder
        )
    return Capture(
        image=image,
        instances=instances,
        depth=depth_file,
        camera=pose,
        labels=table,
        block_outs={number: BlockOutRef.of(root) for number, root in seen.items()},
        warnings=[*warnings, *([note] if note else [])],
    )


def _label(context: bpy.types.Context, number: int, block_out: Object) -> dict[str, Any]:
    """A row of the label table: the block-out's name, and its box in metres."""
    row: dict[str, Any] = {"id": number, "name": _printable(block_out.name)}
    box = relation.world_from_box(block_out, context.evaluated_depsgraph_get())
    if box is not None:
        box[:3] *= context.scene.unit_settings.scale_length
        row["world_from_box"] = box.tolist()
    return row


def _check_size(width: int, height: int, hint: str) -> None:
    if width * height > MAXIMUM_PIXELS:
        raise CaptureError(f"{width} x {height} pixels are too many; 64 megapixels are the limit.", hint)
    if width < 1 or height < 1:
        raise CaptureError("The picture would have no pixels.", hint.replace("Lower", "Raise"))


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder inside the folder, on the same file system, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".capture-", dir=folder) as name:
        yield Path(name)


def _move(files: list[Path], folder: Path) -> list[Path]:
    return [file.replace(folder / file.name) for file in files]


def _show_block_outs(overrides: render_settings.Overrides, ids: dict[Object, int]) -> None:
    """Show what an earlier generation has hidden, and hide what it made instead."""
    for part in ids:
        if relation.HIDDEN in part:
            overrides.set(part, "hide_render", False)
    for prop in relation.props_of(ids):
        overrides.set(prop, "hide_render", True)


def _unseen(missing: list[Object], others_seen: bool) -> list[str]:
    """A warning naming the block-outs that the camera does not see. Raises CaptureError if it sees none at all."""
    if not missing:
        return []
    shown = ", ".join(root.name for root in missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    message = f"The camera does not see {shown}."
    if not others_seen:
        hint = "Point the camera at the block-outs; see that they and their collections are not hidden in renders."
        raise CaptureError(message, hint)
    return [message + " Left out."]


def _printable(name: str) -> str:
    """A name as the contract allows it."""
    return "".join(" " if ord(character) < 32 or ord(character) == 127 else character for character in name)[:200]


def identity_pass(context: Context, ids: Mapping[Object, int], path: Path) -> tuple[Any, Any]:
    """Which object each pixel sees, (H, W) uint16, and how far, (H, W) float32 in Blender's units, NaN for nothing.

    To be called within `render_settings.for_capture`, which puts the output settings back.

    Args:
        ids: object -> its number; all others are 0.
        path: where the render may be written (EXR).
    """
    scene = context.scene
    with render_settings.Overrides() as overrides, _identity_material() as material:
        render_settings.for_identity(overrides, scene, context.view_layer, material)
        for candidate in bpy.data.objects:
            overrides.set(candidate, "pass_index", ids.get(candidate, 0))
        render_settings.render_to(scene, path)
    pixels = _read_floats(path)
    something = pixels[..., 3] > 0.5
    numbers = np.where(something, pixels[..., 0], 0.0)
    labels = np.rint(numbers).astype(np.uint16)
    if np.abs(numbers - labels).max() > 1e-3:
        message = "The instance map came out blurred."
        raise CaptureError(message, "Look for what changes the picture during a render, such as render handlers.")
    return labels, np.where(something, pixels[..., 1], np.nan).astype(np.float32)


@contextlib.contextmanager
def _identity_material() -> Iterator[Material]:
    """A material that glows with the object's index in red and the planar depth in green.

    The index is read through an instancer attribute: for an instance it is that of the object which makes it, for
    anything else the object's own.
    """
    material = bpy.data.materials.new("Set Dresser identity")
    try:
        tree = compat.use_nodes(material)
        tree.nodes.clear()
        index = tree.nodes.new("ShaderNodeAttribute")
        index.attribute_type = "INSTANCER"
        index.attribute_name = "pass_index"
        view = tree.nodes.new("ShaderNodeCameraData")
        color = tree.nodes.new("ShaderNodeCombineColor")
        glow = tree.nodes.new("ShaderNodeEmission")
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(index.outputs["Fac"], color.inputs[0])
        tree.links.new(view.outputs["View Z Depth"], color.inputs[1])
        tree.links.new(color.outputs[0], glow.inputs["Color"])
        tree.links.new(glow.outputs[0], output.inputs["Surface"])
        yield material
    finally:
        bpy.data.materials.remove(material)


def _read_floats(path: Path) -> Any:
    """(H, W, 4) float32, upper row first, exactly as they are in the file."""
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        return _pixels(image)[::-1]
    finally:
        bpy.data.images.remove(image)


def capture_image_file(
    path: Path, folder: Path, labels: Path | None = None, camera: dict[str, Any] | None = None
) -> Capture:
    """A picture file, and a label image if there is one, copied as they are; what they hold is the backend's to judge.

    Raises CaptureError: if a file is not there, cannot be read, or is too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _scratch(folder) as scratch:
        copies = [_copy(path, scratch / f"image{path.suffix.lower()}", "picture")]
        if labels is not None:
            copies.append(_copy(labels, scratch / f"instances{labels.suffix.lower()}", "label image"))
        moved = _move(copies, folder)
    return Capture(image=moved[0], instances=moved[1] if labels is not None else None, camera=camera)


def _copy(source: Path, target: Path, called: str) -> Path:
    if not source.is_file():
        raise CaptureError(f"The {called} {source} does not exist.", "Choose the file again.")
    if source.stat().st_size > MAXIMUM_FILE_BYTES:
        raise CaptureError(f"The {called} {source.name} is larger than 256 MB.", "Save it smaller, as PNG or JPEG.")
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        message = f"The {called} {source.name} cannot be read: {error.strerror or error}."
        raise CaptureError(message, "Check that you may read it and that the disk is not full.") from error
    return target


def capture_image(
    image: Image, folder: Path, labels: Image | None = None, camera: dict[str, Any] | None = None
) -> Capture:
    """An image of the blend file as it is now: generated, painted, packed, with unsaved changes, float, HDR.

    Written as 8-bit sRGB PNG; what is brighter than white becomes white. A label image keeps its exact values. The
    images themselves are not touched.

    Raises CaptureError: for tiles, sequences, movies, and images without pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _scratch(folder) as scratch:
        _check_image(image)
        files = [scratch / "image.png"]
        _save_picture(image, files[0])
        if labels is not None:
            _check_image(labels)
            files.append(pictures.write_whole(scratch / "instances.png", _label_bytes(labels)))
        moved = _move(files, folder)
    return Capture(image=moved[0], instances=moved[1] if labels is not None else None, camera=camera)


def _check_image(image: Image) -> None:
    kinds = {"TILED": "made of UDIM tiles", "SEQUENCE": "an image sequence", "MOVIE": "a movie"}
    if image.source in kinds:
        message = f"{image.name} is {kinds[image.source]}."
        raise CaptureError(message, "Choose a single picture; save the tile or frame you want as PNG.")
    if image.type == "RENDER_RESULT":
        return  # has no size for Python, even when there is one
    width, height = image.size
    if not (width and height):
        message = f"{image.name} has no pixels that can be read."
        raise CaptureError(message, "Check its file path; of a file with layers, save the one you want as PNG.")
    _check_size(width, height, "Scale the image down.")


def _save_picture(image: Image, path: Path) -> None:
    """Write the image through Blender's colour management with the Standard view, which leaves sRGB as it is.

    `Image.save` would tie an image to the new file, and `save_render` changes its number of channels; so both the
    image and the scene that says how to write are passing copies. For a render result the scene says whose render
    is meant, so there it is the scene itself.
    """
    with render_settings.Overrides() as overrides:
        if image.type == "RENDER_RESULT":
            source, scene = image, bpy.context.scene
            overrides.keep_output_settings(scene)
        else:
            scene = bpy.data.scenes.new("Set Dresser picture")
            overrides.callback(bpy.data.scenes.remove, scene)
            source = _copy_of(image)
            overrides.callback(bpy.data.images.remove, source)
        render_settings.as_standard_png(scene, "RGBA")
        try:
            source.save_render(str(path), scene=scene)
        except RuntimeError as error:
            message = f"{image.name} has no picture to read."
            hint = "Render first (F12)." if image.type == "RENDER_RESULT" else "Check its file path."
            raise CaptureError(message, hint) from error
    if not path.is_file():
        raise CaptureError(f"{image.name} cannot be written as a picture.", "Save it as PNG and choose the file.")


def _copy_of(image: Image) -> Image:
    """A generated image with the same pixels, unsaved strokes included."""
    width, height = image.size
    values = _pixels(image)
    if image.channels < 3:
        values = np.repeat(values[..., :1], 3, axis=2)
    alpha = values[..., 3:] if image.channels == 4 else np.ones((height, width, 1), np.float32)
    copy = bpy.data.images.new("Set Dresser picture", width, height, alpha=True, float_buffer=image.is_float)
    is_data = image.colorspace_settings.is_data
    if is_data or not image.is_float:  # float pixels are in the scene's linear space already
        copy.colorspace_settings.name = image.colorspace_settings.name
    copy.alpha_mode = image.alpha_mode
    copy.pixels.foreach_set(np.ascontiguousarray(np.concatenate([values[..., :3], alpha], axis=2)).ravel())
    return copy


def _pixels(image: Image) -> Any:
    """(H, W, channels) float32 as Blender holds them, lower row first."""
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, image.channels)


def _label_bytes(image: Image) -> bytes:
    """A PNG of the labels, value by value.

    A PNG that was loaded and not painted on is passed on as it came, with palette or 16 bits; else the 8-bit values
    are written, grey if all of them are.
    """
    if image.source == "FILE" and not image.is_dirty:
        original = _original_bytes(image)
        if original.startswith(pictures.PNG_SIGNATURE):
            return original
    if image.is_float:
        message = f"The label image {image.name} has more than 8 bits per channel."
        raise CaptureError(message, "Save it as PNG and choose the file, or make it an 8-bit image.")
    values = np.rint(_pixels(image)[::-1] * 255).astype(np.uint8)
    if image.channels < 3 or (np.all(values[..., 0] == values[..., 1]) and np.all(values[..., 1] == values[..., 2])):
        return pictures.png(values[..., 0])
    return pictures.png(values[..., :3])


def _original_bytes(image: Image) -> bytes:
    if image.packed_file is not None:
        return bytes(image.packed_file.data)
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    return path.read_bytes() if path.is_file() else b""
