"""Pictures of a mesh: colours, mask, depth and normals from a camera."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.rendering.cameras import Camera
from models.rendering.colours import CHUNK, ColourField, Texture, ask
from models.rendering.rasteriser import Hits, rasterise

CLAY, LIT = 0.3, 0.5
"""Brightness of a mesh without colours where it is seen from the side, and how much it gains towards the camera."""


@dataclass(frozen=True)
class View:
    """What a camera sees.

    Attributes:
        colour: `[height, width, 3]` float32, 0 to 1, sRGB, on the background.
        mask: `[height, width]` float32, the share of each pixel that the mesh covers.
        depth: `[height, width]` float32, planar distance from the camera, the nearest in the pixel; infinite where
            nothing is seen.
        normals: `[height, width, 3]` float32, unit vectors in the world, turned to the camera; zeros where nothing is.
    """

    colour: Tensor
    mask: Tensor
    depth: Tensor
    normals: Tensor


def preview(
    vertices: Tensor,
    faces: Tensor,
    camera: Camera,
    colour: ColourField | Texture | None = None,
    *,
    width: int = 512,
    height: int | None = None,
    samples: int = 1,
    background: float = 1.0,
    chunk: int = CHUNK,
) -> View:
    """Draw a mesh, unlit.

    Args:
        vertices: `[V, 3]` in the world; their device draws. faces: `[F, 3]`, turned either way.
        camera: where the picture is taken from; its aspect should be width / height.
        colour: a field that is asked where the camera's rays hit, or a texture; None for grey clay lit by the camera.
        width, height: pixels; None for a square.
        samples: along each side of a pixel; 2 or more smooth the edges and what is finer than a pixel.
        background: grey value behind the mesh, 0 to 1.
        chunk: points that a field is asked at once.

    Raises:
        ValueError: a number is out of range, or the mesh is broken.
        FieldError: the field did not return finite colours.
    """
    if samples < 1:
        raise ValueError(f"A pixel has one sample or more, not {samples}.")
    height = width if height is None else height
    vertices = vertices.float()
    hits = rasterise(camera.clip(vertices), faces, width * samples, height * samples)
    places = hits.interpolate(vertices, faces)
    normals = _normals(vertices, faces, hits, camera.towards(places))
    if isinstance(colour, Texture):
        colours = colour.at(hits)
    elif colour is None:
        facing = (normals * camera.towards(places)).sum(1, keepdim=True)
        colours = (CLAY + LIT * facing).expand(-1, 3)
    else:
        colours = ask(colour, places, chunk)
    weight = hits.picture(torch.ones_like(colours[:, :1]))
    mask = _mean(weight, samples)
    drawn = _mean(hits.picture(colours), samples) + background * (1 - mask)
    depth = hits.picture(-camera.distance(places)[:, None], -torch.inf)
    return View(
        colour=drawn,
        mask=mask[..., 0],
        depth=-functional.max_pool2d(depth.movedim(2, 0), samples)[0],
        normals=functional.normalize(_mean(hits.picture(normals), samples), dim=2),
    )


def _mean(picture: Tensor, samples: int) -> Tensor:
    """Means of the samples of each pixel, `[H * samples, W * samples, C]` -> `[H, W, C]`."""
    return functional.avg_pool2d(picture.movedim(2, 0), samples).movedim(0, 2)


def _normals(vertices: Tensor, faces: Tensor, hits: Hits, towards: Tensor) -> Tensor:
    """`[N, 3]` normals of the triangles that are hit, on the side of the camera."""
    corners = vertices[faces[hits.face].long()]
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across = functional.normalize(across, dim=1, eps=1e-30)
    return torch.where((across * towards).sum(1, keepdim=True) < 0, -across, across)
