"""What the tests of InstantMesh start from: photos of ellipsoids, block-outs, and views that are made once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.camera import Camera, default_camera
from backend.contract import GenerateRequest, Photo, Progress, Result, Warning
from backend.jobs.run import run_job
from backend.pipelines.context import Context
from backend.pipelines.instantmesh import INSTANTMESH, InstantMeshParameters
from backend.pipelines.instantmesh.run import run
from backend.scene import Scene
from backend.shot import InstanceMap, Shot

COLOURS = ((200, 80, 60), (20, 180, 60), (20, 80, 200))
FAST = InstantMeshParameters(steps=1, resolution=64, faces=2000, texture_size=1024)
PLAIN = FAST.model_copy(update={"colour": "none"})
SIZE = 200

Kept = dict[str, bytes]
"""Files that a job keeps, by name; handed to the next attempt they are recalled."""


def photo(colour: tuple[int, int, int] = COLOURS[0], size: int = SIZE) -> np.ndarray:
    """An ellipsoid cut out, HxWx4."""
    row, column = np.mgrid[:size, :size]
    picture = np.zeros((size, size, 4), np.uint8)
    inside = ((column - size / 2) / (0.35 * size)) ** 2 + ((row - size / 2) / (0.42 * size)) ** 2 < 1
    picture[inside] = (*colour, 255)
    return picture


def shot_of(*azimuths: float | None, camera: Camera | None = None) -> Shot:
    """As many photos of one object, of different colours."""
    pictures = tuple(photo(colour) for colour in COLOURS[: len(azimuths)])
    labels = (pictures[0][..., 3] > 0).astype(np.uint16)
    return Shot(
        pictures,
        InstanceMap(labels, {1: "Vase"}),
        camera or default_camera(SIZE, SIZE),
        "default" if camera is None else "request",
        instance_source="alpha",
        photos=tuple(Photo(azimuth=azimuth) for azimuth in azimuths),
    )


ONE = shot_of(None)
THREE = shot_of(0, 120, 240)


def made(
    shot: Shot,
    parameters: InstantMeshParameters = FAST,
    *,
    seed: int = 1,
    kept: Kept | None = None,
    answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    **options: Any,
) -> tuple[Scene, list[Progress | Warning]]:
    """One run of the pipeline, and what it said. `kept` takes its files and gives them back."""
    said: list[Progress | Warning] = []
    files = {} if kept is None else kept
    context = Context(
        INSTANTMESH,
        seed,
        options.pop("report", said.append),
        answer=answer or nobody,
        save=files.__setitem__,
        restore=files.get,
        **options,
    )
    return run(shot, parameters, context), said


def nobody(question: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(f"nobody is to be asked: {question['title']}")


def warnings(said: list[Progress | Warning]) -> list[tuple[str, int | None]]:
    return [(each.code, each.instance) for each in said if isinstance(each, Warning)]


def stages(said: list[Progress | Warning]) -> list[str]:
    """The stages in the order in which they were entered."""
    told = [each.stage for each in said if isinstance(each, Progress)]
    return [stage for index, stage in enumerate(told) if index == 0 or told[index - 1] != stage]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def job_folder(folder: Path, request: GenerateRequest, *pictures: np.ndarray) -> Path:
    """A job as the server writes it down."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "request.json").write_text(request.model_dump_json())
    for index, picture in enumerate(pictures):
        (folder / "inputs" / f"image-{index}.bin").write_bytes(png(picture))
    return folder


def request_of(parameters: InstantMeshParameters, *azimuths: float | None, seed: int = 1) -> GenerateRequest:
    photos = [Photo(azimuth=azimuth) for azimuth in azimuths]
    return GenerateRequest(
        pipeline="instantmesh", parameters=parameters.model_dump(), seed=seed, photos=photos, name="Vase"
    )


def attempt(folder: Path, answer: Callable[[dict[str, Any]], dict[str, Any]] = nobody) -> Result:
    """One attempt at a job's folder."""
    result = run_job("job", folder, lambda said: None, lambda: False, answer)
    assert json.loads((folder / "output" / "result.json").read_text())["job"] == "job"
    return result
