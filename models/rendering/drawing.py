"""Pictures of a mesh with gradients to its vertices and to whatever colours it: what an optimisation looks at.

`preview` draws for looking; this draws the same cameras for learning, one sample a pixel. Inside a surface gradients
come through the barycentric weights (Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates",
1997), at its silhouettes through where these run (`silhouettes.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from models.rendering import compiled
from models.rendering.cameras import Camera
from models.rendering.colours import Texture
from models.rendering.rasteriser import Hits, rasterise
from models.rendering.silhouettes import Edges, Silhouettes, silhouettes

Colours = Tensor | Texture | Callable[[Tensor], Tensor]
"""`[V, C]` values at the vertices, a texture, or a field: places `[N, 3]` on the surface -> `[N, C]`."""

OUTSIDE = 0.1
"""Weights may be so much less than 0, as corners were rounded when it was found what covers a pixel. Beyond it a
triangle is so thin that its weights' gradients would say more of the rounding than of the triangle: they are left as
they were found."""


@dataclass(frozen=True)
class Drawing:
    """What a camera sees. Everything but `hits` has gradients.

    Attributes:
        colour: `[H, W, C]`, the mesh's colours on the background, silhouettes followed.
        alpha: `[H, W]`, the share of each pixel that the mesh covers, 0 to 1.
        normals: `[H, W, 3]`, of the surface smoothed over its vertices, in the world, as its triangles are turned;
            times the share that is covered, zeros where nothing is.
        depth: `[H, W]`, planar distance from the camera at the middle of each pixel, 0 where nothing is seen;
            silhouettes are not followed, as nothing lies between near and far.
        hits: what each pixel's middle sees; `hits.picture` makes pictures of values at `places`.
        places: `[N, 3]` on the surface in the world, one for each hit.
        silhouettes: to blend further pictures alike.
    """

    colour: Tensor
    alpha: Tensor
    normals: Tensor
    depth: Tensor
    hits: Hits
    places: Tensor
    silhouettes: Silhouettes | compiled.Antialiasing


def draw(
    vertices: Tensor,
    faces: Tensor,
    camera: Camera,
    colours: Colours | None = None,
    *,
    width: int = 512,
    height: int | None = None,
    background: float | Tensor = 1.0,
    edges: Edges | None = None,
    shade: Callable[[Tensor, Tensor], Tensor] | None = None,
    use_compiled: bool | None = None,
) -> Drawing:
    """Draw a mesh, unlit, so that losses of the pictures have gradients.

    Args:
        vertices: `[V, 3]` in the world; their device draws. faces: `[F, 3]`, turned either way.
        camera: where the picture is taken from; its aspect should be width / height.
        colours: of the mesh; None for its normals as colours, 0 to 1.
        width, height: pixels; None for a square.
        background: a value, or `[C]` or `[H, W, C]`, behind the mesh.
        edges: of `faces`: found once where many pictures are drawn of the same triangles.
        shade: colours `[N, C]` and normals `[N, 3]` where something is seen -> what is shown there; None: the colours.
        use_compiled: whether nvdiffrast draws; None where it is there and the mesh is on an NVIDIA card.

    Raises:
        ValueError: the mesh is broken.
    """
    height = width if height is None else height
    clip = camera.clip(vertices)
    outline: Silhouettes | compiled.Antialiasing
    if compiled.is_there(clip.device) if use_compiled is None else use_compiled:
        hits, outline = compiled.rasterised(clip, faces, width, height)
    else:
        hits = followed(rasterise(clip.detach(), faces, width, height), clip, faces)
        outline = silhouettes(clip, faces, hits, edges)
    places = hits.interpolate(vertices, faces)
    normals = functional.normalize(hits.interpolate(vertex_normals(vertices, faces), faces), dim=1)
    if colours is None:
        values = (normals + 1) / 2
    elif isinstance(colours, Tensor):
        values = hits.interpolate(colours, faces)
    else:
        values = colours.at(hits) if isinstance(colours, Texture) else colours(places)
    if shade is not None:
        values = shade(values, normals)
    channels = values.shape[1]
    behind = torch.as_tensor(background, dtype=values.dtype, device=values.device).expand(height, width, channels)
    # One picture for all, so that what silhouettes need is gathered once: 1, the colours, the normals.
    seen = torch.cat([torch.ones_like(values[:, :1]), values, normals.to(values)], dim=1)
    nothing = behind.new_zeros(height, width, 3)
    empty = torch.cat([nothing[..., :1], behind, nothing], dim=2).reshape(height * width, -1)
    flat = empty.index_copy(0, hits.pixel, seen)
    picture = outline.blended(flat.reshape(height, width, -1))
    return Drawing(
        colour=picture[..., 1 : channels + 1],
        alpha=picture[..., 0],
        normals=picture[..., channels + 1 :],
        depth=hits.picture(camera.distance(places)[:, None])[..., 0],
        hits=hits,
        places=places,
        silhouettes=outline,
    )


def followed(hits: Hits, clip: Tensor, faces: Tensor) -> Hits:
    """The same hits with weights that have gradients to the clip coordinates `[V, 4]` of the vertices.

    A pixel's middle at (u, v) in the picture is a weighted mean of the corners' (x - u w, y - v w) that vanishes: each
    weight is the area that the other two span.
    """
    u = (2 * (hits.pixel % hits.width) + 1).to(clip) / hits.width - 1
    v = 1 - (2 * (hits.pixel // hits.width) + 1).to(clip) / hits.height
    corner = faces.long().index_select(0, hits.face)
    across, down = [], []
    for each in range(3):
        x, y, _, w = clip.index_select(0, corner[:, each]).unbind(1)
        across.append(x - u * w)
        down.append(y - v * w)
    areas = torch.stack(
        [across[a] * down[b] - down[a] * across[b] for a, b in ((1, 2), (2, 0), (0, 1))],
        dim=1,
    )
    total = areas.sum(1, keepdim=True)
    weights = areas / torch.where(total == 0, 1, total)
    trusted = (total[:, 0] != 0) & (weights > -OUTSIDE).all(1)
    return replace(hits, barycentric=torch.where(trusted[:, None], weights, hits.barycentric.to(weights)))


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """`[V, 3]` unit normals: means of the triangles around, by their areas. Zeros where there are none."""
    one, two, three = (vertices.index_select(0, faces[:, corner].long()) for corner in range(3))
    across = torch.linalg.cross(two - one, three - one)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(0, faces[:, corner].long(), across)
    return functional.normalize(total, dim=1, eps=1e-30)
