"""An optimisation in a job shows itself, ends early, outlives its process, and says when it runs off."""

from __future__ import annotations

import itertools
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


def test_by_the_clock_what_takes_long_comes_more_seldom(tmp_path: Path, undisturbed: Any) -> None:
    job, loop, now = Job(tmp_path), make_loop(STEPS), [0.0]
    job.context.clock = lambda: now[0]
    job.context._started = 0.0
    kept: list[tuple[float, int]] = []
    save = job.context.checkpoints.save

    def saving(step: int, write: Any) -> None:
        kept.append((now[0], step))
        now[0] += 0.3  # so 3 s until the next
        save(step, write)

    job.context.checkpoints.save = saving  # type: ignore[method-assign]
    said: list[tuple[float, str]] = []

    def tell(share: float, message: str) -> None:
        now[0] += 0.5  # a step
        said.append((share, message))

    with job.context.stage("optimise"):
        optimise(
            loop,
            job.context,
            preview=lambda: np.zeros((4, 6, 3), np.uint8),
            preview_seconds=2.0,
            checkpoint_seconds=1.0,
            tell=tell,
            title="Vase",
        )
    assert same(values(loop), undisturbed), "when it is shown and kept makes no difference"
    assert kept[0] == (1.0, 2) and kept[-1][1] == STEPS
    apart = [after - before for (before, _), (after, _) in itertools.pairwise(kept[:-1])]
    assert apart and all(3.3 <= round(each, 6) <= 4.0 for each in apart), "a tenth of the time at most"
    assert job.pictures[0][1] == f"Vase, step 1 of {STEPS}" and 8 <= len(job.pictures) <= 12
    assert said[-1][0] == 1.0 and said[-1][1].startswith(f"Vase, step {STEPS} of {STEPS}, colour ")


def test_two_optimisations_of_one_run_are_kept_apart(tmp_path: Path, undisturbed: Any) -> None:
    def both(job: Job) -> list[Any]:
        loops = [make_loop(STEPS), make_loop(STEPS)]
        for name, loop in zip(("first", "second"), loops, strict=True):
            job.run(loop, checkpoints=job.context.checkpoints.part(name), title=name)
        return loops

    with pytest.raises(Cancelled):
        both(Job(tmp_path, cancel_at=27))
    second = Job(tmp_path)
    second.context.cancelled = lambda: bool(second.progress) and "second, step 33 " in second.progress[-1].message
    with pytest.raises(Cancelled):
        both(second)
    last = Job(tmp_path)
    written: list[int] = []
    save = JobCheckpoints.save

    def noted(self: JobCheckpoints, step: int, *rest: Any) -> None:
        written.append(step)
        save(self, step, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobCheckpoints, "save", noted)
        loops = both(last)
    assert all(same(values(loop), undisturbed) for loop in loops)
    assert written == [STEPS], "what had come to its end is not kept again"
    told = [each.message for each in last.progress if "step" in each.message]
    assert told[0].startswith("first, step 40 of 40") and told[1].startswith("second, step 30 of 40")


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
