"""An optimisation in a job: the loop of `models.optimisation`, joined to what the user sees and may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.pipelines.context import Context

if TYPE_CHECKING:
    from models.optimisation.loop import Loop, Outcome


def optimise(
    loop: Loop,
    context: Context,
    *,
    preview: Callable[[], NDArray[np.uint8]] | None = None,
    slot: str = "optimisation",
    preview_every: int = 25,
    checkpoint_every: int = 100,
) -> Outcome:
    """Optimise within the current stage, from the newest checkpoint on, and leave the best in the loop's objective.

    Finished early by the user, the best so far counts, and a later attempt goes on from where it was. Method
    descriptions say `checkpoints=True, finishes_early=True`.

    Args:
        loop: made from the same parameters and seed in every attempt.
        preview: H×W×3 or H×W×4, what there is so far; called with the averaged parameters, every `preview_every` steps.
        slot: see `Context.preview`.
        checkpoint_every: steps that are done twice at most.

    Raises:
        Problem: "optimisation-diverged" where losses or gradients are no numbers any more.
        Cancelled: before the next step after the user has cancelled.
    """
    from models.loading import CheckpointError
    from models.optimisation.hooks import Hooks
    from models.optimisation.loop import NotFinite
    from models.optimisation.state import read_state

    latest = context.checkpoints.latest()
    if latest is not None:
        try:
            read_state(loop, latest.folder)
        except CheckpointError as error:
            hint = "It was kept by another version or with other models; nothing else is lost."
            context.warn("checkpoint-unusable", f"The optimisation began anew: {error}", hint)

    def show(step: int) -> None:
        if preview is not None:
            context.preview(slot, preview(), f"Step {step} of {loop.settings.steps}")

    hooks = Hooks(
        progress=lambda report: context.progress(report.step / report.steps, str(report)),
        preview=show,
        checkpoint=context.checkpoints.save,
        finish=lambda: context.finish_wanted,
        tell=lambda sentence: context.warn("step-left-out", sentence),
        preview_every=preview_every,
        checkpoint_every=checkpoint_every,
    )
    try:
        outcome = loop.run(hooks)
    except NotFinite as error:
        raise Problem("optimisation-diverged", str(error)) from error
    loop.take_best()
    return outcome
