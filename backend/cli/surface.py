"""`surface`: a folder of pictures with known cameras becomes a mesh in the world of these cameras."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.camera import Camera
from backend.cli.generate import PARAMETER, add_parameters, parameters_of
from backend.cli.inputs import checked, parse_file, pictures_in, read_file
from backend.cli.output import complain, say, say_json, tell
from backend.cli.place import write_files
from backend.contract import MAXIMUM_SEED, GenerateRequest, Progress, Warning
from backend.errors import Problem
from backend.jobs.checks import check_job
from backend.pipelines.context import Context
from backend.pipelines.multiview import MULTIVIEW, MultiviewParameters

if TYPE_CHECKING:
    from backend.scene import Scene


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options, and those of the pipeline that does the work."""
    parser.add_argument(
        "--views", type=Path, required=True, metavar="DIR", help="a folder of pictures, in the order of their names"
    )
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--cameras", type=Path, metavar="FILE", help="cameras.json: a list of cameras in the order of the pictures"
    )
    given.add_argument("--orbit", type=int, metavar="N", help="the pictures are an orbit of N views, the front first")
    parser.add_argument(
        "--elevation", type=float, metavar="DEGREES", help="of the orbit's cameras above the ground (default 0)"
    )
    parser.add_argument("--layout", metavar="NAME", help="whose orbit it is (default hi3d)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"0 to {MAXIMUM_SEED} (default 0)")
    parser.add_argument("--name", default="", help="what to call the object")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the mesh goes, .glb")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes, .json")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")
    parser.add_argument("--json", action="store_true", help="print the report")
    add_parameters(parser, MULTIVIEW)
    parser.set_defaults(command=surface)


def surface(chosen: argparse.Namespace) -> None:
    """Read everything, reconstruct, write `out` and `report` whole or not at all."""
    from backend.geometry.gltf import write_glb
    from backend.imaging.intake import make_shot

    if chosen.report and chosen.report.resolve() == chosen.out.resolve():
        raise Problem("request-invalid", "Mesh and report have the same name.", "Give --report another one.")
    given = {key: value for key, value in vars(chosen).items() if ":" in key and value is not None}
    values = parameters_of(MULTIVIEW, given, PARAMETER)
    parameters = MultiviewParameters.model_validate(values)
    paths = pictures_in(chosen.views)
    images = [read_file(path, "picture") for path in paths]
    photos = [
        {"name": path.stem[:200], "camera": camera} for path, camera in zip(paths, _cameras(chosen, paths), strict=True)
    ]
    fields = {
        "pipeline": MULTIVIEW.id,
        "parameters": values,
        "seed": chosen.seed,
        "photos": photos,
        "name": chosen.name,
    }
    request: GenerateRequest = checked(fields, GenerateRequest, "request-invalid", "What was asked for")
    check_job(request, images)
    shot = make_shot(request, images, None, None, side=parameters.picture_side, background=parameters.background)
    context = Context(MULTIVIEW, request.seed, _Teller(chosen.quiet), skipped=frozenset(parameters.skipped_stages()))
    scene: Scene = MULTIVIEW.load()(shot, parameters, context)
    report = report_of(scene, context, [path.name for path in paths])
    write_files(chosen, write_glb(scene), json.dumps(report, indent=2, allow_nan=False).encode())
    if chosen.json:
        say_json(report)
    elif not chosen.quiet:
        (prop,) = scene.props
        worst = min(prop.quality["view_ious"])
        text = f"{len(prop.mesh.faces):,} triangles, outlines agree by {worst:.3f} or more"
        say(f"A mesh of {len(paths)} pictures, {text}, {report['seconds']:.0f} s: {chosen.out}")


def report_of(scene: Scene, context: Context, names: Sequence[str]) -> dict[str, Any]:
    """report.json: what was made of which pictures, and how good it is."""
    (prop,) = scene.props
    return {
        "format": 1,
        "pictures": list(names),
        "vertices": len(prop.mesh.vertices),
        "faces": len(prop.mesh.faces),
        "quality": prop.quality,
        **scene.record,
        "warnings": [warning.model_dump() for warning in context.warnings],
        "timings": [time.model_dump() for time in context.timings],
        "seconds": round(context.elapsed, 3),
    }


class _Teller:
    """Says on standard error which stage has begun, and what the user should know."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._stage = quiet, ""

    def __call__(self, news: Progress | Warning) -> None:
        if self._quiet:
            return
        if isinstance(news, Warning):
            complain(news.message, news.hint)
        elif news.stage != self._stage:
            self._stage = news.stage
            tell(f"{news.stage_index + 1} of {news.stage_count}: {news.stage}")


def _cameras(chosen: argparse.Namespace, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """A camera for each picture. Raises Problem."""
    if chosen.cameras is not None:
        if chosen.elevation is not None or chosen.layout is not None:
            detail = "An elevation and a layout belong to an orbit, and the cameras were given."
            raise Problem("request-invalid", detail, "Leave out --elevation and --layout, or give --orbit.")
        cameras: list[Camera] = parse_file(chosen.cameras, list[Camera], "camera-invalid", "list of cameras")
        if len(cameras) != len(paths):
            detail = f"{chosen.cameras} has {len(cameras)} cameras, and {chosen.views} has {len(paths)} pictures."
            raise Problem("camera-invalid", detail, "Give one camera for each picture, in the order of their names.")
        return [camera.model_dump() for camera in cameras]
    if chosen.orbit != len(paths):
        detail = f"An orbit of {chosen.orbit} views was given, and {chosen.views} has {len(paths)} pictures."
        raise Problem("camera-invalid", detail, "Give the number of pictures to --orbit, or a file to --cameras.")
    return _orbit(chosen, paths)


def _orbit(chosen: argparse.Namespace, paths: Sequence[Path]) -> list[dict[str, Any]]:
    from backend.imaging.reading import check_picture
    from models.multiview.views import orbit

    sizes = [check_picture(read_file(path, "picture"), path.name).size for path in paths]
    for path, (width, height) in zip(paths, sizes, strict=True):
        if width != height:
            detail = f"{path.name} has {width} × {height} pixels; the pictures of an orbit are square."
            raise Problem("camera-invalid", detail, "Cut it to a square about its middle, or give --cameras.")
    try:
        cameras = orbit(len(paths), chosen.elevation or 0.0, chosen.layout or "hi3d", 1)
    except ValueError as error:
        raise Problem("camera-invalid", str(error), "See: python -m backend surface --help") from error
    found = []
    for pose, lens, (side, _) in zip(cameras.poses.tolist(), cameras.intrinsics.tolist(), sizes, strict=True):
        (fx, _, cx), (_, fy, cy) = ([value * side for value in row] for row in lens[:2])
        found.append({"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": side, "height": side, "world_from_camera": pose})
    return found
