"""The work of InstantMesh: photos → views → the user's choice → one closed, coloured mesh where the camera sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from backend.devices import release
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.facing import facing
from backend.pipelines.instantmesh import InstantMeshParameters
from backend.pipelines.instantmesh.choosing import Picked, first_seeds, keep_sheet, pick
from backend.pipelines.instantmesh.photos import subjects
from backend.pipelines.instantmesh.picks import photo_azimuths
from backend.pipelines.instantmesh.placing import FRONT
from backend.pipelines.instantmesh.plans import reconstruction_plans, view_plans
from backend.pipelines.instantmesh.reconstruct import HINT, Solid, open_model, reconstruct, size_of
from backend.pipelines.instantmesh.sheets import VIEW_WEIGHTS, Sheet, Wanted, make_sheets, read_sizes, usable
from backend.pipelines.instantmesh.turntable import keep_turntable
from backend.pipelines.running import Running, Tell, each, each_beside, seen
from backend.residency import Loaded
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from models.lrm.model import InstantMeshModel


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
        found, backgrounds = subjects(shot, context, parameters.background)
        objects = {subject.instance: subject for subject in found}
        views, shaping = Running.begin(context), Running.begin(context)
        (model,) = parameters.needed_weights()
        numbers = seen("instantmesh", [model], lambda: size_of(model))  # what is wrong with it is told before the views
        azimuths = photo_azimuths([photo.azimuth for photo in shot.photos])
    made: dict[Wanted, Sheet] = {}

    def fill(wanted: Sequence[Wanted]) -> None:
        missing = [one for one in wanted if one not in made]
        if missing:
            with context.stage("views"):
                sizes = seen("instantmesh views", VIEW_WEIGHTS, read_sizes)
                sheets = views.by_plans(
                    lambda device: view_plans(sizes, device, parameters.precision),
                    lambda plan: make_sheets(missing, parameters, views, plan),
                )
                made.update(sheets)

    def make(wanted: Sequence[Wanted]) -> dict[Wanted, list[Pixels]]:
        fill(wanted)
        return {one: usable(made[one]) for one in wanted}

    def choose(number: int, tell: Tell) -> Picked:
        return pick(objects[number], shot.photos, azimuths, parameters, context, make)

    fill([Wanted(one, photo, seed) for one in found for photo, seed in enumerate(first_seeds(one, context.seed))])
    chosen = each(objects, choose, shot, context)
    with context.stage("reconstruct"):
        solids = shaping.by_plans(
            lambda device: reconstruction_plans(numbers),
            lambda plan: _reconstruct(chosen, shot, parameters, shaping, plan),
        )
    props = _finish(solids, shot, parameters, context)
    release(shaping.device)
    record = {"azimuths": list(azimuths.values), **views.record}
    if any(backgrounds):  # of the first photo it is told of every method
        record["backgrounds"] = backgrounds
    return Scene(list(props.values()), record)


def _reconstruct(
    chosen: Mapping[int, Picked], shot: Shot, parameters: InstantMeshParameters, running: Running, plan: Plan
) -> dict[int, Solid]:
    """One object after the other; one without a surface is told and left out."""
    (identifier,) = parameters.needed_weights()
    running.context.progress(0.0, "Loading the model")

    def opened() -> Loaded[InstantMeshModel]:
        model = open_model(identifier, running.device.name)
        return Loaded(model, [model.network])

    with running.networks("instantmesh", [identifier], plan, opened) as loaded:

        def work(number: int, tell: Tell) -> Solid:
            keep_sheet(chosen[number], running.context)
            return reconstruct(loaded.value, chosen[number], parameters, tell)

        return each(chosen, work, shot, running.context, HINT)


def _finish(
    solids: Mapping[int, Solid], shot: Shot, parameters: InstantMeshParameters, context: Context
) -> dict[int, Prop]:
    """Clean, colour and place each object."""
    with context.stage("clean"):
        surfaces = {number: (solid.vertices, solid.faces) for number, solid in solids.items()}
        shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    def coloured(number: int, tell: Tell) -> Mesh:
        field = solids[number].field
        mesh = ending.coloured(
            shot.title(number),
            shapes[number],
            field.colour,
            field.planes.device,
            tell,
            how=parameters.colour,
            texture_size=parameters.texture_size,
            hint=HINT,
        )
        return replace(mesh, vertices=mesh.vertices @ FRONT.T)

    with context.stage("texture"):
        meshes = each(shapes, coloured, shot, context)

    def placed(number: int, tell: Tell) -> Prop:
        return ending.placed_alone(
            number,
            meshes[number],
            shot,
            context,
            yaw=facing(shot.camera, shot.whole_mask(number)),
            snap=parameters.snap,
            to_ground=parameters.to_ground,
            size=parameters.size,
        )

    with context.stage("place"):
        props = each(meshes, placed, shot, context)
    for number, prop in props.items():
        prop.quality |= {"removed_pieces": shapes[number].removed_pieces, **_choice(solids[number].picked)}

    def filmed(number: int, tell: Tell) -> object:
        return keep_turntable(solids[number], shapes[number], parameters.colour != "none", context, tell)

    if parameters.turntable:
        with context.stage("turntable"):
            each_beside(list(props), filmed, shot, context, HINT)
    return props


def _choice(picked: Picked) -> dict[str, Any]:
    """Which views a prop was made of."""
    return {
        "picks": [[view.photo, view.view] for view in picked.views],
        "seeds": list(picked.seeds),
        "cameras": "true" if picked.true_cameras else "slots",
    }
