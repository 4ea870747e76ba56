"""A running pipeline's way to the outside: `Context`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.contract import Progress, StageTime, Warning
from backend.errors import Problem
from backend.pipelines.checkpoints import CheckpointKeeper, Checkpoints, Nowhere
from backend.pipelines.time_left import Advance
from backend.questions import Question

if TYPE_CHECKING:
    from backend.pipelines.base import MethodInfo, Stage


class Cancelled(Exception):
    """Raised inside a pipeline by the next progress report after the user has cancelled."""


def _nobody_keeps(name: str, data: bytes) -> None:
    raise Problem("internal", f"The pipeline made the file {name} where nobody can keep it.")


def _nothing_kept(name: str) -> bytes | None:
    return None


def _nobody_looks(slot: str, picture: NDArray[np.uint8], caption: str) -> None:
    return None


def _nothing_due() -> None:
    return None


def _nobody_answers(question: dict[str, Any]) -> dict[str, Any]:
    raise Problem("internal", "The pipeline asked a question where nobody can answer.")


@dataclass
class Context:
    """A running pipeline's way to the outside: progress, warnings, previews, checkpoints, cancellation, chance.

    Every call of `stage`, `progress` or `check` raises `Cancelled` once `cancelled()` is true, so a pipeline that
    reports often can be stopped often. Nothing else of the outside is visible to a pipeline.

    report: takes each Progress and each Warning.
    answer: takes a question and returns the user's answer; blocks until there is one.
    save: keeps a file with the job; see `keep`.
    restore: gives back what `save` was given at an earlier attempt; see `recall`.
    finishing: whether the user wants an early end; see `finish_wanted`.
    show: takes each preview; see `preview`. show_rest: called where one that is held back must not wait any longer.
    keeper: where checkpoints are kept; see `checkpoints`.
    clock: seconds, from any beginning.
    skipped: stages that the parameters leave out; entering one of them is not told.
    stages: those of the whole run, in order; the stages of `info` if nothing comes before them.
    """

    info: MethodInfo
    seed: int
    report: Callable[[Progress | Warning], None]
    cancelled: Callable[[], bool] = lambda: False
    answer: Callable[[dict[str, Any]], dict[str, Any]] = _nobody_answers
    save: Callable[[str, bytes], None] = _nobody_keeps
    restore: Callable[[str], bytes | None] = _nothing_kept
    finishing: Callable[[], bool] = lambda: False
    show: Callable[[str, NDArray[np.uint8], str], None] = _nobody_looks
    show_rest: Callable[[], None] = _nothing_due
    keeper: CheckpointKeeper = field(default_factory=Nowhere)
    clock: Callable[[], float] = time.monotonic
    device: str = "cpu"
    stages: tuple[Stage, ...] = ()
    skipped: frozenset[str] = frozenset()
    timings: list[StageTime] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)
    finished_early: bool = field(default=False, init=False)
    checkpoints: Checkpoints = field(init=False)
    _index: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        self.stages = self.stages or self.info.stages
        self._started = self.clock()
        self._entered: dict[str, float] = {}
        self._advance = Advance(self.clock)
        self.checkpoints = Checkpoints(self.keeper, self._advance, self.warnings)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self._started

    @property
    def finish_wanted(self) -> bool:
        """Whether the user wants an early end with the best there is; only for methods that say `finishes_early`.

        Once this has said yes the result counts as one that was finished early, so ask only where the answer is heeded.
        """
        self.finished_early = self.finished_early or (self.info.finishes_early and self.finishing())
        return self.finished_early

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enter a stage of `stages`; times it and reports its beginning."""
        if name in self.skipped:
            yield
            return
        self._index = [stage.name for stage in self.stages].index(name)
        self.progress(0.0)
        self._entered[name] = self.clock()
        yield
        self.show_rest()
        self.timings.append(StageTime(stage=name, seconds=self.clock() - self._entered.pop(name)))

    def stage_times(self) -> list[StageTime]:
        """`timings`, and what the stage that was not left yet has taken so far."""
        now = self.clock()
        running = [StageTime(stage=name, seconds=now - began) for name, began in self._entered.items()]
        return [*self.timings, *running]

    def progress(self, fraction: float, message: str = "") -> None:
        """Report how much of the current stage is done, 0 to 1. What is told never goes back."""
        self.check()
        stages = self.stages
        total = sum(stage.weight for stage in stages)
        before = sum(stage.weight for stage in stages[: self._index])
        left = self._advance.to((before + stages[self._index].weight * min(max(fraction, 0.0), 1.0)) / total)
        self.report(
            Progress(
                stage=stages[self._index].name,
                stage_index=self._index,
                stage_count=len(stages),
                fraction=self._advance.fraction,
                elapsed=self.elapsed,
                eta=left,
                message=message,
            )
        )

    def check(self) -> None:
        """Raise `Cancelled` if the user has cancelled."""
        if self.cancelled():
            raise Cancelled

    def keep(self, name: str, data: bytes) -> None:
        """Keep a file with the job, for the user to see at once: a candidate, a preview, the picture that was used.

        `name` is a plain file name; a question and result.json may mention it.
        """
        self.save(name, data)

    def recall(self, name: str) -> bytes | None:
        """What `keep` was given under this name by this attempt or an earlier one; None if there is no such file.

        A job that waits for an answer may be put aside, and it may outlive its server; it is then run again from its
        beginning. What took long and was kept need not be computed again. An attempt gives the same question the same
        answer, so a pipeline that recalls comes back to where it was.
        """
        found = self.restore(name)
        if found is not None:
            self._advance.resumes()
        return found

    def preview(self, slot: str, picture: NDArray[np.uint8], caption: str = "") -> None:
        """Show what there is so far: HxWx3 or HxWx4, 8 bits a channel; what is longer than 512 pixels is reduced.

        Cheap to call often: at most two a second are shown, the later ones of a slot take the place of those that wait
        for their turn, and the last one before the end of a stage is never left out.

        slot: which place the picture takes, a short plain word; the next one of the slot replaces it.
        """
        self.show(slot, picture, caption)

    def ask(self, question: dict[str, Any] | Question) -> dict[str, Any]:
        """Ask the user and wait: the job is in `needs_input` until the answer comes.

        Args:
            question: one of `backend/questions.py`, whose answer is checked before it comes here; or any JSON object
                of a plug-in.

        Raises `Cancelled` if the user cancels instead.
        """
        self.check()
        self.show_rest()
        return self.answer(question.model_dump(mode="json") if isinstance(question, Question) else question)

    def warn(self, code: str, message: str, hint: str = "", instance: int | None = None) -> None:
        """Tell the user something without stopping. What an earlier attempt has told already counts once."""
        warning = Warning(code=code, message=message, hint=hint, instance=instance)
        if warning not in self.warnings:
            self.warnings.append(warning)
        self.report(warning)
