"""An optimisation in a job: the loop of `models.optimisation`, joined to what the user sees and may ask for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.pipelines.checkpoints import Checkpoints
from backend.pipelines.context import Context

if TYPE_CHECKING:
    from models.optimisation.loop import Loop, Outcome

T = TypeVar("T")


SHARE = 0.1
"""Of the time, for what shows or keeps the work by the clock: what takes long is done more seldom."""


class Pace:
    """How often something is done that costs time: after so many seconds, or later where that would take too much."""

    def __init__(self, context: Context, seconds: float | None, begins_later: bool = False) -> None:
        self._context, self._seconds = context, seconds or 0.0
        self._next = context.elapsed + self._seconds if begins_later else -math.inf

    def is_due(self) -> bool:
        """Whether it is time."""
        return self._context.elapsed >= self._next

    def timed(self, work: Callable[[], T]) -> T:
        """Do it, and set the time of the next."""
        began = self._context.elapsed
        done = work()
        ended = self._context.elapsed
        self._next = ended + max(self._seconds, (ended - began) / SHARE)
        return done


def optimise(
    loop: Loop,
    context: Context,
    *,
    preview: Callable[[], NDArray[np.uint8]] | None = None,
    slot: str = "optimisation",
    preview_every: int = 25,
    checkpoint_every: int = 100,
    preview_seconds: float | None = None,
    checkpoint_seconds: float | None = None,
    checkpoints: Checkpoints | None = None,
    tell: Callable[[float, str], None] | None = None,
    title: str = "",
) -> Outcome:
    """Optimise within the current stage, from the newest checkpoint on, and leave the best in the loop's objective.

    Finished early by the user, the best so far counts, and a later attempt goes on from where it was. Method
    descriptions say `checkpoints=True, finishes_early=True`.

    Args:
        loop: made from the same parameters and seed in every attempt.
        preview: H×W×3 or H×W×4, what there is so far; called with the averaged parameters, every `preview_every` steps.
        slot: see `Context.preview`.
        checkpoint_every: steps that are done twice at most.
        preview_seconds, checkpoint_seconds: the same by the clock, where a step takes a hundredth of a second on one
            machine and ten on another; what takes long comes more seldom, see `Pace`.
        checkpoints: where they are kept; a run of several optimisations gives each a part, see `Checkpoints.part`.
        tell: takes the share done and a message, in place of `context.progress`, where the stage is more than this.
        title: what is optimised, before the messages.

    Raises:
        Problem: "optimisation-diverged" where losses or gradients are no numbers any more.
        Cancelled: before the next step after the user has cancelled.
    """
    from models.loading import CheckpointError
    from models.optimisation.hooks import Hooks
    from models.optimisation.loop import NotFinite
    from models.optimisation.state import read_state

    checkpoints = context.checkpoints if checkpoints is None else checkpoints
    tell = context.progress if tell is None else tell
    begins = f"{title}, " if title else ""
    latest = checkpoints.latest()
    if latest is not None:
        try:
            read_state(loop, latest.folder)
        except CheckpointError as error:
            hint = "It was kept by another version or with other models; nothing else is lost."
            context.warn("checkpoint-unusable", f"The optimisation began anew: {error}", hint)

    showing = Pace(context, preview_seconds)
    keeping = Pace(context, checkpoint_seconds, begins_later=True)

    def show(step: int) -> None:
        if preview is not None:
            word = "step" if title else "Step"
            picture = showing.timed(preview)
            context.preview(slot, picture, f"{begins}{word} {step} of {loop.settings.steps}")

    hooks = Hooks(
        progress=lambda report: tell(report.step / report.steps, f"{begins}{report}"),
        preview=show,
        checkpoint=lambda step, write: keeping.timed(lambda: checkpoints.save(step, write)),
        finish=lambda: context.finish_wanted,
        tell=lambda sentence: context.warn("step-left-out", f"{begins}{sentence}"),
        preview_every=preview_every,
        checkpoint_every=checkpoint_every,
        preview_due=None if preview_seconds is None else showing.is_due,
        checkpoint_due=None if checkpoint_seconds is None else keeping.is_due,
    )
    try:
        outcome = loop.run(hooks)
    except NotFinite as error:
        raise Problem("optimisation-diverged", str(error)) from error
    loop.take_best()
    return outcome
