"""The work of Hi3D: a picture of each object → its orbit → the same, sharper → a surface → a prop in its place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from backend.devices import release
from backend.pipelines import ending, film
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.facing import facing
from backend.pipelines.hi3d import Hi3DParameters
from backend.pipelines.hi3d.keeping import KeptOrbit
from backend.pipelines.hi3d.painting import HINT, IDENTIFIERS, Sizes, Wanted, painted, sizes_of
from backend.pipelines.hi3d.plans import stage_plans
from backend.pipelines.hi3d.reviewing import Reviewed, review
from backend.pipelines.hi3d.subjects import subjects
from backend.pipelines.hi3d.surfaces import Ring, ring_of
from backend.pipelines.running import Running, Tell, each, each_beside, seen
from backend.pipelines.viewed.judging import judged
from backend.pipelines.viewed.plans import surface_plans
from backend.pipelines.viewed.shaping import Shaping, shaped
from backend.scene import Prop, Scene
from backend.shot import Shot
from models.hi3d.files import ORBIT, REFINE, Stage
from models.multiview.views import Views

RATE = 8
"""Views that a second of the video shows, as published."""


def run(shot: Shot, parameters: Hi3DParameters, context: Context) -> Scene:
    """Make one prop of every instance of the shot, each from its own cut-out.

    The same shot, parameters, seed and answers give the same scene on the same device. Views, the sampler's state, and
    what later stages have made are kept with the job, so an attempt goes on where the one before was cut off.

    Raises:
        Problem: "image-empty"; "weights-missing", "weights-damaged", "weights-foreign", "out-of-memory";
            "geometry-failed" if nothing has a surface.
        Cancelled: at the next report after the user has cancelled.
    """
    stages = (ORBIT, REFINE) if parameters.refines else (ORBIT,)
    with context.stage("frame"):
        # What is wrong with any checkpoint is told before the first view.
        sizes = {stage: _sizes(stage) for stage in stages}
        found = subjects(shot, parameters, sizes[ORBIT].side, context)
    kept = KeptOrbit(context)
    painting = {stage: Running.begin(context) for stage in stages}

    def paint(stage: Stage, wanted: Mapping[int, Wanted], given: Mapping[int, Pixels]) -> dict[int, Pixels]:
        with context.stage("orbit" if stage is ORBIT else "refine"):
            running = painting[stage]
            return running.by_plans(
                lambda device: stage_plans(stage, sizes[stage].parameters, device, parameters.precision),
                lambda plan: painted(stage, wanted, given, sizes[stage], parameters, kept, shot, running, plan),
            )

    first = paint(ORBIT, {number: Wanted(subject, context.seed) for number, subject in found.items()}, {})

    def looked_at(number: int, tell: Tell) -> Reviewed:
        def views(wanted: Wanted) -> Pixels:
            return first[number] if wanted.seed == context.seed else paint(ORBIT, {number: wanted}, {})[number]

        return review(found[number], parameters, context, views)

    reviewed = each(first, looked_at, shot, context)
    views = {number: one.views for number, one in reviewed.items()}
    if parameters.refines:
        views = paint(REFINE, {number: one.wanted for number, one in reviewed.items()}, views)
    props = _shaped(reviewed, views, shot, parameters, kept, context)
    plans = {f"plan_{stage.number}": running.record["plan"] for stage, running in painting.items() if running.record}
    return Scene(list(props.values()), plans)


def _sizes(stage: Stage) -> Sizes:
    identifier = IDENTIFIERS[stage.number]
    return seen(f"hi3d {identifier}", [identifier], partial(sizes_of, stage))


def _shaped(
    reviewed: Mapping[int, Reviewed],
    views: Mapping[int, Pixels],
    shot: Shot,
    parameters: Hi3DParameters,
    kept: KeptOrbit,
    context: Context,
) -> dict[int, Prop]:
    """Views → surfaces → clean → coloured → where the camera sees the objects."""
    running = Running.begin(context)
    rings: dict[int, Ring] = {}

    def ring(number: int, tell: Tell) -> Views:
        rings[number] = ring_of(reviewed[number], views[number], context, tell)
        return rings[number].views

    how = Shaping(
        resolution=parameters.resolution,
        learned=parameters.surface == "learned",
        side=parameters.side,
        faces=parameters.faces,
        floaters=parameters.floaters,
        colour=parameters.colour,
        texture_size=parameters.texture_size,
        level=True,
        hint=HINT,
    )
    largest, side = max(map(len, views.values())), max(each_views.shape[1] for each_views in views.values())
    made = running.by_plans(
        lambda device: surface_plans(largest, side, parameters.resolution, how.texels),
        lambda plan: shaped(views, ring, how, kept, running.device.name, shot, context, plan.sentence),
    )
    release(running.device)

    def placed(number: int, tell: Tell) -> Prop:
        found, ring, one = made[number], rings[number], reviewed[number]
        prop = ending.placed_alone(
            number,
            found.mesh,
            shot,
            context,
            yaw=facing(shot.camera, shot.whole_mask(number)),
            snap=parameters.snap,
            to_ground=parameters.to_ground,
            size=parameters.size,
        )
        prop.quality |= {
            **one.wanted.subject.record,
            "seed": one.wanted.seed,
            "views": [ring.used[index] for index in range(len(ring.used)) if index not in found.solid.left_out],
            "removed_pieces": found.shape.removed_pieces,
        }
        return prop

    with context.stage("place"):
        quality = {number: judged(found.mesh, found.views.at_most(parameters.side)) for number, found in made.items()}
        props = each(made, placed, shot, context)
    for number, prop in props.items():
        prop.quality |= quality[number]
    if parameters.orbit_video:
        with context.stage("video"):
            each_beside(list(props), lambda number, tell: _film(number, views[number], context), shot, context)
    return props


def _film(number: int, views: Pixels, context: Context) -> None:
    context.keep(f"orbit-{number}.mp4", film.encoded(iter(views), views.shape[1], RATE, "video"))
