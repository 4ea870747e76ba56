"""How a surface of a foreign GLB looks: what a prop can carry of it, and what has to be left out, by name.

A prop has one picture, or a colour per vertex: the base colour, with holes where the picture has them. Factors are
multiplied in. glTF's factors and vertex colours are linear, its pictures sRGB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from backend.errors import Problem
from backend.geometry.glb_arrays import floats
from backend.geometry.glb_claims import Glb, damaged, data_uri, refuse
from backend.geometry.glb_document import BaseColour, MaterialOf, Primitive, TextureUse
from backend.geometry.gltf import linear
from backend.imaging.headers import Blame, open_header, unreadable

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

MOST_PIXELS = 128_000_000
"""Of all pictures of a scene that are used."""

LONGEST_SIDE, FINEST_SIDE = 16_384, 4096
"""Pixels: of a picture that is read at all, and of one that is not made smaller by a whole number."""

WHITE = (1.0, 1.0, 1.0, 1.0)
BLAME = Blame("scene-unreadable", "scene-unreadable")
SPECULAR = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True)
class Look:
    """A material as a prop carries it.

    texture: HxWx3 sRGB, HxWx4 where it has holes or is clear in parts; None without.
    cutoff: share of coverage below which there is a hole; None where coverage is gradual.
    use: which uv belong to the texture. factor: linear colour (4,) of what has no texture; None if nothing is said.
    dropped: what is left out, as the object of a sentence.
    """

    texture: Pixels | None = None
    cutoff: float | None = None
    use: TextureUse | None = None
    factor: Sequence[float] | None = None
    dropped: tuple[str, ...] = ()


@dataclass
class Looks:
    """The materials of a file, each made once: objects that share one share its picture."""

    glb: Glb
    _made: dict[int, Look] = field(default_factory=dict)
    _pixels: int = 0

    def of(self, primitive: Primitive) -> Look:
        """The look of a primitive.

        Raises:
            Problem: "scene-unreadable" for a picture that cannot be read, or pictures that are too large together.
        """
        if primitive.material is None:
            return Look()
        if primitive.material not in self._made:
            self._made[primitive.material] = self._make(self.glb.document.materials[primitive.material])
        return self._made[primitive.material]

    def _make(self, material: MaterialOf) -> Look:
        base = material.pbrMetallicRoughness
        factor, use = base.baseColorFactor, base.baseColorTexture
        extensions = material.extensions if isinstance(material.extensions, dict) else {}
        if factor is None and use is None and SPECULAR in extensions:
            factor, use = _diffuse(extensions[SPECULAR])
        dropped = []
        glows = any(material.emissiveFactor)
        if glows and factor is not None and not any(factor[:3]):
            # A surface that shows its colour by glowing alone: what is seen of it is kept.
            factor, use, glows = [*material.emissiveFactor, factor[3]], material.emissiveTexture, False
            dropped.append("the glow, of which the colour is kept")
        if glows:
            dropped.append("the glow")
        if material.normalTexture is not None:
            dropped.append("the normal map")
        if base.metallicRoughnessTexture is not None:
            dropped.append("the map of metal and roughness")
        opacity = factor[3] if factor else 1.0
        if use is None:
            if material.alphaMode == "BLEND" and opacity < 1:
                dropped.append("the transparency")
            return Look(factor=factor, dropped=tuple(dropped))
        has_alpha = material.alphaMode != "OPAQUE"
        texture = self._texture(use, has_alpha)
        if texture.shape[2] == 4 and (texture[..., 3] == 255).all() and opacity == 1:
            texture = np.ascontiguousarray(texture[..., :3])
        texture = _times(texture, factor or WHITE)
        cutoff = material.alphaCutoff if material.alphaMode == "MASK" else None
        return Look(texture, cutoff if texture.shape[2] == 4 else None, use, dropped=tuple(dropped))

    def _texture(self, use: TextureUse, has_alpha: bool) -> Pixels:
        document = self.glb.document
        if use.index >= len(document.textures):
            damaged(f"a material names texture {use.index} of {len(document.textures)}")
        texture = document.textures[use.index]
        source = _source(texture.extensions)
        source = texture.source if source is None else source
        if source is None or source >= len(document.images):
            damaged(f"texture {use.index} has no picture that can be read")
        image = document.images[source]
        called = f"Picture {source} of the scene"
        if image.bufferView is not None:
            data = bytes(self.glb.view(image.bufferView)[1])
        else:
            data = data_uri(image.uri or "", called)
        try:
            header = open_header(data, called, BLAME)
            self._pixels += header.size[0] * header.size[1]
            if self._pixels > MOST_PIXELS:
                hint = "Export it with smaller textures."
                refuse(f"The scene's pictures have more than {MOST_PIXELS // 10**6} megapixels in all", hint)
            if max(header.size) > LONGEST_SIDE:
                refuse(f"{called} is {header.size[0]} × {header.size[1]} pixels; {LONGEST_SIDE} a side are the limit")
            return _pixels_of(header.decode(), has_alpha)
        except Problem as problem:
            raise Problem("scene-unreadable", problem.detail, problem.hint) from problem
        except Exception as error:
            # A picture can decode and still carry tables that Pillow stumbles over in many ways.
            raise unreadable(data, called, BLAME) from error


def uv_of(glb: Glb, primitive: Primitive, look: Look, vertices: int) -> Floats | None:
    """(V, 2) where each vertex lies in the look's texture; None without one."""
    if look.texture is None or look.use is None:
        return None
    transform = look.use.extensions.get("KHR_texture_transform") if isinstance(look.use.extensions, dict) else None
    if not isinstance(transform, dict):
        transform = {}
    number = transform.get("texCoord", look.use.texCoord)
    index = primitive.attributes.get(f"TEXCOORD_{number}")
    if index is None:
        return None
    uv = floats(glb, index)
    if uv.shape != (vertices, 2):
        damaged(f"{len(uv)} places in the picture belong to {vertices} vertices")
    try:
        offset = np.array(transform.get("offset", (0, 0)), dtype=np.float64).reshape(2)
        scale = np.array(transform.get("scale", (1, 1)), dtype=np.float64).reshape(2)
        angle = float(transform.get("rotation", 0))
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    except (ValueError, TypeError, OverflowError) as error:
        damaged(f"the transform of a texture makes no sense ({error})")
    with np.errstate(over="ignore", invalid="ignore"):
        moved: Floats = uv * scale @ turn.T + offset
    if not np.isfinite(moved).all() or np.abs(moved).max() > 1e6:
        damaged("the places in a picture are beyond all bounds")
    return moved


def colours_of(glb: Glb, primitive: Primitive, look: Look, vertices: int) -> tuple[Pixels | None, bool]:
    """(V, 3) sRGB of a surface without a texture, None if nothing gives it a colour; and whether its vertices have
    colours of their own."""
    colours = np.ones((vertices, 3))
    index = primitive.attributes.get("COLOR_0")
    own = False
    if index is not None:
        given = floats(glb, index)
        if given.shape[0] != vertices or given.shape[1] not in (3, 4):
            damaged(f"{len(given)} colours belong to {vertices} vertices")
        colours = np.clip(given[:, :3], 0, 1)
        own = bool((colours < 1).any())
    if index is None and look.factor is None:
        return None, False
    return _srgb(colours * (look.factor or WHITE)[:3]), own


def _diffuse(extension: Any) -> tuple[list[float] | None, TextureUse | None]:
    """The base colour of the older kind of material."""
    if not isinstance(extension, dict):
        return None, None
    given = {"baseColorFactor": extension.get("diffuseFactor"), "baseColorTexture": extension.get("diffuseTexture")}
    try:
        base = BaseColour.model_validate(given)
    except ValidationError:
        damaged(f"a material's {SPECULAR} makes no sense")
    return base.baseColorFactor, base.baseColorTexture


def _source(extensions: Any) -> int | None:
    """The picture that EXT_texture_webp names."""
    webp = extensions.get("EXT_texture_webp") if isinstance(extensions, dict) else None
    source = webp.get("source") if isinstance(webp, dict) else None
    return source if isinstance(source, int) and not isinstance(source, bool) and source >= 0 else None


def _pixels_of(image: Image.Image, has_alpha: bool) -> Pixels:
    """HxWx3, or HxWx4 where alpha means something and is there, made smaller to what is worth keeping."""
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    shrink = -(-max(image.size) // FINEST_SIDE)
    if shrink > 1:
        image = image.reduce(shrink)
    kept = has_alpha and image.has_transparency_data
    return np.asarray(image.convert("RGBA" if kept else "RGB"))


def _times(texture: Pixels, factor: Sequence[float]) -> Pixels:
    """A picture times linear factors, by a table for each channel."""
    if tuple(factor) == WHITE or (texture.shape[2] == 3 and tuple(factor[:3]) == WHITE[:3]):
        return texture
    every = np.arange(256)
    made = np.empty_like(texture)
    for channel in range(texture.shape[2]):
        share = factor[channel]
        table = np.round(every * share).astype(np.uint8) if channel == 3 else _srgb(linear(every) * share)
        np.take(table, texture[..., channel], out=made[..., channel])
    return made


def _srgb(values: Floats) -> Pixels:
    """8-bit sRGB (IEC 61966-2-1) of linear values from 0 to 1."""
    encoded = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)
