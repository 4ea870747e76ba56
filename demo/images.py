"""Every picture of a data folder as a set: picture | from its camera | from 40 degrees to the side."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Object
from mathutils import Matrix, Vector

import blender_addon
from blender_addon.capture import rendering
from blender_addon.capture.pictures import png
from blender_addon.ground.files import write_whole
from blender_addon.ground.messages import SetDresserError

ROOT = Path(__file__).resolve().parents[1]
LONGER_SIDE = 480
GROUND = (0.42, 0.44, 0.46)
SAMPLES = 8


def data_folder() -> Path:
    return Path(os.environ.get("SET_DRESSER_DATA") or ROOT.parent / "shared" / "data")


def found(folder: Path) -> list[tuple[Path, Path | None]]:
    """Pictures with their label images: scenes/NAME_rgb.png with NAME_seg.png, and objects/*, which have none."""
    scenes = sorted((folder / "scenes").glob("*_rgb.png"))
    pairs: list[tuple[Path, Path | None]] = []
    for picture in scenes:
        labels = picture.with_name(picture.name.replace("_rgb", "_seg"))
        pairs.append((picture, labels if labels.is_file() else None))
    objects = sorted((folder / "objects").glob("*"))
    return pairs + [(path, None) for path in objects if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")]


def run(out: Path, say: Callable[[str], None]) -> bool:
    """Do every picture, write a contact sheet for each. Returns whether all became sets; True if there are none."""
    pictures = found(data_folder())
    if not pictures:
        say(f"\nNo pictures in {data_folder()} (SET_DRESSER_DATA); none were done.")
        return True
    out.mkdir(parents=True, exist_ok=True)
    say(f"\n{'picture':<22}{'props':>6}{'least mask IoU':>16}{'seconds':>9}")
    failed = 0
    for picture, labels in pictures:
        name = picture.stem.removesuffix("_rgb")
        try:
            result, sheet = contact_sheet(picture, labels)
        except SetDresserError as error:
            failed += 1
            say(f"{name:<22}  {error.message} {error.hint}")
            continue
        write_whole(out / f"{name}.png", png(sheet))
        least = min(prop["mask_iou"] for prop in result["props"])
        say(f"{name:<22}{len(result['props']):>6}{least:>16.3f}{result['seconds']:>9.1f}")
    say(f"{len(pictures) - failed} of {len(pictures)} pictures are in {out.relative_to(ROOT)}.")
    return not failed


def contact_sheet(picture: Path, labels: Path | None) -> tuple[dict[str, Any], Any]:
    """result.json, and the sheet as (H, 3 W, 3) uint8."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    width, height = _small_size(picture)
    camera = _studio(width, height)
    job = blender_addon.generate(source=picture, labels=labels, pipeline="inflate", wait=True)
    bpy.context.view_layer.update()
    place = camera.matrix_world.copy()
    views = [_pixels(picture, (width, height)), _view()]
    middle = _middle(job.objects)
    back = Matrix.Translation((place.to_translation() - middle) * 0.25)  # farther away, so that less is cut off
    camera.matrix_world = _turned(back @ place, middle, math.radians(40))
    views.append(_view())
    return job.result, np.concatenate(views, axis=1)


def _small_size(picture: Path) -> tuple[int, int]:
    image = bpy.data.images.load(str(picture))
    factor = LONGER_SIDE / max(image.size)
    size = tuple(max(1, round(side * factor)) for side in image.size)
    bpy.data.images.remove(image)
    return size[0], size[1]


def _studio(width: int, height: int) -> Object:
    """A floor, soft light, and as active camera the one that is assumed for a picture without one (docs/api.md)."""
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_plane_add(size=60)
    floor = bpy.data.materials.new("Floor")
    if floor.node_tree is None:
        floor.use_nodes = True
    floor.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*GROUND, 1)
    bpy.context.object.data.materials.append(floor)
    world = scene.world = bpy.data.worlds.new("Sky")
    if world.node_tree is None:
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.8
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle = 1.5, 0.3
    sun.rotation_euler = (math.radians(50), 0, math.radians(-35))
    scene.collection.objects.link(sun)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.location, camera.rotation_euler = (0, 0, 1.6), (math.radians(78), 0, 0)
    camera.data.angle = math.radians(50)
    render = scene.render
    render.engine, render.resolution_x, render.resolution_y = "CYCLES", width, height
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    scene.view_settings.view_transform = "Standard"
    scene.cycles.samples, scene.cycles.max_bounces = SAMPLES, 2
    scene.cycles.denoising_prefilter = "NONE"
    return camera


def _middle(props: list[Object]) -> Vector:
    corners = [prop.matrix_world @ Vector(corner) for prop in props for corner in prop.bound_box]
    return Vector([(min(c[axis] for c in corners) + max(c[axis] for c in corners)) / 2 for axis in range(3)])


def _turned(place: Matrix, about: Vector, angle: float) -> Matrix:
    there = Matrix.Translation(about)
    return there @ Matrix.Rotation(angle, 4, "Z") @ there.inverted() @ place


def _view() -> Any:
    """What the active camera sees, (H, W, 3) uint8."""
    scene = bpy.context.scene
    path = Path(bpy.app.tempdir) / "view.png"
    scene.render.filepath = str(path)
    rendering.render_now(scene, path)
    return _pixels(path, (scene.render.resolution_x, scene.render.resolution_y))


def _pixels(path: Path, size: tuple[int, int]) -> Any:
    """A picture on white, scaled, (H, W, 3) uint8, upper row first."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.scale(*size)
    values = np.empty(size[0] * size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    values = values.reshape(size[1], size[0], 4)[::-1]
    shown = values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
