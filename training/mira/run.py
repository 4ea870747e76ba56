"""A run from its configuration: data, network, loop, and what is written on the way."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import torch

from models.lrm.single_view import SingleViewModel
from models.lrm.single_view_configs import check_writable
from models.lrm.single_view_files import write_mira, write_openlrm
from models.optimisation.loop import Outcome
from models.optimisation.processes import Processes
from training.conduct import Writer, check_batch, conduct
from training.config import DataError
from training.feed import Feed
from training.mira.bank import sources_of
from training.mira.config import Config
from training.mira.items import Items
from training.mira.objective import Objective
from training.mira.objects import Open, objects_of
from training.mira.perceptual import perceptual
from training.mira.starting import network_of, optimiser_of
from training.mira.validation import cases_of, validate

CACHE = "cache"
KEPT = 3
logger = logging.getLogger(__name__)


def run(config: Config, open_views: Open, processes: Processes, device: torch.device) -> Outcome:
    """Trains from the newest state in the run's folder, or from the beginning, to the end.

    Raises:
        DataError, CheckpointError, NotFinite: see `objects_of`, `network_of`, `training.run.train`.
    """
    run, first = config.run, processes.rank == 0
    network, *sizes = network_of(config.model, run.seed)
    # What could not be written in the end is not worth a step.
    check_writable(network.config, dict(zip(("source_size", "render_size"), sizes, strict=True)))
    run.folder.mkdir(parents=True, exist_ok=True)
    network = network.to(device).train()
    found = objects_of(config.data, config.data.cache or run.folder / CACHE, run.seed, open_views, processes)
    sources = sources_of(found.trained, config.data.elevations)
    if not sources:
        raise DataError(f"{config.data.folder}: no view shows an object from an elevation that is allowed.")
    check_batch(run, processes)
    source_size = sizes[0]
    items = Items(found.trained, sources, config, source_size, network.config.camera_numbers // 4 - 1)
    lpips = perceptual(config.losses.perceptual_network, device) if config.losses.perceptual else None
    cases = {
        **{group: cases_of(some, config, config.validation.objects) for group, some in found.held_out.items()},
        "trained": cases_of(found.trained, config, config.validation.trained),
    }
    writer = Writer(
        run,
        config,
        {group: [each.name for each in some] for group, some in {"trained": found.trained, **found.held_out}.items()},
        partial(validate, network, cases, config, source_size, lpips),
        partial(export, network, sizes=(source_size, sizes[1])),
        first,
    )
    if first:
        logger.info(
            "%d objects, %d source views, %d held out; %.1f M parameters.",
            len(found.trained),
            len(sources),
            sum(map(len, found.held_out.values())),
            sum(each.numel() for each in network.parameters()) / 1e6,
        )
    with Feed(items, run.batch, run.steps, run.seed, run.accumulation, processes, run.workers) as feed:
        objective = Objective(network, feed, config, lpips)
        return conduct(objective, optimiser_of(network, config.optimiser), run, config.optimiser, writer, processes)


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
