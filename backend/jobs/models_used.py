"""Which models a job uses, and whether they are still those that were there before."""

from __future__ import annotations

from collections.abc import Sequence

from backend.pipelines.base import MethodInfo, Parameters
from backend.pipelines.context import Context
from backend.shot import Shot
from backend.weights.revisions import Used, changes, remember, used

HINT = "Results may differ. Remove the model and download it again if you want the revision that is known."


def models_used(methods: Sequence[tuple[MethodInfo, Parameters]], shot: Shot, context: Context) -> list[Used]:
    """The models of these methods and of what removed the background, in the revisions that are here. Those that have
    changed are told, and all of them are remembered for the next job."""
    names = [name for method, chosen in methods for name in (*method.weights, *chosen.needed_weights())]
    if network := shot.background.get("network"):
        names.append(network)
    models = used(names)
    for sentence in changes(models):
        context.warn("weights-changed", sentence, HINT)
    try:
        remember(models)
    except OSError as error:
        sentence = f"Which revisions of the models were used could not be noted ({error.strerror})."
        context.warn("weights-not-noted", sentence, "Free some space, or let the data folder be written.")
    return models
