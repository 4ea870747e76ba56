"""How much of the disk finished jobs may hold, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

GIGABYTE = 10**9


@dataclass(frozen=True)
class Surplus:
    """What a limit would remove: so many jobs, so many bytes; limit: in gigabytes."""

    limit: float
    jobs: int
    bytes: int


def in_bytes(gigabytes: float) -> int | None:
    """A limit as the backend takes it; None for 0, which is no limit."""
    return round(gigabytes * GIGABYTE) if gigabytes > 0 else None


def is_tighter(one: float, other: float) -> bool:
    """Whether a limit in gigabytes keeps less than another; 0 is none."""
    return one > 0 and (other <= 0 or one < other)
