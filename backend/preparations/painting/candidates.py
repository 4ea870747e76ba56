"""Candidates: painted one after the other, kept as they come, recalled by a later attempt, one of them chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.contract import MAXIMUM_SEED
from backend.errors import Problem
from backend.imaging.png import as_png, from_png
from backend.memory import Plan
from backend.pipelines.context import Context
from backend.pipelines.running import Running, checkpoints, seen
from backend.preparations.painting.networks import Family, native_side
from backend.preparations.painting.painter import Folders, NoPicture, PaintingRequest, ladder, open_painter, read_sizes
from backend.questions import Choice, ChooseQuestion
from backend.weights import locate

Picture = NDArray[np.uint8]

LOADING = 0.2
"""Usual share of loading in the whole."""


@dataclass(frozen=True)
class Candidate:
    """A painted picture, HxWx3 uint8 sRGB. index: which of those that were wanted, from 0."""

    index: int
    seed: int
    picture: Picture

    @property
    def file(self) -> str:
        """What it is kept as."""
        return f"candidate-{self.index}.png"


def paint_candidates(
    family: Family,
    count: int,
    request: Callable[[int], PaintingRequest],
    context: Context,
    *,
    controlled: bool,
    shorten: str,
    fitted: Callable[[Picture], Picture] = lambda picture: picture,
) -> list[Candidate]:
    """As many pictures as wanted, each from the next seed. Those that are done stay when memory runs out and the rest
    is painted in a more frugal way; a seed of which no picture comes is told and left out, and the others go on.

    Args:
        request: what to paint, for a model that was trained on squares of so many pixels.
        controlled: whether the ControlNet takes part.
        shorten: what to do about a prompt that is too long.
        fitted: the picture as it is kept.

    Returns:
        At least one, in the order of the seeds. An attempt that finds them kept gives the same ones again.

    Raises:
        Problem: picture-failed if no seed gave a picture; weights-missing, weights-damaged, weights-foreign,
            device-missing, out-of-memory.
        Cancelled: at the next step after the user has cancelled.
    """
    identifiers = (family.base, family.control) if controlled else (family.base,)
    folders = Folders(locate(family.base), locate(family.control) if controlled else None)
    sizes = seen(f"painting {' '.join(identifiers)}", identifiers, lambda: read_sizes(family, folders))
    with checkpoints(family.base):
        wanted = request(native_side(folders.base))
    running = Running.begin(context)
    done: dict[int, Candidate | str] = {}
    for index in range(count):
        if (found := _recalled(index, context)) is not None:
            done[index] = found

    def paint(plan: Plan) -> None:
        def on_load(share: float, message: str) -> None:
            context.progress(LOADING * share, f"{message} ({plan.sentence})")

        with open_painter(family, folders, plan, running, wanted, on_load, on_cut) as painter:
            for index in range(count):
                if index in done:
                    continue
                title = f"Candidate {index + 1} of {count}"

                def on_step(step: int, index: int = index, title: str = title) -> None:
                    share = (index + step / wanted.steps) / count
                    context.progress(LOADING + (1 - LOADING) * share, title)

                try:
                    picture = fitted(painter.paint(_seed(context, index), on_step))
                except NoPicture as failure:
                    done[index] = str(failure)
                    context.keep(_failure_file(index), str(failure).encode())
                    continue
                done[index] = candidate = Candidate(index, _seed(context, index), picture)
                context.keep(candidate.file, as_png(picture))
                context.preview("candidate", picture, title)

    def on_cut(rest: str) -> None:
        message = f"The words are too many for the painter; it does not hear the end: “{rest}”."
        context.warn("prompt-cut", message, shorten)

    if len(done) < count:
        running.by_plans(lambda device: ladder(sizes, device, wanted.size), paint)
    return _judged([done[index] for index in range(count)], context)


def choose(
    candidates: Sequence[Candidate], notes: Sequence[str], best: int, asks: str, text: str, context: Context
) -> int:
    """Which candidate is taken, as an index into them.

    Args:
        notes: what was measured of each.
        best: what is proposed, and taken where nobody is asked.
        asks: when the user is asked: "always", "never", or "several" if there are several.
        text: what to know before choosing.
    """
    if asks == "never" or (asks == "several" and len(candidates) == 1):
        return best
    question = ChooseQuestion(
        title="Choose a picture",
        text=text,
        choices=[
            Choice(file=one.file, label=f"Seed {one.seed}", note=note)
            for one, note in zip(candidates, notes, strict=True)
        ],
        default=[best],
    )
    chosen: int = context.ask(question)["chosen"][0]
    return chosen


def _judged(done: Sequence[Candidate | str], context: Context) -> list[Candidate]:
    """The pictures among what came of the seeds; of the others it is told why there is none."""
    pictures = [each for each in done if isinstance(each, Candidate)]
    failures = [each for each in done if isinstance(each, str)]
    hint = "Choose another seed, fewer steps or a lower guidance."
    if not pictures:
        raise Problem("picture-failed", failures[-1], hint)
    for failure in failures:
        context.warn("candidate-left-out", f"{failure} It was left out.", hint)
    return pictures


def _seed(context: Context, index: int) -> int:
    return (context.seed + index) % (MAXIMUM_SEED + 1)


def _failure_file(index: int) -> str:
    """Where it is kept why a seed gave no picture: a later attempt must not paint it again, with another end."""
    return f"candidate-{index}.txt"


def _recalled(index: int, context: Context) -> Candidate | str | None:
    """What an earlier attempt at this job has come to with this candidate; None if nothing."""
    if (data := context.recall(f"candidate-{index}.png")) is not None:
        return Candidate(index, _seed(context, index), from_png(data))
    failure = context.recall(_failure_file(index))
    return None if failure is None else failure.decode()
