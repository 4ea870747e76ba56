"""One job, from its folder to its result. Runs in the worker, or anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.contract import GenerateRequest, Preview, Progress, Result, Warning
from backend.errors import Problem
from backend.export import write_result
from backend.imaging.background import Way
from backend.imaging.instances import unseen
from backend.imaging.intake import blank_shot, chosen_instances, read_job_folder, with_object
from backend.jobs.answers import Answers
from backend.jobs.checkpoints import JobCheckpoints
from backend.jobs.folders import KEPT, PREVIEWS
from backend.jobs.kept import Kept
from backend.jobs.models_used import models_used
from backend.jobs.previews import Previews
from backend.jobs.spent import Spent
from backend.pipelines import find_pipeline
from backend.pipelines.base import Parameters
from backend.pipelines.context import Context
from backend.pipelines.picture import PictureParameters
from backend.preparations import chosen_preparations, maker_of
from backend.preparations.base import PreparationInfo, Prepared
from backend.residency import residency
from backend.shot import Shot

HARDLY_SEEN = 0.25
"""Share of an object's whole outline below which the user is told that most of it is hidden."""


def run_job(
    job: str,
    folder: Path,
    report: Callable[[Progress | Warning | Preview], None],
    cancelled: Callable[[], bool],
    answer: Callable[[dict[str, Any]], dict[str, Any]],
    finishing: Callable[[], bool] = lambda: False,
) -> Result:
    """Read the folder's inputs, prepare the shot, run the pipeline, write `output/`.

    report, cancelled, answer, finishing: see `Context`; previews are reported too.
    Raises Problem for what the user can change, Cancelled, and whatever a faulty pipeline raises.
    """
    spent = Spent(folder)
    with spent.noted():
        return _run(job, folder, report, cancelled, answer, finishing, spent)


def _run(
    job: str,
    folder: Path,
    report: Callable[[Progress | Warning | Preview], None],
    cancelled: Callable[[], bool],
    answer: Callable[[dict[str, Any]], dict[str, Any]],
    finishing: Callable[[], bool],
    spent: Spent,
) -> Result:
    request = _request(folder)
    info = find_pipeline(request.pipeline)
    parameters = info.check(request.parameters)
    preparations = [(one, one.check(request.prepare[one.id])) for one in chosen_preparations(request.prepare)]
    methods = (*preparations, (info, parameters))
    stages = tuple(stage for method, chosen in methods for stage in method.stages_of(chosen))
    skipped = frozenset(name for _, chosen in methods for name in chosen.skipped_stages())
    kept = Kept(folder / KEPT)
    answers = Answers(folder, answer)
    previews = Previews(folder / PREVIEWS, report)
    checkpoints = JobCheckpoints(folder, lambda code, sentence, hint: context.warn(code, sentence, hint))

    def told(said: Progress | Warning) -> None:
        previews.look()
        spent.look()
        report(said)

    context = Context(
        info,
        request.seed,
        told,
        cancelled,
        answers,
        save=kept.save,
        restore=kept.restore,
        finishing=finishing,
        show=previews.show,
        show_rest=previews.rest,
        keeper=checkpoints,
        stages=stages,
        skipped=skipped - {stage.name for stage in stages},
    )
    spent.follow(context)
    # A sign of life before the pictures are read, which can take longer than a user is certain of a click.
    report(
        Progress(stage=stages[0].name, stage_index=0, stage_count=len(stages), fraction=0, elapsed=0, message="Reading")
    )
    prepared: dict[str, dict[str, Any]] = {}

    def prepare(one: PreparationInfo, chosen: Parameters, shot: Shot) -> Prepared:
        checkpoints.turn_to(one)
        done: Prepared = one.load()(shot, chosen, context)
        record = {"version": one.version, "parameters": chosen.model_dump(mode="json"), "record": dict(done.record)}
        prepared[one.id] = record
        return done

    find_object = not any(one.finds_instances for one, _ in preparations)
    background = parameters.background if isinstance(parameters, PictureParameters) else "auto"
    maker = maker_of(request.prepare)
    if maker is None:
        shot = _shot_of_pictures(folder, find_object, parameters.picture_side, background)
    else:
        (_, chosen), *preparations = preparations  # it is the first of them
        made = prepare(maker, chosen, blank_shot())
        shot = _with_made_object(made.shot, request.name or made.name, background) if find_object else made.shot
    for remark in shot.remarks:
        context.warn(remark.code, remark.message, remark.hint, remark.instance)
    if shot.instance_source == "map":
        wanted = [label for label in request.instances if not request.only or label.id in request.only]
        for label in unseen(wanted, shot.instances):
            message = f"{label.name or f'Object {label.id}'} is not to be seen in the instance map; it gets no prop."
            context.warn("instance-unseen", message, "Move it into the picture, or out from behind others.", label.id)
    for number in shot.instances.names:
        seen = shot.seen(number)
        if seen is not None and seen < HARDLY_SEEN:
            share = max(round(100 * seen), 1)
            message = f"Only {share} % of {shot.title(number)} is seen; the colours of the rest are guessed."
            hint = "Move it, or what stands before it, or take it in a shot of its own."
            context.warn("instance-hidden", message, hint, number)
    models = models_used(methods, shot, context)
    foreign = [method for method, _ in methods if not method.entry.startswith("backend.")]
    if any(method.learned or method.memory_bytes for method in foreign):
        residency.clear()  # a plug-in may measure what is free by itself
    for one, chosen in preparations:
        shot = prepare(one, chosen, shot).shot
    if request.only and shot.instance_source == "found":
        shot = replace(shot, instances=chosen_instances(shot.instances, request.only))
    if not shot.instances.names:
        raise Problem("instances-empty", "No object was found in the picture.")
    checkpoints.turn_to(info)
    scene = info.load()(shot, parameters, context)
    previews.rest()
    kept.tidy()
    return write_result(folder, job, request, shot, scene, context, info, parameters, prepared, models, spent.before)


def _shot_of_pictures(folder: Path, find_object: bool, side: Callable[[bool], int], background: Way) -> Shot:
    """What the files of the job's folder show, see `read_job_folder`. Raises Problem("inputs-gone") without them."""
    gone = Problem("inputs-gone", "The pictures of this job are not there any more.")
    if not any((folder / "inputs").glob("image-*.bin")):
        raise gone
    try:
        return read_job_folder(folder, find_object=find_object, side=side, background=background)[1]
    except FileNotFoundError as error:
        raise gone from error


def _with_made_object(shot: Shot, name: str, background: Way) -> Shot:
    """The object of a picture that was made here. Raises Problem("background-unclear") with what can be done then."""
    try:
        return with_object(shot, name, background)
    except Problem as problem:
        if problem.code != "background-unclear":
            raise
        hint = "Choose another candidate or another seed, or name one single thing."
        raise Problem(problem.code, problem.detail, hint) from problem


def _request(folder: Path) -> GenerateRequest:
    """Raises Problem("inputs-gone") where there is none, or a damaged one."""
    try:
        return GenerateRequest.model_validate_json((folder / "request.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Problem("inputs-gone", "The folder of this job is not there any more.") from error
    except ValidationError as error:
        raise Problem("inputs-gone", "What this job was asked cannot be read: request.json is damaged.") from error
