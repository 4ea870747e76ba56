"""A data folder that others touch while the server runs: sentences, and a server that lives on."""

import shutil
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from tests.backend.server.running_server import RunningServer
from tests.backend.waiting import until


def test_a_job_whose_folder_is_gone_fails_with_a_sentence(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with RunningServer(tmp_path / "data") as server:
        before = server.submit(gate=str(gate))["id"]
        gone, damaged, without = [server.submit()["id"] for _ in range(3)]
        jobs = tmp_path / "data" / "jobs"
        shutil.rmtree(jobs / gone)
        (jobs / damaged / "request.json").write_text("{")
        (jobs / without / "inputs" / "image-0.bin").unlink()
        gate.touch()
        assert server.wait(before)["state"] == "done"
        for job in (gone, damaged, without):
            ended = server.wait(job)
            assert (ended["state"], ended["problem"]["code"]) == ("failed", "inputs-gone")
            assert server.client.post(f"/jobs/{job}/again", json={}).json()["code"] == "inputs-gone"
        assert server.client.get(f"/jobs/{before}/files/scene.glb").status_code == 200
        shutil.rmtree(jobs / before)
        assert server.client.get(f"/jobs/{before}/files/scene.glb").json()["code"] == "file-not-found"
        assert "Traceback" not in server.log.read_text()


def test_the_server_answers_while_another_program_holds_its_list(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        job = server.wait(server.submit()["id"])["id"]
        other = sqlite3.connect(tmp_path / "data" / "jobs.sqlite3", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for path in ("/health", "/jobs", f"/jobs/{job}", f"/jobs/{job}/files/result.json"):
            began = time.perf_counter()
            assert server.client.get(path).status_code == 200
            assert time.perf_counter() - began < 0.5, path
        refused = server.client.delete(f"/jobs/{job}?forget=true")
        assert (refused.status_code, refused.json()["code"]) == (503, "list-busy")
        other.execute("ROLLBACK")
        other.close()
        assert server.client.delete(f"/jobs/{job}?forget=true").status_code == 204


def test_a_data_folder_that_is_taken_away_is_noticed(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        job = server.wait(server.submit()["id"])["id"]
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        for path in ("/jobs", f"/jobs/{job}", f"/jobs/{job}/events", f"/jobs/{job}/files/scene.glb"):
            answer = server.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (409, "data-gone"), path
        health = server.client.get("/health").json()
        assert health["problem"]["code"] == "data-gone"
        assert health["queued"] is None
        (tmp_path / "elsewhere").rename(tmp_path / "data")
        assert server.job(job)["state"] == "done"
        until(lambda: server.client.get("/health").json()["problem"] is None, "the list being there again")
        assert server.wait(server.submit()["id"])["state"] == "done"
        assert "Traceback" not in server.log.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="a lock that is held cannot be removed there")
def test_jobs_of_a_living_server_run_once_although_its_lock_was_removed(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with RunningServer(tmp_path / "data") as first:
        jobs = [first.submit(gate=str(gate))["id"] for _ in range(3)]
        first.wait(jobs[0], "running")
        for lock in (tmp_path / "data" / "owners").glob("*.lock"):
            lock.unlink()
        with RunningServer(tmp_path / "data") as second:
            assert [first.job(job)["state"] for job in jobs] == ["running", "queued", "queued"]
            assert second.client.get("/health").json()["queued"] == 0
            gate.touch()
            for job in jobs:
                assert first.wait(job)["state"] == "done"
                states = [data["state"] for _, kind, data in first.events(job) if kind == "state"]
                assert states == ["queued", "running", "done"], "it ran once"
