"""A run from its objective to its last step, and what is written on the way: losses, figures, previews, models."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from models.optimisation.hooks import Report
from models.optimisation.loop import Loop, Outcome, Settings, warm_up_then_cosine
from models.optimisation.processes import Processes
from models.writing import write_whole
from training.config import DataError, Optimiser, Part, Run
from training.run import lines_until, train

VALIDATION, OBJECTS, SETTINGS = "validation.jsonl", "objects.json", "config.json"
EXPORTED, PREVIEWS = "models", "previews"
logger = logging.getLogger(__name__)

Judge = Callable[[Path], dict[str, float]]
"""Is given the file for a picture, or more; gives figures by name."""
Export = Callable[[Path, int], object]
"""Writes the network of a step into a folder."""


def check_batch(run: Run, processes: Processes) -> None:
    """Raises DataError where the batch of a run cannot be shared by its processes and parts."""
    parts = run.accumulation * processes.size
    if run.batch % parts:
        raise DataError(f"A batch of {run.batch} cannot be shared by {parts} parts; change run.batch.")


def conduct(
    objective: nn.Module,
    optimiser: torch.optim.Optimizer,
    run: Run,
    chosen: Optimiser,
    writer: Writer,
    processes: Processes,
) -> Outcome:
    """Trains from the newest state in the run's folder, or from the beginning, to the end. Errors: see `run.train`."""
    settings = Settings(
        run.steps,
        run.seed,
        run.accumulation,
        chosen.clip,
        run.precision,
        chosen.averaging,
        judged_every=0,
        left_out=run.left_out,
    )
    loop = Loop(
        objective,
        optimiser,
        settings,
        warm_up_then_cosine(chosen.warm_up, run.steps, chosen.least),
        processes=processes,
    )
    first = processes.rank == 0
    outcome = train(
        loop,
        run.folder,
        preview=writer.validate,
        told=writer.told,
        begun=writer.begin if first else None,
        preview_every=run.validate_every,
        checkpoint_every=run.checkpoint_every,
        log_every=run.log_every,
    )
    if first and loop.step % run.validate_every:
        with loop.averaged():
            writer.validate(loop.step)
    return outcome


class Writer:
    """What the first process writes beside states and losses.

    Args:
        run: its folder, and when to write.
        config: all of it, to be written down.
        names: of the objects, by group: those that are trained on, and those that are not.
        judge: is given the name of a preview's file and gives figures by name.
        export: is given the folder for models and the step.
    """

    def __init__(
        self, run: Run, config: Part, names: Mapping[str, list[str]], judge: Judge, export: Export, first: bool
    ) -> None:
        self._run, self._config, self._names = run, config, names
        self._judge, self._export = judge, export
        self._board = _board(run.folder) if run.tensorboard and first else None

    def begin(self) -> None:
        """Writes down what is trained on and how."""
        file, names = self._run.folder / OBJECTS, f"{json.dumps(self._names, indent=1)}\n".encode()
        if file.is_file() and file.read_bytes() != names:
            logger.warning(
                "This run was begun with other objects. What it is judged on now, it may have been trained on before."
            )
        write_whole(file, [names])
        write_whole(self._run.folder / SETTINGS, [f"{self._config.model_dump_json(indent=1)}\n".encode()])

    def told(self, report: Report) -> None:
        """Losses, for TensorBoard and the log."""
        if report.step and report.step % self._run.log_every == 0:
            self._add(report.step, {f"loss/{name}": value for name, value in report.losses.items()})

    def validate(self, step: int) -> None:
        """Figures and pictures of the network as it is, and the network itself."""
        folder = self._run.folder
        figures = self._judge(folder / PREVIEWS / f"step-{step:08d}.png")
        # Whoever was killed may have been here before: each step has one line.
        before = lines_until(folder / VALIDATION, step - 1)
        line = json.dumps({"step": step, **figures})
        write_whole(folder / VALIDATION, [*before, f"{line}\n".encode()])
        self._add(step, figures)
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logger.info("Step %d: %s", step, told or "no object is held out, so nothing is judged")
        self._export(folder / EXPORTED, step)

    def _add(self, step: int, figures: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)  # type: ignore[attr-defined]


def _board(folder: Path) -> object | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning("TensorBoard's files are not written: the package `tensorboard` is not installed.")
        return None
    return SummaryWriter(str(folder / "tensorboard"))  # type: ignore[no-untyped-call, unused-ignore]
