"""Materials that a picture can be learned from: no missing textures, no holes of glass, something on bare meshes."""

from __future__ import annotations

import bpy
from bpy.types import Material, Mesh, Node, Object

from training.blender.importing import own_materials

NEUTRAL = (0.6, 0.6, 0.6, 1.0)
UNSEEN = 0.05
"""Below this alpha a material is meant not to be seen at all."""


def mend(objects: list[Object], opaque: bool) -> list[str]:
    """Makes every material renderable.

    Args:
        opaque: glass becomes a plain surface, so that alpha has no holes where the object is. What a texture cuts
            out, leaves for example, stays cut out.

    Returns:
        The names of the textures that are missing; their places have a plain colour now.
    """
    missing: list[str] = []
    for material in own_materials(objects):
        if material.node_tree is None:
            continue
        missing += _without_missing_textures(material)
        if opaque:
            for node in material.node_tree.nodes:
                _without_glass(node)
    for each in objects:
        if not any(each.data.materials):
            each.data.materials.clear()
            each.data.materials.append(_plain(each.data))
    return sorted(set(missing))


def _without_missing_textures(material: Material) -> list[str]:
    missing = []
    nodes = material.node_tree.nodes
    for node in [node for node in nodes if node.bl_idname == "ShaderNodeTexImage"]:
        if _loads(node):
            continue
        missing.append(node.image.name if node.image is not None else node.name)
        for output in node.outputs:
            for link in list(output.links):
                if output.name == "Color" and link.to_socket.type == "RGBA":
                    # What the file says beside the texture, unless that is the black or white of "see the texture".
                    colour = tuple(link.to_socket.default_value)
                    link.to_socket.default_value = colour if 0.02 < max(colour[:3]) < 0.98 else NEUTRAL
        nodes.remove(node)
    return missing


def _loads(node: Node) -> bool:
    """An image has data only once its pixels were asked for."""
    return node.image is not None and len(node.image.pixels) > 0


def _without_glass(node: Node) -> None:
    if node.bl_idname != "ShaderNodeBsdfPrincipled":
        return
    alpha, transmission = node.inputs["Alpha"], node.inputs["Transmission Weight"]
    if not alpha.is_linked and alpha.default_value > UNSEEN:
        alpha.default_value = 1.0
    if not transmission.is_linked:
        transmission.default_value = 0.0


def _plain(mesh: Mesh) -> Material:
    """For a mesh without materials: the colours of its vertices, or a neutral grey."""
    material = bpy.data.materials.new("Plain")
    material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    shader.inputs["Base Color"].default_value = NEUTRAL
    shader.inputs["Roughness"].default_value = 0.8
    if mesh.color_attributes:
        colours = material.node_tree.nodes.new("ShaderNodeVertexColor")
        colours.layer_name = mesh.color_attributes[0].name
        material.node_tree.links.new(colours.outputs["Color"], shader.inputs["Base Color"])
    return material
