"""The work of MIDI: picture and masks → latents → surfaces → clean meshes → props where the camera sees them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend import weights
from backend.imaging.alpha import on_white
from backend.memory import Plan
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.midi import MidiParameters
from backend.pipelines.midi.checks import examine
from backend.pipelines.midi.plans import midi_plans, read_shape, read_sizes
from backend.pipelines.running import Running, Tell, each, seen
from backend.residency import residency
from backend.scene import Mesh, Scene
from backend.shot import InstanceMap, Shot
from models.isosurface import Triangles
from models.midi.decoding import decode
from models.midi.denoising import Guidance
from models.midi.pictures import framed
from models.midi.pipeline import MidiPipeline
from models.midi.windows import Windows, overlapping_windows

HINT = "Try another seed, or a clearer picture of it."


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
        running = Running.begin(context)
        sizes, shape = seen("midi", ["midi"], lambda: (read_sizes(folder), read_shape(folder)))
    pixels = [int(np.count_nonzero(instances.mask(number))) for number in sorted(instances.names)]
    windows = overlapping_windows(pixels, parameters.instances_per_pass)
    triangles = running.by_plans(
        lambda device: midi_plans(
            sizes,
            max(map(len, windows)),
            device,
            parameters.precision,
            shape,
            rows=sum(map(len, windows)),
            resolution=parameters.resolution + 1,
        ),
        lambda plan: _generate(shot, instances, windows, parameters, running, plan),
    )
    with context.stage("clean"):
        raw = {number: (_z_up(each.vertices), each.faces) for number, each in triangles.items()}
        shapes = ending.cleaned(raw, shot, context, faces=parameters.faces, floaters=parameters.floaters)
    with context.stage("place"):
        props, registration = ending.placed_together(
            {number: Mesh(shape.vertices, shape.faces) for number, shape in shapes.items()},
            instances,
            shot,
            context,
            tilt=parameters.tilt,
            snap=parameters.snap,
            to_ground=parameters.to_ground,
        )
        for number, prop in props.items():
            prop.quality["queries"] = triangles[number].queries
    with context.stage("texture"):
        if parameters.colour != "none":
            size = parameters.texture_size
            props = ending.painted(props, shot, context, how=parameters.colour, texture_size=size)
    return Scene(list(props.values()), {**running.record, **ending.registration_record(registration)})


def _generate(
    shot: Shot,
    instances: InstanceMap,
    windows: Windows,
    parameters: MidiParameters,
    running: Running,
    plan: Plan,
) -> dict[int, Triangles]:
    """Every instance's surface in MIDI's own frame, y up; one without a surface is told and left out."""
    context, dtype = running.context, getattr(torch, plan.dtype)
    one_batch, chunk, keep_parts = (plan.settings[name] for name in ("one_batch", "chunk", "keep_parts"))
    folder, device = weights.locate("midi"), running.device.name

    def opened() -> MidiPipeline:
        return MidiPipeline.from_pretrained(folder, device, dtype)

    with running.networks("midi", ["midi"], plan, opened) as pipeline:
        with context.stage("encode"):
            context.progress(0.0, plan.sentence)
            if not keep_parts:  # a job with more room may have left them there
                pipeline.lay_aside(residency.room_aside, "transformer", "vae")
            frame = framed(on_white(shot.image), instances.labels, parameters.padding)
            conditions = pipeline.encode(frame)
            if not keep_parts:
                pipeline.lay_aside(residency.room_aside, "image_encoder_1", "image_encoder_2")
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
                pipeline.lay_aside(residency.room_aside, "transformer")
        with context.stage("decode"):
            row = {number: latents[index] for index, number in enumerate(sorted(instances.names))}

            def work(number: int, tell: Tell) -> Triangles:
                return decode(pipeline.vae, row[number], parameters.resolution + 1, chunk=chunk, progress=tell)

            surfaces = each(row, work, shot, context, HINT)
            if not keep_parts:
                pipeline.lay_aside(residency.room_aside)
            return surfaces


def _z_up(vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """From MIDI's frame, (V, 3)."""
    turned: NDArray[np.float64] = vertices.astype(np.float64)[:, [0, 2, 1]] * (1.0, -1.0, 1.0)
    return turned
