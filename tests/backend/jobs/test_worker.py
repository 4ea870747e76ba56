"""What the worker does while it waits for an answer."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import devices
from backend.contract import Progress
from backend.jobs import worker
from backend.jobs.channel import messages
from backend.jobs.worker import Worker
from backend.residency import Form, residency
from tests.backend.waiting import until


class Held:
    """Networks that take memory until they are let go."""

    loaded_bytes = 1000
    bytes_aside = 0

    def release(self) -> None:
        self.loaded_bytes = 0


@pytest.mark.parametrize(("seconds", "stays"), [(0.0, False), (3600.0, True)])
def test_networks_go_when_the_user_thinks_for_long(
    seconds: float, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_job(job: str, folder: Path, report: Any, cancelled: Any, answer: Callable[..., Any], finishing: Any) -> Any:
        return SimpleNamespace(finished_early=answer({"kind": "text"})["early"])

    monkeypatch.setattr(worker, "run_job", run_job)
    monkeypatch.setattr(worker, "THOUGHT_SECONDS", seconds)
    held, replies = Held(), io.BytesIO()
    one = Worker(io.BytesIO(), replies)
    residency.keep(Form("held", "cpu", "float32", ()), held)

    def think() -> None:
        until(replies.getvalue, "the question")
        if not stays:
            until(lambda: held.loaded_bytes == 0, "the networks to go")
        one._answers.put(("job", {"early": True}))

    user = threading.Thread(target=think)
    user.start()
    assert one._run("job", tmp_path)
    user.join()
    assert (held.loaded_bytes > 0) == stays
    residency.clear()


def test_how_many_cards_there_are_is_told_once_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cards", None)

    def run_job(job: str, folder: Path, report: Any, *_: Any) -> Any:
        for cards in (None, 2, 2):
            monkeypatch.setattr(devices, "_cards", cards)
            report(Progress(stage="begin", stage_index=0, stage_count=1, fraction=0, elapsed=0))
        return SimpleNamespace(finished_early=False)

    monkeypatch.setattr(worker, "run_job", run_job)
    replies = io.BytesIO()
    Worker(io.BytesIO(), replies)._run("job", tmp_path)
    told = list(messages(io.BytesIO(replies.getvalue())))
    assert [message["type"] for message in told] == ["progress", "cards", "progress", "progress"]
    assert told[1] == {"type": "cards", "count": 2}
