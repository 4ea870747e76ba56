"""A run from its configuration: data, network, loop, and what is written on the way."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from models.lrm.single_view import SingleViewModel
from models.lrm.single_view_configs import check_writable
from models.lrm.single_view_files import write_mira, write_openlrm
from models.optimisation.hooks import Report
from models.optimisation.loop import Loop, Outcome, Settings, warm_up_then_cosine
from models.optimisation.processes import Processes
from models.writing import write_whole
from training.mira.bank import DataError, sources_of
from training.mira.config import Config
from training.mira.feed import Feed
from training.mira.items import Items
from training.mira.objective import Objective
from training.mira.objects import Objects, Open, objects_of
from training.mira.perceptual import perceptual
from training.mira.starting import network_of, optimiser_of
from training.mira.validation import Case, cases_of, validate
from training.run import lines_until, train

VALIDATION, OBJECTS, SETTINGS = "validation.jsonl", "objects.json", "config.json"
EXPORTED, PREVIEWS, CACHE = "models", "previews", "cache"
KEPT = 3
logger = logging.getLogger(__name__)


def run(config: Config, open_views: Open, processes: Processes, device: torch.device) -> Outcome:
    """Trains from the newest state in the run's folder, or from the beginning, to the end.

    Raises:
        DataError, CheckpointError, NotFinite: see `objects_of`, `network_of`, `training.run.train`.
    """
    folder, first = config.run.folder, processes.rank == 0
    network, source_size, render_size = network_of(config.model, config.run.seed)
    # What could not be written in the end is not worth a step.
    check_writable(network.config, {"source_size": source_size, "render_size": render_size})
    folder.mkdir(parents=True, exist_ok=True)
    network = network.to(device).train()
    found = objects_of(config.data, config.data.cache or folder / CACHE, config.run.seed, open_views, processes)
    sources = sources_of(found.trained, config.data.elevations)
    parts = config.run.accumulation * processes.size
    if not sources:
        raise DataError(f"{config.data.folder}: no view shows an object from an elevation that is allowed.")
    if config.run.batch % parts:
        raise DataError(f"A batch of {config.run.batch} cannot be shared by {parts} parts; change run.batch.")
    items = Items(found.trained, sources, config, source_size, network.config.camera_numbers // 4 - 1)
    lpips = perceptual(config.losses.perceptual_network, device) if config.losses.perceptual else None
    chosen = config.optimiser
    settings = Settings(
        config.run.steps,
        config.run.seed,
        config.run.accumulation,
        chosen.clip,
        config.run.precision,
        chosen.averaging,
        judged_every=0,
        left_out=config.run.left_out,
    )
    run = config.run
    with Feed(items, run.batch, run.steps, run.seed, run.accumulation, processes, run.workers) as feed:
        loop = Loop(
            Objective(network, feed, config, lpips),
            optimiser_of(network, chosen),
            settings,
            warm_up_then_cosine(chosen.warm_up, run.steps, chosen.least),
            processes=processes,
        )
        writer = _Writer(config, network, found, source_size, render_size, lpips) if first else None
        if first:
            logger.info(
                "%d objects, %d source views, %d held out; %.1f M parameters.",
                len(found.trained),
                len(sources),
                sum(map(len, found.held_out.values())),
                sum(each.numel() for each in network.parameters()) / 1e6,
            )
        outcome = train(
            loop,
            folder,
            preview=writer.validate if writer else None,
            told=writer.told if writer else None,
            begun=writer.begin if writer else None,
            preview_every=run.validate_every,
            checkpoint_every=run.checkpoint_every,
            log_every=run.log_every,
        )
        if writer is not None and loop.step % run.validate_every:
            with loop.averaged():
                writer.validate(loop.step)
    return outcome


class _Writer:
    """What the first process writes beside states and losses: figures, previews, models."""

    def __init__(
        self,
        config: Config,
        network: SingleViewModel,
        found: Objects,
        source_size: int,
        render_size: int,
        lpips: object,
    ) -> None:
        self._config, self._network, self._lpips = config, network, lpips
        self._sizes = source_size, render_size
        self._folder = config.run.folder
        self._cases: dict[str, list[Case]] = {
            **{group: cases_of(some, config, config.validation.objects) for group, some in found.held_out.items()},
            "trained": cases_of(found.trained, config, config.validation.trained),
        }
        self._board = _board(self._folder) if config.run.tensorboard else None
        groups = {"trained": found.trained, **found.held_out}
        self._names = {group: [each.name for each in some] for group, some in groups.items()}

    def begin(self) -> None:
        """Writes down what is trained on and how."""
        file, names = self._folder / OBJECTS, f"{json.dumps(self._names, indent=1)}\n".encode()
        if file.is_file() and file.read_bytes() != names:
            logger.warning(
                "This run was begun with other objects. What it is judged on now, it may have been trained on before."
            )
        write_whole(file, [names])
        write_whole(self._folder / SETTINGS, [f"{self._config.model_dump_json(indent=1)}\n".encode()])

    def told(self, report: Report) -> None:
        """Losses, for TensorBoard and the log."""
        if report.step and report.step % self._config.run.log_every == 0:
            self._add(report.step, {f"loss/{name}": value for name, value in report.losses.items()})

    def validate(self, step: int) -> None:
        """Figures and pictures of the network as it is, and the network itself."""
        pictures = self._folder / PREVIEWS / f"step-{step:08d}.png"
        figures = validate(self._network, self._cases, self._config, self._sizes[0], self._lpips, pictures)  # type: ignore[arg-type]
        # Whoever was killed may have been here before: each step has one line.
        before = lines_until(self._folder / VALIDATION, step - 1)
        line = json.dumps({"step": step, **figures})
        write_whole(self._folder / VALIDATION, [*before, f"{line}\n".encode()])
        self._add(step, figures)
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logger.info("Step %d: %s", step, told or "no object is held out, so nothing is judged")
        export(self._network, self._folder / EXPORTED, step, self._sizes)

    def _add(self, step: int, figures: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)  # type: ignore[attr-defined]


def export(network: SingleViewModel, folder: Path, step: int, sizes: tuple[int, int]) -> Path:
    """Writes the network as its family publishes it; of MIRA's numbered files the newest few stay.

    Args:
        sizes: pixels of the source picture and of published renders.
    """
    if network.config.generation != "mira":
        return write_openlrm(network, folder, *sizes)
    settings = {"source_size": sizes[0], "render_size": sizes[1]}
    written = write_mira(network, folder / f"checkpoint_{step}.pt", step, settings)
    numbered = sorted((int(each.stem.partition("_")[2]), each) for each in folder.glob("checkpoint_*.pt"))
    for _, old in numbered[:-KEPT]:
        old.unlink()
    return written


def _board(folder: Path) -> object | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning("TensorBoard's files are not written: the package `tensorboard` is not installed.")
        return None
    return SummaryWriter(str(folder / "tensorboard"))  # type: ignore[no-untyped-call, unused-ignore]
