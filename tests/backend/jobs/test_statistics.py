from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from backend.jobs.store import JobStore

PROGRESS = {"stage": "work", "stage_index": 0, "stage_count": 1, "fraction": 0.5, "elapsed": 9.0, "eta": 12.5}


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs.sqlite3")


def add(tmp_path: Path, pipeline: str, state: str, owner: str = "me", seconds: float = 0, progress: str = "") -> None:
    """A row that began a minute ago; seconds: what it took, if it has ended."""
    connection = sqlite3.connect(tmp_path / "jobs.sqlite3")
    connection.execute(
        "INSERT INTO jobs (id, owner, name, pipeline, state, created, started, finished, progress) VALUES"
        " (hex(randomblob(12)), ?, '', ?, ?, '2026-11-30T10:00:00.000Z', datetime('now', '-60 seconds'),"
        " CASE ? WHEN 'done' THEN strftime('%Y-%m-%dT%H:%M:%f', julianday('now', '-60 seconds') + ? / 86400.0) END, ?)",
        (owner, pipeline, state, state, seconds, progress or None),
    )
    connection.commit()
    connection.close()


def test_what_waits_takes_what_its_kind_usually_takes(store: JobStore, tmp_path: Path) -> None:
    assert store.statistics.usual_seconds("me") is None
    for seconds in (10, 20, 30000):
        add(tmp_path, "fast", "done", seconds=seconds)
    add(tmp_path, "slow", "done", seconds=300)
    add(tmp_path, "fast", "queued")
    assert store.statistics.usual_seconds("me") == pytest.approx(20, abs=1.1), "the median, whatever one night was"
    add(tmp_path, "slow", "queued")
    add(tmp_path, "fast", "queued")
    add(tmp_path, "slow", "queued", owner="another")
    assert store.statistics.usual_seconds("me") == pytest.approx((20 + 300 + 20) / 3, abs=1.1)
    add(tmp_path, "new", "queued")
    assert store.statistics.usual_seconds("me") is None, "of one kind nobody knows"


def test_the_first_end_is_what_a_job_says_or_what_is_usual(store: JobStore, tmp_path: Path) -> None:
    assert store.statistics.next_end_seconds("me") is None
    add(tmp_path, "new", "running")
    assert store.statistics.next_end_seconds("me") is None
    add(tmp_path, "slow", "done", seconds=300)
    add(tmp_path, "slow", "running", progress=json.dumps({**PROGRESS, "eta": None}))
    assert store.statistics.next_end_seconds("me") == pytest.approx(240, abs=3)
    add(tmp_path, "slow", "running", progress="{damaged")
    assert store.statistics.next_end_seconds("me") == pytest.approx(240, abs=3)
    add(tmp_path, "new", "running", progress=json.dumps(PROGRESS))
    assert store.statistics.next_end_seconds("me") == 12.5
    assert store.statistics.next_end_seconds("another") is None


def test_every_end_is_told_once_and_none_that_was_not_written(tmp_path: Path) -> None:
    told: list[tuple[str, str, str]] = []
    store = JobStore(tmp_path / "jobs.sqlite3", tell_end=lambda *end: told.append((end[0], end[1].value, end[2])))
    for number in range(3):
        store.add(f"{number:024x}", "me", "", "fast")
    store.request_cancel(f"{0:024x}")
    store.request_cancel(f"{0:024x}")
    assert told == [("fast", "cancelled", "")]
    store.take("me")
    store.request_cancel(f"{1:024x}")
    assert len(told) == 1, "a running one has not ended yet"
    store.adopt("me", "another", suspect=True)
    assert told[1:] == [("fast", "cancelled", "")]

    def breaks(*_: object) -> None:
        raise RuntimeError("the disk has gone")

    store._state_event = breaks  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        store.request_cancel(f"{2:024x}")
    assert len(told) == 2
    assert store.statistics.counts()[0].pipeline == "fast"
    assert {(count.state, count.jobs) for count in store.statistics.counts()} == {("cancelled", 2), ("queued", 1)}
