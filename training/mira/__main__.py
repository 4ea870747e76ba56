"""`python -m training.mira --config FILE`, or `torchrun --nproc-per-node N -m training.mira --config FILE`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import torch

from models.loading import CheckpointError
from models.optimisation.loop import NotFinite
from training.mira.bank import DataError
from training.mira.config import ConfigError, read_config, tables
from training.mira.run import run
from training.processes import started
from training.views import open_views


def main(arguments: list[str] | None = None) -> int:
    """0: trained to the end. 3: asked to end before. 2: what was asked for cannot be done; a sentence says why."""
    parser = argparse.ArgumentParser(prog="python -m training.mira", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML; see --fields")
    parser.add_argument("--fields", action="store_true", help="tell what can be in the file, and end")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="fine-tune a published or own checkpoint")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="in place of data.folder")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="of the run, in place of run.folder")
    parser.add_argument("--threads", type=int, metavar="N", help="of each training process on a CPU")
    chosen = parser.parse_args(arguments)
    if chosen.fields:
        sys.stdout.write(tables())
        return 0
    if chosen.config is None:
        parser.error("--config FILE is missing.")
    changed: dict[str, Any] = {"model.start": chosen.start, "data.folder": chosen.data, "run.folder": chosen.folder}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if chosen.threads is not None:
        torch.set_num_threads(max(chosen.threads, 1))
    try:
        config = read_config(chosen.config, **{name: value for name, value in changed.items() if value is not None})
        with started() as (processes, device):
            outcome = run(config, open_views, processes, device)
    except (ConfigError, DataError, CheckpointError, NotFinite) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        # A full disk tells no file; it is the run that writes.
        place = error.filename or f"The run of {chosen.config}"
        sys.stderr.write(f"{place}: {error.strerror or error}. The same command goes on when that is mended.\n")
        return 2
    return 3 if outcome.early else 0


if __name__ == "__main__":
    sys.exit(main())
