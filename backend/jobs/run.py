"""One job, from its folder to its result. Runs in the worker, or anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.contract import GenerateRequest, Progress, Result, Warning
from backend.export import write_result
from backend.imaging.instances import unseen
from backend.imaging.intake import read_job_folder
from backend.pipelines import find_pipeline
from backend.pipelines.base import Context


def run_job(
    job: str,
    folder: Path,
    report: Callable[[Progress | Warning], None],
    cancelled: Callable[[], bool],
    answer: Callable[[dict[str, Any]], dict[str, Any]],
) -> Result:
    """Read the folder's inputs, run the pipeline, write `output/`.

    report, cancelled, answer: see `Context`.
    Raises Problem for what the user can change, Cancelled, and whatever a faulty pipeline raises.
    """
    request = GenerateRequest.model_validate_json((folder / "request.json").read_bytes())
    info = find_pipeline(request.pipeline)
    parameters = info.check(request.parameters)
    context = Context(info=info, seed=request.seed, report=report, cancelled=cancelled, answer=answer)
    # A sign of life before the pictures are read, which can take longer than a user is certain of a click.
    first, count = info.stages[0].name, len(info.stages)
    report(Progress(stage=first, stage_index=0, stage_count=count, fraction=0, elapsed=0, message="Reading"))
    _, shot = read_job_folder(folder)
    if shot.instance_source == "map":
        for label in unseen(request.instances, shot.instances):
            message = f"{label.name or f'Object {label.id}'} is not to be seen in the instance map; it gets no prop."
            context.warn("instance-unseen", message, "Move it into the picture, or out from behind others.", label.id)
    scene = info.load()(shot, parameters, context)
    return write_result(folder, job, request, shot, scene, context, info, parameters)
