"""Light from what a job says: one of Blender's own worlds or a grey one, and suns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

_whites: dict[str, float] = {}
"""What a white surface sends out under each world, at the brightest: it takes a moment to find."""


def worlds() -> Path:
    """The folder of the eight high-dynamic-range pictures that come with Blender (CC0)."""
    return Path(bpy.utils.system_resource("DATAFILES")) / "studiolights" / "world"


def light(scene: bpy.types.Scene, settings: dict[str, Any]) -> None:
    """Puts light into a scene.

    Args:
        settings: as `training/render/light.py` draws them.

    Raises:
        FileNotFoundError: this Blender has no such world.
    """
    world = bpy.data.worlds.new("Light")
    world.use_nodes = True
    scene.world = world
    background = world.node_tree.nodes["Background"]
    nodes, links = world.node_tree.nodes, world.node_tree.links
    place = nodes.new("ShaderNodeTexCoord")
    if settings["world"] is None:
        background.inputs["Strength"].default_value = settings["brightness"]
        split, part, mixed = (nodes.new(f"ShaderNode{kind}") for kind in ("SeparateXYZ", "MapRange", "Mix"))
        part.inputs["From Min"].default_value = -1.0
        mixed.data_type = "RGBA"
        ground, sky = (each for each in mixed.inputs if each.type == "RGBA")
        ground.default_value, sky.default_value = ((*settings[name], 1.0) for name in ("ground", "sky"))
        links.new(place.outputs["Generated"], split.inputs["Vector"])
        links.new(split.outputs["Z"], part.inputs["Value"])
        links.new(part.outputs["Result"], next(each for each in mixed.inputs if each.name == "Factor"))
        colour = next(each for each in mixed.outputs if each.type == "RGBA")
        links.new(colour, background.inputs["Color"])
        world.cycles.sampling_method = "NONE"  # light from everywhere is found without looking for it
    else:
        file = worlds() / settings["world"]
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: this Blender has no such world.")
        image = bpy.data.images.load(str(file))
        picture, turned = (nodes.new(f"ShaderNode{kind}") for kind in ("TexEnvironment", "Mapping"))
        picture.image = image
        turned.inputs["Rotation"].default_value[2] = np.radians(settings["turn"])
        links.new(place.outputs["Generated"], turned.inputs["Vector"])
        links.new(turned.outputs["Vector"], picture.inputs["Vector"])
        links.new(picture.outputs["Color"], background.inputs["Color"])
        if settings["world"] not in _whites:
            _whites[settings["world"]] = _white(image)
        background.inputs["Strength"].default_value = settings["brightness"] / _whites[settings["world"]]
        # A finer table of where the light comes from is made anew for every picture, and takes longer than the picture.
        world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 128
    for index, sun in enumerate(settings["suns"]):
        lamp = bpy.data.lights.new(f"Sun {index}", "SUN")
        lamp.energy, lamp.angle, lamp.color = sun["strength"], np.radians(sun["width"]), sun["colour"]
        placed = bpy.data.objects.new(lamp.name, lamp)
        placed.rotation_mode = "QUATERNION"
        placed.rotation_quaternion = Vector(sun["towards"]).to_track_quat("Z", "Y")
        scene.collection.objects.link(placed)


def _white(image: bpy.types.Image) -> float:
    """The brightest that a white matt surface can be under a panorama: the greatest irradiance, over π."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    step = max(1, height // 64)
    pixels = pixels.reshape(height, width, 4)[:, :, :3].mean(2)
    rows, columns = height // step, width // step
    pixels = pixels[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))
    elevation = ((np.arange(rows) + 0.5) / rows - 0.5) * np.pi
    azimuth = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    towards = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], -1).reshape(-1, 3)
    weights = (np.cos(e) * (np.pi / rows) * (2 * np.pi / columns)).ravel() * pixels.ravel()
    normals = towards[:: max(1, len(towards) // 200)]
    return float((np.maximum(normals @ towards.T, 0) @ weights).max() / np.pi)
