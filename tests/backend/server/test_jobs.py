"""Jobs over HTTP: the life of each, and what becomes of the next when one goes wrong."""

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backend.server.running_server import RunningServer
from tests.backend.waiting import until


@pytest.fixture(autouse=True)
def _the_queue_goes_on(server: RunningServer, gate: Path) -> object:
    """After whatever a test did, the next job runs."""
    yield
    gate.touch()
    assert server.wait(server.submit()["id"])["state"] == "done"


def test_a_job_runs_from_submission_to_its_files(server: RunningServer) -> None:
    submitted = server.submit(steps=5)
    assert (submitted["state"], submitted["name"], submitted["pipeline"]) == ("queued", "a test", "steady")
    events = list(server.events(submitted["id"]))
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    states = [data["state"] for _, kind, data in events if kind == "state"]
    assert states == ["queued", "running", "done"]
    fractions = [data["fraction"] for _, kind, data in events if kind == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    job = server.job(submitted["id"])
    assert job["files"] == events[-1][2]["files"] == ["result.json", "scene.glb", "thumbnail.png"]
    assert job["created"] <= job["started"] <= job["finished"]
    scene = server.client.get(f"/jobs/{job['id']}/files/scene.glb")
    assert scene.headers["content-type"] == "model/gltf-binary"
    assert scene.content.startswith(b"glTF")
    result = server.client.get(f"/jobs/{job['id']}/files/result.json").json()
    assert result["job"] == job["id"]
    assert not job["fetched"]
    assert server.client.get("/jobs", params={"limit": 1}).json() == [{**job, "fetched": True}]


def test_a_waiting_job_knows_its_position_and_can_be_cancelled(server: RunningServer, gate: Path) -> None:
    first = server.submit(gate=str(gate))["id"]
    server.worker_of(first)
    second, third = server.submit()["id"], server.submit()["id"]
    assert [server.job(job)["position"] for job in (second, third)] == [1, 2]
    assert server.client.delete(f"/jobs/{second}").json()["state"] == "cancelled"
    assert server.job(third)["position"] == 1
    gate.touch()
    assert server.wait(third)["state"] == "done"
    assert server.job(second)["started"] is None


def test_a_running_job_stops_when_cancelled_and_the_worker_stays(server: RunningServer, gate: Path) -> None:
    job = server.submit(gate=str(gate))["id"]
    worker = server.worker_of(job)
    server.client.delete(f"/jobs/{job}").raise_for_status()
    ended = server.wait(job)
    assert (ended["state"], ended["files"], ended["problem"]) == ("cancelled", [], None)
    assert server.worker_of(server.submit()["id"]) == worker


def test_a_job_that_hears_no_cancel_is_ended_by_force(server: RunningServer, gate: Path) -> None:
    job = server.submit("deaf", gate=str(gate))["id"]
    worker = server.worker_of(job)
    server.client.delete(f"/jobs/{job}").raise_for_status()
    assert server.wait(job)["state"] == "cancelled"
    assert server.worker_of(server.submit()["id"]) != worker


def test_a_cancel_that_comes_too_late_loses_no_result(server: RunningServer) -> None:
    done = server.wait(server.submit()["id"], "done")
    assert server.client.delete(f"/jobs/{done['id']}").json() == done
    assert server.client.get(f"/jobs/{done['id']}/files/scene.glb").status_code == 200


def test_a_job_is_forgotten_only_after_its_end(server: RunningServer, gate: Path) -> None:
    job = server.submit(gate=str(gate))["id"]
    refused = server.client.delete(f"/jobs/{job}", params={"forget": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "job-not-finished")
    gate.touch()
    server.wait(job, "done")
    assert server.client.delete(f"/jobs/{job}", params={"forget": True}).status_code == 204
    assert server.client.get(f"/jobs/{job}").json()["code"] == "job-not-found"
    assert server.client.get(f"/jobs/{job}/events").json()["code"] == "job-not-found"
    assert job not in [entry["id"] for entry in server.client.get("/jobs").json()]


def test_a_stream_ends_when_its_job_is_forgotten(server: RunningServer) -> None:
    job = server.wait(server.submit()["id"])["id"]
    last = list(server.events(job))[-1][0]
    assert list(server.events(job, after=last)) == []


@pytest.mark.parametrize(
    "kill",
    [lambda pid: os.kill(pid, signal.SIGKILL), lambda pid: os.kill(pid, signal.SIGSEGV)],
    ids=["SIGKILL", "SIGSEGV"],
)
def test_a_killed_worker_fails_its_job_with_a_sentence(
    server: RunningServer, gate: Path, kill: Callable[[int], None]
) -> None:
    job, waiting = server.submit(gate=str(gate))["id"], server.submit()["id"]
    kill(server.worker_of(job))
    ended = server.wait(job)
    assert ended["state"] == "failed"
    assert ended["problem"]["code"] == "worker-died"
    assert ended["problem"]["detail"].startswith("The worker process ended during this job (signal SIG")
    assert server.wait(waiting)["state"] == "done"


def test_a_worker_that_ends_itself_fails_its_job(server: RunningServer) -> None:
    ended = server.wait(server.submit("crashing", how="exit")["id"])
    assert (ended["problem"]["code"], "exit code 3" in ended["problem"]["detail"]) == ("worker-died", True)


def test_a_worker_killed_while_idle_is_not_missed(server: RunningServer) -> None:
    job = server.submit()["id"]
    worker = server.worker_of(job)
    server.wait(job)
    os.kill(worker, signal.SIGKILL)
    assert server.wait(server.submit()["id"])["state"] == "done"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("memory", "out-of-memory"),
        ("gpu memory", "out-of-memory"),
        ("disk", "disk-full"),
        ("problem", "geometry-failed"),
        ("numbers", "geometry-failed"),
        ("not a number", "internal"),
        ("surprise", "internal"),
        ("exit", "internal"),
    ],
)
def test_what_a_pipeline_raises_becomes_a_problem(server: RunningServer, how: str, code: str) -> None:
    job = server.submit("raising", how=how)["id"]
    *_, (_, _, last) = server.events(job)
    assert (last["state"], last["problem"]["code"]) == ("failed", code)
    assert last["problem"] == server.job(job)["problem"]
    for word in ("Traceback", "secret", str(Path.cwd())):
        assert word not in str(last)
    if how == "problem":
        assert last["problem"]["detail"] == "The chair has no legs."
        assert last["problem"]["part"] == "leg"


def test_the_traceback_is_in_the_log_of_the_job(server: RunningServer) -> None:
    job = server.submit("raising", how="surprise")["id"]
    identity = server.wait(job)["problem"]["log"]
    data = server.log.parent / "data"
    log = (data / "jobs" / job / "log.txt").read_text()
    assert f"error {identity}" in log
    assert "ValueError: a secret of the implementation" in log


def test_prints_of_a_pipeline_go_to_its_log(server: RunningServer) -> None:
    job = server.submit("noisy")["id"]
    assert server.wait(job)["state"] == "done"
    log = (server.log.parent / "data" / "jobs" / job / "log.txt").read_bytes()
    for words in (b'{"type": "done"}', b"a child speaks", b"\xff\xfe bytes", b"EOFError"):
        assert words in log


def test_a_job_asks_and_goes_on_with_the_answer(server: RunningServer) -> None:
    job = server.submit("asking")["id"]
    server.wait(job, "needs_input")
    wrong = server.client.post(f"/jobs/{job}/input", json={"choice": 2})
    assert wrong.json()["code"] == "request-invalid"
    unsound = server.client.post(
        f"/jobs/{job}/input", content='{"answer": {"choice": NaN}}', headers={"Content-Type": "application/json"}
    )
    assert unsound.json()["code"] == "request-invalid"
    answered = server.client.post(f"/jobs/{job}/input", json={"answer": {"choice": 2}})
    assert answered.status_code == 200, answered.text
    events = list(server.events(job))
    kinds = [data["state"] if kind == "state" else kind for _, kind, data in events if kind != "progress"]
    assert kinds == ["queued", "running", "needs_input", "needs_input", "running", "warning", "done"]
    [question] = [data["question"] for _, kind, data in events if kind == "needs_input"]
    assert question == {"title": "Which views?", "choices": [1, 2, 3]}
    [warning] = [data for _, kind, data in events if kind == "warning"]
    assert warning["message"] == "You chose 2."
    again = server.client.post(f"/jobs/{job}/input", json={"answer": {}})
    assert (again.status_code, again.json()["code"]) == (409, "input-not-expected")


def test_a_job_that_asks_can_be_cancelled(server: RunningServer) -> None:
    job = server.submit("asking")["id"]
    server.wait(job, "needs_input")
    server.client.delete(f"/jobs/{job}").raise_for_status()
    assert server.wait(job)["state"] == "cancelled"


def test_a_stream_resumes_and_tells_each_event_once(server: RunningServer, gate: Path) -> None:
    job = server.submit(gate=str(gate), steps=5)["id"]
    seen = []
    stream = server.events(job)
    for event in stream:
        seen.append(event)
        if len(seen) == 3:
            stream.close()
            break
    gate.touch()
    server.wait(job)
    seen += server.events(job, after=seen[-1][0])
    assert seen == list(server.events(job))
    assert [number for number, _, _ in seen] == list(range(1, len(seen) + 1))


def test_a_stream_resumes_across_a_restart(tmp_path: Path, gate: Path) -> None:
    with RunningServer(tmp_path / "data") as first:
        job = first.submit(gate=str(gate))["id"]
        seen = []
        stream = first.events(job)
        while ("pid" in seen[-1][2].get("message", "")) is False if seen else True:
            seen.append(next(stream))
        first.kill()
        stream.close()
    gate.touch()
    with RunningServer(tmp_path / "data") as second:
        seen += second.events(job, after=seen[-1][0])
        late = list(second.events(job))
    assert [number for number, _, _ in seen] == sorted({number for number, _, _ in seen}), "each event once, in order"
    assert all(event in seen for event in late), "whoever begins late is told nothing else"
    states = [data["state"] for _, kind, data in seen if kind == "state"]
    assert states == ["queued", "running", "queued", "running", "done"]


def test_a_job_whose_folder_was_removed_fails_and_the_queue_goes_on(server: RunningServer, gate: Path) -> None:
    first = server.submit(gate=str(gate))["id"]
    server.worker_of(first)
    second = server.submit()["id"]
    shutil.rmtree(server.log.parent / "data" / "jobs" / second)
    gate.touch()
    assert server.wait(second)["state"] == "failed"


def test_two_clients_see_the_same_and_do_not_mix_their_jobs(server: RunningServer) -> None:
    def one_client(pipeline: str) -> list[str]:
        with server.new_client() as client:
            jobs = [server.submit(pipeline, client=client)["id"] for _ in range(4)]
            for job in jobs:
                *_, (_, _, last) = server.events(job, client=client)
                assert last["state"] == "done"
            return jobs

    with ThreadPoolExecutor(2) as pool:
        mine, yours = pool.map(one_client, ("steady", "noisy"))
    listed = {job["id"]: job["pipeline"] for job in server.client.get("/jobs").json()}
    assert {listed[job] for job in mine} == {"steady"}
    assert {listed[job] for job in yours} == {"noisy"}
    assert len({*mine, *yours}) == 8


def test_many_streams_that_go_away_leave_nothing_open(server: RunningServer, gate: Path) -> None:
    job = server.submit(gate=str(gate))["id"]
    folder = Path(f"/proc/{server.process.pid}/fd")
    if not folder.exists():
        pytest.skip("needs /proc to count open files")
    until(lambda: server.job(job)["state"] == "running", "the job running")
    before = len(list(folder.iterdir()))
    for _ in range(8):
        with server.new_client() as client:
            next(server.events(job, client=client))
    # A client may have closed its sending side alone: only the second heartbeat, after twenty seconds, tells.
    until(lambda: len(list(folder.iterdir())) <= before + 1, "the connections being closed", 40)
