"""How the server begins and ends."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from backend import PROTOCOL_VERSION, __version__
from tests.backend.server.running_server import ROOT, TOKEN, RunningServer, environment
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import is_gone, until

GONE_SECONDS = 5.0


def test_the_handshake_comes_in_time_and_the_server_answers_at_once(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        assert server.start_seconds < 1.5
        assert server.handshake == {
            "port": server.port,
            "pid": server.process.pid,
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
        }
        health = server.client.get("/health").json()
        assert (health["version"], health["pid"], health["queued"]) == (__version__, server.process.pid, 0)


def test_heavy_libraries_are_imported_by_the_worker_only(tmp_path: Path) -> None:
    trap, record = tmp_path / "trap", tmp_path / "record"
    trap.mkdir()
    for name in ("torch", "scipy", "trimesh", "skimage"):
        note = f"open({str(record)!r}, 'a').write(f'{name} {{os.getpid()}}\\n')"
        (trap / f"{name}.py").write_text(f"import os\n{note}\nraise ImportError('a trap')\n")
    with RunningServer(tmp_path / "data", PYTHONPATH=str(trap)) as server:
        server.client.get("/pipelines").raise_for_status()
        server.client.get("/openapi.json").raise_for_status()
        job = server.submit()
        assert server.wait(job["id"])["state"] == "failed", "the worker must have run into the trap"
        caught = [line.split() for line in record.read_text().splitlines()]
        assert caught
        assert [name for name, pid in caught if int(pid) == server.process.pid] == []


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "ümlaut-ümlaut-ümlaut"])
def test_no_server_without_a_sound_token(tmp_path: Path, token: str) -> None:
    command = [sys.executable, "-m", "backend", "serve", "--data", str(tmp_path / "data")]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(SET_DRESSER_TOKEN=token), capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "token" in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) == 2


def test_the_token_can_come_through_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backend", "serve", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(
        [*command, "--token-stdin", "--watch-stdin"],
        cwd=ROOT,
        env=environment(SET_DRESSER_TOKEN=""),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    process.stdin.write(b"another-token-for-tests\n")
    process.stdin.flush()
    port = json.loads(process.stdout.readline())["port"]
    address = f"http://127.0.0.1:{port}/health"
    assert httpx.get(address, headers={"Authorization": "Bearer another-token-for-tests"}).status_code == 200
    assert httpx.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    process.stdin.close()
    assert process.wait(GONE_SECONDS) == 0
    process.stdout.close()


def test_the_token_is_not_handed_to_the_worker(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        job = server.submit("revealing")
        messages = [data["message"] for _, kind, data in server.events(job["id"]) if kind == "progress"]
    assert "nothing" in messages
    assert TOKEN not in server.log.read_text()


def test_an_unusable_data_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    command = [sys.executable, "-m", "backend", "serve", "--data", str(tmp_path / "data")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("way", ["shutdown", "SIGTERM", "SIGINT", "standard input"])
def test_told_to_leave_it_ends_with_its_worker_and_the_job_is_run_by_the_next(
    tmp_path: Path, gate: Path, way: str
) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        job = server.submit("deaf", gate=str(gate))["id"]
        worker = server.worker_of(job)
        began = time.monotonic()
        with server.new_client() as listener, listener.stream("GET", f"/jobs/{job}/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            if way == "shutdown":
                assert server.client.post("/shutdown").status_code == 202
            elif way == "standard input":
                server.process.stdin.close()  # type: ignore[union-attr]
            else:
                server.process.send_signal(getattr(signal, way))
            for _ in lines:  # an open stream is ended, not waited for
                continue
        assert server.process.wait(GONE_SECONDS) == 0
        until(lambda: is_gone(worker), "the worker's end", GONE_SECONDS - (time.monotonic() - began))
        assert "Traceback" not in server.log.read_text()
    gate.touch()
    with RunningServer(data) as server:
        events = list(server.events(job))
        states = [told["state"] for _, kind, told in events if kind == "state"]
        assert states == ["queued", "running", "queued", "running", "done"]


PARENT = """
import json, os, subprocess, sys
data = sys.argv[1]
command = [sys.executable, "-m", "backend", "serve", "--data", data, "--parent-pid", str(os.getpid())]
server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
print(server.stdout.readline().decode(), flush=True)
server.wait()
"""


def test_killed_the_parent_takes_server_and_worker_with_it(tmp_path: Path, gate: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        handshake = json.loads(parent.stdout.readline())
        server = RunningServer.__new__(RunningServer)  # only to talk to it
        server.port = handshake["port"]
        with server.new_client() as server.client:
            worker = server.worker_of(server.submit("deaf", gate=str(gate))["id"])
        parent.kill()
        killed = time.monotonic()
        for pid in (handshake["pid"], worker):
            until(lambda pid=pid: is_gone(pid), f"the end of {pid}", GONE_SECONDS - (time.monotonic() - killed))


def test_a_parent_that_is_gone_already_is_noticed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "backend", "serve", "--data", tmp_path / "data", "--parent-pid", str(gone.pid)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, timeout=GONE_SECONDS, check=False)
    assert done.returncode in (0, 1), done.stderr


def test_killed_while_the_server_still_starts_the_parent_takes_it_along(tmp_path: Path) -> None:
    """On a busy machine the imports take seconds; here they never end."""
    stuck = "import json, os, time\nprint(json.dumps({'pid': os.getpid()}), flush=True)\ntime.sleep(60)\n"
    (tmp_path / "uvicorn.py").write_text(stuck)
    command = [sys.executable, "-c", PARENT, str(tmp_path / "data")]
    variables = environment(PYTHONPATH=str(tmp_path))
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        server = json.loads(parent.stdout.readline())["pid"]
        parent.kill()
        until(lambda: is_gone(server), "the end of the server", GONE_SECONDS)


def test_killed_the_server_loses_nothing_and_the_worker_goes_with_it(tmp_path: Path, gate: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        finished = server.wait(server.submit()["id"], "done")
        files = {name: server.client.get(f"/jobs/{finished['id']}/files/{name}").content for name in finished["files"]}
        interrupted = server.submit(gate=str(gate))["id"]
        waiting = [server.submit()["id"] for _ in range(2)]
        worker = server.worker_of(interrupted)
        server.kill()
        until(lambda: is_gone(worker), "the worker's end", GONE_SECONDS)
    gate.touch()
    with RunningServer(data) as server:
        assert server.job(finished["id"]) == {**finished, "fetched": True}, "somebody has had its scene"
        assert {name: server.client.get(f"/jobs/{finished['id']}/files/{name}").content for name in files} == files
        for job in (interrupted, *waiting):
            assert server.wait(job)["state"] == "done"
        assert {job["id"] for job in server.client.get("/jobs").json()} == {finished["id"], interrupted, *waiting}


def test_a_job_that_outlives_no_server_fails_as_interrupted(tmp_path: Path, gate: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        job = server.submit("deaf", gate=str(gate))["id"]
        server.worker_of(job)
        server.kill()
    with RunningServer(data) as server:
        server.worker_of(job)
        server.kill()
    with RunningServer(data) as server:
        ended = server.job(job)
        assert (ended["state"], ended["problem"]["code"]) == ("failed", "interrupted")
        assert server.wait(server.submit()["id"])["state"] == "done"


def test_a_cancel_survives_the_server(tmp_path: Path, gate: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        job = server.submit("deaf", gate=str(gate))["id"]
        server.worker_of(job)
        server.client.delete(f"/jobs/{job}").raise_for_status()
        server.kill()
    with RunningServer(tmp_path / "data") as server:
        assert server.job(job)["state"] == "cancelled"


def test_two_servers_on_one_folder_see_all_jobs_and_run_their_own(tmp_path: Path, gate: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as first, RunningServer(data) as second:
        job = first.submit(gate=str(gate))["id"]
        first.worker_of(job)
        own = second.wait(second.submit()["id"])
        assert own["state"] == "done"
        assert {job["id"] for job in second.client.get("/jobs").json()} == {job, own["id"]}
        assert second.job(job)["state"] == "running", "a living owner keeps its job"
        second.client.delete(f"/jobs/{job}").raise_for_status()
        *_, (_, kind, last) = second.events(job)
        assert (kind, last["state"]) == ("state", "cancelled")


def test_an_idle_worker_leaves_and_returns(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--idle-seconds", "0.3") as server:
        worker = server.worker_of(server.submit()["id"])
        until(lambda: server.client.get("/health").json()["worker"] == "asleep", "the worker falling asleep")
        until(lambda: is_gone(worker), "the worker's end")
        job = server.submit()["id"]
        assert server.worker_of(job) != worker
        assert server.wait(job)["state"] == "done"


def test_a_warm_worker_reports_within_200_ms(tmp_path: Path) -> None:
    """From the first byte of the request, for an ordinary picture of a megapixel."""
    picture = cut_out(1024, 512)
    with RunningServer(tmp_path / "data") as server:
        until(lambda: server.client.get("/health").json()["worker"] == "ready", "the worker being ready")
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            job = server.submit("inflate", picture=picture)["id"]
            next(number for number, kind, _ in server.events(job) if kind == "progress")
            seconds.append(time.perf_counter() - began)
            server.wait(job, "done")
        assert min(seconds) < 0.2, f"{seconds}: a machine that does other work too is slow now and then"


def test_a_worker_that_cannot_start_fails_no_more_than_the_jobs_that_tried_it(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", SET_DRESSER_PLUGINS="tests.backend.jobs.broken_plugin") as server:
        jobs = [server.submit()["id"] for _ in range(12)]
        until(lambda: server.client.get("/health").json()["waiting"], "the pause after three starts that failed")
        views = [server.job(job) for job in jobs]
        failed = [view for view in views if view["state"] == "failed"]
        assert len(failed) <= 3
        for view in failed:
            assert view["problem"]["code"] == "worker-start-failed"
            assert "the environment is broken" in view["problem"]["detail"]
        waiting = [view for view in views if view["state"] == "queued"]
        assert len(failed) + len(waiting) == len(jobs)
        for told in (server.client.get("/health").json()["waiting"], *(view["waiting"] for view in waiting)):
            assert "the environment is broken" in told["detail"]
            assert told["hint"].endswith(".")
            assert datetime.fromisoformat(told["until"]) > datetime.now(UTC)
        assert server.client.get("/jobs").json()[0]["waiting"]
        assert server.client.delete(f"/jobs/{waiting[0]['id']}").json()["state"] == "cancelled"
