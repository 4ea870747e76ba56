"""What can be done to a shot before a pipeline gets it, in this order. Importing this imports no preparation's code."""

from __future__ import annotations

from functools import cache
from typing import Any

from backend.errors import Problem
from backend.plugins import plugged
from backend.preparations.base import PreparationInfo
from backend.preparations.imagine import IMAGINE
from backend.preparations.inversion import INVERSION
from backend.preparations.segment import SEGMENT
from backend.preparations.text import TEXT

OURS: tuple[PreparationInfo, ...] = (TEXT, IMAGINE, SEGMENT, INVERSION)


@cache
def preparations() -> dict[str, PreparationInfo]:
    """Every preparation by its identifier, those of plug-ins after ours.

    A function because a plug-in imports `preparations.base`, and this package with it.
    """
    return {info.id: info for info in (*OURS, *plugged("PREPARATIONS"))}


def chosen_preparations(wanted: dict[str, dict[str, Any]]) -> list[PreparationInfo]:
    """The preparations that a request names, in the order in which they are done.

    Raises Problem("preparation-unknown").
    """
    for identifier in wanted:
        if identifier not in preparations():
            known = ", ".join(preparations())
            detail = f"No preparation is called '{identifier[:80]}'."
            raise Problem("preparation-unknown", detail, f"Choose among: {known}.")
    chosen = [info for info in preparations().values() if info.id in wanted]
    return sorted(chosen, key=lambda info: not info.makes_picture)  # before there is a picture nothing else can be done


def maker_of(wanted: dict[str, dict[str, Any]]) -> PreparationInfo | None:
    """The one of these preparations that makes the picture where a request brings none; None if none does.

    Raises Problem("preparation-unknown"), Problem("request-invalid") for more than one.
    """
    makers = [info for info in chosen_preparations(wanted) if info.makes_picture]
    if len(makers) > 1:
        both = " and ".join(info.title for info in makers)
        raise Problem("request-invalid", f"{both} both make the picture.", "Leave one of them out.")
    return makers[0] if makers else None
