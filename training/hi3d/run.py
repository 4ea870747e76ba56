"""A run from its configuration: orbits, networks, loop, and what is written on the way."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch

from models.hi3d.files import ORBIT, REFINE, Stage
from models.hi3d.loading import StageFiles
from models.optimisation.loop import Outcome
from models.optimisation.processes import Processes
from training.conduct import EXPORTED, Writer, check_batch, conduct
from training.config import ConfigError
from training.feed import Feed
from training.hi3d.config import Config, StageName
from training.hi3d.degradation import Degrading
from training.hi3d.exporting import exported, write_stage
from training.hi3d.objective import Objective
from training.hi3d.orbits import Clip, Clips, find_orbits
from training.hi3d.starting import network_of
from training.hi3d.telling import Teller
from training.hi3d.validation import Validation, cases_of
from training.optimiser import adamw

NETWORKS = "networks"
"""In the run's folder: the converted form of `model.start`."""
STAGES: dict[StageName, Stage] = {"orbit": ORBIT, "refine": REFINE}
logger = logging.getLogger(__name__)


def run(config: Config, processes: Processes, device: torch.device) -> Outcome:
    """Trains from the newest state in the run's folder, or from the beginning, to the end.

    Raises:
        ConfigError, DataError, CheckpointError, NotFinite: see `find_orbits`, `network_of`, `training.run.train`.
    """
    run, model, stage = config.run, config.model, STAGES[config.model.stage]
    first = processes.rank == 0
    written = exported(run.folder / EXPORTED, stage)
    if model.start.is_dir() or model.start.resolve() == written.resolve():
        raise ConfigError(f"model.start: {model.start} has to be a file like {stage.file}, and not this run's own.")
    check_batch(run, processes)
    files = opened(config, stage, processes, device)
    found = find_orbits(config.data.folder, config.data.held_out, files.frames, run.seed, told=first)
    network = network_of(model, files).to(device).train()
    worse = None if stage is ORBIT else Degrading(config.degradation)
    clips = Clips(found.trained, files.frames, files.size, run.seed, worse)
    teller = Teller(files, stage, model.encoded)
    validation = Validation(clips, teller, config, cases_of(found.held_out, config.validation.objects, run.seed))
    writer = Writer(
        run, config, found.names, partial(validation, network), partial(export, network, stage, model.start), first
    )
    if first:
        trained = sum(each.numel() for each in network.parameters() if each.requires_grad)
        logger.info(
            "%d objects, %d orbits, %d held out; %.1f M parameters, %.1f M of them trained.",
            len(found.names["trained"]),
            len(clips),
            sum(map(len, found.names.values())) - len(found.names["trained"]),
            sum(each.numel() for each in network.parameters()) / 1e6,
            trained / 1e6,
        )
    feed: Feed[Clip]
    with Feed(clips, run.batch, run.steps, run.seed, run.accumulation, processes, run.workers) as feed:
        objective = Objective(network, feed, teller, config.noise)
        return conduct(objective, adamw(network, config.optimiser), run, config.optimiser, writer, processes)


def opened(config: Config, stage: Stage, processes: Processes, device: torch.device) -> StageFiles:
    """The networks of the stage's file, converted by the first process. Errors: `StageFiles.opened`."""
    # What is not trained runs in the precision of the published program where that is one of the device's own.
    half = device.type != "cpu" and config.run.precision != "float32"
    dtype = torch.float16 if half else torch.float32
    folder = config.run.folder / NETWORKS
    if processes.rank:
        processes.any(False, device)
    files = StageFiles.opened(config.model.start, stage, folder, device, dtype)
    if not processes.rank:
        processes.any(False, device)
    return files


def export(network: Any, stage: Stage, start: Path, folder: Path, step: int) -> Path:
    """Writes the stage's file, in place of that of an earlier step."""
    return write_stage(exported(folder, stage), start, network.state_dict(), network.config.layers_per_block)
