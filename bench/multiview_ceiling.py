"""`python -m bench.multiview_ceiling MODELS VIEWS`: what a surface could reach that knew the depth of every pixel.

The F-scores are those of `bench.multiview`. *Depth* is the visual hull without all that lies between a camera of the
orbit and the true surface: exact where the orbit sees something, the hull where it sees nothing. *Top, bottom* is the
visual hull without what lies between the true surface and orthographic cameras straight above and straight below.
Beside them stands the share of the true surface that can be seen from outside and that no view of the orbit sees.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from bench.multiview_data import HELD_OUT, TRIED, Task, task, tasks
from bench.multiview_measures import NEAR, Sampled, f_scores
from models.lrm.cameras import spherical_poses
from models.multiview.silhouettes import Lattice, hull_field, look_up, object_box, outline_distances
from models.multiview.surface import closed_triangles
from models.rendering.cameras import Camera
from models.rendering.rasteriser import rasterise

CELLS, SMALLEST = 144, 0.002
FAR = 100.0
POINTS = 20_000
"""Of a surface; fewer than `bench.multiview` takes, which makes figures at 1 % lower by about 0.02."""
SHEET = 0.004
"""How far before the true surface things stay: what has no thickness would be gone, seen from both sides."""

JUMP = 0.03
"""Difference of depth between neighbours from which on there is an edge between them."""

ACROSS = 1.2
"""Width of the pictures from above and below, by the longest side."""


def free_by(task: Task, camera: Camera, points: Tensor, size: int) -> Tensor:
    """`[P]`: how far before the true surface points `[P, 3]` lie on the rays of a camera; negative behind it.

    Where the depth jumps the nearest of the pixels around decides, so nothing is taken away beside an edge.
    """
    hits = rasterise(camera.clip(task.vertices), task.faces, size, size)
    depth = camera.distance(hits.interpolate(task.vertices, task.faces))
    front = hits.picture(depth[:, None], FAR)[..., 0]
    nearest = -functional.max_pool2d(-front[None], 3, 1, 1)[0]
    farthest = functional.max_pool2d(front[None], 3, 1, 1)[0]
    front = torch.where(farthest - nearest > JUMP, nearest, front)
    clip = camera.clip(points)
    pixel = torch.stack([1 + clip[:, 0] / clip[:, 3], 1 - clip[:, 1] / clip[:, 3]], dim=1) * (size / 2)
    there = look_up(front[None, ..., None], pixel[None])[0, :, 0]
    return there - camera.distance(points)


def poles() -> list[Camera]:
    """From straight above and straight below, of an object whose longest side is 1."""
    poses = spherical_poses(torch.zeros(2), torch.tensor([90.0, -90.0]), 2.0)
    return [Camera.orthographic(pose, ACROSS) for pose in poses]


def surfaces(task: Task) -> dict[str, tuple[Tensor, Tensor]]:
    """Vertices and faces of the visual hull, and of what is left of it."""
    views = task.orbit
    apart = outline_distances(views.alpha)
    low, high = object_box(apart, views)
    lattice = Lattice.over(low, high, float((high - low).max()) / CELLS)
    points = lattice.points()
    hull = hull_field(apart, views.cameras, points)
    size = views.cameras.width
    near = hull < 2 * lattice.spacing

    def carved(cameras: list[Camera]) -> Tensor:
        free = hull.clone()
        for camera in cameras:
            before = free_by(task, camera, points[near], size) - SHEET
            free[near] = torch.maximum(free[near], before.clamp(max=0.05))
        return free

    around = [views.cameras.camera(index) for index in range(len(views))]
    fields = {
        "hull": hull,
        "depth": carved(around),
        "top, bottom": carved(poles()),
    }
    return {name: closed_triangles(field.reshape(lattice.shape), lattice, SMALLEST) for name, field in fields.items()}


def unseen_share(task: Task, truth: Sampled) -> float:
    """Of the true surface as it is seen from outside, how much no view of the orbit sees, or nearly sees."""
    points = truth.points[truth.shown]
    seen = torch.zeros(len(points), dtype=torch.bool)
    size = task.orbit.cameras.width
    for index in range(len(task.orbit)):
        seen |= free_by(task, task.orbit.cameras.camera(index), points, size) > -NEAR[0] * truth.longest
    return float((~seen).float().mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.multiview_ceiling", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("models", type=Path, help="a folder of python -m training.objects debian")
    parser.add_argument("views", type=Path, help="a folder of python -m bench.multiview_data")
    parser.add_argument("--names", nargs="+", metavar="MODEL", help="only these")
    parser.add_argument("--tried", action="store_true", help="the models that settings are chosen on")
    chosen = parser.parse_args(arguments)
    found: dict[str, list[tuple[float, float]]] = {}
    unseen: dict[float, list[float]] = {}
    for name, elevation in tasks(chosen.models, chosen.views, TRIED if chosen.tried else HELD_OUT, False):
        if chosen.names is not None and name not in chosen.names:
            continue
        known = task(chosen.models, chosen.views, name, elevation)
        truth = Sampled.of(known.vertices, known.faces, POINTS)
        share = unseen_share(known, truth)
        unseen.setdefault(elevation, []).append(share)
        line = [f"{name} {elevation:g}°: {share:.3f} unseen"]
        for way, (vertices, faces) in surfaces(known).items():
            near, _ = f_scores(Sampled.of(vertices, faces, POINTS), truth)
            found.setdefault(way, []).append((near[0].f, near[1].f))
            line.append(f"{way} {near[0].f:.3f} ({near[0].precision:.2f} {near[0].recall:.2f}) {near[1].f:.3f}")
        print("; ".join(line), flush=True)
    for way, pairs in found.items():
        one, two = torch.tensor(pairs).mean(0).tolist()
        print(f"{way}: {one:.3f} at 1 %, {two:.3f} at 2 %, {len(pairs)} orbits")
    for elevation, shares in unseen.items():
        print(f"{elevation:g}°: {sum(shares) / len(shares):.3f} of the surface is seen by no view")


if __name__ == "__main__":
    main()
