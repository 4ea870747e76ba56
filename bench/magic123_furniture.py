"""Furniture with its own colours, as an object that `magic123_oracle` knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import trimesh
from scipy.spatial import cKDTree
from torch import Tensor

from bench.magic123_oracle import Truth
from models.optimisation.chance import generator
from training.objects.listing import read_list

OBJECTS = (
    "BlendSwap-CC-BY-tvStand",
    "BlendSwap-CC-0-oakTable",
    "Scopia-leather_sofa",
    "BlendSwap-CC-0-antiqueChair",
)
"""Of `python -m training.objects debian`: a box, a disk on a foot, cushions, and thin legs."""

LONGEST = 0.08
"""Sides of triangles, at most, by the longest side of the piece, so that a colour for each corner is enough."""

POINTS = 300_000
"""Places of an object whose colours are known."""


@dataclass(frozen=True)
class Nearest:
    """Colours `[N, 3]` of points `[N, 3]`: those of the nearest place that is known."""

    tree: cKDTree
    colours: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        _, number = self.tree.query(points.detach().cpu().numpy())
        return self.colours[torch.from_numpy(np.asarray(number))].to(points)


def furniture(models: Path, name: str) -> Truth:
    """One of a folder of `python -m training.objects debian`.

    Raises:
        SystemExit: it is not there.
    """
    found = {entry.name: entry for entry in read_list(models)}.get(name)
    if found is None:
        raise SystemExit(f"There is no {name} in {models}. Run: python -m training.objects debian {models}")
    scene: Any = trimesh.load(models / found.file, process=False, force="scene")
    places, colours = zip(*(_coloured(each) for each in scene.dump()), strict=True)
    turn = np.eye(3) if found.rotation is None else np.array(found.rotation)
    # A file has y up and looks along +z; the world has z up, and its front at -y.
    vertices = np.concatenate(places)[:, [0, 2, 1]] * [1, -1, 1] @ turn.T
    plain = Truth.of(torch.from_numpy(vertices).float(), torch.arange(len(vertices)).reshape(-1, 3))
    return Truth(plain.vertices, plain.faces, _nearest(plain, torch.from_numpy(np.concatenate(colours)).float()))


def _nearest(plain: Truth, colours: Tensor) -> Nearest:
    """The colours `[V, 3]` of corners, spread over the triangles between them."""
    corner = plain.vertices[plain.faces]
    area = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]).norm(dim=1)
    chance = generator(0, "places")
    chosen = torch.multinomial(area.double() / area.sum(), POINTS, replacement=True, generator=chance)
    weights = torch.rand(POINTS, 3, generator=chance).log().neg()
    weights = (weights / weights.sum(1, keepdim=True))[..., None]
    faces = plain.faces[chosen]
    places, found = ((weights * values[faces]).sum(1) for values in (plain.vertices, colours))
    return Nearest(cKDTree(places.numpy()), found)


def _coloured(mesh: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Corners `[3 T, 3]` of small triangles, and their colours 0 to 1."""
    faces = np.asarray(mesh.faces)
    uv = getattr(mesh.visual, "uv", None)
    flat = np.zeros((len(mesh.vertices), 2)) if uv is None else np.asarray(uv)
    corners = np.concatenate([np.asarray(mesh.vertices), flat], axis=1)[faces]
    size = np.ptp(corners[..., :3].reshape(-1, 3), axis=0).max()
    for _ in range(6):
        sides = np.linalg.norm(np.roll(corners, -1, axis=1)[..., :3] - corners[..., :3], axis=2).max(1)
        large = sides > LONGEST * size
        if not large.any() or len(corners) > 200_000:
            break
        cut = corners[large]
        between = (cut + np.roll(cut, -1, axis=1)) / 2
        quarters = [np.stack([cut[:, k], between[:, k], between[:, k - 1]], axis=1) for k in range(3)]
        corners = np.concatenate([corners[~large], *quarters, between])
    flat = corners.reshape(-1, 5)
    material = getattr(mesh.visual, "material", None)
    image = getattr(material, "image", None)
    if image is not None and uv is not None:
        pixels = np.asarray(image.convert("RGB"), np.float64) / 255
        height, width = pixels.shape[:2]
        column = np.floor(flat[:, 3] % 1 * width).astype(int).clip(0, width - 1)
        row = np.floor((1 - flat[:, 4] % 1) * height).astype(int).clip(0, height - 1)
        return flat[:, :3], pixels[row, column]
    colour = np.asarray(getattr(material, "main_color", (128, 128, 128)), np.float64)[:3] / 255
    return flat[:, :3], np.tile(colour, (len(flat), 1))
