"""What a backend would tell, taken in as the tick does."""

from __future__ import annotations

from typing import Any

from blender_addon import session
from blender_addon.work import lists


def take_pipelines(descriptions: list[dict[str, Any]]) -> None:
    """As the answer of GET /pipelines, properties and all."""
    lists.take_pipelines(session.current.desk, descriptions)
    session.register_parameters(session.current.desk)


def take_preparations(descriptions: list[dict[str, Any]]) -> None:
    """As the answer of GET /preparations."""
    lists.take_preparations(session.current.desk, descriptions)
    session.register_parameters(session.current.desk)
