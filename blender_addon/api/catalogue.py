"""What the backend can do, as Python calls; see `api`."""

from __future__ import annotations

from typing import Any

from ..state import desk
from .waiting import SHORT_TIMEOUT, refresh_lists


def pipelines(*, timeout: float = SHORT_TIMEOUT) -> list[dict[str, Any]]:
    """The pipelines that the server has, with their parameters' schemas; starts it, and waits for it, if need be."""
    refresh_lists(timeout)
    return list(desk.current.pipelines)


def preparations(*, timeout: float = SHORT_TIMEOUT) -> list[dict[str, Any]]:
    """What the server can do to a shot before a pipeline gets it; as `pipelines`."""
    refresh_lists(timeout)
    return list(desk.current.preparations)
