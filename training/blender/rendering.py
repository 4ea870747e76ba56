"""One picture per camera, with alpha."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

SENSOR = 32.0
EEVEE = ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE")


def prepare(scene: bpy.types.Scene, settings: dict[str, Any]) -> bpy.types.Object:
    """Sets the engine up and puts a camera into the scene, which it returns.

    Args:
        settings: `engine` cycles or eevee, `samples`, `denoise`, `size` in pixels, `threads`, `depth` 8 or 16, `seed`.
    """
    render = scene.render
    render.resolution_x = render.resolution_y = settings["size"]
    render.resolution_percentage = 100
    render.film_transparent = True
    render.use_persistent_data = True  # only the camera moves between the pictures of an object
    render.threads_mode, render.threads = "FIXED", settings["threads"]
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGBA"
    render.image_settings.color_depth = str(settings["depth"])
    render.image_settings.compression = 40
    render.dither_intensity = 0.0
    render.filter_size = 1.0
    render.use_compositing = render.use_sequencer = False
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    if settings["engine"] == "cycles":
        render.engine = "CYCLES"
        cycles = scene.cycles
        cycles.device = "CPU"
        cycles.samples = settings["samples"]
        cycles.use_adaptive_sampling = False
        cycles.use_denoising = settings["denoise"]
        cycles.max_bounces = 3
        cycles.diffuse_bounces = cycles.glossy_bounces = 1
        cycles.use_light_tree = False
        cycles.transparent_max_bounces = 8
        cycles.transmission_bounces = 3
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect = 2.0
        cycles.pixel_filter_type = "BLACKMAN_HARRIS"
        cycles.filter_width = 1.2
        cycles.seed = settings["seed"]
    else:
        known = {each.identifier for each in render.bl_rna.properties["engine"].enum_items}
        render.engine = next(name for name in EEVEE if name in known)  # 4.2 … 4.5, and 5
        scene.eevee.taa_render_samples = settings["samples"]
    lens = bpy.data.cameras.new("View")
    lens.sensor_width = lens.sensor_height = SENSOR
    lens.clip_start, lens.clip_end = 0.01, 100.0
    camera = bpy.data.objects.new("View", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def render(camera: bpy.types.Object, view: dict[str, Any], file: Path) -> None:
    """Renders a view into a file.

    Args:
        view: `pose`, camera-to-world [4, 4]; `focal` in units of the picture's width.

    Raises:
        FileNotFoundError: there is no folder for it, which Blender would make anew, or no picture afterwards.
    """
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{file.parent} is gone.")
    camera.matrix_world = Matrix(view["pose"])
    camera.data.lens = view["focal"] * SENSOR
    bpy.context.scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)
    if not file.is_file():
        raise FileNotFoundError(f"{file} was not written.")
