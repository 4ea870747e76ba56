"""Checkpoints are whole or not there, stay as long as they are of use, and bring an attempt further."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.contract import JobState, Progress, Warning
from backend.errors import Problem
from backend.jobs import checkpoints as checkpoints_module
from backend.jobs.checkpoints import JobCheckpoints, other_version
from backend.jobs.folders import CHECKPOINTS, JobFolders, steps_in
from backend.jobs.retention import usage
from backend.jobs.store import JobStore
from backend.pipelines.context import Context
from backend.pipelines.instantmesh import INSTANTMESH
from backend.pipelines.midi import MIDI
from tests.backend.jobs.long_pipeline import LONG

ME, OTHER = "a" * 16, "b" * 16


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, told: list[str]) -> JobCheckpoints:
    keeper = JobCheckpoints(tmp_path, lambda code, sentence, hint: told.append(sentence))
    keeper.turn_to(LONG)
    return keeper


def writing(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "state").write_text(text)

    return write


def save(keeper: JobCheckpoints, *steps: int) -> None:
    for step in steps:
        keeper.save(step, writing(f"step {step}"), step / 100, [])


def found(keeper: JobCheckpoints) -> tuple[int, str] | None:
    latest = keeper.latest()
    return None if latest is None else (latest.step, (latest.folder / "deep" / "state").read_text())


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / CHECKPOINTS / LONG.id


def test_the_newest_two_are_kept_and_the_newest_is_found(keeper: JobCheckpoints, tmp_path: Path) -> None:
    assert keeper.latest() is None
    save(keeper, 20, 40, 60)
    assert sorted(steps_in(folder_of(tmp_path))) == [40, 60]
    assert found(keeper) == (60, "step 60")
    assert len(list(folder_of(tmp_path).iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "more", "record", "no record"])
def test_a_damaged_one_is_passed_over_for_the_one_before_and_that_is_told(
    keeper: JobCheckpoints, told: list[str], tmp_path: Path, damage: str
) -> None:
    save(keeper, 20, 40)
    newest = folder_of(tmp_path) / "step-000000000040"
    state, record = newest / "state" / "deep" / "state", newest / "record.json"
    {
        "cut": lambda: state.write_text("step"),
        "changed": lambda: state.write_text("step 41"),
        "missing": state.unlink,
        "more": lambda: (newest / "state" / "other").write_text(""),
        "record": lambda: record.write_text('{"version": "1"'),
        "no record": record.unlink,
    }[damage]()
    assert found(keeper) == (20, "step 20")
    assert told == ["The checkpoint of step 40 cannot be used: it is damaged. The work began from step 20."]
    save(keeper, 40)
    assert found(keeper) == (40, "step 40")
    assert len(told) == 1


def test_cut_off_in_the_middle_of_writing_the_ones_before_are_there(keeper: JobCheckpoints, tmp_path: Path) -> None:
    class Killed(BaseException):
        """As if by kill -9: nothing is tidied."""

    def write(folder: Path) -> None:
        (folder / "state").write_text("half")
        raise Killed

    save(keeper, 20)
    with pytest.raises(Killed):
        keeper.save(40, write, 0.4, [])
    assert len(list(folder_of(tmp_path).iterdir())) == 2, "what was being written is still there"
    assert found(keeper) == (20, "step 20")
    save(keeper, 40)
    assert sorted(path.name for path in folder_of(tmp_path).iterdir()) == ["step-000000000020", "step-000000000040"]


def test_a_method_that_goes_back_gives_up_what_was_later(keeper: JobCheckpoints, tmp_path: Path) -> None:
    save(keeper, 40, 60)
    keeper.save(60, writing("another 60"), 0.6, [])
    assert found(keeper) == (60, "another 60")
    save(keeper, 20)
    assert found(keeper) == (20, "step 20")
    assert steps_in(folder_of(tmp_path)) == [20]


def test_another_version_of_the_method_begins_at_its_beginning_and_says_so(
    keeper: JobCheckpoints, told: list[str]
) -> None:
    save(keeper, 20)
    keeper.turn_to(INSTANTMESH)
    assert keeper.latest() is None, "each method has its own"
    keeper.turn_to(LONG)
    assert found(keeper) == (20, "step 20")
    later = type(LONG)(**{**vars(LONG), "version": "2"})
    assert other_version(keeper._root.parent, LONG) == ""
    assert other_version(keeper._root.parent, later) == "1", "so that Continue need not begin anew"
    assert told == []
    keeper.turn_to(later)
    assert keeper.latest() is None
    reason = "it was made by version 1 of the method, this is 2"
    assert told == [f"The checkpoint of step 20 cannot be used: {reason}. The work began anew."]


def test_parts_of_a_run_have_steps_of_their_own(keeper: JobCheckpoints, tmp_path: Path, told: list[str]) -> None:
    first, second = keeper.part("coarse-1"), keeper.part("fine-1")
    save(first, 20, 40, 60)
    save(second, 5)
    save(keeper, 1)
    assert [found(each) for each in (first, second, keeper)] == [(60, "step 60"), (5, "step 5"), (1, "step 1")]
    assert found(keeper.part("coarse-1")) == (60, "step 60") and keeper.part("coarse-2").latest() is None
    folders = JobFolders(tmp_path.parent)
    folders.path = lambda job: tmp_path  # type: ignore[method-assign]
    assert folders.reached(ME) == 61 + 6 + 2, "whichever part gets ahead, the job does"
    later = type(LONG)(**{**vars(LONG), "version": "2"})
    shutil.rmtree(folder_of(tmp_path) / "step-000000000001")
    assert (other_version(tmp_path, LONG), other_version(tmp_path, later)) == ("", "1")
    for name in ("../coarse", "", "a/b", "step-000000000001", ".partial", "x.partial"):
        with pytest.raises(ValueError):
            keeper.part(name)
    assert told == []


def test_a_full_disk_is_told_once_and_ends_no_work(
    keeper: JobCheckpoints, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def of_a_library(folder: Path) -> None:
        raise RuntimeError("writing failed")

    save(keeper, 20)
    keeper.save(40, full, 0.4, [])
    with pytest.raises(RuntimeError):
        keeper.save(40, of_a_library, 0.4, [])
    nothing_left = shutil._ntuple_diskusage(10**9, 10**9, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(checkpoints_module.shutil, "disk_usage", lambda path: nothing_left)
    keeper.save(40, of_a_library, 0.4, [])
    assert told == ["A checkpoint could not be kept (No space left on device); the work goes on without."]
    assert found(keeper) == (20, "step 20")
    assert [path.name for path in folder_of(tmp_path).iterdir()] == ["step-000000000020"]


@pytest.mark.parametrize("step", [-1, 10**12])
def test_what_is_no_step_is_refused(keeper: JobCheckpoints, step: int) -> None:
    with pytest.raises(ValueError, match="steps"):
        save(keeper, step)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_time_left_goes_by_the_pace_of_this_attempt_and_progress_never_back(keeper: JobCheckpoints) -> None:
    """Resumed at 60 %, by a method that tells its stage first and by one that loads first."""
    warning = Warning(code="dark", message="It is dark.")
    keeper.save(180, writing("x"), 0.6, [warning])
    for early in (False, True):
        clock, told = Clock(), list[Progress]()
        context = Context(LONG, 0, told.append, keeper=keeper, clock=clock)  # type: ignore[arg-type]
        checkpoint = context.checkpoints.latest() if early else None
        with context.stage("optimise"):
            checkpoint = checkpoint or context.checkpoints.latest()
            assert checkpoint is not None
            clock.now += 7.0  # loading takes long
            for step in range(checkpoint.step, 300):
                clock.now += 2.0
                context.progress((step + 1) / 300)
        fractions = [each.fraction for each in told]
        assert fractions == sorted(fractions)
        expected = {each.fraction: 2.0 * 300 * (1 - each.fraction) / 0.98 for each in told}
        known = [each for each in told if each.eta is not None]
        assert len(known) > 100
        assert all(abs(each.eta - expected[each.fraction]) < 0.2 * expected[each.fraction] + 3 for each in known)  # type: ignore[operator]
        assert context.warnings == [warning], "what was told before the checkpoint is part of the result"


def test_progress_never_goes_back_within_an_attempt_or_where_one_resumes(tmp_path: Path) -> None:
    told = list[Progress]()
    context = Context(LONG, 0, told.append)  # type: ignore[arg-type]
    with context.stage("optimise"):
        for share in (0.5, 0.2, 0.6):
            context.progress(share)
    with context.stage("begin"):
        context.progress(0.5)
    fractions = [each.fraction for each in told]
    assert fractions == sorted(fractions) and fractions[1] == fractions[2]

    reached = {"job": 0}
    store = JobStore(tmp_path / "jobs.sqlite3", reached.__getitem__)
    store.add("job", ME, "", "long")

    def attempt(*shares: float) -> list[float]:
        store.take(ME)
        heard = [store.append("job", "progress", {**told[0].model_dump(), "fraction": share}) for share in shares]
        store.put_back("job")
        return [event.data["fraction"] for event in heard if event]

    assert attempt(0.1, 0.5) == [0.1, 0.5]
    reached["job"] = 20
    assert attempt(0.0, 0.4) == [0.0, 0.4], "there was nothing to resume from when the first attempt ended"
    assert attempt(0.0, 0.3, 0.41) == [0.4, 0.4, 0.41]
    store.close()


@pytest.fixture
def reached() -> dict[str, int]:
    return {"job": 0}


@pytest.fixture
def store(tmp_path: Path, reached: dict[str, int]) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.sqlite3", lambda job: reached[job])
    store.add("job", ME, "", "long")
    yield store
    store.close()


@pytest.mark.parametrize("way", ["server", "worker"])
def test_only_attempts_that_brought_no_newer_checkpoint_count(
    store: JobStore, reached: dict[str, int], way: str
) -> None:
    def killed(brought: int) -> str:
        store.take(ME)
        reached["job"] += brought
        if way == "server":
            store.adopt(ME, ME, suspect=True)
        elif not store.try_again("job", suspect=True):
            store.finish("job", JobState.FAILED, problem=Problem("worker-died", "It died."))
        return store.get("job").view.state

    assert [killed(20) for _ in range(5)] == ["queued"] * 5
    assert [killed(0), killed(20), killed(0)] == ["queued"] * 3
    assert killed(0) == "failed"


def test_a_list_of_the_version_before_opens_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    with sqlite3.connect(path) as old:
        old.executescript(
            """
            CREATE TABLE jobs (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
                name TEXT NOT NULL, pipeline TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
                cancel INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, started TEXT, finished TEXT, progress TEXT,
                problem TEXT, files TEXT NOT NULL DEFAULT '[]');
            CREATE TABLE events (job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, id INTEGER NOT NULL,
                type TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job, id)) WITHOUT ROWID;
            CREATE TABLE owners (id TEXT PRIMARY KEY, process TEXT NOT NULL) WITHOUT ROWID;
            INSERT INTO jobs (id, owner, name, pipeline, state, attempts, created, files)
                VALUES ('done', 'a', 'Old', 'inflate', 'done', 1, '2026-01-01T00:00:00.000Z', '["scene.glb"]'),
                       ('open', 'bbbbbbbbbbbbbbbb', 'Old', 'inflate', 'running', 1, '2026-01-01T00:00:00.000Z', '[]');
            INSERT INTO events VALUES ('done', 1, 'state', '{"state": "queued"}');
            PRAGMA user_version = 1;
            """
        )
        rows = [("done", number, "progress", '{"fraction": 0.5}') for number in range(2, 500)]
        old.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        old.execute("INSERT INTO events VALUES ('done', 500, 'state', '{\"state\": \"done\"}')")
    for _ in range(2):
        store = JobStore(path)
        view = store.get("done").view
        assert (view.state, view.files, view.finished_early, view.last_event) == ("done", ["scene.glb"], False, 500)
        assert [event.id for event in store.events("done", 0)] == [1, 499, 500], "of progress the last is left"
        store.close()
    store = JobStore(path)
    store.adopt(OTHER, ME, suspect=True)
    taken = store.take(ME)
    assert taken is not None and taken.view.id == "open"
    store.finish("open", JobState.DONE, files=("scene.glb",), early=True)
    assert store.get("open").view.finished_early
    store.close()


def test_they_count_as_what_the_job_holds_and_go_when_it_is_done(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path / "jobs")
    job = folders.path("c" * 24)
    keeper = JobCheckpoints(job, print)
    keeper.turn_to(LONG)
    before = usage(folders).bytes
    keeper.save(20, lambda folder: (folder / "state").write_bytes(bytes(10_000)) and None, 0.2, [])
    assert usage(folders).bytes - before > 10_000
    assert folders.reached(job.name) == 21
    (job / "kept").mkdir()
    (job / "output").mkdir()
    folders.clear_failed(job.name, former_result=False, resumable=True)
    assert folders.reached(job.name) == 21 and (job / "kept").is_dir()
    assert folders.files(job.name) == ()
    old = time.time() - 10
    os.utime(job, (old, old))
    folders.sweep(lambda job: True, lambda job: False)
    assert folders.reached(job.name) == 21
    folders.sweep(lambda job: True, lambda job: True)
    assert folders.reached(job.name) == 0 and not (job / CHECKPOINTS).exists()


def test_one_before_the_first_step_is_one_to_go_on_from(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path / "jobs")
    job = folders.path("c" * 24)
    keeper = JobCheckpoints(job, print)
    keeper.turn_to(LONG)
    assert folders.reached(job.name) == 0
    save(keeper.part("coarse-1"), 0)
    assert folders.reached(job.name) == 1
    save(keeper.part("coarse-1"), 1)
    assert folders.reached(job.name) == 2


def test_stages_follow_the_parameters() -> None:
    def names(**chosen: Any) -> list[str]:
        return [stage.name for stage in INSTANTMESH.stages_of(INSTANTMESH.check(chosen))]

    everything = [stage.name for stage in INSTANTMESH.stages]
    assert names(turntable=True) == everything
    assert names() == [name for name in everything if name != "turntable"]
    assert names(choose="never") == [name for name in everything if name not in ("choose", "turntable")]
    assert "texture" not in [stage.name for stage in MIDI.stages_of(MIDI.check({"colour": "none"}))]
    told = list[Progress]()
    context = Context(LONG, 0, told.append, stages=LONG.stages[1:], skipped=frozenset({"begin"}))  # type: ignore[arg-type]
    with context.stage("begin"):
        assert told == [], "a method may enter what its parameters leave out"
    with context.stage("optimise"):
        assert (told[0].stage_index, told[0].stage_count) == (0, 2)
