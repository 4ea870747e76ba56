"""What the fake pipelines do. Each tells its process id where its work begins."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.errors import Problem
from backend.imaging.intake import shot_of
from backend.pipelines.context import Context
from backend.preparations.base import Prepared
from backend.questions import Choice, ChooseQuestion
from backend.scene import Mesh, Prop, Scene
from backend.shot import InstanceMap, Shot
from tests.backend.jobs.fake_pipelines import FakeParameters

STEP = 0.01


@contextmanager
def _work(context: Context) -> Iterator[None]:
    with context.stage("begin"):
        context.progress(0.0, message=f"pid {os.getpid()}")
    with context.stage("work"):
        context.progress(0.0, message=f"pid {os.getpid()}")
        yield


def _tetrahedra(shot: Shot) -> Scene:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    return Scene(
        [
            Prop(instance, name or "Object", Mesh(vertices, faces), np.eye(4), "assumed")
            for instance, name in shot.instances.names.items()
        ]
    )


def steady(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Reports progress, and stops when told to."""
    with _work(context):
        while parameters.gate and not Path(parameters.gate).exists():
            context.check()
            time.sleep(STEP)
        for step in range(parameters.steps):
            context.progress(step / parameters.steps)
    return _tetrahedra(shot)


def deaf(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Hears no cancel."""
    with _work(context):
        while not Path(parameters.gate).exists():
            time.sleep(STEP)
    return _tetrahedra(shot)


def crashing(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Takes the process with it."""
    with _work(context):
        if parameters.how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class OutOfMemoryError(RuntimeError):
    """Named like PyTorch's."""


def raising(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Fails in one of the ways a pipeline can fail."""
    errors = {
        "memory": MemoryError(),
        "gpu memory": OutOfMemoryError("CUDA out of memory"),
        "disk": OSError(errno.ENOSPC, "No space left on device"),
        "problem": Problem("geometry-failed", "The chair has no legs.", part="leg"),
        "numbers": Problem("geometry-failed", "No legs.", part=np.int64(3)),
        "not a number": Problem("geometry-failed", "No legs.", part=float("nan")),
        "exit": SystemExit(4),
        "surprise": ValueError("a secret of the implementation"),
    }
    with _work(context):
        raise errors[parameters.how]


def asking(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Asks, and repeats the answer as a warning."""
    with _work(context):
        answer = context.ask({"title": "Which views?", "choices": [1, 2, 3]})
        context.warn("echo", f"You chose {answer['choice']}.")
    return _tetrahedra(shot)


def halves(shot: Shot, parameters: FakeParameters, context: Context) -> Prepared:
    """Finds the left and the right half, and asks for one or both."""
    sides = ("left", "right")
    with context.stage("halve"):
        for side in sides:
            context.keep(f"{side}.png", side.encode())
        choices = [Choice(file=f"{side}.png", label=side) for side in sides]
        answer = context.ask(ChooseQuestion(title="Which half?", choices=choices, most=2, default=[1]))
    labels = np.zeros(shot.image.shape[:2], np.uint16)
    middle = labels.shape[1] // 2
    for number in answer["chosen"]:
        labels[:, slice(0, middle) if number == 0 else slice(middle, None)] = number + 1
    names = {number + 1: sides[number] for number in sorted(answer["chosen"])}
    return Prepared(replace(shot, instances=InstanceMap(labels, names)), {"pixels": np.count_nonzero(labels)})


def drawn(shot: Shot, parameters: FakeParameters, context: Context) -> Prepared:
    """A red disc, which is larger with every seed, on white; on nothing if `how` is "cut out"."""
    with context.stage("draw"):
        row, column = np.mgrid[:96, :96]
        picture = np.full((96, 96, 4), 255, np.uint8)
        picture[..., 3] = 0 if parameters.how == "cut out" else 255
        picture[(row - 48) ** 2 + (column - 48) ** 2 < (20 + context.seed) ** 2] = (200, 40, 30, 255)
    return Prepared(shot_of(picture), {"sheet": shot.image.shape}, "Disc")


def noisy(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Prints on every channel, also what looks like a message of the worker."""
    with _work(context):
        print('{"type": "done"}')
        os.write(1, b'{"type":"failed","problem":{}}\nno line end')
        os.write(2, b"\xff\xfe bytes\n")
        subprocess.run([sys.executable, "-c", "print('a child speaks'); input()"], check=False)
        print("x" * 1_000_000, file=sys.stderr)
    return _tetrahedra(shot)


def revealing(shot: Shot, parameters: FakeParameters, context: Context) -> Scene:
    """Shows what it can find of the server's secrets."""
    with context.stage("work"):
        context.progress(0.0, message=os.environ.get("SET_DRESSER_TOKEN", "nothing"))
    return _tetrahedra(shot)
