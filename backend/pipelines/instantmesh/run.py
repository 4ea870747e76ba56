"""The work of InstantMesh: photos → views → the user's choice → one closed, coloured mesh where the camera sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from backend import devices
from backend.devices import release
from backend.errors import Problem
from backend.geometry.cleanup import Cleaned
from backend.memory import Plan, run_with_plans
from backend.pipelines.base import Context
from backend.pipelines.instantmesh import InstantMeshParameters
from backend.pipelines.instantmesh.choosing import Picked, first_seeds, keep_sheet, pick
from backend.pipelines.instantmesh.photos import Pixels, subjects
from backend.pipelines.instantmesh.picks import photo_azimuths
from backend.pipelines.instantmesh.placing import place
from backend.pipelines.instantmesh.plans import view_plans
from backend.pipelines.instantmesh.reconstruct import HINT, Solid, Tell, cleaned, coloured, open_model, reconstruct
from backend.pipelines.instantmesh.sheets import Wanted, make_sheets, read_sizes
from backend.pipelines.instantmesh.turntable import keep_turntable
from backend.scene import Prop, Scene
from backend.shot import Shot
from models.isosurface import EmptySurface

T = TypeVar("T")


@torch.no_grad()
def run(shot: Shot, parameters: InstantMeshParameters, context: Context) -> Scene:
    """Make one prop of every instance of the shot, or of the one object that several photos show.

    The same shot, parameters, seed and choice give the same scene on the same device. What was made before the choice
    is kept with the job, and is there again when the job is resumed.

    Raises:
        Problem: "instances-too-many", "image-empty", "background-unclear"; "weights-missing", "weights-damaged",
            "weights-foreign", "out-of-memory"; "geometry-failed" if nothing has a surface.
        Cancelled: at the next report after the user has cancelled.
    """
    with context.stage("background"):
        objects, backgrounds = subjects(shot, context, parameters.background)
        device = devices.choose()
        context.device = device.name
        open_model(parameters, "meta")  # what is wrong with its file is told before the views are made
        azimuths = photo_azimuths([photo.azimuth for photo in shot.photos])
    made: dict[Wanted, list[Pixels]] = {}
    followed: list[Plan] = []

    def make(wanted: Sequence[Wanted]) -> dict[Wanted, list[Pixels]]:
        missing = [each for each in wanted if each not in made]
        if missing:
            with context.stage("views"):
                made.update(_views(missing))
        return {each: made[each] for each in wanted}

    def _views(wanted: Sequence[Wanted]) -> dict[Wanted, list[Pixels]]:
        def attempt(plan: Plan) -> dict[Wanted, list[Pixels]]:
            followed.append(plan)
            return make_sheets(wanted, parameters, context, device, plan)

        def told(failed: Plan, following: Plan) -> None:
            message = f"Memory ran out with the plan '{failed.name}'; trying again: {following.sentence}."
            context.warn("memory-tight", message, "Close other programs that use the graphics card.")

        return run_with_plans(view_plans(read_sizes(), device, parameters.precision), device, attempt, told)

    make([Wanted(each, photo, seed) for each in objects for photo, seed in enumerate(first_seeds(each, context.seed))])
    chosen = [pick(each, shot.photos, azimuths, parameters, context, make) for each in objects]
    solids = _reconstruct(chosen, parameters, context, device)
    props = _finish(solids, shot, parameters, context)
    release(device)
    record = _record(chosen, parameters, followed)
    if any(backgrounds):  # of the first photo it is told of every method
        record["backgrounds"] = backgrounds
    return Scene(props, record)


def _reconstruct(
    chosen: Sequence[Picked], parameters: InstantMeshParameters, context: Context, device: devices.Device
) -> list[Solid]:
    """One object after the other; one without a surface is told and left out."""
    solids = []
    with context.stage("reconstruct"):
        context.progress(0.0, "Loading the model")
        model = open_model(parameters, device.name)
        for index, picked in enumerate(chosen):
            keep_sheet(picked, context)
            try:
                tell = _teller(context, picked, index, len(chosen))
                solids.append(reconstruct(model, picked, parameters, tell))
            except EmptySurface:
                message = f"{picked.subject.title} came out empty and was left out."
                context.warn("instance-empty", message, HINT, picked.subject.instance)
        if not solids:
            raise Problem("geometry-failed", "No shape could be made out in the chosen views.", HINT)
    return solids


def _finish(solids: Sequence[Solid], shot: Shot, parameters: InstantMeshParameters, context: Context) -> list[Prop]:
    """Clean, colour and place each object."""
    with context.stage("clean"):
        shapes = _each(solids, context, lambda solid, tell: cleaned(solid, parameters))
    with context.stage("texture"):
        meshes = _each(list(shapes), context, lambda solid, tell: coloured(solid, shapes[solid], parameters, tell))
    with context.stage("place"):
        props = _each(
            list(meshes),
            context,
            lambda solid, tell: place(meshes[solid], solid.picked.subject.instance, shot, parameters, context),
        )
    for solid, prop in props.items():
        prop.quality |= {"removed_pieces": shapes[solid].removed_pieces, **_choice(solid.picked)}
    if parameters.turntable:
        with context.stage("turntable"):
            _turntables(list(props), shapes, parameters, context)
    return list(props.values())


def _each(solids: Sequence[Solid], context: Context, work: Callable[[Solid, Tell], T]) -> dict[Solid, T]:
    """Work on one object after the other. One of several that fails is told and left out."""
    done: dict[Solid, T] = {}
    for index, solid in enumerate(solids):
        tell = _teller(context, solid.picked, index, len(solids))
        tell(0.0)
        try:
            done[solid] = work(solid, tell)
        except Problem as problem:
            if len(solids) == 1 or (solid is solids[-1] and not done):
                raise
            context.warn(
                problem.code, f"{problem.detail} It was left out.", problem.hint, solid.picked.subject.instance
            )
    return done


def _turntables(
    solids: Sequence[Solid], shapes: Mapping[Solid, Cleaned], parameters: InstantMeshParameters, context: Context
) -> None:
    """A video of each prop. The props are there, so one that cannot be made is only told."""
    for index, solid in enumerate(solids):
        tell = _teller(context, solid.picked, index, len(solids))
        try:
            keep_turntable(solid, shapes[solid], parameters.colour != "none", context, tell)
        except Problem as problem:
            context.warn(problem.code, problem.detail, problem.hint, solid.picked.subject.instance)


def _teller(context: Context, picked: Picked, index: int, count: int) -> Tell:
    """What reports the share done of one of `count` objects."""
    return lambda share: context.progress((index + share) / count, picked.subject.title)


def _choice(picked: Picked) -> dict[str, Any]:
    """Which views a prop was made of."""
    return {
        "picks": [[view.photo, view.view] for view in picked.views],
        "seeds": list(picked.seeds),
        "cameras": "true" if picked.true_cameras else "slots",
    }


def _record(chosen: Sequence[Picked], parameters: InstantMeshParameters, followed: Sequence[Plan]) -> dict[str, Any]:
    record: dict[str, Any] = {"azimuths": list(chosen[0].azimuths.values)}
    if followed:  # else all views were there from an earlier attempt
        record["plan"] = {"name": followed[-1].name, "sentence": followed[-1].sentence}
    return record
