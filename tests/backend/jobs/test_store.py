"""The list of jobs: transactions, events, adoption."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.contract import JobState
from backend.errors import Problem
from backend.jobs import store as store_module
from backend.jobs.store import JobStore
from backend.jobs.turns import Queue

ROOT = Path(__file__).parents[3]
ME, OTHER = "a" * 16, "b" * 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.sqlite3")
    yield store
    store.close()


def add(store: JobStore, *names: str, owner: str = ME) -> None:
    for name in names:
        store.add(name, owner, name, "steady")


def states(store: JobStore, job: str) -> list[str]:
    return [event.data["state"] for event in store.events(job, 0) if event.type == "state"]


def test_jobs_are_taken_in_order_by_their_owner_only(store: JobStore) -> None:
    add(store, "first", "second")
    add(store, "foreign", owner=OTHER)
    taken = [store.take(ME), store.take(ME), store.take(ME)]
    assert [job and job.view.id for job in taken] == ["first", "second", None]


def test_events_count_from_one_and_resume(store: JobStore) -> None:
    add(store, "job")
    store.take(ME)
    store.append("job", "progress", {"fraction": 0.1})
    store.finish("job", JobState.DONE, files=("scene.glb",))
    events = store.events("job", 0)
    assert [event.id for event in events] == [1, 2, 3, 4]
    assert store.events("job", 2) == events[2:]
    assert store.events("job", 0, limit=3) == events[:3]
    assert store.events("job", 4) == []
    assert events[-1].data == {"state": "done", "problem": None, "files": ["scene.glb"]}


def test_an_ended_job_stays_as_it_is(store: JobStore) -> None:
    add(store, "job")
    store.take(ME)
    store.finish("job", JobState.DONE)
    store.finish("job", JobState.FAILED, problem=Problem("internal", "Too late."))
    assert store.request_cancel("job").view.state == JobState.DONE
    assert states(store, "job") == ["queued", "running", "done"]


def test_what_fails_in_the_middle_changes_nothing(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "job")
    store.take(ME)

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("no")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_event", broken)
        with pytest.raises(Problem):
            store.finish("job", JobState.DONE)
    assert store.get("job").view.state == JobState.RUNNING
    store.finish("job", JobState.DONE)
    assert states(store, "job") == ["queued", "running", "done"]


def test_what_a_machine_has_lost_begins_anew_twice_and_counts_for_nothing_else(store: JobStore) -> None:
    add(store, "job", "other")
    for suspect, again in ((False, True), (True, True), (False, True), (False, False)):
        taken = store.take(ME, "job")
        assert taken is not None
        assert store.try_again("job", suspect=suspect) is again
    store.finish("job", JobState.FAILED, problem=Problem("worker-died", "It died."))
    for owner, next_one in ((ME, OTHER), (OTHER, ME), (ME, OTHER)):
        assert store.take(owner, "other") is not None
        store.adopt(owner, next_one, suspect=False)
    ended = store.get("other").view
    assert ended.problem is not None and (ended.state, ended.problem.code) == ("failed", "interrupted")
    assert ended.problem.detail == "The server ended during this job 3 times."


def test_a_result_that_was_whole_before_its_server_died_is_not_made_again(store: JobStore) -> None:
    add(store, "whole", "half", owner=OTHER)
    for _ in range(2):
        store.take(OTHER)
    store.adopt(OTHER, ME, suspect=True, outcome=lambda job: (("scene.glb",), False) if job == "whole" else None)
    whole = store.get("whole").view
    assert (whole.state, whole.files) == ("done", ["scene.glb"])
    assert store.get("half").view.state == "queued"


def test_adoption_requeues_interrupted_jobs_once(store: JobStore) -> None:
    add(store, "running", "cancelled", "waiting", owner=OTHER)
    for _ in range(2):
        store.take(OTHER)
    store.request_cancel("cancelled")
    store.adopt(OTHER, ME, suspect=True)
    assert [store.get(job).view.state for job in ("running", "cancelled", "waiting")] == [
        "queued",
        "cancelled",
        "queued",
    ]
    taken = store.take(ME)
    assert taken is not None
    assert taken.view.id == "running"
    store.adopt(ME, OTHER, suspect=True)
    ended = store.get("running").view
    assert ended.problem is not None
    assert (ended.state, ended.problem.code) == ("failed", "interrupted")
    assert store.get("waiting").owner == OTHER


def test_leaving_in_good_order_does_not_count_as_an_attempt(store: JobStore) -> None:
    add(store, "job")
    for _ in range(5):
        store.take(ME)
        store.put_back("job")
    assert (store.get("job").attempts, store.get("job").view.state) == (0, "queued")


def test_a_deleted_job_takes_its_events_along(store: JobStore) -> None:
    add(store, "job")
    with pytest.raises(Problem, match="job-not-finished"):
        store.delete("job")
    store.request_cancel("job")
    store.delete("job")
    assert store.events("job", 0) == []
    assert store.has_ended("job")
    assert store.append("job", "progress", {"fraction": 0.1}) is None
    assert store.events("job", 0) == []
    with pytest.raises(Problem, match="job-not-found"):
        store.get("job")


def test_the_list_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Problem, match="newer version"):
        JobStore(path)


def test_a_list_of_the_version_before_gets_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    store = JobStore(path)
    add(store, "job")
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN origin")
        connection.execute("PRAGMA user_version = 2")
    for _ in range(2):
        store = JobStore(path)
        store.close()
    store = JobStore(path)
    assert store.get("job").view.origin == {}
    assert store.add("next", ME, "next", "steady", {"file": "a"}).view.origin == {"file": "a"}
    store.close()


def test_a_damaged_list_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    path.write_bytes(b"not a database at all, but long enough" * 100)
    with pytest.raises(Problem, match="damaged"):
        JobStore(path)


def test_processes_that_begin_together_share_the_list(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backend.jobs.store import JobStore\n"
        "store = JobStore(Path(sys.argv[1]))\n"
        "for number in range(20): store.add(f'{sys.argv[2]}-{number}', sys.argv[2], '', 'steady')\n"
        "taken = 0\n"
        "while store.take(sys.argv[2]): taken += 1\n"
        "sys.exit(taken != 20)\n"
    )
    path = tmp_path / "jobs.sqlite3"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), str(owner)], cwd=ROOT) for owner in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    store = JobStore(path)
    assert len(store.newest(1000)) == 80
    store.close()


def hold(path: Path) -> sqlite3.Connection:
    """Another program that writes and does not come to an end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_reading_waits_for_no_writer(store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HASTE_SECONDS", 0.2)
    add(store, "job", "other")
    other = hold(tmp_path / "jobs.sqlite3")
    finishing = threading.Thread(target=store.finish, args=("job", JobState.CANCELLED))
    finishing.start()  # waits for its turn, and would make every reader wait with it
    began = time.monotonic()
    assert [stored.view.id for stored in store.newest(10)] == ["other", "job"]
    assert store.get("job").view.state == "queued"
    assert store.queued(ME) == 2
    assert not store.cancel_wanted("job")
    assert time.monotonic() - began < 0.5
    with pytest.raises(Problem, match="list-busy"):
        add(store, "third")
    assert time.monotonic() - began < 3
    other.execute("ROLLBACK")
    other.close()
    finishing.join(10)
    assert store.get("job").view.state == "cancelled"


@pytest.mark.parametrize(
    "damage",
    [
        "state = 'nothing'",
        "files = '{'",
        "files = '[1]'",
        "progress = '[]'",
        "problem = '{\"a\": 1}'",
        "state = 'needs_input'",
        "attempts = 'x'",
        "name = x'ff'",
        "created = x'ff'",
    ],
)
def test_a_damaged_row_hides_itself_and_nothing_else(
    store: JobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    add(store, "first", "damaged", "last")
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as connection:
        connection.execute(f"UPDATE jobs SET {damage} WHERE id = 'damaged'")
    assert [stored.view.id for stored in store.newest(10)] == ["last", "first"]
    assert "damaged" in caplog.text
    with pytest.raises(Problem, match="job-not-found"):
        store.get("damaged")
    store.ended()
    taken = [store.take(ME) for _ in range(3)]
    assert [job and job.view.id for job in taken] == ["first", "last", None]
    store.adopt(ME, OTHER, suspect=True)
    assert store.get("first").owner == OTHER


def test_what_is_read_is_of_one_moment(store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is taken and ends while a list is read was queued in that list, and its row is not damaged."""
    add(store, "first", "job")
    counted = Queue.__init__

    def late(queue: Queue, connection: sqlite3.Connection, owner: str) -> None:
        monkeypatch.setattr(Queue, "__init__", counted)
        other = JobStore(tmp_path / "jobs.sqlite3")
        for job in ("first", "job"):
            other.take(ME, job)
            other.finish(job, JobState.DONE)
        other.close()
        counted(queue, connection, owner)

    monkeypatch.setattr(Queue, "__init__", late)
    listed = store.newest(10)
    assert [(stored.view.id, stored.view.position) for stored in listed] == [("job", 1), ("first", 0)]
    assert {stored.view.state for stored in store.newest(10)} == {JobState.DONE}


def test_a_text_that_is_no_text_hides_no_job(store: JobStore, tmp_path: Path) -> None:
    add(store, "first", "damaged")
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as connection:
        connection.execute("UPDATE jobs SET name = CAST(x'ff41' AS TEXT) WHERE id = 'damaged'")
        connection.execute("UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE job = 'damaged'")
    assert [stored.view.name for stored in store.newest(10)] == ["\ufffdA", "first"]
    assert store.events("damaged", 0) == []
