"""What is told of a job: little is stored, and whoever follows misses nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.contract import Event, JobState, Preview, Progress, Warning
from backend.jobs.executor import Report
from backend.jobs.news import News
from backend.jobs.pace import Pace
from backend.jobs.previews import MOST_SLOTS, Previews
from backend.jobs.recent import MOST_EVENTS, Recent
from backend.jobs.store import JobStore
from backend.pipelines.context import Context
from backend.server.stream import encode
from tests.backend.jobs.long_pipeline import LONG

ME = "a" * 16
PICTURE = np.full((4, 8, 3), 200, np.uint8)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs.sqlite3")
    store.add("job", ME, "A job", "long")
    store.take(ME)
    yield store
    store.close()


def progress(fraction: float) -> dict[str, Any]:
    return {"stage": "work", "stage_index": 0, "stage_count": 1, "fraction": fraction, "elapsed": 1.0}


def test_of_forty_minutes_little_is_stored_and_told_to_whoever_comes_late(store: JobStore, tmp_path: Path) -> None:
    clock, recent, followed = Clock(), Recent(), 0

    def stored(report: Report) -> None:
        nonlocal followed
        event = store.append("job", report.type, report.data)  # type: ignore[arg-type]
        if event is not None and report.type != "warning":
            recent.add("job", event)
        followed += 1

    pace = Pace(stored, clock=clock)

    def told(said: Progress | Warning | Preview) -> None:
        pace.take(Report(type(said).__name__.lower(), said.model_dump()))  # type: ignore[arg-type]

    previews = Previews(tmp_path / "previews", told, clock)
    context = Context(LONG, 0, told, show=previews.show, show_rest=previews.rest, clock=clock)
    with context.stage("begin"):
        context.warn("told", "The picture is dark.", "Switch a light on.")
    steps = 40 * 60 * 2
    with context.stage("optimise"):
        for step in range(steps):
            clock.now += 0.5
            if step % 4 == 0:
                previews.look()
                context.preview("shape", PICTURE, f"Step {step}")
            context.progress(step / steps, f"Step {step} of {steps}")
    store.finish("job", JobState.DONE, files=("result.json", "scene.glb"))

    assert followed > 5_000
    rows = store.events("job", 0, 100_000)
    heard = recent.complete("job", 0, rows)
    weight = len("".join(map(encode, heard)).encode())
    sys.stderr.write(f"40 minutes, {followed} reports: {len(rows)} rows, a late client receives {weight} bytes\n")
    assert len(rows) < 200 and weight < 20_000
    assert [event.type for event in heard] == ["state", "state", "warning", "progress", "state"]
    assert abs(context.elapsed - 2400) < 1


def test_the_newest_progress_takes_the_place_of_the_one_before_and_ids_grow(store: JobStore) -> None:
    ids = [store.append("job", "progress", progress(share)).id for share in (0.1, 0.2, 0.3)]  # type: ignore[union-attr]
    assert ids == [3, 4, 5]
    events = store.events("job", 0)
    assert [event.id for event in events] == [1, 2, 5]
    assert store.events("job", 4) == events[2:]
    view = store.get("job").view
    assert view.last_event == 5 and view.progress and view.progress.fraction == 0.3


def test_of_previews_the_newest_of_each_slot_is_stored_until_the_job_is_done(store: JobStore) -> None:
    for slot, caption in (("front", "a"), ("back", "b"), ("front", "c")):
        store.append("job", "preview", {"slot": slot, "revision": 0, "caption": caption, "file": f"preview-{slot}.png"})
    shown = store.get("job").view.previews
    assert [(each.slot, each.caption) for each in shown] == [("back", "b"), ("front", "c")]
    assert [each.revision for each in shown] == [4, 5]
    assert [event.type for event in store.events("job", 0)].count("preview") == 2
    store.finish("job", JobState.DONE)
    assert store.get("job").view.previews == []
    assert store.get("job").view.last_event == 6


def test_an_attempt_that_warns_of_the_same_tells_it_once(store: JobStore) -> None:
    warning = {"code": "dark", "message": "It is dark.", "hint": "", "instance": None}
    assert store.append("job", "warning", warning) is not None
    assert store.append("job", "warning", warning) is None
    assert store.append("job", "warning", {**warning, "instance": 2}) is not None


def test_whoever_follows_gets_every_report_and_nothing_overtakes() -> None:
    recent = Recent()
    for number in range(3, 10):
        recent.add("job", Event(id=number, type="progress", data={}))
    state, last = Event(id=1, type="state", data={}), Event(id=8, type="progress", data={})
    assert [event.id for event in recent.complete("job", 4, [last])] == [5, 6, 7, 8], "9 is not stored yet"
    assert [event.id for event in recent.complete("job", 0, [state, last])] == [1, 3, 4, 5, 6, 7, 8]
    assert recent.complete("job", 9, []) == []
    recent.add("job", Event(id=10, type="preview", data={}))
    end = Event(id=11, type="state", data={})
    assert [event.id for event in recent.complete("job", 8, [end])] == [9, 10, 11]
    recent.forget_previews("job")
    assert [event.id for event in recent.complete("job", 8, [end])] == [9, 11]
    assert recent.complete("other", 0, [state]) == [state]


def test_whoever_is_far_behind_gets_what_is_stored() -> None:
    recent = Recent()
    for number in range(1, MOST_EVENTS + 11):
        recent.add("job", Event(id=number, type="progress", data={}))
    last = Event(id=MOST_EVENTS + 10, type="progress", data={})
    assert recent.complete("job", 5, [last]) == [last]
    assert len(recent.complete("job", 10, [last])) == MOST_EVENTS


def test_previews_come_twice_a_second_and_the_last_of_a_stage_always(tmp_path: Path) -> None:
    clock, told = Clock(), list[Any]()
    previews = Previews(tmp_path, told.append, clock)
    context = Context(LONG, 0, told.append, show=previews.show, show_rest=previews.rest, clock=clock)
    with context.stage("optimise"):
        told.clear()
        for step in range(80):
            context.preview("shape", np.full((3, 3, 3), step, np.uint8), f"Step {step}")
            clock.now += 0.125
        assert len(told) == 20, "of ten seconds"
    assert told[-1] == Preview(slot="shape", revision=0, caption="Step 79", file="preview-shape.png")
    assert [path.name for path in tmp_path.iterdir()] == ["preview-shape.png"]


def test_a_preview_is_small_whole_and_the_callers_picture_may_change(tmp_path: Path) -> None:
    from backend.imaging.png import from_png

    clock, told = Clock(), list[Preview]()
    previews = Previews(tmp_path, told.append, clock)
    large = np.zeros((400, 2000, 4), np.uint8)
    large[...] = 250, 120, 30, 255
    previews.show("a", large, "x" * 999)
    previews.show("b", large, "")
    large[...] = 0
    previews.rest()
    first, second = (from_png((tmp_path / each.file).read_bytes()) for each in told)
    assert first.shape == second.shape == (102, 512, 4)
    assert (first == (250, 120, 30, 255)).all() and (second == first).all()
    assert len(told[0].caption) == 200


def test_what_is_no_preview_is_refused_and_a_full_disk_ends_no_work(tmp_path: Path) -> None:
    told = list[Preview]()
    previews = Previews(tmp_path / "file" / "previews", told.append)
    (tmp_path / "file").write_text("where the folder should be")
    previews.show("a", PICTURE, "")
    previews.rest()
    assert told == []
    for slot, picture in (
        ("../a", PICTURE),
        ("", PICTURE),
        ("a", PICTURE.astype(float)),
        ("a", PICTURE[..., 0]),
        ("a", PICTURE[:0]),
    ):
        with pytest.raises(ValueError, match=r"preview|slot"):
            previews.show(slot, picture, "")
    with pytest.raises(ValueError, match="at most"):
        for number in range(MOST_SLOTS + 1):
            previews.show(f"slot-{number}", PICTURE, "")


def test_who_follows_a_job_is_woken_by_that_one_alone() -> None:
    news, woken = News(), []
    with news.listener(lambda: woken.append("mine"), "mine"), news.listener(lambda: woken.append("other"), "other"):
        news.publish("mine")
        news.publish("another")
        assert woken == ["mine"]
        news.publish()
        assert sorted(woken) == ["mine", "mine", "other"]
    news.publish("mine")
    assert len(woken) == 3 and news.count == 4, "whoever waits for anything hears of all"
