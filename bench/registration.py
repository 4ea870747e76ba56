"""`python -m bench.registration`: scene registration on generated scenes. Prints the distribution of its errors.

Needs no Blender and no weights. The variants: with and without depth, one mesh missing, one mesh wrong, meshes as
imprecise as a generative method's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.registration import Registration, register
from backend.scene import Mesh
from bench.generated_scenes import Case, make_case, see, thing

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """What one run came to. yaw: degrees. position: mean distance of the objects' middles from the truth, as a share
    of the scene's longest side. iou: mean over the sound objects, and what the true pose gives."""

    seed: int
    objects: int
    yaw: float
    position: float
    scale: float
    iou: float
    true_iou: float
    confidence: float
    seconds: float


@dataclass(frozen=True)
class Variant:
    """A way to hand a scene over. spoil: changes the meshes, and names those that are no longer right."""

    name: str
    options: Callable[[Case], dict[str, Any]]
    spoil: Callable[[Case, np.random.Generator], tuple[dict[int, Mesh], set[int]]]


def sound(case: Case, chance: np.random.Generator) -> tuple[dict[int, Mesh], set[int]]:
    return dict(case.meshes), set()


def one_missing(case: Case, chance: np.random.Generator) -> tuple[dict[int, Mesh], set[int]]:
    """A mask without a mesh."""
    gone = int(chance.choice(sorted(case.meshes)))
    return {number: mesh for number, mesh in case.meshes.items() if number != gone}, {gone}


def one_wrong(case: Case, chance: np.random.Generator) -> tuple[dict[int, Mesh], set[int]]:
    """A mesh of another thing of about the same size, turned anyhow, half its size away from its place."""
    chosen = int(chance.choice(sorted(case.meshes)))
    old = case.meshes[chosen].vertices
    mesh = thing(chance)
    size = np.ptp(old, axis=0).max()
    angle = chance.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
    vertices = mesh.vertices @ turn * size / np.ptp(mesh.vertices, axis=0).max()
    foot = np.append((old[:, :2].min(axis=0) + old[:, :2].max(axis=0)) / 2, old[:, 2].min())
    away = chance.uniform(0, 2 * math.pi)
    vertices += foot + 0.5 * size * np.array([math.cos(away), math.sin(away), 0.0])
    return {**case.meshes, chosen: Mesh(vertices, mesh.faces)}, {chosen}


def imprecise(case: Case, chance: np.random.Generator) -> tuple[dict[int, Mesh], set[int]]:
    """Every mesh turned by about 3 degrees, scaled by about 4 %, shifted by about 1.5 % of the scene."""
    everything = np.concatenate([mesh.vertices for mesh in case.meshes.values()])
    size = np.ptp(everything, axis=0).max()
    meshes = {}
    for number, mesh in case.meshes.items():
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        foot = np.append((low + high)[:2] / 2, low[2])
        angle = chance.normal(0, math.radians(3))
        turn = np.array([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
        shift = chance.normal(0, 0.015 * size, 3) * (1, 1, 0.2)
        meshes[number] = Mesh((mesh.vertices - foot) @ turn * chance.normal(1, 0.04) + foot + shift, mesh.faces)
    return meshes, set()


def plain(case: Case) -> dict[str, Any]:
    return {}


def with_depth(case: Case) -> dict[str, Any]:
    return {"depth": case.depth}


VARIANTS = (
    Variant("masks and ground", plain, sound),
    Variant("depth too", with_depth, sound),
    Variant("depth, no ground", lambda case: {"depth": case.depth, "ground": False}, sound),
    Variant("one mesh missing", plain, one_missing),
    Variant("one mesh wrong", plain, one_wrong),
    Variant("one mesh wrong, depth too", with_depth, one_wrong),
    Variant("imprecise meshes", plain, imprecise),
    Variant("imprecise meshes, depth too", with_depth, imprecise),
)


def run(variant: Variant, seed: int) -> tuple[Row, Registration]:
    """Register one scene in one variant."""
    case = make_case(seed)
    meshes, spoilt = variant.spoil(case, np.random.default_rng(seed + 10**6))
    began = time.perf_counter()
    found = register(meshes, case.instances, case.camera, **variant.options(case))
    seconds = time.perf_counter() - began
    yaw_error = abs((found.yaw - math.degrees(math.atan2(case.truth[1, 0], case.truth[0, 0])) + 180) % 360 - 180)
    everything = np.concatenate([mesh.vertices for mesh in case.world.values()])
    apart = [
        float(np.linalg.norm(_middle(found.apply(mesh.vertices)) - _middle(case.world[number].vertices)))
        for number, mesh in case.meshes.items()
    ]
    placed = {number: Mesh(found.apply(mesh.vertices), mesh.faces) for number, mesh in meshes.items()}
    true = {
        number: Mesh(mesh.vertices @ case.truth[:3, :3].T + case.truth[:3, 3], mesh.faces)
        for number, mesh in meshes.items()
    }
    good = set(meshes) - spoilt
    row = Row(
        seed=seed,
        objects=len(case.meshes),
        yaw=yaw_error,
        position=float(np.mean(apart)) / float(np.ptp(everything, axis=0).max()),
        scale=abs(found.scale / float(np.linalg.norm(case.truth[:3, 0])) - 1),
        iou=_mean_iou(case, placed, good),
        true_iou=_mean_iou(case, true, good),
        confidence=found.confidence,
        seconds=seconds,
    )
    return row, found


def _middle(points: Floats) -> Floats:
    middle: Floats = (points.min(axis=0) + points.max(axis=0)) / 2
    return middle


def _mean_iou(case: Case, meshes: dict[int, Mesh], which: set[int]) -> float:
    """Mean overlap of what is seen of some objects with their masks; pixels of objects without a mesh do not count."""
    labels, _ = see(meshes, case.camera)
    counts = np.isin(case.instances.labels, [0, *meshes])
    overlaps = []
    for number in sorted(which):
        drawn, mask = (labels == number) & counts, case.instances.mask(number)
        overlaps.append(float(np.count_nonzero(drawn & mask)) / max(int(np.count_nonzero(drawn | mask)), 1))
    return float(np.mean(overlaps)) if overlaps else 1.0


def summary(rows: list[Row]) -> str:
    """One line per figure: median, 95th percentile, worst."""

    def spread(name: str, values: list[float], unit: str, low: bool = False) -> str:
        edge, last = (5, 0) if low else (95, 100)
        middle, most, worst = (float(np.percentile(values, share)) for share in (50, edge, last))
        return f"  {name:<10} median {middle:.3f}{unit}  {edge} % {most:.3f}{unit}  worst {worst:.3f}{unit}"

    lines = [
        spread("yaw", [row.yaw for row in rows], "°"),
        spread("position", [100 * row.position for row in rows], " %"),
        spread("scale", [100 * row.scale for row in rows], " %"),
        spread("IoU/true", [row.iou / row.true_iou for row in rows], "", low=True),
        spread("confidence", [row.confidence for row in rows], "", low=True),
        spread("seconds", [row.seconds for row in rows], ""),
    ]
    worst = sorted(rows, key=lambda row: -max(row.yaw / 5, row.position / 0.05))[:3]
    lines += [
        f"  worst scene {row.seed}: {row.objects} objects, yaw {row.yaw:.2f}°, position {100 * row.position:.2f} %, "
        f"IoU {row.iou:.3f} (true pose {row.true_iou:.3f}), confidence {row.confidence:.2f}"
        for row in worst
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.registration", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--variant", choices=[variant.name for variant in VARIANTS], action="append")
    chosen = parser.parse_args(arguments)
    for variant in VARIANTS:
        if chosen.variant and variant.name not in chosen.variant:
            continue
        rows = [run(variant, seed)[0] for seed in range(chosen.first, chosen.first + chosen.scenes)]
        print(f"{variant.name}, {len(rows)} scenes\n{summary(rows)}", flush=True)
        several = [row for row in rows if row.objects > 2]
        if variant.spoil is not sound and several:
            # Of two objects with one missing or wrong a single one is left, which may look the same from both sides.
            print(f"{variant.name}, the {len(several)} scenes of 3 objects and more\n{summary(several)}", flush=True)


if __name__ == "__main__":
    main()
