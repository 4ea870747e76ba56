"""A job that waits for an answer is in nobody's way, and outlives its worker and its server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("waiting") / "data") as server:
        yield server


def asked(server: RunningServer, pipeline: str = "steady") -> str:
    answer = server.post_job({"pipeline": pipeline, "prepare": {"halves": {}}}, {"image": ("a.png", cut_out())})
    job = str(answer.json()["id"])
    server.wait(job, "needs_input")
    return job


def choose(server: RunningServer, job: str, *indices: int) -> None:
    server.client.post(f"/jobs/{job}/input", json={"answer": {"chosen": list(indices)}}).raise_for_status()


def names(server: RunningServer, job: str) -> list[str]:
    return [prop["name"] for prop in server.client.get(f"/jobs/{job}/files/result.json").json()["props"]]


def test_a_waiting_job_lets_the_next_one_run_and_goes_on_when_it_is_answered(server: RunningServer) -> None:
    first, second = asked(server), asked(server)
    assert server.wait(server.submit("steady")["id"])["state"] == "done"
    for job, chosen in ((second, 0), (first, 1)):
        view = server.job(job)
        assert view["state"] == "needs_input" and view["question"]["title"] == "Which half?"
        assert server.client.get(f"/jobs/{job}/files/left.png").content == b"left"
        choose(server, job, chosen)
        assert server.wait(job)["state"] == "done"
        assert names(server, job) == [("left", "right")[chosen]]


def test_a_worker_that_only_waits_leaves_when_its_memory_is_wanted(server: RunningServer) -> None:
    job = asked(server)
    assert server.client.get("/health").json()["worker"] != "asleep"
    assert server.client.post("/rest").is_success
    until(lambda: server.client.get("/health").json()["worker"] == "asleep", "the worker leaving")
    choose(server, job, 0)
    assert server.wait(job)["state"] == "done"


def test_cancelling_a_job_that_was_put_aside_takes_its_pictures_with_it(server: RunningServer) -> None:
    job = asked(server)
    assert server.wait(server.submit("steady")["id"])["state"] == "done"
    server.client.delete(f"/jobs/{job}").raise_for_status()
    assert server.job(job)["state"] == "cancelled"
    assert server.client.get(f"/jobs/{job}/files/left.png").json()["code"] == "file-not-found"


def test_a_question_outlives_every_server_and_is_there_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        job = asked(server, "asking")
        server.kill()
    for _ in range(3):  # more often than a job is tried that only fails
        with RunningServer(data) as server:
            view = server.job(job)
            assert view["state"] == "needs_input" and view["question"]["title"] == "Which half?"
            assert server.client.get(f"/jobs/{job}/files/right.png").content == b"right"
            server.kill()
    with RunningServer(data) as server:
        choose(server, job, 1)
        until(lambda: (server.job(job)["question"] or {}).get("title") == "Which views?", "the next question")
        server.kill()
    with RunningServer(data) as server:
        assert server.job(job)["question"]["title"] == "Which views?", "what was answered is not asked again"
        answer = server.client.post(f"/jobs/{job}/input", json={"answer": {"choice": 2}})
        answer.raise_for_status()
        assert server.wait(job)["state"] == "done"
        assert names(server, job) == ["right"]
        result = server.client.get(f"/jobs/{job}/files/result.json").json()
        assert [warning["message"] for warning in result["warnings"]] == ["You chose 2."]


def test_another_pipeline_on_found_objects_makes_the_wanted_one_and_asks_nothing_again(server: RunningServer) -> None:
    job = asked(server)
    choose(server, job, 0, 1)
    assert server.wait(job)["state"] == "done" and names(server, job) == ["left", "right"]
    again = server.client.post(f"/jobs/{job}/again", json={"pipeline": "noisy", "only": [2]}).json()["id"]
    assert server.wait(again)["state"] == "done"
    assert names(server, again) == ["right"]
    unknown = server.client.post(f"/jobs/{job}/again", json={"pipeline": "noisy", "only": [9]}).json()["id"]
    assert server.wait(unknown)["problem"]["code"] == "instances-mismatch"
