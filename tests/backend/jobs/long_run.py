"""What the pipelines of `long_pipeline` do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from backend.pipelines.context import Context
from backend.scene import Mesh, Scene
from backend.shot import Shot
from tests.backend.jobs.long_pipeline import EVERY, LongParameters
from tests.backend.shapes import ball, standing


def run(shot: Shot, parameters: LongParameters, context: Context) -> Scene:
    """One bumpy ball per instance, all alike."""
    with context.stage("begin"):
        form = ball(0.5)
        radii, speed, step = np.ones(len(form.vertices)), np.zeros(len(form.vertices)), 0
    with context.stage("optimise"):
        found = context.checkpoints.latest()
        if found is not None:
            with np.load(found.folder / "state.npz") as state:
                radii, speed, step = state["radii"], state["speed"], found.step

        def write(folder: Path) -> None:
            np.savez(folder / "state.npz", radii=radii, speed=speed)

        end = time.monotonic() + (parameters.steps - step) * parameters.seconds
        while step < parameters.steps and not context.finish_wanted:
            if step + 1 == parameters.die:
                os._exit(9)
            bumps = 1 + 0.2 * np.random.default_rng([context.seed, step]).random(len(radii))
            speed = 0.9 * speed + 0.1 * (bumps - radii)
            radii = radii + 0.3 * speed
            step += 1
            _note(parameters, step)
            left = (parameters.steps - step) * parameters.seconds
            time.sleep(max(0.0, end - left - time.monotonic()))
            if step % EVERY == 0:
                context.checkpoints.save(step, write)
                context.preview("shape", _picture(radii), f"Step {step}")
            context.progress(step / parameters.steps, f"pid {os.getpid()} step {step} left {left:.3f}")
            while step == parameters.pause and found is None and not context.finish_wanted:
                context.check()
                time.sleep(0.01)
    mesh = Mesh(form.vertices * radii[:, None], form.faces)
    return Scene([standing(mesh, key, name, (0, 5, 0)) for key, name in shot.instances.names.items()])


def run_hastily(shot: Shot, parameters: LongParameters, context: Context) -> Scene:
    with context.stage("wait"):
        while parameters.pause:
            context.check()
            time.sleep(0.01)
    return Scene([standing(ball(0.5), key, name, (0, 5, 0)) for key, name in shot.instances.names.items()])


def _note(parameters: LongParameters, step: int) -> None:
    if parameters.journal:
        with Path(parameters.journal).open("a", encoding="ascii") as journal:
            journal.write(f"{os.getpid()} {step}\n")


def _picture(radii: np.ndarray) -> np.ndarray:
    row = np.clip(255 * (radii[:64] - 1) / 0.2, 0, 255).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], 48, axis=0), 3, axis=2)
