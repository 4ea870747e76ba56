"""Painted, checked, striped, grained: procedural materials, so that the demo needs no file."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.types import Material

Color = tuple[float, float, float]


def _material(name: str) -> tuple[Material, Any, Any]:
    """A rough, plain surface: the material, its node tree and the Base Color socket."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    surface = tree.nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = 0.75
    return material, tree, surface.inputs["Base Color"]


def _mix(tree: Any, factor: Any, first: Color, second: Color) -> Any:
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color = (*first, 1)
    ramp.color_ramp.elements[1].color = (*second, 1)
    tree.links.new(factor, ramp.inputs["Fac"])
    return ramp


def _shaded(color: Color, by: float) -> Color:
    red, green, blue = color
    return red * by, green * by, blue * by


def _texture(tree: Any, kind: str, **inputs: float) -> Any:
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    texture = tree.nodes.new(kind)
    tree.links.new(coordinates.outputs["Object"], texture.inputs["Vector"])
    for name, value in inputs.items():
        texture.inputs[name].default_value = value
    return texture


def paint(name: str, color: Color, mottled: float = 0.0) -> Material:
    """One colour, or one with lighter and darker clouds."""
    material, tree, base = _material(name)
    base.default_value = (*color, 1)
    if mottled:
        noise = _texture(tree, "ShaderNodeTexNoise", Scale=9.0, Detail=4.0)
        clouds = _mix(tree, noise.outputs[0], _shaded(color, 1 - mottled), _shaded(color, 1 + mottled))
        tree.links.new(clouds.outputs["Color"], base)
    return material


def checker(name: str, first: Color, second: Color, scale: float) -> Material:
    material, tree, base = _material(name)
    texture = _texture(tree, "ShaderNodeTexChecker", Scale=scale)
    texture.inputs["Color1"].default_value = (*first, 1)
    texture.inputs["Color2"].default_value = (*second, 1)
    tree.links.new(texture.outputs["Color"], base)
    return material


def stripes(name: str, first: Color, second: Color, scale: float) -> Material:
    material, tree, base = _material(name)
    texture = _texture(tree, "ShaderNodeTexWave", Scale=scale)
    ramp = _mix(tree, texture.outputs[1], first, second)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.45, 0.55
    tree.links.new(ramp.outputs["Color"], base)
    return material


def wood(name: str, first: Color, second: Color, scale: float, rings: float = 4.0) -> Material:
    """Rings of growth, bent by noise."""
    material, tree, base = _material(name)
    texture = _texture(tree, "ShaderNodeTexWave", Scale=scale, Distortion=rings, Detail=3.0, **{"Detail Scale": 1.4})
    texture.bands_direction = "Y"
    tree.links.new(_mix(tree, texture.outputs[1], first, second).outputs["Color"], base)
    return material


def dots(name: str, ground: Color, first: Color, second: Color) -> Material:
    """Round blots of two colours, cell by cell."""
    material, tree, base = _material(name)
    texture = _texture(tree, "ShaderNodeTexVoronoi", Scale=7.0, Randomness=0.55)
    ramp = _mix(tree, texture.outputs["Distance"], first, ground)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.38, 0.42
    middle = ramp.color_ramp.elements.new(0.2)
    middle.color = (*second, 1)
    ramp.color_ramp.interpolation = "CONSTANT"
    tree.links.new(ramp.outputs["Color"], base)
    return material
