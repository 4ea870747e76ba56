"""What the tests of Hi3D start from: one run of the pipeline on an ellipsoid, and a job of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.contract import GenerateRequest, Progress, Warning
from backend.pipelines.context import Context
from backend.pipelines.hi3d import HI3D, Hi3DParameters
from backend.pipelines.hi3d.run import run
from backend.scene import Scene
from backend.shot import Shot
from tests.backend.instantmesh_shots import Kept, job_folder, nobody, photo

FAST = Hi3DParameters(steps=2, surface="outlines", resolution=32, faces=800, texture_size=64)
DRAFT = FAST.model_copy(update={"refine": "off", "colour": "none"})


def made(
    shot: Shot,
    parameters: Hi3DParameters = DRAFT,
    *,
    seed: int = 1,
    kept: Kept | None = None,
    answer: Callable[[dict[str, Any]], dict[str, Any]] = nobody,
    **options: Any,
) -> tuple[Scene, list[Progress | Warning]]:
    """One run of the pipeline, and what it said. `kept` takes its files and gives them back."""
    said: list[Progress | Warning] = []
    files = {} if kept is None else kept
    report, skipped = options.pop("report", said.append), frozenset(parameters.skipped_stages())
    context = Context(
        HI3D,
        seed,
        report,
        answer=answer,
        save=files.__setitem__,
        restore=files.get,
        skipped=skipped,
        **options,
    )
    return run(shot, parameters, context), said


def job_of(folder: Path, parameters: Hi3DParameters) -> Path:
    """A job as the server writes it down."""
    request = GenerateRequest(pipeline="hi3d", parameters=parameters.model_dump(), seed=1, name="Vase")
    return job_folder(folder, request, photo())
