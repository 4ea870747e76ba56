"""A training run in a folder: goes on from its newest checkpoint, writes down its losses, ends when it is asked to."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from models.headers import CheckpointDamaged, CheckpointForeign
from models.optimisation.hooks import Hooks, Report
from models.optimisation.loop import Loop, Outcome
from models.optimisation.state import read_state
from models.writing import write_whole
from training.checkpoints import Checkpoints

LOSSES = "losses.jsonl"
logger = logging.getLogger(__name__)


def train(
    loop: Loop,
    folder: Path,
    *,
    preview: Callable[[int], None] | None = None,
    told: Callable[[Report], None] | None = None,
    begun: Callable[[], None] | None = None,
    preview_every: int = 1000,
    checkpoint_every: int = 1000,
    log_every: int = 10,
) -> Outcome:
    """Trains to the end, in every process of the run alike.

    The folder gets `checkpoints/` and `losses.jsonl`, a line for every `log_every` steps. Interrupted (Ctrl-C, or a
    SIGTERM), the run ends after the step that it is at, with a checkpoint; a second interruption ends it at once.

    Args:
        preview: is told the number of steps done, in the first process.
        told: is given every report of the loop, in the first process.
        begun: is called once the state to go on from has been found to fit; up to there nothing is written.

    Raises:
        NotFinite: see `Loop.run`.
        CheckpointError: the newest checkpoint is not of this run.
    """
    checkpoints = Checkpoints(folder / "checkpoints")
    if (latest := checkpoints.latest()) is not None:
        try:
            read_state(loop, latest)
        except CheckpointForeign as error:
            raise CheckpointForeign(
                f"{error} Go on with the settings that {folder} was begun with, or choose another folder."
            ) from error
        except CheckpointDamaged as error:
            raise CheckpointDamaged(f"{error} Remove {latest} to go on from the state before.") from error
        logger.info("Going on from %s.", latest)
    if begun is not None:
        begun()
    log = _Log(folder / LOSSES, loop.step, log_every)

    def progress(report: Report) -> None:
        log(report)
        if told is not None:
            told(report)

    with interrupted() as asked:
        return loop.run(
            Hooks(
                progress=progress,
                preview=preview,
                checkpoint=checkpoints.save,
                finish=asked.is_set,
                tell=logger.warning,
                preview_every=preview_every,
                checkpoint_every=checkpoint_every,
            )
        )


@contextmanager
def interrupted() -> Iterator[threading.Event]:
    """While it lasts, the first Ctrl-C or SIGTERM sets an event, and a second one does what it always does."""
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def lines_until(file: Path, step: int) -> list[bytes]:
    """Of a file of JSON lines, those that are whole and of no later step: what comes after is written anew."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [f"{line}\n".encode() for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]


class _Log:
    """Lines of JSON: step, seconds since this attempt began, losses. What is after the checkpoint is written anew."""

    def __init__(self, file: Path, step: int, every: int) -> None:
        self._file, self._every, self._began = file, every, time.monotonic()
        self._step = step
        self._fresh = True

    def __call__(self, report: Report) -> None:
        if self._fresh:
            self._fresh = False
            write_whole(self._file, lines_until(self._file, self._step))
        done = report.step > self._step and (report.step % self._every == 0 or report.step == report.steps)
        if done:
            line = {"step": report.step, "seconds": round(time.monotonic() - self._began, 3), **report.losses}
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
            self._step = report.step
