"""A job of Hi3D that dies in every one of its stages, one attempt after the other.

    python -m tests.backend.pipelines.dying <folder of the job> <file for calls>

A process of its own, of which each attempt is a copy: libraries that have made threads before would wait for them in a
copy. Works of the stages are written down as they are done, each on a line, so they outlive who did them.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from backend.contract import Progress, Result, Warning
from backend.jobs.run import run_job
from backend.pipelines import ending
from backend.pipelines.hi3d import keeping, surfaces
from backend.pipelines.viewed import shaping
from models.hi3d import denoising
from tests.backend.hi3d_shots import FAST
from tests.backend.instantmesh_shots import nobody

PARAMETERS = FAST.model_copy(update={"orbit_video": True})
PATIENCE_SECONDS = 200

WORKS = (
    (denoising, "both_halves", 2 * FAST.steps),
    (surfaces, "_cover", 6),
    (shaping, "surfaced", 1),
    (ending, "clean", 1),
    (shaping, "coloured", 1),
)
"""Functions that do the work of a stage, and how often they are called in a run."""

DEATHS = (
    ("frame", 0),
    ("orbit", 1),  # after the first step
    ("orbit", 2),  # the views are being drawn
    ("refine", 3),
    ("refine", 4),
    ("surface", 5),  # views are being cut out
    ("clean", 0),
    ("texture", 0),
    ("place", 0),
    ("video", 0),
    ("export", 0),
)
"""In which stage an attempt dies: at its first report there after so many works of all attempts."""


def attempt(folder: Path, report: Callable[[Progress | Warning], None] = lambda news: None) -> Result:
    """One attempt at the job."""
    return run_job("job", folder, report, lambda: False, nobody)


def write_down(log: Path, patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """From now on every work is written down when it is done, and the sampler's state is kept after every step."""

    def counted(function: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        done = function(*arguments, **options)
        with log.open("a") as file:
            file.write(f"{name}\n")
        return done

    for module, name, _ in WORKS:
        patch(module, name, partial(counted, getattr(module, name), name))
    patch(keeping, "SECONDS", 0.0)


def killed(folder: Path, log: Path, stage: str, works: int) -> int:
    """An attempt in a copy of this process that is killed with -9; how that ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(PATIENCE_SECONDS)

    def report(news: Progress | Warning) -> None:
        done = len(log.read_text().split()) if log.exists() else 0
        if isinstance(news, Progress) and news.stage == stage and done >= works:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        attempt(folder, report)
    finally:
        traceback.print_exc()
        os._exit(1)


def main(folder: Path, log: Path) -> int:
    torch.set_num_threads(1)
    write_down(log)
    for stage, works in DEATHS:
        ended = killed(folder, log, stage, works)
        if ended != -signal.SIGKILL:
            print(f"the attempt that was to die in {stage} ended with {ended}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
