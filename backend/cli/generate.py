"""`generate`: submit a job to a service of this process, show how it goes, copy the result."""

from __future__ import annotations

import argparse
import itertools
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.camera import Camera
from backend.cli.answering import read_picks
from backend.cli.delivery import add_delivery_options, deliver, make_folder
from backend.cli.inputs import checked, parse_file, read_file
from backend.cli.listing import NO_CHANCE, properties, values_of
from backend.cli.output import complain
from backend.contract import MAXIMUM_SEED, GenerateRequest, InstanceLabel
from backend.errors import Problem
from backend.pipelines import find_pipeline
from backend.pipelines.base import MethodInfo
from backend.pipelines.former import FORMERLY
from backend.preparations import chosen_preparations, maker_of
from backend.preparations.text import TEXT

PARAMETER, PREPARE = "parameter", "prepare:"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every pipeline has."""
    add_method_options(parser, required=True)
    parser.add_argument(
        "--image", action="append", default=[], type=Path, dest="images", metavar="FILE",
        help="the picture; again for further pictures, if the pipeline takes several",
    )  # fmt: skip
    parser.add_argument(
        "--text", dest=f"{PREPARE}{TEXT.id}:prompt", metavar="SENTENCE",
        help="in place of a picture: what is to be made; the same as --text-prompt",
    )  # fmt: skip
    parser.add_argument(
        "--instances", type=Path, metavar="FILE", help="instance map: one colour or palette index per object"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help='label table: [{"id": 1, "name": "Chair"}, …]')
    parser.add_argument("--camera", type=Path, metavar="FILE", help="camera.json; see docs/api.md for its fields")
    parser.add_argument("--depth", type=Path, metavar="FILE", help="planar depth in metres, .npy")
    parser.add_argument(
        "--outlines", type=Path, nargs="+", default=[], metavar="FILE",
        help="instance maps of whole objects, hidden parts too, grey PNG; outlines that overlap in different files",
    )  # fmt: skip
    parser.add_argument(
        "--outline-depths", type=Path, nargs="+", default=[], metavar="FILE",
        help="the depth of each of these, .npy, in the same order",
    )  # fmt: skip
    parser.add_argument(
        "--azimuth", action="append", type=float, dest="azimuths", metavar="DEGREES",
        help="from which side a photo was taken, counter-clockwise seen from above; once for each --image, in order",
    )  # fmt: skip
    parser.add_argument(
        "--cameras", type=Path, metavar="FILE", help="cameras.json: the camera of each --image, in order, as a list"
    )
    parser.add_argument(
        "--only", type=int, action="append", default=[], metavar="ID", help="make this object of the instance map only"
    )
    parser.add_argument("--name", default="", help="what to call the shot")
    add_delivery_options(parser)


def add_method_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """Which method, where its chance starts from, and what is done to the shot first."""
    parser.add_argument("--pipeline", required=required, metavar="ID", help="which method; see the command pipelines")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"0 to {MAXIMUM_SEED} (default 0)")
    parser.add_argument(
        "--prepare", action="append", default=[], metavar="ID",
        help="do this to the shot first; giving one of its options says so too",
    )  # fmt: skip


def add_parameters(parser: argparse.ArgumentParser, info: MethodInfo, prefix: str = "") -> None:
    """The options of one pipeline, or with its id as prefix of one preparation, drawn from its parameters.

    An option of a preparation whose name is taken, by the pipeline, say, has "prepare" before it.
    """
    group = parser.add_argument_group(f"{info.title}, version {info.version}")
    for name, field in properties(info).items():
        text = f"{field.get('description', '')} [{values_of(field)}; default {field.get('default')}]"
        option = _free(parser, _option(prefix, name))
        destination = ":".join((PREPARE + prefix if prefix else PARAMETER, name))
        group.add_argument(option, dest=destination, metavar="VALUE", help=text.replace("%", "%%"))
        for former in field.get(FORMERLY, {}).get("names", ()):
            option = _free(parser, _option(prefix, former))
            group.add_argument(option, dest=destination, help=argparse.SUPPRESS)


def _free(parser: argparse.ArgumentParser, option: str) -> str:
    """The option, or if it is taken the same with "prepare" before it."""
    return _option("prepare", option[2:]) if option in parser._option_string_actions else option


def _option(prefix: str, name: str) -> str:
    return "--" + "-".join(filter(None, (prefix, name.replace("_", "-"))))


def generate(chosen: argparse.Namespace) -> None:
    """Run the job; `scene.glb` and `result.json` are in the folder `out` when this returns."""
    from backend.imaging.outlines import pair_outlines

    request = _request(chosen)
    info = find_pipeline(request.pipeline)
    if request.seed and not (info.chance or request.prepare or chosen.quiet):
        complain(f"{info.title}: {NO_CHANCE}", "Leave it out, or change the pipeline's own options.")
    if not chosen.images and maker_of(request.prepare) is None:
        detail = "There is neither a picture nor a text to make something of."
        raise Problem("request-invalid", detail, "Name a picture with --image, or say what to make with --text.")
    picks = None if chosen.pick is None else read_picks(chosen.pick)
    images = [read_file(path, "picture") for path in chosen.images]
    instances = read_file(chosen.instances, "instance map") if chosen.instances else None
    depth = read_file(chosen.depth, "depth") if chosen.depth else None
    outlines = pair_outlines(
        [read_file(path, "outlines") for path in chosen.outlines],
        [read_file(path, "depth of the outlines") for path in chosen.outline_depths],
    )
    make_folder(chosen.out)
    deliver(lambda service: service.submit(request, images, instances, depth, outlines), chosen, picks)


def _request(chosen: argparse.Namespace) -> GenerateRequest:
    """The request that the arguments describe, checked. Raises Problem."""
    parameters, prepare = methods_of(chosen)
    camera = parse_file(chosen.camera, Camera, "camera-invalid", "camera") if chosen.camera else None
    labels = parse_file(chosen.labels, list[InstanceLabel], "request-invalid", "label table") if chosen.labels else []
    fields = {
        "pipeline": chosen.pipeline,
        "parameters": parameters,
        "prepare": prepare,
        "seed": chosen.seed,
        "camera": camera,
        "instances": labels,
        "photos": _photos(chosen),
        "only": chosen.only,
        "name": chosen.name,
    }
    request: GenerateRequest = checked(fields, GenerateRequest, "request-invalid", "The request")
    return request


def methods_of(chosen: argparse.Namespace) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What was given for the pipeline, and for each preparation, checked. Raises Problem."""
    given = {key: value for key, value in vars(chosen).items() if ":" in key and value is not None}
    parameters = parameters_of(find_pipeline(chosen.pipeline), given, PARAMETER)
    prepare: dict[str, dict[str, Any]] = {name: {} for name in chosen.prepare}
    prepare |= {key.split(":")[1]: {} for key in given if key.startswith(PREPARE)}
    for info in chosen_preparations(prepare):
        prepare[info.id] = parameters_of(info, given, PREPARE + info.id)
    return parameters, prepare


def _photos(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """What is known of each picture. Raises Problem."""
    azimuths = chosen.azimuths or ()
    cameras = parse_file(chosen.cameras, list[Camera], "camera-invalid", "list of cameras") if chosen.cameras else ()
    if azimuths and cameras and len(azimuths) != len(cameras):
        detail = f"There are {len(azimuths)} azimuths and {len(cameras)} cameras."
        raise Problem("request-invalid", detail, "Give one of each for each picture, or leave one of them out.")
    return [{"azimuth": azimuth, "camera": camera} for azimuth, camera in itertools.zip_longest(azimuths, cameras)]


def parameters_of(info: MethodInfo, given: dict[str, str], prefix: str) -> dict[str, Any]:
    """What was given for one method, checked; lists and objects are written as JSON."""
    values: dict[str, Any] = {}
    for key, text in given.items():
        before, _, name = key.rpartition(":")
        if before != prefix:
            continue
        values[name] = text
        if properties(info)[name].get("type") in ("array", "object"):
            with suppress(ValueError):  # what is no JSON is refused with the others
                values[name] = json.loads(text)
    return info.check(values).model_dump(mode="json", exclude_unset=True)
