"""Requests for new jobs that come twice, as over a line that was cut before the answer had come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.contract import GenerateRequest
from backend.errors import Problem
from backend.jobs.service import JobService
from backend.server.scope import JobsOf
from backend.server.shares import Shares
from backend.server.users import User
from tests.backend.jobs.test_service import Stage, until_cancelled
from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

KEY = "0f3a9c52-4d1b"


def post(server: RunningServer, key: str | bytes = KEY, picture: bytes | None = None, **changes: Any) -> httpx.Response:
    request = {"pipeline": "steady", "name": "a test", **changes}
    return server.client.post(
        "/jobs",
        data={"request": json.dumps(request)},
        files={"image": ("a.png", picture or cut_out())},
        headers={"Idempotency-Key": key},
    )


def listed(server: RunningServer) -> list[str]:
    return [job["id"] for job in server.client.get("/jobs").json()]


def test_a_request_that_comes_again_makes_no_second_job_even_after_the_server_was_killed(tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    with RunningServer(tmp_path / "data") as server:
        first = post(server, parameters={"gate": gate})
        second = post(server, parameters={"gate": gate}, origin={"file": "other.blend"})
        assert (first.status_code, second.status_code) == (201, 201)
        assert second.json()["id"] == first.json()["id"]
        assert second.headers["Location"] == first.headers["Location"]
        other = post(server, parameters={"gate": gate}, seed=3)
        assert (other.status_code, other.json()["code"]) == (422, "key-reused"), other.text
        server.kill()
    with RunningServer(tmp_path / "data") as server:
        third = post(server, parameters={"gate": gate})
        assert third.json()["id"] == first.json()["id"]
        assert listed(server) == [first.json()["id"]]
        made = [again(server, first.json()["id"], key) for key in ("of-another", "of-another", "of-a-third")]
        assert [answer.status_code for answer in made] == [201, 201, 201]
        assert made[0].json()["id"] == made[1].json()["id"] != made[2].json()["id"]
        assert again(server, first.json()["id"], KEY).json()["code"] == "key-reused"
        assert len(listed(server)) == 3
        Path(gate).touch()


def again(server: RunningServer, job: str, key: str) -> httpx.Response:
    return server.client.post(f"/jobs/{job}/again", json={}, headers={"Idempotency-Key": key})


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 129, "x" * 4000, "a key of words", b"\xff\xfe" * 8, b"caf\xc3\xa9-key", "'; DROP--key'"]
)
def test_what_is_no_key_is_a_sentence_and_makes_no_job(server: RunningServer, key: str | bytes) -> None:
    before = listed(server)
    answer = post(server, key)
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid"), answer.text
    assert "dempotency" in answer.json()["detail"]
    assert listed(server) == before


def test_several_keys_are_none(server: RunningServer) -> None:
    answer = server.client.post(
        "/jobs",
        data={"request": json.dumps({"pipeline": "steady"})},
        files={"image": ("a.png", cut_out())},
        headers=[("Idempotency-Key", "first-of-two"), ("Idempotency-Key", "second-of-two")],
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")
    assert "several headers" in answer.json()["detail"]


def test_a_request_that_was_refused_leaves_its_key_free(server: RunningServer) -> None:
    assert post(server, "free-again", picture=b"no picture").json()["code"] == "image-unreadable"
    answer = post(server, "free-again")
    assert answer.status_code == 201
    server.wait(answer.json()["id"])


def test_neither_a_full_queue_nor_a_full_share_speaks_against_a_request_that_has_come(tmp_path: Path) -> None:
    stage, anna = Stage(), User("anna")
    stage.acts.append(until_cancelled)
    with JobService(tmp_path, executor=lambda log: stage) as service:
        jobs = JobsOf(service, anna, Shares(lambda user: 0, None), 1)
        what: tuple[Any, ...] = (GenerateRequest(pipeline="inflate"), [cut_out()], None, None, ())
        running = jobs.submit(*what, key="the-first").id
        until(lambda: service.get(running).state == "running", "its work")
        waiting = jobs.submit(*what, key="the-second").id
        with pytest.raises(Problem, match="1 of your jobs wait"):
            jobs.submit(*what, key="the-third")
        full = JobsOf(service, anna, Shares(lambda user: 2, 1), None)
        with pytest.raises(Problem, match="You hold"):
            full.submit(*what, key="the-third")
        for door in (jobs, full):
            assert [door.submit(*what, key=key).id for key in ("the-first", "the-second")] == [running, waiting]
        service.cancel(running)
