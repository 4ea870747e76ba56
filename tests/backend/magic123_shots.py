"""What the tests of Magic123 start from: one run of the pipeline on an ellipsoid, and a job of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.contract import GenerateRequest, Progress, Warning
from backend.pipelines.context import Context
from backend.pipelines.magic123 import MAGIC123, Magic123Parameters
from backend.pipelines.magic123.run import run
from backend.scene import Scene
from backend.shot import Shot
from tests.backend.instantmesh_shots import Kept, job_folder, photo, png

FAST = Magic123Parameters(
    steps=5, side=16, fine_side=32, levels=3, table=10, encoding="quarter", resolution=32, faces=800, texture_size=64
)
"""The third and the fourth step see novel views."""

DRAFT = FAST.model_copy(update={"refine": "off", "colour": "none", "text_prior": "none"})


def made(
    shot: Shot, parameters: Magic123Parameters = DRAFT, *, seed: int = 1, kept: Kept | None = None, **options: Any
) -> tuple[Scene, list[Progress | Warning]]:
    """One run of the pipeline, and what it said. `kept` takes its files."""
    said: list[Progress | Warning] = []
    files = {} if kept is None else kept
    report, skipped = options.pop("report", said.append), frozenset(parameters.skipped_stages())
    context = Context(MAGIC123, seed, report, save=files.__setitem__, restore=files.get, skipped=skipped, **options)
    return run(shot, parameters, context), said


def job_of(
    folder: Path,
    parameters: Magic123Parameters,
    pipeline: str = "magic123",
    name: str = "Vase",
    picture: bytes | None = None,
) -> Path:
    """A job as the server writes it down."""
    request = GenerateRequest(pipeline=pipeline, parameters=parameters.model_dump(), name=name)
    folder = job_folder(folder, request)
    (folder / "inputs" / "image-0.bin").write_bytes(png(photo()) if picture is None else picture)
    return folder
