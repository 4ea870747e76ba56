"""`generate`: submit a job to a service of this process, show how it goes, copy the result."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from backend.camera import Camera
from backend.cli.answering import Pick, answer, read_picks
from backend.cli.inputs import checked, parse_file, read_file
from backend.cli.listing import NO_CHANCE, properties, values_of
from backend.cli.output import complain, say, say_json, table
from backend.contract import (
    MAXIMUM_SEED,
    Event,
    GenerateRequest,
    InstanceLabel,
    JobState,
    JobView,
    Progress,
    Result,
    Warning,
)
from backend.errors import Problem
from backend.files import write_together
from backend.pipelines import find_pipeline
from backend.pipelines.base import MethodInfo
from backend.pipelines.former import FORMERLY
from backend.preparations import chosen_preparations
from backend.privacy import written_privately

if TYPE_CHECKING:
    from backend.jobs.service import JobService

PARAMETER, PREPARE = "parameter", "prepare:"
RESULT_FILES = ("scene.glb", "result.json")
BAR = "{desc:<12} {percentage:3.0f} % |{bar}| {elapsed}{postfix}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every pipeline has."""
    parser.add_argument("--pipeline", required=True, metavar="ID", help="which method; see the command pipelines")
    parser.add_argument(
        "--image", required=True, action="append", type=Path, dest="images", metavar="FILE",
        help="the picture; again for further pictures, if the pipeline takes several",
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
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"0 to {MAXIMUM_SEED} (default 0)")
    parser.add_argument(
        "--prepare", action="append", default=[], metavar="ID",
        help="do this to the shot first; giving one of its options says so too",
    )  # fmt: skip
    parser.add_argument(
        "--azimuth", action="append", type=float, dest="azimuths", metavar="DEGREES",
        help="from which side a photo was taken, counter-clockwise seen from above; once for each --image, in order",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=int, action="append", default=[], metavar="ID", help="make this object of the instance map only"
    )
    parser.add_argument(
        "--pick", metavar="N,N",
        help="which are taken when there is something to choose: 0,2, or photo:view pairs such as 0:1,1:5; what is "
        "proposed if left out",
    )  # fmt: skip
    parser.add_argument("--ask", action="store_true", help="let me choose in the terminal when there is a choice")
    parser.add_argument(
        "--everything", action="store_true", help="copy the pictures and videos that the job has kept, too"
    )
    parser.add_argument("--name", default="", help="what to call the shot")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the result goes")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")
    parser.add_argument("--json", action="store_true", help="print result.json")


def add_parameters(parser: argparse.ArgumentParser, info: MethodInfo, prefix: str = "") -> None:
    """The options of one pipeline, or with its id as prefix of one preparation, drawn from its parameters."""
    group = parser.add_argument_group(f"{info.title}, version {info.version}")
    for name, field in properties(info).items():
        text = f"{field.get('description', '')} [{values_of(field)}; default {field.get('default')}]"
        option = _option(prefix, name)
        destination = ":".join((PREPARE + prefix if prefix else PARAMETER, name))
        group.add_argument(option, dest=destination, metavar="VALUE", help=text.replace("%", "%%"))
        for former in field.get(FORMERLY, {}).get("names", ()):
            group.add_argument(_option(prefix, former), dest=destination, help=argparse.SUPPRESS)


def _option(prefix: str, name: str) -> str:
    return "--" + "-".join(filter(None, (prefix, name.replace("_", "-"))))


def generate(chosen: argparse.Namespace) -> None:
    """Run the job; `scene.glb` and `result.json` are in the folder `out` when this returns."""
    from backend.imaging.outlines import pair_outlines
    from backend.jobs.folders import storage_problem
    from backend.jobs.service import JobService

    request = _request(chosen)
    info = find_pipeline(request.pipeline)
    if request.seed and not (info.chance or request.prepare or chosen.quiet):
        complain(f"{info.title}: {NO_CHANCE}", "Leave it out, or change the pipeline's own options.")
    picks = None if chosen.pick is None else read_picks(chosen.pick)
    images = [read_file(path, "picture") for path in chosen.images]
    instances = read_file(chosen.instances, "instance map") if chosen.instances else None
    depth = read_file(chosen.depth, "depth") if chosen.depth else None
    outlines = pair_outlines(
        [read_file(path, "outlines") for path in chosen.outlines],
        [read_file(path, "depth of the outlines") for path in chosen.outline_depths],
    )
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_problem(error, f"The folder {chosen.out} cannot be made") from error

    with written_privately(), JobService(chosen.data, adopt=False) as service:
        job = service.submit(request, images, instances, depth, outlines).id
        _wait(service, job, picks, ask=chosen.ask, quiet=chosen.quiet)
        kept = [name for name in service.get(job).files if name not in RESULT_FILES] if chosen.everything else []
        files = {name: service.file(job, name).read_bytes() for name in (*kept, *RESULT_FILES)}
    try:
        write_together(chosen.out, files)
    except OSError as error:
        raise storage_problem(error, f"The result cannot be written to {chosen.out}") from error
    if chosen.json:
        say_json(json.loads(files["result.json"]))
    elif not chosen.quiet:
        _summarise(Result.model_validate_json(files["result.json"]), chosen.out)


def _wait(service: JobService, job: str, picks: list[Pick] | None, ask: bool, quiet: bool) -> None:
    """Show the job's progress until it is done. An interruption cancels it and passes on once it has ended."""
    seen = 0
    with tqdm(desc="waiting", total=100, bar_format=BAR, disable=True if quiet else None, leave=False) as bar:
        try:
            for event in service.events(job):
                seen = event.id
                _show(event, bar)
                if event.type == "needs_input":
                    with bar.external_write_mode(file=sys.stderr):
                        given = answer(event.data["question"], picks, ask, lambda name: service.file(job, name))
                    service.answer(job, given)
        except (KeyboardInterrupt, Problem):
            service.cancel(job)
            for _ in service.events(job, seen):
                continue
            raise
    _raise_unless_done(service.get(job))


def _show(event: Event, bar: tqdm[Any]) -> None:
    if event.type == "progress":
        progress = Progress.model_validate(event.data)
        bar.set_description_str(progress.stage, refresh=False)
        bar.set_postfix_str(f"{progress.eta:.0f} s left" if progress.eta is not None else "", refresh=False)
        bar.n = 100 * progress.fraction
        bar.refresh()
    elif event.type == "warning":
        warning = Warning.model_validate(event.data)
        with bar.external_write_mode(file=sys.stderr):
            complain(warning.message, warning.hint)


def _raise_unless_done(view: JobView) -> None:
    if view.state == JobState.DONE:
        return
    if view.problem:
        raise Problem.from_document(view.problem.model_dump())
    raise Problem("cancelled", "The job was cancelled by another program.")


def _summarise(result: Result, folder: Path) -> None:
    rows = [(prop.node, prop.faces, prop.mask_pixels, f"{prop.mask_iou:.3f}", prop.placement) for prop in result.props]
    say(table(("OBJECT", "TRIANGLES", "PIXELS", "MASK IOU", "PLACED BY"), rows))
    say(f"{len(rows)} objects in {result.seconds:.1f} s: {folder / 'scene.glb'}")


def _request(chosen: argparse.Namespace) -> GenerateRequest:
    """The request that the arguments describe, checked. Raises Problem."""
    given = {key: value for key, value in vars(chosen).items() if ":" in key and value is not None}
    parameters = _parameters(find_pipeline(chosen.pipeline), given, PARAMETER)
    prepare: dict[str, dict[str, Any]] = {name: {} for name in chosen.prepare}
    prepare |= {key.split(":")[1]: {} for key in given if key.startswith(PREPARE)}
    for info in chosen_preparations(prepare):
        prepare[info.id] = _parameters(info, given, PREPARE + info.id)
    camera = parse_file(chosen.camera, Camera, "camera-invalid", "camera") if chosen.camera else None
    labels = parse_file(chosen.labels, list[InstanceLabel], "request-invalid", "label table") if chosen.labels else []
    fields = {
        "pipeline": chosen.pipeline,
        "parameters": parameters,
        "prepare": prepare,
        "seed": chosen.seed,
        "camera": camera,
        "instances": labels,
        "photos": [{"azimuth": azimuth} for azimuth in chosen.azimuths or ()],
        "only": chosen.only,
        "name": chosen.name,
    }
    request: GenerateRequest = checked(fields, GenerateRequest, "request-invalid", "The request")
    return request


def _parameters(info: MethodInfo, given: dict[str, str], prefix: str) -> dict[str, Any]:
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
