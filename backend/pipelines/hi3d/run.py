"""The work of Hi3D: a picture of each object → its orbit → the same, sharper → a surface → a prop in its place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from backend.devices import release
from backend.geometry.cleanup import Cleaned
from backend.imaging.png import as_png, from_png
from backend.memory import Plan
from backend.pipelines import ending, film
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.facing import facing
from backend.pipelines.hi3d import Hi3DParameters
from backend.pipelines.hi3d.keeping import Arrays, Kept
from backend.pipelines.hi3d.painting import HINT, IDENTIFIERS, Sizes, Wanted, painted, sizes_of
from backend.pipelines.hi3d.plans import stage_plans
from backend.pipelines.hi3d.reviewing import Reviewed, review
from backend.pipelines.hi3d.subjects import subjects
from backend.pipelines.hi3d.surfaces import Ring, ring_of
from backend.pipelines.running import Running, Tell, each, each_beside, seen
from backend.pipelines.viewed.judging import judged
from backend.pipelines.viewed.plans import surface_plans
from backend.pipelines.viewed.surfacing import Solid, coloured, surfaced
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from models.hi3d.files import ORBIT, REFINE, Stage

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
    kept = Kept(context)
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
    kept: Kept,
    context: Context,
) -> dict[int, Prop]:
    """Views → surfaces → clean → coloured → where the camera sees the objects."""
    running = Running.begin(context)
    rings: dict[int, Ring] = {}
    solids: dict[int, Solid] = {}

    def solid(number: int, tell: Tell) -> Solid:
        ring = rings[number] = ring_of(reviewed[number], views[number], context, tell)
        learned = parameters.surface == "learned"

        def make() -> Arrays:
            small = ring.smaller(parameters.side).to(running.device.name)
            return vars(surfaced(small, parameters.resolution, learned, number, context, HINT))

        return Solid(**kept.once(f"surface-{number}", make))

    def shape(number: int, tell: Tell) -> Cleaned:
        def make() -> Arrays:
            raw = {number: (solids[number].vertices, solids[number].faces)}
            done = ending.cleaned(raw, shot, context, faces=parameters.faces, floaters=parameters.floaters)[number]
            return {name: np.asarray(value) for name, value in vars(done).items()}

        made = kept.once(f"shape-{number}", make)
        return Cleaned(made["vertices"], made["faces"], int(made["removed_pieces"]), bool(made["watertight"]))

    def work(plan: Plan) -> tuple[dict[int, Cleaned], dict[int, Mesh]]:
        with context.stage("surface"):
            context.progress(0.0, plan.sentence)
            solids.update(each(views, solid, shot, context, HINT))
        with context.stage("clean"):
            shapes = each(solids, shape, shot, context, HINT)

        def mesh(number: int, tell: Tell) -> Mesh:
            seen_by = solids[number].others(rings[number].views).to(running.device.name)
            return coloured(
                shot.title(number),
                shapes[number],
                seen_by,
                tell,
                how=parameters.colour,
                texture_size=parameters.texture_size,
                level=True,
                hint=HINT,
            )

        with context.stage("texture"):
            return shapes, each(
                shapes, lambda number, tell: _once(kept, context, number, lambda: mesh(number, tell)), shot, context
            )

    largest, side = max(map(len, views.values())), max(each_views.shape[1] for each_views in views.values())
    texels = parameters.texture_size**2 if parameters.colour == "texture" else 0
    shapes, meshes = running.by_plans(lambda device: surface_plans(largest, side, parameters.resolution, texels), work)
    release(running.device)

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
        ring, one = rings[number], reviewed[number]
        prop.quality |= {
            **one.wanted.subject.record,
            "seed": one.wanted.seed,
            "views": [ring.used[index] for index in range(len(ring.used)) if index not in solids[number].left_out],
            "removed_pieces": shapes[number].removed_pieces,
        }
        return prop

    with context.stage("place"):
        quality = {number: judged(mesh, rings[number].smaller(parameters.side)) for number, mesh in meshes.items()}
        props = each(meshes, placed, shot, context)
    for number, prop in props.items():
        prop.quality |= quality[number]
    if parameters.orbit_video:
        with context.stage("video"):
            each_beside(list(props), lambda number, tell: _film(number, views[number], context), shot, context)
    return props


def _once(kept: Kept, context: Context, number: int, make: Any) -> Mesh:
    """A coloured mesh, or that of an attempt before. Its texture is kept with the job as a picture."""
    name = f"texture-{number}.png"

    def arrays() -> Arrays:
        mesh = make()
        if mesh.texture is not None:
            context.keep(name, as_png(mesh.texture))
        parts = {"vertices": mesh.vertices, "faces": mesh.faces, "corner_uv": mesh.corner_uv, "colours": mesh.colours}
        return {part: value for part, value in parts.items() if value is not None}

    mesh = Mesh(**dict[str, Any](kept.once(f"mesh-{number}", arrays)))
    if mesh.corner_uv is not None:
        picture = context.recall(name)
        assert picture is not None
        mesh.texture = from_png(picture)
    return mesh


def _film(number: int, views: Pixels, context: Context) -> None:
    context.keep(f"orbit-{number}.mp4", film.encoded(iter(views), views.shape[1], RATE, "video"))
