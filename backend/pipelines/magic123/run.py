"""The work of Magic123: pictures → fields → surfaces → clean, coloured meshes where the camera sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

from backend import weights
from backend.devices import Device, release
from backend.errors import Problem
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.facing import facing
from backend.pipelines.magic123 import Magic123Parameters
from backend.pipelines.magic123.plans import shaping_plans
from backend.pipelines.magic123.priors import sizes_of
from backend.pipelines.magic123.shaping import HINT, Field, Shaping, Solid, solid_of
from backend.pipelines.magic123.subjects import Subject, subjects
from backend.pipelines.nearness import Nearness
from backend.pipelines.running import Running, Tell, checkpoints, each
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from backend.weights.own import PREFIX, RUN
from models.guidance.balance import Stage
from models.magic123.fine_start import Start
from models.magic123.published import read_run, read_tetrahedra


def run(shot: Shot, parameters: Magic123Parameters, context: Context) -> Scene:
    """Make one prop of every instance of the shot, each optimised by itself.

    The same shot, parameters and seed give the same scene on the same device by the same plan. Every stage of every
    object has checkpoints of its own, so an attempt goes on where the one before was cut off or ended early.

    Raises:
        Problem: "image-empty"; "parameters-invalid" where a text speaks of a name that says nothing; "weights-missing",
            "weights-damaged", "weights-foreign", "out-of-memory", "optimisation-diverged"; "geometry-failed" if nothing
            has a surface.
        Cancelled: at the next report after the user has cancelled.
    """
    coarse, fine = Running.begin(context), Running.begin(context)
    with context.stage("preprocess"):
        # What is wrong with any checkpoint is told before the first step.
        sizes = sizes_of(parameters)
        side = max(256, 2 * parameters.side, parameters.chosen_fine_side if parameters.refines else 0)
        found = subjects(shot, parameters, side, Nearness(Running.begin(context)), context)
        fields = _own(parameters, found, shot, coarse)
    shaping = Shaping(found, parameters, shot, context)

    def plans(stage: Stage) -> Callable[[Device], list[Plan]]:
        return lambda device: shaping_plans(stage, sizes, parameters, device)

    if not parameters.checkpoint:
        with context.stage("coarse"):
            fields = coarse.by_plans(plans("coarse"), partial(shaping.fields, coarse))
    solids: dict[int, Solid] = {}
    if parameters.refines and any(map(shaping.goes_on, fields)):
        with context.stage("fine"):
            solids = fine.by_plans(plans("fine"), partial(shaping.surfaces, fields, fine))
    props = _finish(fields, solids, found, shot, parameters, context)
    release(coarse.device)
    followed = {"coarse": coarse, "fine": fine}
    plan = {f"plan_{stage}": running.record["plan"] for stage, running in followed.items() if running.record}
    return Scene(list(props.values()), plan)


def _own(
    parameters: Magic123Parameters, found: Mapping[int, Subject], shot: Shot, running: Running
) -> dict[int, Field]:
    """What somebody's run has come to, in the place of a first stage.

    Raises:
        Problem: "parameters-invalid" for several objects; weights-missing, weights-damaged, weights-foreign.
    """
    if not parameters.checkpoint:
        return {}
    if len(found) != 1:
        detail = f"A run is of one object, and there are {len(found)} here."
        raise Problem("parameters-invalid", detail, "Give a picture of the one object, or leave Own Checkpoint empty.")
    identifier = PREFIX + parameters.checkpoint
    with checkpoints(identifier):
        folder = weights.locate(identifier)
        former = read_run(folder / RUN)
        start = None
        if former.surface is not None and parameters.refines:
            (tetrahedra, *_) = [*sorted(folder.glob("*_tets.npz")), folder / "256_tets.npz"]
            start = Start.published(former.surface, read_tetrahedra(tetrahedra, former.surface))
        network = former.field().to(running.device.name)
    (number,) = found
    return {number: Field(network, former.mean_density, former.steps, start)}


def _finish(
    fields: Mapping[int, Field],
    solids: dict[int, Solid],
    found: Mapping[int, Subject],
    shot: Shot,
    parameters: Magic123Parameters,
    context: Context,
) -> dict[int, Prop]:
    """Clean, colour and place each object."""

    def solid(number: int, tell: Tell) -> Solid:
        return solids[number] if number in solids else solid_of(fields[number], parameters.chosen_resolution, tell)

    with context.stage("clean"):
        solids = each(fields, solid, shot, context, HINT)
        surfaces = {number: (each_solid.vertices, each_solid.faces) for number, each_solid in solids.items()}
        shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    @torch.no_grad()
    def coloured(number: int, tell: Tell) -> Mesh:
        return ending.coloured(
            shot.title(number),
            shapes[number],
            solids[number].colour,
            solids[number].device,
            tell,
            how=parameters.colour,
            texture_size=parameters.texture_size,
            hint=HINT,
        )

    with context.stage("texture"):
        meshes = each(shapes, coloured, shot, context)

    def placed(number: int, tell: Tell) -> Prop:
        prop = ending.placed_alone(
            number,
            meshes[number],
            shot,
            context,
            yaw=facing(shot.camera, shot.whole_mask(number)),
            snap=parameters.snap,
            to_ground=parameters.to_ground,
            size=parameters.size,
        )
        prop.quality |= {
            **found[number].record,
            "steps": dict(solids[number].steps),
            "removed_pieces": shapes[number].removed_pieces,
        }
        return prop

    with context.stage("place"):
        return each(meshes, placed, shot, context)
