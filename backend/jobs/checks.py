"""Whether a job can be run, found out while the user still waits for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend import engine, weights
from backend.contract import GenerateRequest, OutlineFiles
from backend.errors import Problem
from backend.imaging.intake import check_inputs, read_stored_inputs
from backend.jobs.checkpoints import other_version
from backend.pipelines import find_pipeline
from backend.pipelines.base import MethodInfo, Parameters, PipelineInfo
from backend.preparations import chosen_preparations, maker_of
from backend.preparations.base import PreparationInfo

OF_THE_METHOD = ("pipeline-unknown", "preparation-unknown", "parameters-invalid")
CHANGED_HINT = (
    "What made this job has changed or is gone. Bring back its plug-in or its version, restart the backend and "
    "continue then: what the job has kept stays. Or generate it again."
)


def check_job(
    request: GenerateRequest,
    images: list[bytes],
    instances: bytes | None = None,
    depth: bytes | None = None,
    outlines: Sequence[OutlineFiles] = (),
) -> PipelineInfo:
    """The pipeline that a request asks for. Raises Problem if it or a preparation cannot work on these files."""
    info = find_pipeline(request.pipeline)
    methods: dict[MethodInfo, Parameters] = {info: info.check(request.parameters)}
    maker = maker_of(request.prepare)
    if maker is not None:
        _check_nothing_came(maker, request, images, instances, depth, outlines)
    least, most = info.images
    if not least <= (count := len(images) if maker is None else 1) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        if maker is not None:
            detail = f"{info.title} takes {wanted} pictures; {maker.title} makes one."
            raise Problem("request-invalid", detail, "Choose a pipeline that takes one picture, or send pictures.")
        detail = f"{info.title} takes {wanted} picture(s); {count} came."
        raise Problem("request-invalid", detail, "Send that many parts named 'image'.")
    if info.needs_cameras:
        info.check_cameras(request.cameras(count))
    for preparation in chosen_preparations(request.prepare):
        methods[preparation] = preparation.check(request.prepare[preparation.id])
        preparation.check_inputs(has_instances=instances is not None, has_depth=depth is not None)
    for method, parameters in methods.items():
        if method.learned:
            engine.check(method.title)
        for needed in (*method.weights, *parameters.needed_weights()):
            weights.locate(needed)
    objects = None if maker is not None else check_inputs(request, images, instances, depth, outlines)
    if objects is not None and not info.instances[0] <= objects <= info.instances[1]:
        few = objects < info.instances[0]
        detail = f"{info.title} takes {info.instances[0]} to {info.instances[1]} objects at once; {objects} came."
        raise Problem("instances-empty" if few else "instances-too-many", detail, "Select fewer objects, or merge.")
    return info


def check_going_on(folder: Path) -> None:
    """Whether a job can go on from what its folder holds. Raises what `inputs_of` and `check_job` raise, and
    Problem("continue-not-possible") if another version of its method has brought it so far."""
    try:
        info = check_job(*inputs_of(folder))
    except Problem as problem:
        if problem.code in OF_THE_METHOD:
            raise Problem(problem.code, problem.detail, CHANGED_HINT) from problem
        raise
    if version := other_version(folder, info):
        detail = f"The job has come so far with version {version} of {info.title}; this is version {info.version}."
        raise Problem("continue-not-possible", detail, CHANGED_HINT)


def inputs_of(folder: Path) -> tuple[GenerateRequest, list[bytes], bytes | None, bytes | None, list[OutlineFiles]]:
    """What a job started from. Raises Problem("inputs-gone")."""
    try:
        found = read_stored_inputs(folder)
    except (OSError, ValueError) as error:
        raise pictures_gone() from error
    if not found[1] and maker_of(found[0].prepare) is None:
        raise pictures_gone()
    return found


def pictures_gone() -> Problem:
    """What there is to say of a job without its inputs."""
    return Problem("inputs-gone", "The pictures that this job was made from are not there any more.")


def _check_nothing_came(
    maker: PreparationInfo,
    request: GenerateRequest,
    images: Sequence[bytes],
    instances: bytes | None,
    depth: bytes | None,
    outlines: Sequence[OutlineFiles],
) -> None:
    """Raises Problem("request-invalid") for a picture, or what belongs to one, where the picture is made."""
    came = {
        "a picture": images,
        "an instance map": instances is not None or request.instances,
        "depth": depth is not None,
        "whole outlines": outlines,
        "a camera": request.camera,
        "a table of photos": request.photos,
    }
    if found := [what for what, is_there in came.items() if is_there]:
        detail = f"{maker.title} makes the picture itself, but {found[0]} came too."
        raise Problem("request-invalid", detail, f"Leave out {found[0]}, or this step.")
