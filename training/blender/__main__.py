"""Starts `worker.py`, whether Python runs this file or Blender does (`--python`), which knows nothing of packages."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Answers until the input ends."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from training.blender.worker import answer_all

    answer_all()


if __name__ == "__main__":
    main()
