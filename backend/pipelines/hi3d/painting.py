"""Both stages at work: sixteen views of each object, kept with the job as pictures as soon as they are there.

Those kept are rounded to 8 bits, and those are used, so that an attempt that recalls them comes to the same mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from backend import weights
from backend.errors import Problem
from backend.imaging.png import as_png, from_png
from backend.memory import Plan
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.hi3d import Hi3DParameters
from backend.pipelines.hi3d.keeping import KeptOrbit
from backend.pipelines.hi3d.subjects import Subject
from backend.pipelines.running import Running, Tell, each
from backend.pipelines.viewed.sheets import sheet
from backend.residency import residency
from backend.shot import Shot
from models.hi3d.denoising import INTERVAL, Conditions, Guidance, State
from models.hi3d.files import ORBIT, Stage
from models.hi3d.loading import StageFiles, stage_sizes
from models.hi3d.memory import Way
from models.hi3d.pictures import as_pixels
from models.hi3d.pipeline import OrbitPipeline, RefinePipeline

IDENTIFIERS: Mapping[int, str] = {1: "hi3d-orbit", 2: "hi3d-refine"}
"""Of `backend/weights`, by the number of the stage."""

CONDITIONED, DENOISED = 0.08, 0.92
"""Shares of the time of one object after which it is conditioned and denoised."""

LEAST_CONTRAST = 4
"""Between the darkest and the lightest of all pixels, of 255, in some channel; of views with less nothing is seen."""

HINT = "Try another seed, or a clearer picture."


class Wanted(NamedTuple):
    """The views of one object, begun from one seed."""

    subject: Subject
    seed: int

    def sampling(self, stage: Stage) -> str:
        """What a run of the sampler is called."""
        return f"{'orbit' if stage is ORBIT else 'sharp'}-{self.subject.instance}-{self.seed}"

    def names(self, stage: Stage, frames: int) -> list[str]:
        """The files of the job that hold the views of a stage."""
        return [f"{self.sampling(stage)}-{frame:02}.png" for frame in range(frames)]


class Sizes(NamedTuple):
    """Of a stage's checkpoint: parameters of each network, views, pixels along a side of one."""

    parameters: dict[str, int]
    frames: int
    side: int


def open_stage(stage: Stage, device: str, dtype: torch.dtype) -> OrbitPipeline | RefinePipeline:
    """A stage as published; no weights are loaded yet. The first time its file is converted, which takes minutes.

    Raises:
        Problem: weights-missing, weights-damaged.
        CheckpointError: see `StageFiles.opened`.
    """
    files = _files(stage, device, dtype)
    return OrbitPipeline(files) if stage is ORBIT else RefinePipeline(files)


def sizes_of(stage: Stage) -> Sizes:
    """From the headers of its checkpoint. Raises as `open_stage`."""
    files = _files(stage, "cpu", torch.float32)
    return Sizes(stage_sizes(files.folder), files.frames, files.size)


def recalled(wanted: Wanted, stage: Stage, frames: int, context: Context) -> Pixels | None:
    """The views [T, S, S, 3] as an earlier attempt at this job has kept them; None unless all are there."""
    kept = [context.recall(name) for name in wanted.names(stage, frames)]
    return np.stack([from_png(data) for data in kept if data is not None]) if all(kept) else None


@torch.no_grad()
def painted(
    stage: Stage,
    wanted: Mapping[int, Wanted],
    given: Mapping[int, Pixels],
    sizes: Sizes,
    parameters: Hi3DParameters,
    kept: KeptOrbit,
    shot: Shot,
    running: Running,
    plan: Plan,
) -> dict[int, Pixels]:
    """The views of each object that a stage makes. What is kept with the job is not made again. An object whose views
    cannot be used is told and left out.

    Args:
        wanted: by instance. given: for the second stage the views of the first one, [T, S, S, 3].
        sizes: of the stage.

    Returns:
        [T, S, S, 3] by instance, view 0 as the picture's camera sees the object, the others counter-clockwise.

    Raises:
        Problem: weights-missing, weights-damaged, weights-foreign; geometry-failed if no object has views.
        Cancelled.
    """
    context = running.context
    found = {
        number: views
        for number, each_wanted in wanted.items()
        if (views := recalled(each_wanted, stage, sizes.frames, context)) is not None
    }
    if len(found) == len(wanted):
        return found
    way: Way = plan.settings["way"]
    identifier = IDENTIFIERS[stage.number]
    context.progress(0.0, plan.sentence)

    def opened() -> OrbitPipeline | RefinePipeline:
        return open_stage(stage, running.device.name, getattr(torch, plan.dtype))

    with running.networks(identifier, [identifier], plan, opened) as pipeline:
        pipeline.after_use = None if way.keep_parts else lambda part: pipeline.lay_aside(residency.room_aside, part)
        if not way.keep_parts:  # a job with more room may have left them there
            pipeline.lay_aside(residency.room_aside)

        def work(number: int, tell: Tell) -> Pixels:
            if number in found:
                return found[number]
            one = wanted[number]
            views = _views(pipeline, one, given.get(number), parameters, kept, way, context, tell)
            if np.ptp(views, axis=(0, 1, 2)).max() < LEAST_CONTRAST:
                detail = f"The views of {one.subject.title} show nothing: they are of one colour."
                raise Problem("geometry-failed", detail, HINT)
            for name, view in zip(one.names(stage, len(views)), views, strict=True):
                context.keep(name, as_png(view))
            return views

        wider = plan.dtype != "float32"
        hint = "Set Precision to bfloat16 or float32." if wider else "Delete the weights and download them again."
        return each(wanted, work, shot, context, hint)


def _views(
    pipeline: OrbitPipeline | RefinePipeline,
    wanted: Wanted,
    given: Pixels | None,
    parameters: Hi3DParameters,
    kept: KeptOrbit,
    way: Way,
    context: Context,
    tell: Tell,
) -> Pixels:
    """Of one object, from where an attempt before was cut off."""
    stage, steps = pipeline.stage, parameters.chosen_steps
    sampling = wanted.sampling(stage)
    state = kept.state(sampling)
    if state is not None and state.done == steps:
        latents = state.latents
    else:
        told = _told(pipeline, wanted, given, way, tell)

        def look(now: State) -> None:
            if now.data is not None:
                kept.keep_state(sampling, now)
                caption = f"{wanted.subject.title}, step {now.done} of {now.steps}"
                context.preview("views", sheet(pipeline.glimpse(now, told)), caption)
            tell(CONDITIONED + (DENOISED - CONDITIONED) * now.done / now.steps)

        latents = pipeline.denoise(told, steps, _guidance(stage, parameters), way.frugality, callback=look, start=state)
    views = as_pixels(
        pipeline.decode(latents, way.group, lambda done, count: tell(DENOISED + (1 - DENOISED) * done / count))
    )
    context.preview("views", sheet(views), wanted.subject.title)
    return views


def _told(
    pipeline: OrbitPipeline | RefinePipeline, wanted: Wanted, given: Pixels | None, way: Way, tell: Tell
) -> Conditions:
    subject, generator = wanted.subject, torch.Generator().manual_seed(wanted.seed)
    picture = subject.picture(pipeline.size)
    if isinstance(pipeline, OrbitPipeline):
        return pipeline.condition(picture, subject.elevation, generator)
    assert given is not None, "the second stage begins with the views of the first"
    passes = 2 * pipeline.frames
    done = iter(range(passes))

    def looked(some: int, count: int) -> None:
        tell(CONDITIONED * next(done) / passes)

    return pipeline.condition(given, subject.elevation, generator, picture, way.group, looked)


def _guidance(stage: Stage, parameters: Hi3DParameters) -> Guidance:
    """As published where the parameter has its default: the second stage is guided less, in proportion."""
    usual = ORBIT.largest - 1
    largest = 1 + (parameters.guidance - 1) * (stage.largest - 1) / usual
    interval = INTERVAL if parameters.guided_steps == "middle" else None
    return Guidance(largest, triangular=parameters.guidance_shape == "triangular", interval=interval)


def _files(stage: Stage, device: str, dtype: torch.dtype) -> StageFiles:
    identifier = IDENTIFIERS[stage.number]
    file = weights.locate(identifier) / stage.file
    return StageFiles.opened(file, stage, weights.converted_folder(identifier), device, dtype)
