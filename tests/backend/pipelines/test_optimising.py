"""An optimisation in a job shows itself, ends early, outlives its process, and says when it runs off."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.contract import Progress, Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.jobs.checkpoints import JobCheckpoints  # noqa: E402
from backend.pipelines.context import Cancelled, Context  # noqa: E402
from backend.pipelines.optimising import optimise  # noqa: E402
from tests.backend.jobs.long_pipeline import LONG  # noqa: E402
from tests.models.optimisation.fitting import Fitting, make_loop, same, values  # noqa: E402

STEPS = 40


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Job:
    """What the outside sees of an attempt; `folder` is the job's."""

    def __init__(self, folder: Path, cancel_at: int | None = None, finish_at: int | None = None) -> None:
        self.progress: list[Progress] = []
        self.pictures: list[tuple[str, str, tuple[int, ...]]] = []
        keeper = JobCheckpoints(folder, lambda code, sentence, hint: pytest.fail(sentence))
        keeper.turn_to(LONG)

        def report(event: Progress | Warning) -> None:
            if isinstance(event, Progress):
                self.progress.append(event)

        def reached(step: int | None) -> bool:
            return step is not None and bool(self.progress) and f"step {step} " in self.progress[-1].message

        self.context = Context(
            LONG,
            seed=3,
            report=report,
            cancelled=lambda: reached(cancel_at),
            finishing=lambda: reached(finish_at),
            show=lambda slot, picture, caption: self.pictures.append((slot, caption, picture.shape)),
            keeper=keeper,
        )

    def run(self, loop: Any, **options: Any) -> Any:
        with self.context.stage("optimise"):
            return optimise(loop, self.context, checkpoint_every=10, **options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    loop = make_loop(STEPS)
    Job(tmp_path_factory.mktemp("undisturbed")).run(loop)
    return values(loop)


def test_it_outlives_its_process_and_tells_how_far_it_is(tmp_path: Path, undisturbed: Any) -> None:
    with pytest.raises(Cancelled):
        Job(tmp_path, cancel_at=27).run(make_loop(STEPS))
    job, loop = Job(tmp_path), make_loop(STEPS)

    def picture() -> Any:
        return np.zeros((4, 6, 3), np.uint8)

    assert job.run(loop, preview=picture, preview_every=10).steps == STEPS
    assert same(values(loop), undisturbed)
    assert job.pictures == [("optimisation", f"Step {step} of {STEPS}", (4, 6, 3)) for step in (30, 40)]
    assert "step 20 of 40, colour 0." in job.progress[1].message, "what is done is not done again"
    fractions = [each.fraction for each in job.progress]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(0.99)


def test_it_ends_early_with_the_best_and_goes_on_from_there(tmp_path: Path, undisturbed: Any) -> None:
    job, loop = Job(tmp_path, finish_at=23), make_loop(STEPS)
    before = loop.objective.error()
    outcome = job.run(loop)
    assert (outcome.steps, outcome.early, job.context.finished_early) == (23, True, True)
    assert loop.objective.error() < before
    later = make_loop(STEPS)
    assert not Job(tmp_path).run(later).early and same(values(later), undisturbed)


def test_a_checkpoint_of_something_else_is_told_and_it_begins_anew(tmp_path: Path, undisturbed: Any) -> None:
    Job(tmp_path).run(make_loop(5, averaging=0.9))
    job, loop = Job(tmp_path), make_loop(STEPS)
    assert job.run(loop).steps == STEPS and same(values(loop), undisturbed)
    assert [warning.code for warning in job.context.warnings] == ["checkpoint-unusable"]


class Diverging(Fitting):
    def forward(self, step: Any) -> Any:
        return {name: loss * (math.nan if step.number == 7 else 1) for name, loss in super().forward(step).items()}


def test_it_says_when_it_has_run_off(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="step 8 the loss 'colour' is not a finite number") as caught:
        Job(tmp_path / "one").run(make_loop(STEPS, objective=Diverging()))
    assert caught.value.code == "optimisation-diverged"
    job = Job(tmp_path / "other")
    assert job.run(make_loop(STEPS, objective=Diverging(), left_out=1)).steps == STEPS
    assert [warning.code for warning in job.context.warnings] == ["step-left-out"]
