"""What jobs hold of the disk: the figure follows, a limit counts when it rests, and says first what would go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from blender_addon.backend_process.server_process import ServerState
from blender_addon.ground import preferences
from blender_addon.state.storage import Surplus
from blender_addon.ui.preferences import _draw_limit
from blender_addon.work import keeping, line, lists
from tests.blender_addon.recorder import Recorder

HELD = {"jobs": 18, "bytes": 18 * 10**9, "keep_bytes": None, "surplus": None}


class Backend:
    """Stands in for a server with 18 jobs of a gigabyte each: what it was asked, and its answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int | None]] = []

    def storage(self, tried: int | None = None) -> Any:
        self.asked.append(("try" if tried is not None else "look", tried))
        over = max(0, 18 - tried // 10**9) if tried is not None else 0
        return {**HELD, "surplus": {"jobs": over, "bytes": over * 10**9}}

    def limit_storage(self, limit: int | None) -> Any:
        self.asked.append(("limit", limit))
        return HELD


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Any:
    kept = SimpleNamespace(keep_gigabytes=20.0, agreed_gigabytes=20.0)
    monkeypatch.setattr(preferences, "get", lambda: kept)
    return kept


@pytest.fixture
def backend(current: Any, chosen: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    made = Backend()

    def ready() -> Any:
        return made
        yield

    def finish(exchange: Any) -> Any:
        yield

    current.desk.server.state = ServerState.READY
    monkeypatch.setattr(current.line, "ready_client", ready)
    monkeypatch.setattr(current.line.tasks, "finish", finish)
    monkeypatch.setattr(line, "answer", lambda exchange: exchange)
    monkeypatch.setattr(keeping, "REST_SECONDS", 0.05)
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(keeping, "REMOVAL_SECONDS", 0.0)
    monkeypatch.setattr(current.line, "refresh", lambda: made.asked.append(("lists", None)))
    yield made
    current.desk.server.state = ServerState.STOPPED


def work(current: Any, seconds: float = 0.25) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        current.keeping.poll(current.line)
        current.line.tasks.advance(0.01)
        time.sleep(0.002)


def test_every_step_of_a_slider_but_the_last_is_passed_over(current: Any, chosen: Any, backend: Backend) -> None:
    for step in range(40, 30, -1):
        chosen.keep_gigabytes = float(step)
        current.desk.limit_wished = True
        work(current, 0.01)
    work(current)
    limits = [asked for asked in backend.asked if asked[0] == "limit"]
    assert limits == [("limit", 31 * 10**9)], "31 GB are more than were agreed to: nothing to ask"
    assert (chosen.agreed_gigabytes, backend.asked[-1]) == (31.0, ("lists", None))


def test_a_limit_that_removes_jobs_says_how_many_and_waits(current: Any, chosen: Any, backend: Backend) -> None:
    chosen.keep_gigabytes = 5.0
    current.desk.limit_wished = True
    work(current)
    assert backend.asked == [("try", 5 * 10**9)]
    assert (keeping.limit(), current.desk.surplus) == (20 * 10**9, Surplus(5.0, 13, 13 * 10**9))
    layout = Recorder()
    layout.__dict__["prop"] = lambda *arguments: None  # these preferences are a stand-in
    _draw_limit(layout, chosen)
    assert "To hold 5.0 GB, 13 jobs with 13.00 GB would be removed" in layout.texts
    current.keeping.agree(current.line)
    work(current)
    assert ("limit", 5 * 10**9) in backend.asked
    assert current.desk.surplus is None


def test_the_former_limit_can_be_had_back(current: Any, chosen: Any, backend: Backend) -> None:
    chosen.keep_gigabytes = 5.0
    current.desk.limit_wished = True
    work(current)
    current.keeping.take_back(current.desk)
    work(current)
    assert (chosen.keep_gigabytes, current.desk.surplus) == (20.0, None)
    assert [asked for asked in backend.asked if asked[0] == "limit"] == []


def test_the_figure_follows_jobs_that_end(current: Any, backend: Backend) -> None:
    for _ in range(5):
        current.desk.storage_stale = True
        work(current, 0.001)
    work(current)
    assert backend.asked == [("look", None)], "once for all of them"
    assert (current.desk.storage["jobs"], current.desk.storage["bytes"]) == (18, 18 * 10**9)


def test_lists_are_fetched_one_after_the_other_and_the_newest_wins(
    current: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, began = 0, 0, 0

    def fetch(line: Any) -> Any:
        nonlocal running, most, began
        running, began = running + 1, began + 1
        most = max(most, running)
        yield
        yield
        running -= 1

    monkeypatch.setattr(lists, "fetch", fetch)
    for _ in range(10):
        current.line.refresh()
        current.lists.poll(current.line)
    for _ in range(20):
        current.lists.poll(current.line)
        current.line.tasks.advance(0.01)
    assert (most, began, running) == (1, 2, 0), "one now, and one for all that asked meanwhile"
