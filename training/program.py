"""The command line of a training run: `python -m training.<what> --config FILE`, alone or under torchrun."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from models.loading import CheckpointError
from models.optimisation.loop import NotFinite, Outcome
from models.optimisation.processes import Processes
from training.config import ConfigError, DataError, Part, read_file, tables
from training.processes import started

C = TypeVar("C", bound=Part)


def main(
    name: str,
    purpose: str,
    kind: type[C],
    run: Callable[[C, Processes, torch.device], Outcome],
    arguments: list[str] | None = None,
) -> int:
    """0: trained to the end. 3: asked to end before. 2: what was asked for cannot be done; a sentence says why.

    Args:
        name: of the module. purpose: a sentence for its help.
        kind: of the configuration; it has `model.start`, `data.folder` and `run.folder`.
        run: what it does, in every process.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=purpose)
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML; see --fields")
    parser.add_argument("--fields", action="store_true", help="tell what can be in the file, and end")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="in place of model.start: go on from this one")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="in place of data.folder")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="of the run, in place of run.folder")
    parser.add_argument("--threads", type=int, metavar="N", help="of each training process on a CPU")
    chosen = parser.parse_args(arguments)
    if chosen.fields:
        sys.stdout.write(tables(kind))
        return 0
    if chosen.config is None:
        parser.error("--config FILE is missing.")
    changed: dict[str, Any] = {"model.start": chosen.start, "data.folder": chosen.data, "run.folder": chosen.folder}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if chosen.threads is not None:
        torch.set_num_threads(max(chosen.threads, 1))
    try:
        config = read_file(kind, chosen.config, {each: value for each, value in changed.items() if value is not None})
        with started() as (processes, device):
            outcome = run(config, processes, device)
    except (ConfigError, DataError, CheckpointError, NotFinite) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        # A full disk tells no file; it is the run that writes.
        place = error.filename or f"The run of {chosen.config}"
        sys.stderr.write(f"{place}: {error.strerror or error}. The same command goes on when that is mended.\n")
        return 2
    return 3 if outcome.early else 0
