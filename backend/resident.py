"""Main memory: what a process has of it, and how it goes back to the system when nobody needs it any more.

By itself glibc keeps much of what was freed: for each thread a heap of its own, and, from the first large block that
was freed on, large blocks too. Other systems and C libraries stay as they are.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

THRESHOLD_OPTION, ARENAS_OPTION = -3, -8  # M_MMAP_THRESHOLD and M_ARENA_MAX of mallopt(3)
LARGE = 1 << 20
logger = logging.getLogger(__name__)


def keep_little() -> None:
    """For a process of many threads that do little each: every block of a megabyte or more comes from the system and
    returns to it when it is freed, and all threads share one heap, whose holes all of them fill. It has to be called
    before there is a second thread."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None or not (mallopt(THRESHOLD_OPTION, LARGE) and mallopt(ARENAS_OPTION, 1)):
        logger.debug("the C library does not say how it keeps memory")


def give_back() -> None:
    """For a process that has done something large: return what is free, malloc_trim(3)."""
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(ctypes.c_size_t(0))


def _of_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


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
