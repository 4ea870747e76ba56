"""A small room of boxes, seen by a camera, and a context that remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backend.contract import Progress, Warning
from backend.pipelines.context import Context
from backend.preparations.imagine import IMAGINE
from backend.shot import InstanceMap, Shot
from tests.backend.ray_caster import Solid, cast, look

GROUND = Solid("box", (8, 8, 0.1), (0, 4, -0.05))
SOLIDS = [
    GROUND,
    Solid("box", (1, 1, 1), (-0.9, 4, 0.5), 0.4),
    Solid("cylinder", (0.8, 0.8, 1.4), (0.9, 4.5, 0.7)),
    Solid("box", (0.9, 0.6, 0.8), (0.4, 3.2, 0.4), -0.3),
]
NAMES = {1: "armchair_01", 2: "Cube.003", 3: "armchair_02"}


def room(size: int = 96) -> Shot:
    """Three things on the ground before nothing, as grey pictures; a second picture comes along."""
    camera = look((0, 0, 1.6), pitch=0.25, yaw=0, focal=30, size=size)
    labels, depth = cast(SOLIDS, camera)
    labels = np.maximum(labels.astype(np.int32) - 1, 0).astype(np.uint16)
    grey = np.full((size, size, 4), 128, np.uint8)
    return Shot((grey, grey // 2), InstanceMap(labels, NAMES), camera, depth=depth)


class Told:
    """A job as the preparation sees it: what was reported, kept and asked; `answer` answers."""

    def __init__(
        self,
        seed: int = 7,
        answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        cancelled: Callable[[list[Progress]], bool] = lambda progress: False,
    ) -> None:
        self.progress: list[Progress] = []
        self.warnings: list[Warning] = []
        self.files: dict[str, bytes] = {}
        self.questions: list[dict[str, Any]] = []

        def report(news: Progress | Warning) -> None:
            (self.progress if isinstance(news, Progress) else self.warnings).append(news)  # type: ignore[arg-type]

        def ask(question: dict[str, Any]) -> dict[str, Any]:
            self.questions.append(question)
            assert answer is not None, "nobody should have been asked"
            return answer(question)

        self.context = Context(
            IMAGINE, seed, report, lambda: cancelled(self.progress), ask, save=self.files.__setitem__
        )

    def codes(self) -> list[str]:
        return [warning.code for warning in self.warnings]
