"""What finished jobs may hold of the disk: the oldest go first, and nothing that somebody still waits for."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.contract import AgainRequest, GenerateRequest, JobState
from backend.errors import Problem
from backend.jobs import retention, sizes
from backend.jobs.folders import JobFolders
from backend.jobs.retention import FETCHED, Usage, free, surplus, usage
from backend.jobs.service import JobService
from backend.jobs.store import JobStore
from tests.backend.jobs.test_service import REQUEST, Stage, until_cancelled
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until


class Jobs:
    """Jobs of 1000 bytes each, without anything that runs them."""

    def __init__(self, data: Path) -> None:
        self.store, self.folders = JobStore(data / "jobs.sqlite3"), JobFolders(data / "jobs")

    def add(self, state: JobState | None = JobState.DONE, fetched: bool = True, like: str = "") -> str:
        request = GenerateRequest(pipeline="inflate")
        job = (
            self.folders.create_like(request, like) if like else self.folders.create(request, [b"x" * 400], None, None)
        )
        folder = self.folders.path(job)
        (folder / "request.json").write_bytes(b"{" + b" " * 99)
        (folder / "output" / "scene.glb").write_bytes(b"g" * 500)
        if fetched:
            (folder / FETCHED).touch()
        self.store.add(job, "0" * 16, "", "inflate")
        if state is None:
            self.store.take("0" * 16)
        elif state != JobState.QUEUED:
            self.store.finish(job, state, files=("scene.glb",))
        return job

    def left(self) -> set[str]:
        listed = {row.view.id for row in self.store.newest(100)}
        assert listed == {path.name for path in self.folders.root.iterdir()}
        return listed


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path)
    yield made
    made.store.close()


def test_the_oldest_go_until_the_rest_fits(jobs: Jobs) -> None:
    made = [jobs.add() for _ in range(5)]
    assert (usage(jobs.folders).jobs, usage(jobs.folders).bytes) == (5, 5000)
    assert free(jobs.store, jobs.folders, 5000) == []
    assert free(jobs.store, jobs.folders, 2999) == made[:3]
    assert jobs.left() == set(made[3:])
    assert usage(jobs.folders).bytes == 2000


def test_what_a_limit_would_remove_is_told_before_anything_goes(jobs: Jobs) -> None:
    first = jobs.add()
    jobs.add(like=first)
    jobs.add(JobState.QUEUED)
    assert surplus(jobs.store, jobs.folders, 10**6) == Usage(0, 0)
    before = usage(jobs.folders)
    told = surplus(jobs.store, jobs.folders, 0)
    assert (told.jobs, usage(jobs.folders)) == (2, before), "nothing has gone yet"
    assert len(free(jobs.store, jobs.folders, 0)) == told.jobs
    assert usage(jobs.folders).bytes == before.bytes - told.bytes


def test_what_has_not_ended_never_goes(jobs: Jobs) -> None:
    running, waiting, done = jobs.add(None), jobs.add(JobState.QUEUED), jobs.add()
    assert free(jobs.store, jobs.folders, 0) == [done]
    assert jobs.left() == {running, waiting}


def test_a_result_that_nobody_has_had_goes_last_and_not_in_its_first_week(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfetched = jobs.add(fetched=False)
    failed, had = jobs.add(JobState.FAILED, fetched=False), jobs.add()
    assert free(jobs.store, jobs.folders, 2500) == [failed]
    assert free(jobs.store, jobs.folders, 0) == [had]
    assert jobs.left() == {unfetched}
    monkeypatch.setattr(retention, "UNFETCHED_KEPT", timedelta(seconds=-1))
    assert free(jobs.store, jobs.folders, 0) == [unfetched]


def test_shared_inputs_count_once_and_are_freed_with_the_last_job(jobs: Jobs) -> None:
    first = jobs.add()
    second, third = jobs.add(like=first), jobs.add(like=first)
    inputs = jobs.folders.path(second) / "inputs" / "image-0.bin"
    assert inputs.samefile(jobs.folders.path(first) / "inputs" / "image-0.bin")
    assert usage(jobs.folders).bytes == 400 + 3 * 600
    assert free(jobs.store, jobs.folders, 1700) == [first], "600 bytes go; the picture stays for the others"
    assert inputs.read_bytes() == b"x" * 400
    assert free(jobs.store, jobs.folders, 1000) == [second]
    assert jobs.left() == {third}


def test_copies_are_made_where_files_cannot_be_shared(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError("no links here")

    first = jobs.add()
    monkeypatch.setattr(os, "link", refuse)
    copy = jobs.folders.path(jobs.add(like=first)) / "inputs" / "image-0.bin"
    assert copy.read_bytes() == b"x" * 400
    assert copy.stat().st_nlink == 1


def test_what_has_not_changed_is_not_measured_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    measure = sizes._measured
    monkeypatch.setattr(sizes, "_measured", lambda folder: [measured.append(folder.name), measure(folder)][1])
    now = time.time_ns()
    monkeypatch.setattr(sizes, "time", SimpleNamespace(time_ns=lambda: now))  # however long this takes
    first, second = jobs.add(), jobs.add()

    def settle() -> None:
        for folder in (jobs.folders.path(job) for job in (first, second)):
            for place in (folder / "output", folder):
                moment = place.stat().st_mtime_ns - 10**10
                os.utime(place, ns=(moment, moment))

    def asked_again() -> list[str]:
        measured.clear()
        usage(jobs.folders)
        return measured

    assert usage(jobs.folders).bytes == 2000
    assert set(asked_again()) == {first, second}, "they have changed just now"
    settle()
    assert set(asked_again()) == {first, second}
    assert asked_again() == []
    (jobs.folders.path(first) / "output" / "result.json").write_bytes(b"r" * 10)
    assert asked_again() == [first]
    settle()
    usage(jobs.folders)
    (jobs.folders.path(second) / "spent.json").write_bytes(b"s" * 7)
    assert usage(jobs.folders) == Usage(2, 2017), "an attempt that goes on tells of itself"
    settle()
    usage(jobs.folders)
    assert free(jobs.store, jobs.folders, 1500) == [first]
    assert asked_again() == []
    assert usage(jobs.folders) == Usage(1, 1007)
    assert set(jobs.folders.sizes._known) == {second}
    shutil.rmtree(jobs.folders.path(second))
    assert usage(jobs.folders) == Usage(0, 0)
    assert jobs.folders.sizes._known == {}, "another server has removed it"


def test_a_job_that_another_server_removes_meanwhile_is_passed_over(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = jobs.add(), jobs.add()
    ended = jobs.store.ended()
    jobs.store.delete(first)
    monkeypatch.setattr(jobs.store, "ended", lambda: ended)
    assert free(jobs.store, jobs.folders, 0) == [second]


def test_a_service_holds_its_limit_after_each_job_and_when_it_changes(tmp_path: Path) -> None:
    stage = Stage()
    with JobService(tmp_path, executor=lambda log: stage, keep_bytes=0) as service:
        first, second = (service.submit(REQUEST, [cut_out()]).id for _ in range(2))
        list(service.events(second))
        assert {view.id for view in service.list()} == {first, second}, "nobody has had them"
        service.file(first, "scene.glb")
        stage.acts.append(until_cancelled)
        third = service.submit(REQUEST, [cut_out()]).id
        until(lambda: service.get(third).state == "running", "the third")
        service.cancel(third)
        # Rows go before their folders, and on a slow disk the queue pauses between two looks.
        until(lambda: {path.name for path in service.folders.root.iterdir()} == {second}, "the room being made", 120)
        assert [view.id for view in service.list()] == [second], "nobody has had it"
        service.file(second, "scene.glb")
        service.limit(None)
        service.limit(1)
        until(lambda: service.usage() == retention.Usage(0, 0), "the new limit", 120)
        assert service.list() == []


def test_a_limit_that_is_no_number_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(retention.KEEP_VARIABLE, "20 GB")
    with pytest.raises(Problem, match=re.escape("is '20 GB'")):
        retention.keep_bytes_of_environment()
    monkeypatch.setenv(retention.KEEP_VARIABLE, "2000")
    assert retention.keep_bytes_of_environment() == 2000


def test_another_pipeline_begins_with_its_own_defaults() -> None:
    former = GenerateRequest(pipeline="one", parameters={"detail": 3}, seed=4, name="a chair")
    assert AgainRequest(seed=9).applied_to(former) == former.model_copy(update={"seed": 9})
    assert AgainRequest(pipeline="one").applied_to(former) == former
    other = AgainRequest(pipeline="two").applied_to(former)
    assert (other.pipeline, other.parameters, other.seed, other.name) == ("two", {}, 4, "a chair")
