"""`python -m training.mira --config FILE`, or `torchrun --nproc-per-node N -m training.mira --config FILE`."""

from __future__ import annotations

import sys

from training import program
from training.mira.config import Config
from training.mira.run import run
from training.views import open_views


def main(arguments: list[str] | None = None) -> int:
    """See `training.program.main`."""
    return program.main(
        "training.mira",
        (__doc__ or "").splitlines()[0],
        Config,
        lambda config, processes, device: run(config, open_views, processes, device),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
