"""What all suites share; standard library only, for some of them run in Blender's Python."""

from __future__ import annotations

import gc
import os
import signal

# Who runs the tests in the background has Ctrl-C ignored, here and in every process that a test starts; tests that
# press it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Before numpy or torch is imported, here and in every process that a test starts: two suites run side by side, and
    # of arrays and networks so small, more threads only wait for each other.
    os.environ.setdefault(name, "1")


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: the collections that tests and pipelines ask for need not go through it,
    which would cost half a second each with all libraries loaded."""
    gc.collect()
    gc.freeze()
