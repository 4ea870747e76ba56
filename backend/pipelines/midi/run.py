"""The work of MIDI: picture and masks → latents → surfaces → clean meshes → props where the camera sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend import devices, weights
from backend.errors import Problem
from backend.geometry.cleanup import clean
from backend.geometry.projection import paint_scene
from backend.geometry.vertex_colours import carried
from backend.imaging.alpha import on_white
from backend.memory import Plan, run_with_plans
from backend.pipelines.base import Context
from backend.pipelines.midi import MidiParameters
from backend.pipelines.midi.checks import examine
from backend.pipelines.midi.plans import midi_plans, read_shape, read_sizes
from backend.registration import Box, Registration, register
from backend.registration.props import stand_all
from backend.residency import residency
from backend.scene import Mesh, Prop, Scene
from backend.shot import InstanceMap, Shot
from models.isosurface import EmptySurface, Triangles
from models.loading import CheckpointError
from models.midi.decoding import decode
from models.midi.denoising import Guidance
from models.midi.pictures import framed
from models.midi.pipeline import MidiPipeline
from models.midi.windows import Windows, overlapping_windows


@torch.no_grad()
def run(shot: Shot, parameters: MidiParameters, context: Context) -> Scene:
    """Make one prop of every instance of the shot.

    The same shot, parameters and seed give the same scene on the same device, bit for bit.

    Raises:
        Problem: "instances-empty" if all instances are too small; "weights-missing", "weights-damaged",
            "weights-foreign", "out-of-memory"; "geometry-failed" if not one instance has a surface.
        Cancelled: at the next report after the user has cancelled.
    """
    with context.stage("encode"):
        instances = examine(shot, parameters, context)
        folder = weights.locate("midi")
        device = devices.choose()
        context.device = device.name
        try:
            sizes, shape = read_sizes(folder), read_shape(folder)
        except CheckpointError as error:
            raise weights.problem_of(error, "midi") from error
        held = residency.held_by("midi")
        if held is not None and held.device.type == device.kind:
            device = replace(device, free_bytes=device.free_bytes + held.loaded_bytes)
    pixels = [int(np.count_nonzero(instances.mask(number))) for number in sorted(instances.names)]
    windows = overlapping_windows(pixels, parameters.instances_per_pass)
    ladder = midi_plans(
        sizes,
        max(map(len, windows)),
        device,
        parameters.precision,
        shape,
        rows=sum(map(len, windows)),
        resolution=parameters.resolution + 1,
    )
    followed: list[Plan] = []

    def attempt(plan: Plan) -> dict[int, Triangles]:
        followed.append(plan)
        if plan.tight:
            hint = "Close other programs that use the device, or choose fewer objects at a time."
            context.warn("memory-tight", f"Memory may not be enough. {plan.sentence}.", hint)
        return _generate(shot, instances, windows, parameters, context, folder, device.name, plan)

    def told(failed: Plan, following: Plan) -> None:
        message = f"Memory ran out with the plan '{failed.name}'; trying again: {following.sentence}."
        context.warn("memory-tight", message, "Close other programs that use the graphics card.")

    triangles = run_with_plans(ladder, device, attempt, told)
    meshes = _clean(shot, triangles, parameters, context)
    with context.stage("place"):
        registration = _register(shot, instances, meshes, parameters, context)
        boxes = {instance: Box.of(box) for instance, box in shot.boxes.items()}
        props = stand_all(
            meshes, instances.names, registration, bounds=boxes, snap=parameters.snap, to_ground=parameters.to_ground
        )
        for prop in props:
            prop.quality |= {
                "mask_iou": registration.iou.get(prop.instance),
                "queries": triangles[prop.instance].queries,
            }
    with context.stage("texture"):
        if parameters.colour != "none":
            props = _paint(props, shot, parameters, context)
    plan = followed[-1]
    return Scene(props, {"plan": {"name": plan.name, "sentence": plan.sentence}, **_summary(registration)})


def _generate(
    shot: Shot,
    instances: InstanceMap,
    windows: Windows,
    parameters: MidiParameters,
    context: Context,
    folder: Path,
    device: str,
    plan: Plan,
) -> dict[int, Triangles]:
    """Every instance's surface in MIDI's own frame, y up."""
    form = (folder, device, plan.dtype)
    dtype = getattr(torch, plan.dtype)
    one_batch, chunk, keep_parts = (plan.settings[name] for name in ("one_batch", "chunk", "keep_parts"))
    try:
        pipeline = residency.take("midi", form, lambda: MidiPipeline.from_pretrained(folder, device, dtype))
        with context.stage("encode"):
            context.progress(0.0, plan.sentence)
            frame = framed(on_white(shot.image), instances.labels, parameters.padding)
            conditions = pipeline.encode(frame)
            if not keep_parts:
                pipeline.release("image_encoder_1", "image_encoder_2")
        with context.stage("denoise"):
            noise = pipeline.noise(len(instances.names), context.seed)
            latents = pipeline.denoise(
                conditions,
                noise,
                parameters.chosen_steps,
                Guidance(parameters.guidance, (parameters.guidance_start, parameters.guidance_end), one_batch),
                progress=lambda done, steps: context.progress(done / steps, f"Step {done} of {steps}"),
                windows=windows,
            )
            if not keep_parts:
                pipeline.release("transformer")
        with context.stage("decode"):
            surfaces = _decode(shot, instances, pipeline, latents, parameters.resolution + 1, chunk, context)
    except CheckpointError as error:
        raise weights.problem_of(error, "midi") from error
    if keep_parts:
        residency.keep("midi", form, pipeline)
    return surfaces


def _decode(
    shot: Shot,
    instances: InstanceMap,
    pipeline: MidiPipeline,
    latents: torch.Tensor,
    resolution: int,
    chunk: int,
    context: Context,
) -> dict[int, Triangles]:
    """One instance after the other; one without a surface is told and left out."""
    surfaces: dict[int, Triangles] = {}
    for (index, number), tell in _each(sorted(instances.names), shot, context):
        try:
            surfaces[number] = decode(pipeline.vae, latents[index], resolution, chunk=chunk, progress=tell)
        except EmptySurface:
            message = f"{shot.title(number)} came out empty and was left out."
            context.warn("instance-empty", message, "Try another seed, or a clearer picture of it.", number)
    if not surfaces:
        raise Problem("geometry-failed", "Every object came out empty.", "Try another seed or another picture.")
    return surfaces


def _clean(
    shot: Shot, triangles: dict[int, Triangles], parameters: MidiParameters, context: Context
) -> dict[int, Mesh]:
    """Meshes fit for use, z up."""
    meshes: dict[int, Mesh] = {}
    with context.stage("clean"):
        for (_, number), tell in _each(list(triangles), shot, context):
            raw = triangles[number]
            tell(0.0)
            vertices = raw.vertices.astype(np.float64)[:, [0, 2, 1]] * (1.0, -1.0, 1.0)
            done = clean(vertices, raw.faces, target_faces=parameters.faces, smallest_piece=parameters.floaters)
            meshes[number] = Mesh(done.vertices, done.faces)
    return meshes


def _register(
    shot: Shot, instances: InstanceMap, meshes: dict[int, Mesh], parameters: MidiParameters, context: Context
) -> Registration:
    registration = register(
        meshes,
        instances,
        shot.camera,
        depth=shot.depth,
        bounds={number: Box.of(box) for number, box in shot.boxes.items()},
        tilt=parameters.tilt,
        seed=context.seed,
    )
    for warning in registration.warnings:
        context.warn(warning.code, warning.message, warning.hint, warning.instance)
    return registration


def _paint(props: list[Prop], shot: Shot, parameters: MidiParameters, context: Context) -> list[Prop]:
    """The props with the picture on them."""
    world = {prop.instance: replace(prop.mesh, vertices=prop.world_vertices()) for prop in props}
    painted = paint_scene(
        world,
        shot.image,
        shot.instances.labels,
        shot.camera,
        parameters.texture_size,
        lambda instance: context.progress(list(world).index(instance) / len(world), shot.instances.names[instance]),
    )
    return [
        replace(
            prop,
            mesh=carried(
                replace(prop.mesh, corner_uv=painted[prop.instance].corner_uv, texture=painted[prop.instance].texture),
                parameters.colour,
            ),
        )
        for prop in props
    ]


def _each(
    numbers: list[int], shot: Shot, context: Context
) -> Iterator[tuple[tuple[int, int], Callable[[float], None]]]:
    """(index, instance) one after the other, each with a function that takes the fraction done of it."""
    for index, number in enumerate(numbers):
        name = shot.instances.names[number] or f"Object {number}"

        def tell(fraction: float, index: int = index, name: str = name) -> None:
            context.progress((index + fraction) / len(numbers), name)

        yield (index, number), tell


def _summary(registration: Registration) -> dict[str, Any]:
    """How the scene was placed."""
    return {
        "registration": {
            "similarity": registration.similarity.tolist(),
            "scale": registration.scale,
            "yaw": registration.yaw,
            "tilt": registration.tilt,
            "scale_source": registration.scale_source,
            "confidence": registration.confidence,
            "mean_iou": registration.mean_iou,
        }
    }
