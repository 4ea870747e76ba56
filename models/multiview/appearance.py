"""Colours of a surface from the views that see it, and something fitting where none does."""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from models.multiview.silhouettes import look_up
from models.multiview.views import Views
from models.rendering.rasteriser import rasterise

BEHIND = 0.006
"""How far behind what a view sees a point may be and still count as seen, by the size of the surface."""

FACING = 4.0
"""Power of the cosine between a surface and the direction to a view: the view that looks straight at it decides."""

FLATTEST = 0.15
BORDER = 0.98
"""Alpha around a pixel below which the background may have got into its colour."""

ROBUST = 0.1
NEIGHBOURS = 8


def normals_of(vertices: Tensor, faces: Tensor) -> Tensor:
    """`[V, 3]` unit normals at vertices, means of the triangles' by their areas."""
    corners = vertices[faces]
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], across)
    return functional.normalize(total, dim=1, eps=1e-20)


def seen_weights(vertices: Tensor, faces: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """How well each view sees each vertex, `[V, N]`, 0 where it does not, and where, pixels `[V, N, 2]`.

    Args:
        vertices: `[N, 3]`. faces: `[F, 3]` int64, turned outwards.
    """
    cameras = views.cameras
    normals = normals_of(vertices, faces)
    pixels, distance = cameras.project(vertices)
    slack = BEHIND * float((vertices.amax(0) - vertices.amin(0)).max())
    solid = -functional.max_pool2d(-views.alpha[:, None], 3, 1, 1)
    certain = look_up(solid.movedim(1, 3), pixels)[..., 0]
    weights = []
    for index in range(len(views)):
        camera = cameras.camera(index)
        hits = rasterise(camera.clip(vertices), faces, cameras.width, cameras.height)
        depth = camera.distance(hits.interpolate(vertices, faces))
        nearest = hits.picture(depth[:, None], 1e6)[None]
        # Of a pixel beside an edge the farther of its neighbours may be the one that is meant.
        farthest = functional.max_pool2d(torch.where(nearest < 1e5, nearest, 0.0).movedim(3, 1), 3, 1, 1).movedim(1, 3)
        front = look_up(farthest, pixels[index : index + 1])[0, :, 0]
        cosine = (normals * camera.towards(vertices)).sum(1)
        visible = (distance[index] <= front + slack) & (cosine > FLATTEST) & (certain[index] > BORDER)
        weights.append(visible * cosine.clamp(min=0) ** FACING)
    return torch.stack(weights), pixels


def vertex_colours(vertices: Tensor, faces: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Colours `[N, 3]` 0 … 1 of vertices, and which of them `[N]` a view sees.

    Colours are means over the views, by how straight they look at the surface; then again, with less weight to views
    that say something else than the mean, which are those that are wrong or see a highlight. What no view sees gets
    the colours of what is near.
    """
    weights, pixels = seen_weights(vertices, faces, views)
    found = look_up(views.pictures, pixels)
    best = weights.sum(0)
    mean = _mean(found, weights)
    agreement = 1 / (1 + ((found - mean).norm(dim=2) / ROBUST).square())
    colours = _mean(found, weights * agreement)
    seen = best > 1e-4
    return _filled(vertices, colours, seen).clamp(0, 1), seen


def _mean(found: Tensor, weights: Tensor) -> Tensor:
    return (found * weights[..., None]).sum(0) / weights.sum(0)[:, None].clamp(min=1e-8)


def _filled(vertices: Tensor, colours: Tensor, seen: Tensor) -> Tensor:
    """Unseen vertices get the mean of the nearest seen ones, by distance."""
    if bool(seen.all()) or not bool(seen.any()):
        return colours
    tree = cKDTree(vertices[seen].cpu().numpy())
    count = min(NEIGHBOURS, int(seen.sum()))
    apart, which = tree.query(vertices[~seen].cpu().numpy(), k=count)
    weight = torch.from_numpy(1 / (apart.reshape(-1, count) + 1e-4)).to(colours)
    weight = weight / weight.sum(1, keepdim=True)
    near = colours[seen][torch.from_numpy(which.reshape(-1, count)).to(colours.device)]
    filled = colours.clone()
    filled[~seen] = (near * weight[..., None]).sum(1)
    return filled
