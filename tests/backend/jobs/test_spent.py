"""What a result tells of time is that of all attempts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.contract import GenerateRequest, Result
from backend.jobs.folders import SPENT
from backend.jobs.run import run_job
from backend.jobs.spent import Spent
from backend.pipelines.context import Cancelled, Context
from tests.backend.jobs.long_pipeline import LONG
from tests.backend.small_pictures import cut_out


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attempt(folder: Path, begin: float, optimise: float) -> Spent:
    """An attempt that is killed in its second stage."""
    clock, spent = Clock(), Spent(folder)
    context = Context(LONG, 1, lambda said: None, clock=clock)
    spent.follow(context)
    with context.stage("begin"):
        clock.now += begin
    context.stage("optimise").__enter__()
    clock.now += optimise
    spent.look()
    return spent


def test_stages_and_seconds_of_killed_attempts_add_up(tmp_path: Path) -> None:
    assert attempt(tmp_path, 1.0, 20.0).before.attempts == 0
    second = attempt(tmp_path, 2.0, 30.0).before
    assert (second.attempts, second.seconds, second.stages) == (1, 21.0, {"begin": 1.0, "optimise": 20.0})
    third = Spent(tmp_path).before
    assert (third.attempts, third.seconds, third.stages) == (2, 53.0, {"begin": 3.0, "optimise": 50.0})


def test_a_stage_that_is_entered_again_has_one_row(tmp_path: Path) -> None:
    clock, spent = Clock(), Spent(tmp_path)
    context = Context(LONG, 1, lambda said: None, clock=clock)
    spent.follow(context)
    for name in ("begin", "optimise", "begin"):
        with context.stage(name):
            clock.now += 5.0
    assert [(row.stage, row.seconds) for row in spent.before.and_of(context).timings] == [
        ("begin", 10.0),
        ("optimise", 5.0),
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"seconds": -1}', '{"attempts": 1, "stages": {"begin": "long"}}', "[" * 9999]
)
def test_a_damaged_note_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / SPENT).write_text(text)
    assert Spent(tmp_path).before.attempts == 0


def test_a_full_disk_ends_no_job(tmp_path: Path) -> None:
    (tmp_path / SPENT / "in the way").mkdir(parents=True)
    attempt(tmp_path, 1.0, 1.0)
    assert (tmp_path / SPENT / "in the way").is_dir()


def test_a_job_that_goes_on_tells_the_time_of_both_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.jobs.run.find_pipeline", {"long": LONG}.__getitem__)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "image-0.bin").write_bytes(cut_out())
    parameters = {"steps": 60, "seconds": 0.002, "journal": str(tmp_path / "journal")}
    request = GenerateRequest(pipeline="long", parameters=parameters)
    (tmp_path / "request.json").write_text(request.model_dump_json())

    def steps() -> int:
        return len((tmp_path / "journal").read_text().splitlines()) if (tmp_path / "journal").exists() else 0

    def run(until: int) -> Result:
        return run_job("job", tmp_path, lambda said: None, lambda: steps() >= until, lambda question: {})

    with pytest.raises(Cancelled):
        run(41)
    before = json.loads((tmp_path / SPENT).read_text())
    assert before["attempts"] == 1 and before["stages"]["optimise"] >= 41 * 0.002
    result = run(1000)
    assert steps() == 61, "one step was done twice"
    times = {row.stage: row.seconds for row in result.timings}
    assert list(times) == ["begin", "optimise", "export"]
    assert times["optimise"] >= before["stages"]["optimise"] + 20 * 0.002
    assert (
        result.attempts == 2 and result.seconds >= before["seconds"] + times["optimise"] - before["stages"]["optimise"]
    )
    assert sum(times.values()) <= result.seconds
