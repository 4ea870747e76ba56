"""What a preparation is: something done to a shot before a pipeline gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.errors import Problem
from backend.pipelines.base import MethodInfo
from backend.shot import Shot


@dataclass(frozen=True)
class PreparationInfo(MethodInfo):
    """A preparation. `entry` names `prepare(shot, parameters, context) -> Prepared`.

    needs_depth, needs_instances: what the request must bring along.
    finds_instances: it makes the instance map, so the request must not bring one.
    makes_picture: it makes the picture itself, so the request must not bring one; it is done before all others, and the
        shot that it gets is a blank sheet.
    chance: whether the seed makes a difference.
    learns_words: all that it gives is words for what is in the picture, so it is for pipelines that hear them.
    """

    needs_depth: bool = False
    needs_instances: bool = False
    finds_instances: bool = False
    makes_picture: bool = False
    chance: bool = False
    learns_words: bool = False

    def check_inputs(self, *, has_instances: bool, has_depth: bool) -> None:
        """Raises Problem("request-invalid") if the request's files do not suit it."""
        if self.needs_depth and not has_depth:
            hint = "Use the active camera as the source, or leave this step out."
            raise Problem("request-invalid", f"{self.title} needs the depth of the block-out.", hint)
        if self.needs_instances and not has_instances:
            hint = "Use the active camera as the source, or give a label image."
            raise Problem("request-invalid", f"{self.title} needs an instance map.", hint)
        if self.finds_instances and has_instances:
            hint = "Leave out the instance map, or this step."
            raise Problem("request-invalid", f"{self.title} finds the objects, but an instance map came too.", hint)


@dataclass(frozen=True)
class Prepared:
    """What a preparation returns.

    shot: the shot that goes on; as large as the one that came, with its camera and depth. Of one that makes the picture
        it has the picture's size and an assumed camera.
    record: what came of it, for result.json (JSON, NumPy's numbers allowed).
    name: what to call the one object of a picture that it made, where the request has no name.
    """

    shot: Shot
    record: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
