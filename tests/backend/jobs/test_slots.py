"""Several jobs at once, in slots that do what the test tells them; real workers are in tests/backend/server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.contract import GenerateRequest, JobState, Waiting
from backend.errors import Problem
from backend.jobs.cooling import Cooling
from backend.jobs.executor import Interrupted, Lost, Parked, Report, WorkerState
from backend.jobs.local import LocalExecutor, LocalSlot, methods_with_networks
from backend.jobs.service import JobService
from backend.pipelines.context import Cancelled
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

REQUEST = GenerateRequest(pipeline="inflate")


class Place:
    """A slot whose jobs end when `end` is called, and ask when `ask` is."""

    def __init__(self) -> None:
        self.state = WorkerState.ASLEEP
        self.cooling: Cooling | None = None
        self.ran: list[str] = []
        self.answers: list[dict[str, Any]] = []
        self.rests = 0
        self._nudged = threading.Event()
        self._wish = ""

    def run(
        self,
        job: str,
        folder: Path,
        report: Callable[[Report], None],
        cancelled: Callable[[], bool],
        crowded: Callable[[], bool],
        finishing: Callable[[], bool],
    ) -> bool:
        self.ran.append(job)
        self.state, asks = WorkerState.BUSY, False
        try:
            while True:
                wish, self._wish = self._wish, ""
                if wish == "ask":
                    report(Report("question", {"title": "Which?"}))
                    asks = True
                if wish == "fail":
                    raise Problem("worker-died", "It died.")
                if wish in ("lost", "half lost"):
                    if wish == "lost":
                        _write_result(folder)
                    raise Lost(Problem("worker-died", "Its machine is gone."), suspect=False)
                if wish == "stop":
                    raise Interrupted
                if wish == "end":
                    (folder / "output" / "scene.glb").write_bytes(b"glTF")
                    return False
                asks = asks and not self.answers
                if cancelled():
                    raise Cancelled
                if asks and crowded():
                    raise Parked
                self._nudged.wait(0.2)
                self._nudged.clear()
        finally:
            self.state = WorkerState.READY

    def wish(self, what: str) -> None:
        self._wish = what
        self._nudged.set()

    def nudge(self) -> None:
        self._nudged.set()

    def answer(self, job: str, answer: dict[str, Any]) -> None:
        self.answers.append({"job": job, **answer})
        self._nudged.set()

    def warm(self) -> None:
        self.state, self.cooling = WorkerState.READY, None

    def rest(self) -> None:
        self.rests += 1
        self.state = WorkerState.ASLEEP

    def stop(self) -> None:
        self.wish("stop")


class Places:
    """An executor of such slots. `refused`: jobs that fit nowhere."""

    elsewhere = False

    def __init__(self, count: int) -> None:
        self.slots = [Place() for _ in range(count)]
        self.refused: set[str] = set()
        self.look: Callable[[], None] = lambda: None

    def place(self, job: str, folder: Path, free: Sequence[Place]) -> Place | None:
        return None if job in self.refused else free[0]

    def hindrance(self, ahead: int | None) -> Waiting | None:
        return Waiting(detail="No room.", hint=f"After {ahead}.", until=None)

    def when_changed(self, look: Callable[[], None]) -> None:
        self.look = look

    def stop(self) -> None:
        for slot in self.slots:
            slot.stop()


@pytest.fixture
def places() -> Places:
    return Places(3)


@pytest.fixture
def service(tmp_path: Path, places: Places) -> Iterator[JobService]:
    with JobService(tmp_path, executor=lambda log: places) as service:
        yield service


def _write_result(folder: Path) -> None:
    """What a worker leaves that has come to its end."""
    result = {"job": folder.name, "finished_early": False}
    (folder / "output" / "result.json").write_text(json.dumps(result), encoding="utf-8")


def submit(service: JobService, user: str = "") -> str:
    return service.submit(REQUEST, [cut_out()], user=user).id


def reaches(service: JobService, job: str, state: str) -> None:
    until(lambda: service.get(job).state == state, f"the job being {state}")


def three_running(service: JobService, places: Places) -> list[str]:
    jobs = [submit(service) for _ in range(3)]
    until(lambda: len(service.running) == 3, "three jobs running")
    until(lambda: all(place.ran for place in places.slots), "each in its slot")
    assert [place.ran for place in places.slots] == [[job] for job in jobs]
    return jobs


def test_what_is_lost_begins_anew_twice_unless_it_had_come_to_its_end(service: JobService, places: Places) -> None:
    job = submit(service)
    for number in range(3):
        until(lambda: sum(place.ran.count(job) for place in places.slots) == number + 1, "its work")  # noqa: B023
        next(place for place in places.slots if place.state == WorkerState.BUSY).wish("half lost")
    reaches(service, job, "failed")
    problem = service.get(job).problem
    assert problem and problem.detail == "Its machine is gone."
    whole = submit(service)
    until(lambda: any(whole in place.ran for place in places.slots), "its work")
    next(place for place in places.slots if place.state == WorkerState.BUSY).wish("lost")
    reaches(service, whole, "done")
    assert service.get(whole).files == ["result.json"]


def test_a_slot_that_is_free_and_of_no_use_tells_why(service: JobService, places: Places) -> None:
    job = submit(service)
    reaches(service, job, "running")
    other = service.submit(REQUEST, [cut_out()], user="other").id
    reaches(service, other, "running")
    places.place = lambda job, folder, free: None  # type: ignore[method-assign]
    third = submit(service)
    until(lambda: service.waiting is not None, "the reason")
    waiting = service.get(third).waiting
    assert waiting and (waiting.detail, waiting.hint, waiting.until) == ("No room.", "After 2.", None)
    assert service.get(job).waiting is None


def test_as_many_run_as_there_are_slots_and_each_ends_in_its_own_way(service: JobService, places: Places) -> None:
    answered, cancelled, dead = three_running(service, places)
    fourth = submit(service)
    assert service.get(fourth).position == 3
    assert service.worker == WorkerState.BUSY
    service.cancel(cancelled)
    reaches(service, cancelled, "cancelled")
    until(lambda: places.slots[1].ran == [cancelled, fourth], "the next one in the slot that is free")
    places.slots[0].wish("ask")
    reaches(service, answered, "needs_input")
    with pytest.raises(Problem, match="input-not-expected"):
        service.answer(dead, {"choice": 2})
    places.slots[2].wish("fail")
    reaches(service, dead, "failed")
    assert service.get(answered).state == "needs_input" and service.get(fourth).state == "running"
    assert service.answer(answered, {"choice": 1}).state == "running"
    assert places.slots[0].answers == [{"job": answered, "choice": 1}]
    assert [place.answers for place in places.slots[1:]] == [[], []]
    for place, job in ((places.slots[0], answered), (places.slots[1], fourth)):
        place.wish("end")
        reaches(service, job, "done")
    assert service.running == []


def test_users_take_turns_in_the_slots(tmp_path: Path) -> None:
    places = Places(2)
    with JobService(tmp_path, executor=lambda log: places) as service:
        anna = [submit(service, "anna") for _ in range(4)]
        until(lambda: len(service.running) == 2, "two of hers")
        ben = [submit(service, "ben") for _ in range(2)]
        for number, expected in ((0, ben[0]), (1, ben[1]), (0, anna[2]), (1, anna[3])):
            if number == 1 and expected == ben[1]:
                assert service.get(ben[1]).position == 3, "one of each runs, and it was ben's turn last"
                expected = anna[2]
            elif expected == anna[2]:
                expected = ben[1]
            places.slots[number].wish("end")
            until(lambda n=number, e=expected: places.slots[n].ran[-1] == e, "the next turn")  # type: ignore[misc]


def test_of_those_that_ask_only_as_many_make_room_as_must(service: JobService, places: Places) -> None:
    first, second, third = three_running(service, places)
    for place, job in zip(places.slots, (first, second, third), strict=True):
        place.wish("ask")
        reaches(service, job, "needs_input")
    fourth = submit(service)
    until(lambda: places.slots[0].ran == [first, fourth], "the one that has asked for the longest making room")
    time.sleep(0.3)
    assert service.running == [fourth, second, third]
    places.slots[0].wish("end")
    reaches(service, fourth, "done")
    fifth = submit(service)
    until(lambda: places.slots[0].ran[-1] == fifth, "the next one in the slot that is free")
    time.sleep(0.3)
    assert service.running == [fifth, second, third], "there was a free slot"
    service.answer(first, {"choice": 1})
    until(lambda: places.slots[1].ran == [second, first], "what was answered in the place of one that asks")
    assert service.get(third).state == "needs_input" and third in service.running


def test_idle_workers_rest_while_others_work(service: JobService, places: Places) -> None:
    assert service.rest(), "all of them"
    until(lambda: [place.rests for place in places.slots] == [1, 1, 1], "rest")
    job = submit(service)
    until(lambda: service.running == [job], "the job running")
    assert not service.rest(), "not all"
    until(lambda: [place.rests for place in places.slots] == [1, 2, 2], "the rest of the others")
    places.slots[0].wish("ask")
    reaches(service, job, "needs_input")
    assert service.rest()
    until(lambda: places.slots[0].rests == 2, "the rest of the one that asked")
    assert service.get(job).state == "needs_input" and service.running == []


def test_a_job_that_fits_nowhere_keeps_nobody_else_from_a_slot(service: JobService, places: Places) -> None:
    places.refused = {"all"}
    places.slots[0].cooling = Cooling(Problem("worker-start-failed", "No."), time.monotonic() + 60)
    large = service.submit(REQUEST, [cut_out()])
    until(lambda: large.id in service.running, "the first in a slot that is not cooling")
    until(lambda: places.slots[1].ran == [large.id], "its start there")
    places.refused = {job := "0" * 24}
    small = submit(service)
    until(lambda: places.slots[2].ran == [small], "the next one running")
    assert service.waiting is None, "one slot that starts no worker is not all of them"
    assert job not in service.running


def test_a_job_given_to_a_slot_that_starts_no_worker_since_goes_to_another(service: JobService, places: Places) -> None:
    def place(job: str, folder: Path, free: Sequence[Place]) -> Place:
        if free[0] is places.slots[0]:
            free[0].cooling = Cooling(Problem("worker-start-failed", "No."), time.monotonic() + 60)
        return free[0]

    places.place = place  # type: ignore[method-assign]
    job = submit(service)
    until(lambda: places.slots[1].ran == [job], "its start in the next slot")
    assert places.slots[0].ran == []
    places.slots[1].wish("end")
    reaches(service, job, "done")


def test_a_job_cancelled_before_such_a_slot_gives_it_back_ends(
    service: JobService, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = service._store.take

    def taken_and_cancelled(owner: str, job: str | None = None) -> Any:
        taken = take(owner, job)
        assert taken is not None
        places.slots[0].cooling = Cooling(Problem("worker-start-failed", "No."), time.monotonic() + 60)
        service.cancel(taken.view.id)
        return taken

    monkeypatch.setattr(service._store, "take", taken_and_cancelled)
    job = submit(service)
    reaches(service, job, "cancelled")
    assert [place.ran for place in places.slots] == [[], [], []]


def test_what_fits_in_no_slot_waits_until_it_does(tmp_path: Path) -> None:
    places = Places(1)
    with JobService(tmp_path, executor=lambda log: places) as service:
        first = submit(service)
        until(lambda: service.running == [first], "the first running")
        large, small = submit(service), submit(service)
        places.refused = {large}
        places.slots[0].wish("end")
        until(lambda: places.slots[0].ran == [first, small], "the one that fits")
        places.slots[0].wish("end")
        reaches(service, small, "done")
        assert service.get(large).state == "queued"
        places.refused = set()
        places.look()
        until(lambda: places.slots[0].ran[-1] == large, "the one that fits now")


def test_further_slots_are_used_as_soon_as_there_are_any(tmp_path: Path) -> None:
    places = Places(1)
    with JobService(tmp_path, executor=lambda log: places) as service:
        jobs = [submit(service) for _ in range(3)]
        until(lambda: service.running == jobs[:1], "the first running")
        places.slots += [Place(), Place()]
        places.look()
        until(lambda: service.running == jobs, "all running")


def test_all_that_run_are_put_back_when_the_service_stops(tmp_path: Path) -> None:
    places = Places(3)
    before = threading.active_count()
    with JobService(tmp_path, executor=lambda log: places) as service:
        jobs = three_running(service, places)
    assert threading.active_count() == before
    looked = JobService(tmp_path)
    stored = [looked._store.get(job) for job in jobs]
    assert [(job.view.state, job.attempts) for job in stored] == [(JobState.QUEUED, 0)] * 3
    looked.stop()


# where a job goes, on one machine


def held_by(monkeypatch: pytest.MonkeyPatch, executor: LocalExecutor, *held: set[str] | None) -> Sequence[LocalSlot]:
    """The slots, whose workers hold these methods' networks; None for one that sleeps."""
    states = {
        slot: WorkerState.ASLEEP if what is None else WorkerState.READY
        for slot, what in zip(executor.slots, held, strict=True)
    }
    monkeypatch.setattr(LocalSlot, "state", property(states.__getitem__))
    for slot, what in zip(executor.slots, held, strict=True):
        slot._held = frozenset(what or ())
    return executor.slots


def asks_for(folder: Path, pipeline: str, **prepare: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "request.json").write_text(GenerateRequest(pipeline=pipeline, prepare=prepare).model_dump_json())
    return folder


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (({"instantmesh"}, {"midi"}, None), 1),
        (({"instantmesh", "midi"}, {"text"}, None), 0),
        (({"instantmesh"}, set(), None), 1),
        (({"instantmesh"}, None, {"text"}), 1),
        (({"instantmesh"}, {"text"}, {"imagine"}), 0),
    ],
)
def test_a_job_goes_where_its_networks_are_or_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: tuple[set[str] | None, ...], expected: int
) -> None:
    executor = LocalExecutor(tmp_path / "log", slots=3)
    slots = held_by(monkeypatch, executor, *held)
    assert executor.place("job", asks_for(tmp_path / "job", "midi"), slots) is slots[expected]


def test_a_job_without_networks_goes_to_a_worker_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = LocalExecutor(tmp_path / "log", slots=3)
    slots = held_by(monkeypatch, executor, None, None, {"midi"})
    assert executor.place("job", asks_for(tmp_path / "job", "inflate"), slots) is slots[2]
    assert executor.place("job", tmp_path / "gone", slots) is slots[2], "the worker tells what is wrong with it"
    with_preparation = asks_for(tmp_path / "job", "inflate", text={"prompt": "a chair"})
    assert methods_with_networks(with_preparation) == {"text"}
    assert executor.place("job", with_preparation, slots) is slots[0]


def test_there_are_as_many_slots_as_cards_unless_somebody_has_said_how_many(tmp_path: Path) -> None:
    looks: list[int] = []
    for fixed, cards, expected in ((None, 0, 1), (None, 1, 1), (None, 4, 4), (2, 4, 2), (3, 0, 3)):
        executor = LocalExecutor(tmp_path / "log", slots=fixed)
        executor.when_changed(lambda executor=executor: looks.append(len(executor.slots)))  # type: ignore[misc]
        first = executor.slots[0]
        first._tell_cards(cards)
        first._tell_cards(cards)
        assert len(executor.slots) == expected and executor.slots[0] is first
        assert [slot._arguments for slot in executor.slots] == [(str(n), str(fixed or 0)) for n in range(expected)]
        assert len({slot._log for slot in executor.slots}) == expected
    assert looks == [4]
