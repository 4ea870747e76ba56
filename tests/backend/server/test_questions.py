"""A job that prepares its shot, stops to ask, and goes on: over HTTP, with the real worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("questions") / "data") as server:
        yield server


def submit(server: RunningServer, instances: bytes | None = None, **prepare: Any) -> httpx.Response:
    files = {"image": ("a.png", cut_out())} | ({"instances": ("b.png", instances)} if instances else {})
    return server.post_job({"pipeline": "steady", "prepare": prepare}, files)


def asked(server: RunningServer) -> str:
    job = submit(server, halves={}).json()["id"]
    server.wait(job, "needs_input")
    return str(job)


def test_a_preparation_finds_the_objects_that_the_pipeline_gets(server: RunningServer) -> None:
    job = asked(server)
    stages = [data["stage"] for _, event, data in server.events_so_far(job) if event == "progress"]
    assert set(stages) == {"halve"}, "the preparation's stages come first"
    server.client.post(f"/jobs/{job}/input", json={"answer": {"chosen": [1, 0]}}).raise_for_status()
    view = server.wait(job)
    assert view["state"] == "done" and view["question"] is None
    assert view["files"] == ["left.png", "result.json", "right.png", "scene.glb", "thumbnail.png"]
    result = server.client.get(f"/jobs/{job}/files/result.json").json()
    assert [prop["name"] for prop in result["props"]] == ["left", "right"]
    assert result["instance_source"] == "found"
    record = result["prepared"]["halves"]
    assert record["version"] == "3" and record["record"]["pixels"] > 0 and record["parameters"]["steps"] == 3


def test_a_question_and_its_pictures_are_there_for_whoever_looks_later(server: RunningServer) -> None:
    job = asked(server)
    question = server.job(job)["question"]
    assert (question["kind"], question["title"], question["default"]) == ("choose", "Which half?", [1])
    for choice in question["choices"]:
        answer = server.client.get(f"/jobs/{job}/files/{choice['file']}")
        assert answer.content == choice["label"].encode() and answer.headers["content-type"] == "image/png"
    assert server.client.get(f"/jobs/{job}/files/scene.glb").json()["code"] == "job-not-finished"
    assert server.client.get(f"/jobs/{job}/files/..%2Frequest.json").status_code >= 400
    server.client.delete(f"/jobs/{job}")
    assert server.wait(job)["state"] == "cancelled"
    assert server.client.get(f"/jobs/{job}/files/left.png").json()["code"] == "file-not-found"


@pytest.mark.parametrize("answer", [{}, {"chosen": []}, {"chosen": [2]}, {"chosen": [0, 0]}, {"chosen": "0"}, {"x": 1}])
def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays(
    server: RunningServer, answer: dict[str, Any]
) -> None:
    job = asked(server)
    refused = server.client.post(f"/jobs/{job}/input", json={"answer": answer})
    assert refused.status_code == 422 and refused.json()["code"] == "answer-invalid"
    assert server.job(job)["state"] == "needs_input"
    server.client.delete(f"/jobs/{job}")
    server.wait(job)


def test_what_a_preparation_cannot_use_is_refused_at_once(server: RunningServer) -> None:
    for instances, prepare, code in (
        (cut_out(), {"halves": {}}, "request-invalid"),
        (None, {"thirds": {}}, "preparation-unknown"),
        (None, {"halves": {"steps": -1}}, "parameters-invalid"),
    ):
        refused = submit(server, instances, **prepare)
        assert refused.json()["code"] == code, refused.text


def test_preparations_describe_themselves(server: RunningServer) -> None:
    views = {view["id"]: view for view in server.client.get("/preparations").json()}
    assert views["halves"]["finds_instances"] and views["halves"]["ready"]
    assert views["halves"]["parameters"]["properties"]["steps"]["title"] == "Steps"


def test_the_kept_pictures_of_an_interrupted_attempt_are_gone(server: RunningServer, tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as first:
        job = asked(first)
        (tmp_path / "data" / "jobs" / job / "kept" / "stale.png").write_bytes(b"old")
        first.kill()
    with RunningServer(tmp_path / "data") as second:
        second.wait(job, "needs_input")
        second.client.post(f"/jobs/{job}/input", json={"answer": {"chosen": [0]}}).raise_for_status()
        assert "stale.png" not in second.wait(job)["files"]
