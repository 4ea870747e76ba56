"""A known object in place of what diffusion priors know of pictures, so that an optimisation can be held to the truth.

A prior whose noise prediction is right for the object: with x_t = a z + b n of a picture's latent z, it predicts
(x_t - a z*) / b with z* the latent of the object itself, seen from the same side. The latents are means of blocks of
pixels. What an optimisation gets from it is what score distillation gives, and where it should end is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import trimesh
from torch import Tensor
from torch.nn import functional

from models.guidance.prior import RelativeViews
from models.magic123.cameras import Orbit
from models.magic123.reference import Reference
from models.optimisation.chance import Step
from models.rendering.rasteriser import rasterise
from training.measures import intersection_over_union
from training.objects.listing import read_list
from training.solids import solid

OBJECTS = (
    "BlendSwap-CC-0-antiqueChair",
    "BlendSwap-CC-0-modernArmchair",
    "BlendSwap-CC-0-oakTable",
    "BlendSwap-CC-BY-tvStand",
)
"""Furniture of `python -m training.objects debian`."""

REACH = 0.6
"""From the middle of the object to its farthest corner: what a picture from 1.8 away with 40 degrees holds."""

LONGEST = 0.08
"""Sides of triangles, at most, so that a colour for each corner is as good as a texture."""

SAMPLES = 2
"""Along each side of a pixel."""

SIDE = 96
"""Cells along each side of the cube in which solids are compared."""


@dataclass(frozen=True)
class Truth:
    """An object. vertices: `[V, 3]` in the world of `cameras`. faces: `[F, 3]`. colours: `[V, 3]`."""

    vertices: Tensor
    faces: Tensor
    colours: Tensor

    def picture(self, orbit: Orbit, size: int, background: Tensor) -> tuple[Tensor, Tensor]:
        """What the first camera of an orbit sees, `[size, size, 3]` on a background `[3]`, and alpha `[size, size]`."""
        wide = size * SAMPLES
        hits = rasterise(orbit.camera().clip(self.vertices), self.faces, wide, wide)
        seen = hits.interpolate(torch.cat([self.colours, torch.ones_like(self.colours[:, :1])], dim=1), self.faces)
        layers = hits.picture(seen)
        colour = layers[..., :3] + (1 - layers[..., 3:]) * background
        together = torch.cat([colour, layers[..., 3:]], dim=2).movedim(2, 0)[None]
        pooled = functional.avg_pool2d(together, SAMPLES)[0].movedim(0, 2)
        return pooled[..., :3], pooled[..., 3]

    def reference(self, size: int, polar: float = 80.0, azimuth: float = 0.0) -> Reference:
        """The known view."""
        picture, alpha = self.picture(Orbit.of(polar, azimuth), size, torch.ones(3))
        return Reference(picture.clamp(0, 1), alpha.clamp(0, 1), polar=polar, azimuth=azimuth)

    def solid(self) -> npt.NDArray[np.bool_]:
        """Its cells, see `training.solids`."""
        return solid(self.vertices[self.faces].numpy(), SIDE)


def truth(models: Path, name: str) -> Truth:
    """One of `python -m training.objects debian`, in the middle of the world and `REACH` large.

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
    vertices -= (vertices.min(0) + vertices.max(0)) / 2
    vertices *= REACH / np.linalg.norm(vertices, axis=1).max()
    faces = torch.arange(len(vertices)).reshape(-1, 3)
    return Truth(torch.from_numpy(vertices).float(), faces, torch.from_numpy(np.concatenate(colours)).float())


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


class Oracle:
    """A prior that knows the object.

    Args:
        known: the object.
        reference: where views are told from.
        weight: of its gradient.
        pooled: pixels along each side of a block that is one number of the latent.
    """

    def __init__(self, known: Truth, reference: Reference, weight: float = 1.0, pooled: int = 1) -> None:
        self.known, self.reference, self.weight, self.pooled = known, reference, weight, pooled
        betas = torch.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000) ** 2
        self.signal = (1 - betas).cumprod(0)

    def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
        """See `Prior`. What is behind the object is told by the upper left pixel."""
        where = self.reference.orbit
        found = []
        for number, picture in enumerate(pictures):
            orbit = Orbit(
                where.polar + views.polar[number],
                where.azimuth + views.azimuth[number],
                where.radius + views.radius[number],
                where.field_of_view,
            )
            right, _ = self.known.picture(orbit, picture.shape[-1], picture[:, 0, 0])
            found.append(functional.avg_pool2d((picture - right.movedim(2, 0))[None], self.pooled)[0])
        # (predicted noise - noise) (1 - signal), of latents of 2 x - 1
        chosen = self.signal[int(torch.randint(20, 501, (), generator=step.generator("oracle")))]
        amount = self.weight * 2 * chosen.sqrt() * (1 - chosen).sqrt()
        latent = amount * 2 * torch.stack(found)
        spread = functional.interpolate(latent, pictures.shape[-2:], mode="nearest") / self.pooled**2
        return spread / spread[0].numel()


def overlap(vertices: Tensor, faces: Tensor, known: Truth) -> float:
    """Intersection over union of what a mesh and the object enclose, seen from the sides and above."""
    mine = torch.from_numpy(solid(vertices[faces].numpy(), SIDE))
    return intersection_over_union(mine, torch.from_numpy(known.solid()))


def noise(picture: Tensor, wanted: Tensor) -> float:
    """PSNR in dB of pictures 0 to 1."""
    return -10 * math.log10(max(float((picture - wanted).square().mean()), 1e-10))
