"""`python -m training.hi3d --config FILE`, or `torchrun --nproc-per-node N -m training.hi3d --config FILE`."""

from __future__ import annotations

import sys

from training import program
from training.hi3d.config import Config
from training.hi3d.run import run


def main(arguments: list[str] | None = None) -> int:
    """See `training.program.main`."""
    return program.main("training.hi3d", (__doc__ or "").splitlines()[0], Config, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
