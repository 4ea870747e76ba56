"""`python -m bench.texture`: seconds of unwrapping and baking, and how well the texture shows what was baked.

Needs no weights: the colours are those of the network that colours InstantMesh's large model, with random numbers in
it. Every mesh has been through the same clean-up as a prop. Pictures land in build/texture.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from backend.geometry.cleanup import clean
from bench.shapes import SCENE
from models.isosurface import Bounds, surface
from models.lrm.cameras import FIELD_OF_VIEW, SLOT_AZIMUTHS, SLOT_ELEVATIONS, spherical_poses
from models.lrm.decoders import MeshDecoder
from models.lrm.fields import MeshField
from models.rendering import Baked, Camera, ColourField, Texture, bake, preview, unwrap
from models.rendering.baking import chart_borders
from models.rendering.colours import sampled

FOLDER = Path(__file__).parents[1] / "build" / "texture"
SHAPES = ("bumpy torus", "chair", "two parts", "shelf of boards")
EDGE = 2
"""Pixels from the outline that are not compared."""


def triplane_colours(cells: int = 64, seed: int = 0) -> ColourField:
    """Random colours in space by InstantMesh-large's network: 3 planes of 80 channels, 240 -> 64 -> 64 -> 64 -> 3.

    Args:
        cells: independent cells along each side of a plane, at most 64: the finest detail.
    """
    generator = torch.Generator().manual_seed(seed)
    planes = torch.randn(3, 80, cells, cells, generator=generator)
    planes = functional.interpolate(planes, size=(64, 64), mode="bicubic", align_corners=False)
    decoder = MeshDecoder(80).requires_grad_(False)
    for layer in decoder.net_rgb:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5, generator=generator)
            nn.init.zeros_(layer.bias)
    return MeshField(decoder, planes).colour


def bumpy_torus(around: int, along: int) -> tuple[Tensor, Tensor]:
    """A torus with bumps, z up, within ±1: 2 * around * along triangles, vertices `[V, 3]` and faces `[F, 3]`."""
    turn = torch.arange(around, dtype=torch.float64)[:, None] * (2 * torch.pi / around)
    roll = torch.arange(along, dtype=torch.float64)[None] * (2 * torch.pi / along)
    tube = 0.28 + 0.03 * torch.sin(9 * turn) * torch.sin(5 * roll)
    ring = 0.66 + tube * roll.cos()
    vertices = torch.stack([ring * turn.cos(), ring * turn.sin(), (tube * roll.sin()).expand(around, along)], dim=-1)
    one, two = torch.arange(around)[:, None], torch.arange(along)[None]
    corner = one * along + two
    ahead = (one + 1) % around * along + two
    beside, across = one * along + (two + 1) % along, (one + 1) % around * along + (two + 1) % along
    faces = torch.stack([corner, ahead, across, corner, across, beside], dim=-1).reshape(-1, 3)
    return vertices.reshape(-1, 3).float(), faces


def solid(name: str, count: int) -> tuple[Tensor, Tensor]:
    """A solid of the furnished scene as a prop: meshed at 257, cleaned, decimated to so many faces, within ±0.95."""
    triangles = surface(SCENE[name], Bounds.of(-1.0, 1.0), 257)
    cleaned = clean(triangles.vertices, triangles.faces, target_faces=count, smallest_piece=0.01)
    low, high = cleaned.vertices.min(axis=0), cleaned.vertices.max(axis=0)
    vertices = (cleaned.vertices - (low + high) / 2) * (1.9 / (high - low).max())
    return torch.from_numpy(vertices[:, [0, 2, 1]] * (1, -1, 1)).float(), torch.from_numpy(cleaned.faces)


@dataclass(frozen=True)
class Figures:
    """Of one mesh.

    unwrap, bake: seconds, and the processor's in sum over its cores. charts, used: of the layout. psnr: decibels by
    picture, texture against field. seam, inside: differences at half resolution in 8-bit steps, on the borders of
    charts and elsewhere: the mean, what 95 % stay below, and the largest.
    """

    faces: int
    unwrap: float
    bake: float
    processor: float
    charts: int
    used: float
    psnr: list[float]
    seam: tuple[float, float, float]
    inside: tuple[float, float, float]


def psnr(one: Tensor, other: Tensor) -> float:
    """Decibels between pictures of values from 0 to 1."""
    return float(-10 * torch.log10((one - other).square().mean()))


def views(vertices: Tensor, faces: Tensor, colour: ColourField | Texture, size: int) -> tuple[Tensor, Tensor]:
    """From InstantMesh's six cameras: colours `[6, size, size, 3]`, and which are not near edges `[6, size, size]`."""
    poses = spherical_poses(SLOT_AZIMUTHS, SLOT_ELEVATIONS)
    drawn = [preview(vertices, faces, Camera.perspective(pose, FIELD_OF_VIEW), colour, width=size) for pose in poses]
    masks = torch.stack([view.mask for view in drawn])
    away = -functional.max_pool2d(-masks[:, None], 2 * EDGE + 1, stride=1, padding=EDGE)[:, 0]
    return torch.stack([view.colour for view in drawn]), away > 0


def at_seams(vertices: Tensor, baked: Baked, count: int = 3) -> tuple[Tensor, Tensor]:
    """Places on the borders of charts, some on every edge: texture coordinates `[N, 2]` and points `[N, 3]`."""
    start, end = chart_borders(baked.faces)
    share = ((torch.arange(count) + 0.5) / count).repeat(len(start))[:, None]
    start, end = start.repeat_interleave(count), end.repeat_interleave(count)
    places = vertices[baked.vertex]
    return torch.lerp(baked.uv[start], baked.uv[end], share), torch.lerp(places[start], places[end], share)


def inside(vertices: Tensor, baked: Baked, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Places spread evenly over the texture's triangles, as `at_seams`."""
    generator = torch.Generator().manual_seed(seed)
    corner = baked.corner_uv
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    area = (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).abs()
    which = baked.faces[torch.multinomial(area, count, replacement=True, generator=generator)]
    shares = torch.distributions.Dirichlet(torch.ones(3)).sample((count,))[..., None]
    return (shares * baked.uv[which]).sum(1), (shares * vertices[baked.vertex][which]).sum(1)


def difference(image: Tensor, field: ColourField, places: tuple[Tensor, Tensor]) -> tuple[float, float, float]:
    """Mean, 95 % and largest difference between a texture and a field at places, 8-bit steps."""
    uv, points = places
    by = (sampled(image, uv) - field(points).clamp(0, 1)).abs().amax(1) * 255
    return float(by.mean()), float(by.quantile(0.95)), float(by.max())


def measure(
    vertices: Tensor, faces: Tensor, field: ColourField, size: int, pixels: int = 512
) -> tuple[Figures, Baked, Tensor]:
    """All figures of a mesh, its texture, and the pictures: field, texture, texture at half resolution, eight times the
    difference of the first two."""
    begun = time.perf_counter()
    unwrap(vertices, faces, size)
    unwrapped, busy = time.perf_counter(), time.process_time()
    baked = bake(vertices, faces, field, size=size)
    baking, busy = time.perf_counter() - unwrapped, time.process_time() - busy
    known, away = views(vertices, faces, field, pixels)
    shown, _ = views(vertices, faces, baked.as_texture(), pixels)
    half = baked.as_texture().halved()
    halved, _ = views(vertices, faces, half, pixels)
    seams = at_seams(vertices, baked)
    figures = Figures(
        faces=len(faces),
        unwrap=unwrapped - begun,
        bake=baking,
        processor=busy,
        charts=baked.charts,
        used=baked.covered,
        psnr=[psnr(one[where], other[where]) for one, other, where in zip(known, shown, away, strict=True)],
        seam=difference(half.image, field, seams),
        inside=difference(half.image, field, inside(vertices, baked, 50_000)),
    )
    return figures, baked, torch.stack([known, shown, halved, (0.5 + 8 * (shown - known)).clamp(0, 1)])


def save(path: Path, image: Tensor) -> None:
    """An image `[H, W, 3]`, uint8 or 0 to 1, as a PNG."""
    values = image if image.dtype == torch.uint8 else (image.clamp(0, 1) * 255).round().to(torch.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    Image.fromarray(np.ascontiguousarray(values.numpy())).save(part, "PNG")
    part.replace(path)


def row(name: str, figures: Figures) -> str:
    """A line of the table."""
    cells = [
        name,
        f"{figures.faces:,}",
        f"{figures.unwrap:.2f} s",
        f"{figures.bake:.2f} s ({figures.processor:.1f} s)",
        f"{figures.charts}, {figures.used:.0%}",
        f"{min(figures.psnr):.1f} dB",
        *("{:.2f} / {:.1f} / {:.0f}".format(*each) for each in (figures.seam, figures.inside)),
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.texture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=2048, help="side of the texture, texels")
    parser.add_argument("--faces", type=int, default=40_000, help="triangles of each mesh")
    parser.add_argument("--cells", type=int, default=64, help="detail of the colours: cells across, at most 64")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=("bumpy torus", *SCENE), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where pictures and figures are written")
    chosen = parser.parse_args(arguments)
    field = triplane_colours(chosen.cells)
    print(f"Texture of {chosen.size}², {torch.get_num_threads()} threads; colours of a network, {chosen.cells} cells")
    print("Differences in 8-bit steps at half resolution: mean / 95 % / largest", flush=True)
    print("| mesh | faces | unwrap | with bake (processor) | charts, used | PSNR | at seams | elsewhere |")
    print("| --- " * 8 + "|")
    results = {}
    for name in chosen.shapes:
        along = max(8, round((chosen.faces / 4) ** 0.5))
        mesh = bumpy_torus(2 * along, along) if name == "bumpy torus" else solid(name, chosen.faces)
        with torch.inference_mode():
            figures, baked, pictures = measure(*mesh, field, chosen.size)
        print(row(name, figures), flush=True)
        results[name] = asdict(figures)
        stem = name.replace(",", "").replace(" ", "-")
        save(chosen.folder / f"{stem}-texture.png", baked.texture)
        save(chosen.folder / f"{stem}-views.png", torch.cat([torch.cat(list(line), 1) for line in pictures[:, :3]]))
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
    settings = {"size": chosen.size, "cells": chosen.cells, "threads": torch.get_num_threads()}
    document = {"machine": machine, "date": datetime.now(UTC).date().isoformat(), **settings, "meshes": results}
    part = chosen.folder / "figures.part"
    part.write_text(json.dumps(document, indent=1), encoding="utf-8")
    part.replace(chosen.folder / "figures.json")


if __name__ == "__main__":
    main()
