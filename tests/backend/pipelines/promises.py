"""What every pipeline is tried on by `test_promises.py`, and how.

A pipeline that is registered is tried without being named here: on a picture of two objects and a third one that is one
pixel, with the parameters that it has by itself. One that needs networks gets a row in `EXAMPLES`, which says who
writes its tiny checkpoints, and which parameters make it quick; so does one that takes several pictures.
"""

from __future__ import annotations

import json
import os
import signal
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from backend.contract import GenerateRequest, InstanceLabel, Progress, Result, Warning
from backend.jobs.run import run_job
from backend.pipelines.base import PipelineInfo
from backend.pipelines.context import Cancelled
from tests.backend.instantmesh_shots import png

NAMES = {3: "Vase", 4: "Lamp", 9: "Dot"}
DEGENERATE = 9
"""The object of one pixel."""

SIZE = 160
PATIENCE_SECONDS = 100

CANCELLED, WENT_ON, ENDED, SIGKILLED = 0, 10, 11, -signal.SIGKILL
"""How a copy of the process ends that has been cancelled: as it should; with another report; with a result. And how one
ends that was killed."""


def nothing(folder: Path) -> None:
    """Writes no checkpoints."""


@dataclass(frozen=True)
class Example:
    """How to try a pipeline.

    parameters: what makes it quick. write: writes tiny checkpoints into a folder of models.
    views: pictures of one object, each with its camera, where it does not take one picture of three objects.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    write: Callable[[Path], object] = nothing
    views: int = 0

    @property
    def names(self) -> dict[int, str]:
        """The objects of its job."""
        return {1: "Stool"} if self.views else NAMES


def _midi(folder: Path) -> None:
    from models.midi.tiny import write_tiny_checkpoint

    write_tiny_checkpoint(folder / "VAST-AI" / "MIDI-3D")


def _instantmesh(folder: Path) -> None:
    from backend.pipelines.instantmesh.tiny import write_tiny_instantmesh_checkpoints

    write_tiny_instantmesh_checkpoints(folder, ["large"])


def _mira(folder: Path) -> None:
    from backend.pipelines.mira.tiny import write_tiny_mira_checkpoints

    write_tiny_mira_checkpoints(folder, ["mix-base"])


def _hi3d(folder: Path) -> None:
    from backend.pipelines.hi3d.tiny import write_tiny_hi3d_checkpoints

    write_tiny_hi3d_checkpoints(folder)


def _magic123(folder: Path) -> None:
    from backend.pipelines.magic123.tiny import write_tiny_magic123_checkpoints

    write_tiny_magic123_checkpoints(folder)


EXAMPLES = {
    "inflate": Example({"detail": 48, "texture_size": 64}),
    "midi": Example({"steps": 2, "resolution": "65", "faces": 1000, "texture_size": 128}, _midi),
    "instantmesh": Example({"steps": 1, "resolution": "64", "faces": 1000, "texture_size": 256}, _instantmesh),
    "multiview": Example({"resolution": 32, "side": 128, "faces": 800, "texture_size": 128}, views=3),
    "mira": Example({"resolution": 32, "faces": 1000, "texture_size": 128}, _mira),
    "hi3d": Example(
        {"steps": 2, "refine": "off", "surface": "outlines", "resolution": 32, "faces": 800, "texture_size": 64}, _hi3d
    ),
    "magic123": Example(
        {
            "steps": 2,
            "side": 16,
            "fine_side": 32,
            "levels": 3,
            "table": 10,
            "encoding": "quarter",
            "resolution": 32,
            "faces": 800,
            "texture_size": 64,
        },
        _magic123,
    ),
}


def example_of(info: PipelineInfo) -> Example:
    """Raises LookupError: for a pipeline with networks that no row gives tiny checkpoints to."""
    if info.learned and info.id not in EXAMPLES:
        raise LookupError(f"{info.id} needs networks: give it a row in {Path(__file__).name}, with tiny checkpoints")
    return EXAMPLES.get(info.id, Example())


@dataclass
class Attempt:
    """One that has come to its end.

    said: all that it reported. glb: the bytes of `scene.glb`. looks: how often it had looked whether it is cancelled
    when each of `said` came. copies: how the copies of the process have ended that were cancelled, one at each look.
    """

    result: Result
    said: list[Progress | Warning]
    glb: bytes
    looks: list[int]
    copies: list[int]


def write_job(folder: Path, info: PipelineInfo, seed: int) -> Path:
    """A job as the server writes it down: two ellipses and a pixel, over grey; or views of a stool."""
    example = example_of(info)
    if example.views:
        from tests.backend.multiview_shots import write_views

        return write_views(folder, example.views, dict(example.parameters), seed, pipeline=info.id)
    row, column = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((SIZE, SIZE), np.uint8)
    picture = np.full((SIZE, SIZE, 3), 128, np.uint8)
    for number, x, colour in ((3, 45, (200, 80, 60)), (4, 112, (20, 120, 190))):
        inside = ((column - x) / 28) ** 2 + ((row - 85) / 36) ** 2 < 1
        labels[inside], picture[inside] = number, colour
    labels[20, 78] = DEGENERATE
    request = GenerateRequest(
        pipeline=info.id,
        parameters=dict(example.parameters),
        seed=seed,
        instances=[InstanceLabel(id=number, name=name) for number, name in NAMES.items()],
    )
    (folder / "inputs").mkdir(parents=True)
    (folder / "request.json").write_text(request.model_dump_json(), encoding="utf-8")
    (folder / "inputs" / "image-0.bin").write_bytes(png(picture))
    (folder / "inputs" / "instances.bin").write_bytes(png(labels))
    return folder


def attempt(folder: Path, *, cancel_copies: bool = False, die_at: int | None = None) -> Attempt:
    """Run the job in a folder to its end.

    Args:
        cancel_copies: each time when it looks whether it is cancelled, a copy of this process is told that it is. The
            copy does no work but to end: threads of libraries are not copied, and work might wait for them.
        die_at: kill this process with -9 at this report, counted from 0, or where the surface is to be laid out flat
            before: the threads that do that are not in a copy of a process.
    """
    said: list[Progress | Warning] = []
    looks: list[int] = []
    copies: list[int] = []
    looked, copied = 0, False

    def report(news: Progress | Warning) -> None:
        if copied:
            os._exit(WENT_ON)
        said.append(news)
        looks.append(looked)
        if die_at is not None and (len(said) > die_at or getattr(news, "stage", "") == "texture"):
            os.kill(os.getpid(), signal.SIGKILL)

    def cancelled() -> bool:
        nonlocal looked, copied
        looked += 1
        if cancel_copies and not copied:
            child = _fork()
            copied = child == 0
            if not copied:
                copies.append(_end_of(child))
        return copied

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        return {"chosen": question["default"]} if "default" in question else {"instances": question["instances"]}

    try:
        result = run_job("job", folder, report, cancelled, answer)
    except BaseException as error:
        if copied:
            os._exit(CANCELLED if isinstance(error, Cancelled) else 1)
        raise
    if copied:
        os._exit(ENDED)
    return Attempt(result, said, (folder / "output" / "scene.glb").read_bytes(), looks, copies)


def _fork() -> int:
    """A copy of this process, which is ended after some minutes whatever it does; its id, 0 in the copy."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_SECONDS)
    return child


def _end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_attempt(folder: Path, at: int) -> int:
    """The same in a process of its own that is killed with -9 at a report; how that process ended."""
    child = _fork()
    if child == 0:
        _die_at(folder, at)
    return _end_of(child)


def _die_at(folder: Path, at: int) -> NoReturn:
    try:
        attempt(folder, die_at=at)
    finally:
        os._exit(ENDED)


def solids(glb: bytes) -> dict[int, NDArray[np.int64]]:
    """Faces [F, 3] by instance id; what stands at one point is one vertex, so a texture's seams are no openings."""
    length = struct.unpack_from("<I", glb, 12)[0]
    document, binary = json.loads(glb[20 : 20 + length]), glb[28 + length :]

    def array(index: int, width: int) -> NDArray[Any]:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        kind = {5123: np.uint16, 5125: np.uint32, 5126: np.float32}[accessor["componentType"]]
        begin = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        return np.frombuffer(binary, kind, accessor["count"] * width, begin).reshape(-1, width)

    found = {}
    for node in document["nodes"]:
        if "mesh" in node:
            (part,) = document["meshes"][node["mesh"]]["primitives"]
            _, vertex = np.unique(array(part["attributes"]["POSITION"], 3), axis=0, return_inverse=True)
            found[node["extras"]["instance_id"]] = vertex.reshape(-1)[array(part["indices"], 1).reshape(-1, 3)]
    return found


def openings(faces: NDArray[np.int64]) -> int:
    """How many edges have no partner that runs the other way."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ways, counts = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0, return_counts=True)
    there = dict(zip(map(tuple, ways.tolist()), counts.tolist(), strict=True))
    alone, times = np.unique(edges, axis=0, return_counts=True)
    return sum(there[tuple(edge)] != 2 * count for edge, count in zip(alone.tolist(), times.tolist(), strict=True))
