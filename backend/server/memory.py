"""Main memory: what a large picture took goes back to the system when it is done with, and what a process has."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from pathlib import Path

THRESHOLD_OPTION = -3  # M_MMAP_THRESHOLD of mallopt(3)
LARGE = 1 << 20
logger = logging.getLogger(__name__)


def give_large_blocks_back() -> None:
    """Have the C library ask the system for every block of a megabyte or more, and return it when it is freed.

    By itself glibc stops doing so after the first large block was freed: each thread that has decoded a picture then
    keeps its memory for the next one. Other systems and C libraries stay as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not mallopt(THRESHOLD_OPTION, LARGE):
        logger.debug("the C library does not say how it keeps memory")


def resident_bytes(pid: int) -> int | None:
    """What a process of this machine has of main memory; None where that cannot be told."""
    if sys.platform == "linux":
        try:
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]  # proc(5): the second field is the resident set
        except OSError:
            return None  # it has ended
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    try:
        import psutil
    except ImportError:  # it comes with the learned pipelines
        return None
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
