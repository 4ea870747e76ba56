"""The work of MIRA and OpenLRM: cut-outs → planes → surfaces → clean, coloured meshes where the camera sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from backend.devices import release
from backend.imaging.png import as_png
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import cut_out, framed, remark
from backend.pipelines.facing import facing, straight_ahead
from backend.pipelines.mira import MiraParameters
from backend.pipelines.mira.keeping import keep_ply, keep_video
from backend.pipelines.mira.planes import DISTANCES, Planes, claims_of, found, make_planes, open_model
from backend.pipelines.mira.plans import mira_plans
from backend.pipelines.mira.sources import FILL, Source
from backend.pipelines.running import Running, Tell, each, each_beside, seen
from backend.registration.pose import upright
from backend.residency import Loaded
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from models.isosurface import Triangles
from models.lrm.decoding import density_surface
from models.lrm.fields import DensityField
from models.lrm.single_view import SingleViewModel
from models.lrm.single_view_files import SingleViewClaims

HINT = "Take a clearer picture of it, another Source distance, or a lower Level."


@dataclass(frozen=True, eq=False)
class Solid:
    """One object as triangles in the frame of the network, seen by the picture from -y, z up; and its field."""

    planes: Planes
    drawn: Triangles
    field: DensityField


@torch.no_grad()
def run(shot: Shot, parameters: MiraParameters, context: Context) -> Scene:
    """Make one prop of every instance of the shot, each from its own cut-out.

    There is no chance in it: the same shot and parameters give the same scene on the same device.

    Raises:
        Problem: "image-empty"; "weights-missing", "weights-damaged", "weights-foreign", "out-of-memory";
            "geometry-failed" if nothing has a surface.
        Cancelled: at the next report after the user has cancelled.
    """
    running = Running.begin(context)
    (identifier,) = parameters.needed_weights()
    with context.stage("frame"):
        claims: SingleViewClaims = seen("mira", [identifier], lambda: claims_of(identifier))
        sources = _sources(shot, claims.source_size, context)
    distances = (parameters.distance,) if parameters.distance else DISTANCES
    solids = running.by_plans(
        lambda device: mira_plans(
            claims.config,
            claims.parameters,
            len(sources) * len(distances),
            device,
            parameters.precision,
            source_size=claims.source_size,
            points=parameters.resolution + 1,
            texels=parameters.texture_size**2 if parameters.colour == "texture" else 0,
        ),
        lambda plan: _reconstruct(sources, distances, identifier, shot, parameters, running, plan),
    )
    props = _finish(solids, shot, parameters, context)
    _keep(list(props), solids, claims, shot, parameters, context)
    release(running.device)
    model = {"generation": claims.generation, "source_size": claims.source_size}
    return Scene(list(props.values()), {"model": model, **running.record})


def _sources(shot: Shot, side: int, context: Context) -> list[Source]:
    """Every object as the network sees it; kept with the job. One that is not to be seen is told and left out."""

    def work(number: int, tell: Tell) -> Source:
        cut = cut_out(shot, number)
        remark(cut, shot.title(number), number, context, "it will be blurred")
        picture, cover = framed(cut, side, FILL)
        context.keep(f"source-{number}.png", as_png(picture))
        context.preview("source", picture, shot.title(number))
        return Source(number, shot.title(number), picture, cover)

    return list(each(sorted(shot.instances.names), work, shot, context).values())


def _reconstruct(
    sources: Sequence[Source],
    distances: Sequence[float],
    identifier: str,
    shot: Shot,
    parameters: MiraParameters,
    running: Running,
    plan: Plan,
) -> dict[int, Solid]:
    """The planes of all objects, then one surface after the other."""
    context = running.context

    def opened() -> Loaded[SingleViewModel]:
        model = open_model(identifier, running.device.name, getattr(torch, plan.dtype))
        return Loaded(model, [model])

    with running.networks("mira", [identifier], plan, opened) as loaded:
        model = loaded.value
        with context.stage("planes"):
            context.progress(0.0, plan.sentence)
            batch: int = plan.settings["batch"]
            made = make_planes(model, sources, distances, batch, lambda share: context.progress(share, plan.sentence))
        with context.stage("surface"):

            def work(number: int, tell: Tell) -> Solid:
                planes = found(made, number)
                decoder = model.synthesizer.decoder
                points = parameters.resolution + 1
                drawn = density_surface(DensityField(decoder, planes.planes), points, parameters.level, progress=tell)
                # A field afresh: the one that was asked for the surface holds a table of its own.
                return Solid(planes, drawn, DensityField(decoder, planes.planes))

            return each([source.instance for source in sources], work, shot, context, _hint(plan))


def _hint(plan: Plan) -> str:
    return HINT if plan.dtype == "float32" else f"{HINT} Or set Precision to float32."


def _finish(solids: Mapping[int, Solid], shot: Shot, parameters: MiraParameters, context: Context) -> dict[int, Prop]:
    """Clean, colour and place each object."""
    with context.stage("clean"):
        surfaces = {number: (solid.drawn.vertices, solid.drawn.faces) for number, solid in solids.items()}
        shapes = ending.cleaned(surfaces, shot, context, faces=parameters.faces, floaters=parameters.floaters)

    def coloured(number: int, tell: Tell) -> Mesh:
        field = solids[number].field
        return ending.coloured(
            shot.title(number),
            shapes[number],
            field.colour,
            field.planes.device,
            tell,
            how=parameters.colour,
            texture_size=parameters.texture_size,
            hint=HINT,
        )

    with context.stage("texture"):
        meshes = each(shapes, coloured, shot, context)

    def placed(number: int, tell: Tell) -> Prop:
        yaw = facing(shot.camera, shot.whole_mask(number))
        mesh = meshes[number]
        if parameters.upright == "camera" or (parameters.upright == "auto" and shot.camera_source == "request"):
            stands = straight_ahead(shot.camera, shot.instances.mask(number))
            mesh = replace(mesh, vertices=mesh.vertices @ (upright(-math.radians(yaw)) @ stands).T)
        return ending.placed_alone(
            number,
            mesh,
            shot,
            context,
            yaw=yaw,
            snap=parameters.snap,
            to_ground=parameters.to_ground,
            size=parameters.size,
        )

    with context.stage("place"):
        props = each(meshes, placed, shot, context)
    for number, prop in props.items():
        prop.quality |= {"removed_pieces": shapes[number].removed_pieces, **_record(solids[number])}
    return props


def _record(solid: Solid) -> dict[str, Any]:
    """Where its picture was taken from, for result.json."""
    planes = solid.planes
    record: dict[str, Any] = {"distance": planes.distance, "queries": solid.drawn.queries}
    if planes.fit is not None:
        tried = [[distance, round(fit, 4)] for distance, fit in sorted(planes.tried.items())]
        record |= {"distance_fit": round(planes.fit, 4), "distances_tried": tried}
    return record


def _keep(
    numbers: Sequence[int],
    solids: Mapping[int, Solid],
    claims: SingleViewClaims,
    shot: Shot,
    parameters: MiraParameters,
    context: Context,
) -> None:
    """What was asked for beside the props."""

    def ply(number: int, tell: Tell) -> object:
        return keep_ply(number, solids[number].drawn, solids[number].field, context, tell)

    def video(number: int, tell: Tell) -> object:
        samples, side = claims.config.samples_per_ray, claims.render_size
        solid = solids[number]
        return keep_video(number, solid.drawn, solid.field, parameters.video, side, samples, context, tell)

    for stage, wanted, work in (("ply", parameters.ply, ply), ("video", parameters.video != "none", video)):
        if wanted:
            with context.stage(stage):
                each_beside(numbers, work, shot, context, HINT)
