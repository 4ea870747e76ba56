"""`place`: stand the meshes of a scene where the camera sees them."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.camera import Camera
from backend.cli.inputs import parse_file, read_file
from backend.cli.output import complain, say, say_json, table
from backend.contract import InstanceLabel, Warning
from backend.errors import Problem
from backend.files import write_together
from backend.shot import InstanceMap

if TYPE_CHECKING:
    from backend.registration import Box, Registration
    from backend.registration.raw_scene import RawObject
    from backend.scene import Mesh


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--scene", type=Path, required=True, metavar="FILE", help="the meshes, .glb")
    parser.add_argument("--instances", type=Path, required=True, metavar="FILE", help="instance map")
    parser.add_argument("--camera", type=Path, required=True, metavar="FILE", help="camera.json")
    parser.add_argument("--labels", type=Path, metavar="FILE", help='label table: [{"id": 1, "name": "Chair"}, …]')
    parser.add_argument("--depth", type=Path, metavar="FILE", help="planar depth in metres, .npy")
    parser.add_argument(
        "--blockout", type=Path, metavar="FILE",
        help='bounds: a label table with boxes, [{"id": 1, "world_from_box": [[…], …]}, …]',
    )  # fmt: skip
    parser.add_argument(
        "--snap", choices=("none", "bounds", "axes"), default="none",
        help="fit each object into its bounds: with one factor (bounds), or one per axis (axes)",
    )  # fmt: skip
    parser.add_argument("--snap-ground", action="store_true", help="stand each object on z = 0")
    parser.add_argument("--no-ground", action="store_true", help="the objects do not stand on z = 0")
    parser.add_argument("--tilt", action="store_true", help="look for a tilt too, not for a turn about z only")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="where chance starts from (default 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the placed scene goes, .glb")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes, .json")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")
    parser.add_argument("--json", action="store_true", help="print the report")
    parser.set_defaults(command=place)


def place(chosen: argparse.Namespace) -> None:
    """Read everything, register, write `out` and `report` whole or not at all."""
    from backend.geometry.gltf import node_names, write_glb
    from backend.imaging.depth import read_depth
    from backend.imaging.instances import read_instances
    from backend.registration.fit import has_surface
    from backend.registration.props import stand_all
    from backend.registration.raw_scene import read_scene
    from backend.scene import Scene

    if chosen.report and chosen.report.resolve() == chosen.out.resolve():
        raise Problem("request-invalid", "Scene and report have the same name.", "Give --report another one.")
    if chosen.seed < 0:
        raise Problem("request-invalid", "The seed is negative.", "Give a seed of 0 or more.")
    camera: Camera = parse_file(chosen.camera, Camera, "camera-invalid", "camera")
    labels = parse_file(chosen.labels, list[InstanceLabel], "request-invalid", "label table") if chosen.labels else []
    size = camera.width, camera.height
    instances = read_instances(read_file(chosen.instances, "instance map"), labels, size)
    depth = read_depth(read_file(chosen.depth, "depth"), size) if chosen.depth else None
    bounds = _bounds(chosen.blockout) if chosen.blockout else {}
    if chosen.snap != "none" and not bounds:
        raise Problem("request-invalid", f"Snapping to {chosen.snap} needs bounds.", "Give --blockout.")
    objects, warnings = read_scene(read_file(chosen.scene, "scene"))

    options = {
        "depth": depth,
        "bounds": bounds,
        "ground": not chosen.no_ground,
        "tilt": chosen.tilt,
        "seed": chosen.seed,
    }
    registration, numbers = _register(objects, instances, camera, options)
    found = dict(zip(numbers, objects, strict=True))
    kept: dict[int, Mesh] = {number: item.mesh for number, item in found.items() if has_surface(item.mesh)}
    names = {number: instances.names.get(number) or item.name for number, item in found.items()}
    props = stand_all(kept, names, registration, bounds=bounds, snap=chosen.snap, to_ground=chosen.snap_ground)
    for prop in props:
        prop.quality["mask_iou"] = registration.iou.get(prop.instance)
    scene = Scene(props)
    warnings += registration.warnings
    report = report_of(registration, dict(zip((prop.instance for prop in props), node_names(scene), strict=True)))
    report["warnings"] = [warning.model_dump() for warning in warnings]
    report["matched_by"] = "extras" if any(item.instance is not None for item in objects) else "shape"
    report["snap"] = {"bounds": chosen.snap, "ground": chosen.snap_ground}
    write_files(chosen, write_glb(scene), json.dumps(report, indent=2, allow_nan=False).encode())
    _tell(chosen, report, warnings)


def report_of(registration: Registration, nodes: dict[int, str]) -> dict[str, Any]:
    """report.json: what was found and how good it is. `nodes`: instance -> its node's name in the scene."""

    def number(value: float) -> float | None:
        return round(value, 6) if math.isfinite(value) else None

    return {
        "format": 1,
        "similarity": registration.similarity.tolist(),
        "scale": registration.scale,
        "yaw": registration.yaw,
        "tilt": registration.tilt,
        "scale_source": registration.scale_source,
        "confidence": number(registration.confidence),
        "mean_iou": number(registration.mean_iou),
        "rival": {"yaw": registration.rival_yaw, "lead": number(registration.lead)},
        "ground_gap": number(registration.ground_gap),
        "depth_error": number(registration.depth_error),
        "instances": [
            {
                "id": instance,
                "node": node,
                "iou": number(registration.iou.get(instance, math.nan)),
                "outline_error": number(registration.outline_error.get(instance, math.nan)),
            }
            for instance, node in nodes.items()
        ],
    }


def _register(
    objects: Sequence[RawObject], instances: InstanceMap, camera: Camera, options: dict[str, Any]
) -> tuple[Registration, list[int]]:
    """The registration and each object's instance; one that has none gets a free number."""
    from backend.registration import register
    from backend.registration.assignment import register_unnamed

    given = [item.instance for item in objects]
    if any(number is not None for number in given):
        meshes = {item.instance: item.mesh for item in objects if item.instance is not None}
        registration = register(meshes, instances, camera, **options)
    else:
        registration, matching = register_unnamed([item.mesh for item in objects], instances, camera, **options)
        for instance, at in matching.items():
            given[at] = instance
    taken = [*instances.names, *(number for number in given if number is not None)]
    free = itertools.count(max(taken) + 1)
    return registration, [next(free) if number is None else number for number in given]


def _bounds(path: Path) -> dict[int, Box]:
    from backend.registration import Box

    rows: list[InstanceLabel] = parse_file(path, list[InstanceLabel], "request-invalid", "block-out")
    bounds: dict[int, Box] = {}
    for row in rows:
        if row.id in bounds:
            raise Problem("request-invalid", f"The block-out {path} has {row.id} twice.", "Give each object one row.")
        if row.world_from_box is not None:
            bounds[row.id] = Box.of(row.world_from_box)
    if not bounds:
        detail = f"The block-out {path} has no box: no row gives world_from_box."
        raise Problem("request-invalid", detail, "See docs/api.md for the label table.")
    return bounds


def write_files(chosen: argparse.Namespace, scene: bytes, report: bytes) -> None:
    """Write what `--out` and `--report` name, both or none of one folder. Raises Problem."""
    from backend.jobs.folders import storage_problem

    files = {chosen.out: scene}
    if chosen.report:
        files[chosen.report] = report
    folders = {path.parent for path in files}
    try:
        for folder in folders:
            write_together(folder, {path.name: data for path, data in files.items() if path.parent == folder})
    except OSError as error:
        raise storage_problem(error, "The result cannot be written") from error


def _tell(chosen: argparse.Namespace, report: dict[str, Any], warnings: Sequence[Warning]) -> None:
    if chosen.json:
        say_json(report)
    if chosen.quiet:
        return
    for warning in warnings:
        complain(warning.message, warning.hint)
    if not chosen.json:
        rows = [
            (row["node"], row["id"], "-" if row["iou"] is None else f"{row['iou']:.3f}") for row in report["instances"]
        ]
        say(table(("OBJECT", "INSTANCE", "MASK IOU"), rows))
        text = f"scale {report['scale']:.4g} by {report['scale_source']}, turned by {report['yaw']:.1f}°"
        say(f"{len(rows)} objects placed, {text}, confidence {report['confidence']:.2f}: {chosen.out}")
