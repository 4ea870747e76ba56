"""`python -m bench.view_texture`: how well a texture taken from views shows them, beside a colour for each vertex.

Solids of the furnished scene with random colours in space by the network that colours InstantMesh's large model, each
as sixteen views of Hi3D's orbit, with the true mesh. Told are decibels over what both show: of the sixteen views drawn
again, and of eight that were not there, 15 degrees above and below. `disturbed`: exposures differ by up to 10 %, and
one view shows another side. Needs no weights.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.shapes import SCENE
from bench.texture import psnr, solid, triplane_colours
from models.multiview.texture import Blend, texture, vertex_colours
from models.multiview.views import Cameras, Views, orbit
from models.rendering import ColourField, Texture, draw, preview

SHAPES = ("chair", "two parts", "lamp, thin pole")
COUNT, UNSEEN = 16, 8
ELEVATION, AWAY = 10.0, 15.0
EXPOSURE = 0.1
WHOLE = 0.99
"""Alpha from which on a pixel shows the object alone."""

HEAD = ("mesh", "faces", "views", "carrier", "seconds", "views again", "unseen views")


@dataclass(frozen=True)
class Figures:
    """seconds: to find the colours. again, unseen: decibels."""

    mesh: str
    faces: int
    disturbed: bool
    carrier: str
    seconds: float
    again: float
    unseen: float


def taken(vertices: Tensor, faces: Tensor, field: ColourField, cameras: Cameras) -> Views:
    """Pictures of the field on the mesh, straight colours."""
    side, pictures, alpha = cameras.width, [], []
    for index in range(len(cameras)):
        view = preview(vertices, faces, cameras.camera(index), field, width=side, samples=2, background=0.0)
        pictures.append((view.colour / view.mask.clamp(min=1e-6)[..., None]).clamp(0, 1))
        alpha.append(view.mask.clamp(0, 1))
    return Views(torch.stack(pictures), torch.stack(alpha), cameras)


def disturbed(views: Views, seed: int = 0) -> Views:
    """Exposures differ, and the third view is the one across, mirrored."""
    generator = torch.Generator().manual_seed(seed)
    factors = 1 + EXPOSURE * (2 * torch.rand(len(views), 1, 1, 1, generator=generator) - 1)
    pictures = (views.pictures * factors).clamp(0, 1)
    pictures[2] = views.pictures[(2 + len(views) // 2) % len(views)].flip(1)
    return Views(pictures, views.alpha, views.cameras)


def likeness(vertices: Tensor, faces: Tensor, colour: Tensor | Texture, views: Views) -> float:
    """Decibels over all pixels that both show whole."""
    errors = []
    for index in range(len(views)):
        seen = draw(vertices, faces, views.cameras.camera(index), colour, width=views.cameras.width)
        where = (seen.alpha > WHOLE) & (views.alpha[index] > WHOLE)
        errors.append((seen.colour - views.pictures[index])[where])
    error = torch.cat(errors)
    return psnr(error, torch.zeros_like(error))


def unseen_cameras(side: int) -> Cameras:
    """Between the views, above and below them in turns."""
    rings = [orbit(2 * UNSEEN, ELEVATION + away, size=side) for away in (AWAY, -AWAY)]
    chosen = [rings[index % 2].chosen([2 * index + 1]) for index in range(UNSEEN)]
    return Cameras(
        torch.cat([each.poses for each in chosen]), torch.cat([each.intrinsics for each in chosen]), side, side
    )


def measure(name: str, count: int, side: int, size: int, cells: int) -> list[Figures]:
    """All rows of one mesh."""
    vertices, faces = solid(name, count)
    vertices = vertices / (vertices.amax(0) - vertices.amin(0)).max()
    wide = triplane_colours(cells)

    def field(points: Tensor) -> Tensor:
        return wide(2 * points)

    views = taken(vertices, faces, field, orbit(COUNT, ELEVATION, size=side))
    unseen = taken(vertices, faces, field, unseen_cameras(side))
    found = []
    for spoiled in (False, True):
        given = disturbed(views) if spoiled else views
        for carrier in ("vertices", "texture"):
            begun, colour = time.perf_counter(), found_colours(carrier, vertices, faces, given, size)
            seconds = time.perf_counter() - begun
            again, other = (likeness(vertices, faces, colour, each) for each in (views, unseen))
            found.append(Figures(name, len(faces), spoiled, carrier, seconds, again, other))
    return found


def found_colours(carrier: str, vertices: Tensor, faces: Tensor, views: Views, size: int) -> Tensor | Texture:
    """A colour for each vertex, or a texture."""
    if carrier == "texture":
        return texture(vertices, faces, views, size=size).as_texture()
    return vertex_colours(Blend.of(views, vertices, faces), vertices, faces)


def line(found: Figures) -> str:
    """A line of the table."""
    views = "disturbed" if found.disturbed else "true"
    cells = [found.mesh, f"{found.faces:,}", views, found.carrier, f"{found.seconds:.1f} s"]
    return f"| {' | '.join([*cells, f'{found.again:.1f} dB', f'{found.unseen:.1f} dB'])} |"


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.view_texture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="pixels along a side of the views")
    parser.add_argument("--size", type=int, default=2048, help="side of the texture, texels")
    parser.add_argument("--faces", type=int, default=40_000, help="triangles of each mesh")
    parser.add_argument("--cells", type=int, default=64, help="detail of the colours: cells across, at most 64")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=tuple(SCENE), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    print(f"Texture of {chosen.size}², {COUNT} views of {chosen.side}², {torch.get_num_threads()} threads")
    print("\n".join([f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]), flush=True)
    figures = []
    for name in chosen.shapes:
        for found in measure(name, chosen.faces, chosen.side, chosen.size, chosen.cells):
            print(line(found), flush=True)
            figures.append(asdict(found))
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        part = chosen.json.with_suffix(".part")
        part.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        part.replace(chosen.json)


if __name__ == "__main__":
    main()
