"""What all suites share; standard library only, for some of them run in Blender's Python."""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Before numpy or torch is imported, here and in every process that a test starts: two suites run side by side, and
    # of arrays and networks so small, more threads only wait for each other.
    os.environ.setdefault(name, "1")
