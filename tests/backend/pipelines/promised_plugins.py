"""Two plug-ins: one that keeps the promises of `test_promises.py` by being registered, and one that breaks them.

SET_DRESSER_PLUGINS=tests.backend.pipelines.promised_plugins
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from backend.contract import Progress
from backend.pipelines.base import Parameters, PipelineInfo, Stage
from backend.pipelines.context import Context
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot

STEPS, EVERY = 12, 4


class NoParameters(Parameters):
    pass


def described(name: str) -> PipelineInfo:
    return PipelineInfo(
        id=name,
        version="1",
        title=name.capitalize(),
        description="For tests.",
        entry=f"{__name__}:{name}",
        parameters=NoParameters,
        stages=(Stage("grow", 9), Stage("place", 1)),
        checkpoints=True,
    )


def ball(shot: Shot, instance: int, radii: np.ndarray) -> Prop:
    """A ball that is uneven."""
    shape = trimesh.creation.icosphere(subdivisions=2)
    vertices = shape.vertices * radii[: len(shape.vertices), None]
    place = np.eye(4)
    place[:3, 3] = (instance, 0, -vertices[:, 2].min())
    return Prop(instance, shot.instances.names[instance], Mesh(vertices, shape.faces), place, placement="ground")


def large_enough(shot: Shot, context: Context) -> list[int]:
    """The objects that can be made; the others are told."""
    found = []
    for instance, name in shot.instances.names.items():
        if np.count_nonzero(shot.instances.mask(instance)) > 4:
            found.append(instance)
        else:
            context.warn("instance-too-small", f"{name} is too small.", "Come nearer.", instance)
    return found


def steady(shot: Shot, parameters: NoParameters, context: Context) -> Scene:
    """Radii grow step by step, by the seed and the step alone."""
    radii, first = np.ones((256,)), 0
    if (found := context.checkpoints.latest()) is not None:
        radii, first = np.load(found.folder / "radii.npy"), found.step
    with context.stage("grow"):
        for step in range(first, STEPS):
            context.progress(step / STEPS)
            radii = radii + np.random.default_rng((context.seed, step)).uniform(0, 0.02, len(radii))
            if (step + 1) % EVERY == 0:
                now = radii

                def write(folder: Path, now: np.ndarray = now) -> None:
                    np.save(folder / "radii.npy", now)

                context.checkpoints.save(step + 1, write)
    with context.stage("place"):
        return Scene([ball(shot, instance, radii) for instance in large_enough(shot, context)])


def careless(shot: Shot, parameters: NoParameters, context: Context) -> Scene:
    """Open meshes, one object forgotten, another result each time, deaf to cancelling, forgetful of where it was."""
    with context.stage("grow"):
        for fraction in (0.1, 0.6, 0.3, 0.9):
            context.report(Progress(stage="grow", stage_index=0, stage_count=2, fraction=fraction, elapsed=0))
    prop = ball(shot, 3, np.random.default_rng().uniform(1, 1.1, 256))
    with context.stage("place"):
        return Scene([Prop(3, "", Mesh(prop.mesh.vertices, prop.mesh.faces[1:]), prop.world_from_prop, "ground")])


PIPELINES = [described("steady"), described("careless")]
