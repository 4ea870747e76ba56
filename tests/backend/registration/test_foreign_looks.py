"""What other programs' materials carry is kept through reading and writing, or told as left out."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from backend.geometry.gltf import write_glb
from backend.registration.raw_scene import read_scene
from backend.scene import Mesh, Prop, Scene

RED = (200, 40, 40, 255)


def glb(material: PBRMaterial | None, uv: bool = True, colours: Any = None) -> bytes:
    """A box with a material, as trimesh writes it."""
    mesh = trimesh.creation.box()
    if colours is not None:
        mesh.visual.vertex_colors = colours
    else:
        places = np.random.default_rng(0).random((len(mesh.vertices), 2)) if uv else None
        mesh.visual = TextureVisuals(uv=places, material=material)
    data: bytes = trimesh.Scene(mesh).export(file_type="glb")
    return data


def changed(data: bytes, **material: Any) -> bytes:
    """The same file, with more in its first material."""
    size = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + size])
    document["materials"][0] |= material
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + data[20 + size :]
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def read(data: bytes) -> tuple[Mesh, list[str]]:
    objects, warnings = read_scene(data)
    assert {warning.code for warning in warnings} <= {"colours-dropped"}
    return objects[0].mesh, [warning.message for warning in warnings]


def written(mesh: Mesh) -> tuple[dict[str, Any], list[Image.Image]]:
    """The one material that the writer makes of it, and the pictures."""
    data = write_glb(Scene([Prop(1, "Box", mesh, np.eye(4), "")]))
    size = struct.unpack_from("<I", data, 12)[0]
    document, held = json.loads(data[20 : 20 + size]), data[28 + size :]
    views = [document["bufferViews"][image["bufferView"]] for image in document.get("images", [])]
    pictures = [held[view["byteOffset"] :][: view["byteLength"]] for view in views]
    return document["materials"][0], [Image.open(io.BytesIO(picture)) for picture in pictures]


def plain(colour: tuple[int, ...]) -> Image.Image:
    return Image.new("RGBA" if len(colour) == 4 else "RGB", (32, 32), colour)


def test_a_colour_factor_is_kept() -> None:
    mesh, told = read(glb(PBRMaterial(baseColorFactor=RED), uv=False))
    material, _ = written(mesh)
    kept = material["pbrMetallicRoughness"]["baseColorFactor"]
    assert np.allclose(kept, np.array(RED) / 255, atol=0.004) and not told


def test_a_texture_is_multiplied_by_its_factor() -> None:
    mesh, told = read(glb(PBRMaterial(baseColorTexture=plain((255, 255, 255)), baseColorFactor=RED)))
    assert mesh.texture is not None and not told
    # 200 / 255 and 40 / 255 are linear; in sRGB that is 229 and 110.
    assert mesh.texture[0, 0].tolist() == [229, 110, 110]


def test_colours_of_vertices_are_kept() -> None:
    colours = np.zeros((8, 4), dtype=np.uint8) + np.array([255, 0, 64, 255], dtype=np.uint8)
    colours[:4, 0] = 0
    mesh, told = read(glb(None, colours=colours))
    assert mesh.colours is not None and not told
    assert {tuple(row) for row in mesh.colours.tolist()} == {(255, 0, 137), (0, 0, 137)}
    again = read(write_glb(Scene([Prop(1, "Box", mesh, np.eye(4), "")])))[0]
    assert np.array_equal(again.colours, mesh.colours)


def test_holes_of_an_alpha_mask_are_kept() -> None:
    picture = plain(RED)
    picture.paste((0, 0, 0, 0), (0, 0, 16, 32))
    mesh, told = read(glb(PBRMaterial(baseColorTexture=picture, alphaMode="MASK", alphaCutoff=0.3)))
    material, pictures = written(mesh)
    assert material["alphaMode"] == "MASK" and material["alphaCutoff"] == 0.3 and not told
    assert np.array_equal(np.asarray(pictures[0])[..., 3], np.asarray(picture)[..., 3])
    again = read(write_glb(Scene([Prop(1, "Box", mesh, np.eye(4), "")])))[0]
    assert np.array_equal(again.texture, mesh.texture) and again.alpha_cutoff == 0.3


def test_gradual_alpha_is_kept_and_opaque_alpha_means_nothing() -> None:
    picture = plain((200, 40, 40, 100))
    material, pictures = written(read(glb(PBRMaterial(baseColorTexture=picture, alphaMode="BLEND")))[0])
    assert material["alphaMode"] == "BLEND" and pictures[0].getpixel((3, 3)) == (200, 40, 40, 100)
    mesh, _ = read(glb(PBRMaterial(baseColorTexture=picture, alphaMode="OPAQUE")))
    assert mesh.texture is not None and mesh.texture[0, 0].tolist() == [200, 40, 40]


def test_a_surface_that_only_glows_keeps_its_colour_and_that_is_told() -> None:
    glowing = PBRMaterial(emissiveTexture=plain(RED[:3]), emissiveFactor=[1, 1, 1], baseColorFactor=[0, 0, 0, 255])
    mesh, told = read(glb(glowing))
    assert mesh.texture is not None and mesh.texture[0, 0].tolist() == list(RED[:3])
    assert told == ["Left out of 'geometry_0': the glow, of which the colour is kept."]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"emissiveFactor": [1, 0, 0]}, "the glow"),
        ({"normalTexture": {"index": 0}}, "the normal map"),
        ({"alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0.2]}}, "the transparency"),
    ],
)
def test_what_is_left_out_is_told(more: dict[str, Any], words: str) -> None:
    _, told = read(changed(glb(PBRMaterial(baseColorFactor=RED), uv=False), **more))
    assert told == [f"Left out of 'geometry_0': {words}."]


def test_the_older_kind_of_material_gives_its_diffuse_colour() -> None:
    older = {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1.0, 0.0, 0.0, 1.0]}}
    mesh, _ = read(changed(glb(PBRMaterial(baseColorFactor=RED), uv=False), pbrMetallicRoughness={}, extensions=older))
    assert mesh.colours is not None and mesh.colours[0].tolist() == [255, 0, 0]


def test_parts_of_one_object_keep_their_colours_without_textures() -> None:
    scene = trimesh.Scene()
    for number, colour in enumerate([RED, (0, 0, 255, 255)]):
        part = trimesh.creation.box()
        part.apply_translation((2 * number, 0, 0))
        part.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=colour))
        scene.add_geometry(part, node_name=f"part {number}", parent_node_name=None)
    size = struct.unpack_from("<I", data := scene.export(file_type="glb"), 12)[0]
    document = json.loads(data[20 : 20 + size])
    for node in document["nodes"]:
        node["extras"] = {"instance_id": 4}
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + data[20 + size :]
    mesh, told = read(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)
    assert mesh.colours is not None and not told
    assert {tuple(row) for row in mesh.colours.tolist()} == {(229, 110, 110), (0, 0, 255)}


def test_textures_of_several_materials_in_one_object_are_told() -> None:
    data = glb(PBRMaterial(baseColorTexture=plain(RED)))
    size = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + size])
    document["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [0, 0, 1, 1]}})
    primitives = document["meshes"][0]["primitives"]
    primitives.append(primitives[0] | {"material": 1})
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + data[20 + size :]
    mesh, told = read(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)
    assert mesh.texture is None and told == ["Left out of 'geometry_0': the colours of its several materials."]


def test_a_texture_that_repeats_goes_on_repeating() -> None:
    mesh, _ = read(glb(PBRMaterial(baseColorTexture=plain(RED))))
    assert mesh.uv is not None
    mesh.uv = mesh.uv * 3
    data = write_glb(Scene([Prop(1, "Box", mesh, np.eye(4), "")]))
    document = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    assert [sampler["wrapS"] for sampler in document["samplers"]] == [10497]


def test_a_texture_that_objects_share_is_written_once() -> None:
    mesh, _ = read(glb(PBRMaterial(baseColorTexture=plain(RED))))
    data = write_glb(Scene([Prop(number, f"Box {number}", mesh, np.eye(4), "") for number in (1, 2, 3)]))
    document = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    assert len(document["images"]) == len(document["textures"]) == 1 and len(document["materials"]) == 3
