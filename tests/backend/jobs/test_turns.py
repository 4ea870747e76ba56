"""Whose turn it is."""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.contract import JobState
from backend.errors import Problem
from backend.jobs.store import JobStore
from backend.jobs.turns import RESTING, Share, Turns

ME = "a" * 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.sqlite3")
    yield store
    store.close()


def add(store: JobStore, user: str, *jobs: str) -> None:
    for job in jobs:
        store.add(job, ME, job, "steady", user=user)


def take_all(store: JobStore, *, ending: bool) -> list[str]:
    """The queued jobs in the order in which they are taken; each ends before the next, or none does."""
    taken = []
    while (job := store.take(ME)) is not None:
        taken.append(job.view.id)
        if ending:
            store.finish(job.view.id, JobState.DONE)
    return taken


def taken_step_by_step(shares: dict[str, Share]) -> list[tuple[str, int]]:
    """(user, place) in the order that the rule gives if it is asked anew for each job."""
    queued = {user: share.queued for user, share in shares.items()}
    running = Counter({user: share.running for user, share in shares.items()})
    turn = {user: share.turn for user, share in shares.items()}
    order = []
    while any(queued.values()):
        user = min((user for user in queued if queued[user]), key=lambda user: (running[user], turn[user], user))
        order.append((user, shares[user].queued - queued[user]))
        queued[user] -= 1
        running[user] += 1
        turn[user] = max(turn.values()) + 1
    return order


@pytest.mark.parametrize("seed", range(30))
def test_the_order_told_beforehand_is_the_one_in_which_turns_come(seed: int) -> None:
    chance = random.Random(seed)
    last = chance.sample(range(1, 50), 5)
    shares = {
        name: Share(chance.randrange(6), chance.randrange(4), chance.choice([0, turn]))
        for name, turn in zip("abcde", last, strict=True)
    }
    turns, expected = Turns(shares), taken_step_by_step(shares)
    assert list(turns.order()) == [user for user, _ in expected]
    running = sum(share.running for share in shares.values())
    assert [turns.ahead(user, place) - running for user, place in expected] == list(range(len(expected)))


@pytest.mark.parametrize("ending", [True, False])
def test_somebody_with_many_jobs_delays_others_by_one(store: JobStore, ending: bool) -> None:
    add(store, "anna", "a1", "a2", "a3", "a4")
    add(store, "ben", "b1", "b2")
    add(store, "cleo", "c1")
    order = ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert [store.get(job).view.position for job in order] == list(range(7))
    assert [stored.view.id for stored in store.next_ones(ME, 3)] == order[:3]
    assert take_all(store, ending=ending) == order


def test_nobody_waits_for_more_than_a_turn_of_each_of_the_others(store: JobStore) -> None:
    """Two run at a time. Anna has queued a night's work, the others one job now and then."""
    chance = random.Random(5)
    add(store, "anna", *(f"a{number}" for number in range(40)))
    running: list[str] = []
    waiting: dict[str, int] = {}
    """Of the others: how many jobs have ended since this one was queued."""
    waits: list[int] = []
    for number in range(80):
        for user in ("ben", "cleo", "dora"):
            if chance.random() < 0.4 and not any(job.startswith(user) for job in waiting):
                add(store, user, f"{user} {number}")
                waiting[f"{user} {number}"] = 0
        while len(running) < 2 and (taken := store.take(ME)) is not None:
            running.append(taken.view.id)
            waits += [waiting.pop(taken.view.id)] if taken.view.id in waiting else []
        store.finish(running.pop(0), JobState.DONE)
        waiting = {job: ended + 1 for job, ended in waiting.items()}
    assert len(waits) > 30
    assert max(waits) <= 3
    assert sum(waits) / len(waits) > 0.5, "they do wait for each other"
    hers = [stored.view.state for stored in store.newest(200) if stored.view.user == "anna"]
    assert hers.count(JobState.DONE) >= 80 / 4 - 2, "and she is not left behind"


def test_a_turn_is_remembered_by_the_next_server(store: JobStore, tmp_path: Path) -> None:
    add(store, "anna", "a1", "a2")
    assert [job and job.view.id for job in (store.take(ME),)] == ["a1"]
    store.finish("a1", JobState.DONE)
    add(store, "ben", "b1")
    other = JobStore(tmp_path / "jobs.sqlite3")
    other.adopt(ME, "b" * 16, suspect=True)
    taken = other.take("b" * 16)
    assert taken is not None and taken.view.id == "b1", "anna has just had a turn"
    other.close()


def test_the_highest_priority_goes_first_among_the_jobs_of_its_user_alone(store: JobStore) -> None:
    add(store, "anna", "a1", "a2", "a3", "a4")
    add(store, "ben", "b1", "b2")
    store.prioritise("a3", 5)
    store.prioritise("a4", 5)
    assert store.prioritise("b2", -1).view.priority == -1
    order = ["a3", "b1", "a4", "b2", "a1", "a2"]
    views = {stored.view.id: stored.view.position for stored in store.newest(10)}
    assert [views[job] for job in order] == list(range(6))
    assert take_all(store, ending=False) == order


def test_a_job_of_the_lowest_priority_rests_until_it_has_another(store: JobStore) -> None:
    add(store, "anna", "a1", "a2", "a3")
    store.prioritise("a2", RESTING)
    views = {stored.view.id: stored.view for stored in store.newest(10)}
    assert (views["a2"].state, views["a2"].position, views["a3"].position) == (JobState.QUEUED, None, 1)
    assert store.queued(ME) == 2 and store.users.queued_of("anna") == 3, (
        "it has its place among those that a user may have"
    )
    assert store.take(ME, "a2") is None
    assert take_all(store, ending=True) == ["a1", "a3"]
    store.prioritise("a2", 0)
    assert take_all(store, ending=True) == ["a2"]


def test_a_job_that_is_running_or_has_ended_keeps_its_priority_for_later(store: JobStore) -> None:
    add(store, "", "first", "second")
    store.take(ME)
    store.prioritise("second", 1)
    store.prioritise("first", 2)
    store.put_back("first")
    assert take_all(store, ending=True) == ["first", "second"]
    assert store.prioritise("second", 3).view.state == JobState.DONE
    with pytest.raises(Problem, match="job-not-found"):
        store.prioritise("third", 1)


def test_positions_in_a_list_are_those_of_each_job_alone(store: JobStore) -> None:
    chance = random.Random(3)
    for number in range(60):
        add(store, chance.choice(["", "anna", "ben"]), f"job {number}")
    for number in range(0, 60, 4):
        store.prioritise(f"job {number}", chance.randrange(-2, 3))
    for _ in range(7):
        store.take(ME)
    listed = store.newest(100)
    alone = [store.get(stored.view.id).view.position for stored in listed]
    assert [stored.view.position for stored in listed] == alone
    assert sorted(position for position in alone if position is not None) == list(range(7, 60))


def test_a_page_begins_after_the_last_of_the_one_before(store: JobStore) -> None:
    names = [f"job {number}" for number in range(7)]
    add(store, "", *names)
    first = [stored.view.id for stored in store.newest(3)]
    second = [stored.view.id for stored in store.newest(3, before=first[-1])]
    last = [stored.view.id for stored in store.newest(3, before=second[-1])]
    assert first + second + last == names[::-1]
    assert store.newest(3, before=last[-1]) == []
    with pytest.raises(Problem, match="job-not-found"):
        store.newest(3, before="nobody")


VERSION_3 = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL,
    pipeline TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, started TEXT, finished TEXT, progress TEXT, problem TEXT,
    files TEXT NOT NULL DEFAULT '[]', finish INTEGER NOT NULL DEFAULT 0, early INTEGER NOT NULL DEFAULT 0,
    reached INTEGER NOT NULL DEFAULT 0, origin TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX jobs_by_owner ON jobs (owner, state, number);
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, id INTEGER NOT NULL, type TEXT NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (job, id)
) WITHOUT ROWID;
CREATE TABLE owners (id TEXT PRIMARY KEY, process TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 3;
"""


def test_a_list_of_before_there_were_users_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_3)
    for job, state in (("done", "done"), ("old", "queued"), ("new", "queued")):
        values = (job, ME, job, "steady", state, "2026-01-01T00:00:00.000Z", '{"file": "a"}')
        connection.execute(
            "INSERT INTO jobs (id, owner, name, pipeline, state, created, origin) VALUES (?, ?, ?, ?, ?, ?, ?)", values
        )
        connection.execute("INSERT INTO events VALUES (?, 1, 'state', '{\"state\": \"queued\"}')", (job,))
    connection.commit()
    connection.close()
    for _ in range(2):
        store = JobStore(path)
        views = {stored.view.id: stored.view for stored in store.newest(10)}
        assert {(view.user, view.priority) for view in views.values()} == {("", 0)}
        assert views["done"].origin == {"file": "a"}
        assert [views[job].position for job in ("old", "new")] == [0, 1]
        store.close()
    store = JobStore(path)
    add(store, "anna", "hers")
    assert take_all(store, ending=False) == ["old", "hers", "new"]
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert "jobs_by_turn" in names and "jobs_by_owner" not in names
    connection.close()
