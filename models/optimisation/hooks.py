"""All that an optimisation knows of the outside: whom it tells, and who may end it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Write = Callable[[Path], None]
"""Writes files into an empty folder."""


@dataclass(frozen=True)
class Report:
    """How far it is. `losses`: by name, the means over the last steps; empty before the first."""

    step: int
    steps: int
    losses: Mapping[str, float]

    def __str__(self) -> str:
        losses = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        return f"step {self.step} of {self.steps}" + (f", {losses}" if losses else "")


@dataclass(frozen=True)
class Hooks:
    """Called by the first process only, except for `finish`; what one of them raises ends the loop and is passed on.

    progress: before each step and at the end.
    preview: every `preview_every` steps, while the parameters are the averaged ones; is told the number of steps done.
    checkpoint: every `checkpoint_every` steps and at the end; is given the number of steps done and a function that
        writes the state into a folder.
    preview_due, checkpoint_due: in place of a number of steps: whether it is time, asked after each step.
    finish: whether to end now with what there is; asked before each step.
    tell: a sentence that somebody should read.
    """

    progress: Callable[[Report], None] | None = None
    preview: Callable[[int], None] | None = None
    checkpoint: Callable[[int, Write], None] | None = None
    finish: Callable[[], bool] | None = None
    tell: Callable[[str], None] | None = None
    preview_every: int = 50
    checkpoint_every: int = 100
    preview_due: Callable[[], bool] | None = None
    checkpoint_due: Callable[[], bool] | None = None

    def shows_after(self, step: int) -> bool:
        """Whether there is to be a preview after so many steps."""
        return _is_due(step, self.preview_every, self.preview_due)

    def keeps_after(self, step: int) -> bool:
        """Whether there is to be a checkpoint after so many steps."""
        return _is_due(step, self.checkpoint_every, self.checkpoint_due)


@dataclass
class Losses:
    """The losses of the last steps, by name."""

    window: int
    values: dict[str, deque[float]] = field(default_factory=dict)

    def add(self, losses: Mapping[str, float]) -> None:
        """Those of one more step."""
        for name, value in losses.items():
            self.values.setdefault(name, deque(maxlen=self.window)).append(value)

    @property
    def means(self) -> dict[str, float]:
        """Over the window."""
        return {name: sum(values) / len(values) for name, values in self.values.items()}

    @property
    def latest(self) -> dict[str, float]:
        """Of the last step."""
        return {name: values[-1] for name, values in self.values.items()}


def _is_due(step: int, every: int, due: Callable[[], bool] | None) -> bool:
    return step % every == 0 if due is None else due()
