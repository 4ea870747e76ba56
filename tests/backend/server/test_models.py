"""Models over HTTP: a real server, and a hub of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.backend.downloads.conftest import checkpoint, hub  # noqa: F401 - fixtures
from tests.backend.downloads.hostile_hub import Fault, HostileHub, seconds
from tests.backend.server.running_server import RunningServer
from tests.backend.waiting import is_gone, until

LARGEST = "transformer/diffusion_pytorch_model.safetensors"
REACHED = 300_000


def model(server: RunningServer, identifier: str = "midi") -> dict[str, Any]:
    answer = server.client.get(f"/models/{identifier}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def come(server: RunningServer) -> int:
    return sum(file["present"] for file in model(server)["files"] if file["name"] == LARGEST)


def begin(server: RunningServer, hub: HostileHub) -> None:  # noqa: F811
    """A download that hangs after REACHED bytes of the largest file."""
    hub.faults[LARGEST] = [Fault(after=REACHED, stalls=True)]
    answer = server.client.post("/models/midi", json={"accept_licence": True})
    assert answer.status_code == 202, answer.text
    until(lambda: come(server) == REACHED, "the bytes on the disk")


def children(process: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(stat.parent.name))
    return found


def test_a_killed_server_leaves_no_process_and_the_next_goes_on(hub: HostileHub, tmp_path: Path) -> None:  # noqa: F811
    if not Path("/proc/self/stat").exists():
        pytest.skip("the children of a process are found through /proc")
    data = tmp_path / "data"
    with RunningServer(data) as server:
        begin(server, hub)
        left = children(server.process.pid)
        assert len(left) == 2, "the worker and the download"
        server.kill()
        until(lambda: all(map(is_gone, left)), "the end of both", 5)
    with RunningServer(data) as server:
        view = model(server)
        assert (view["state"], view["activity"], view["folder"]) == (
            "partial", None, str(data / "models" / "VAST-AI" / "MIDI-3D"),
        )  # fmt: skip
        ready = {each["id"]: each["ready"] for each in server.client.get("/pipelines").json()}
        assert not ready["midi"]
        assert server.client.post("/models/midi", json={}).status_code == 202, "the licence was accepted before"
        until(lambda: model(server)["state"] == "ready", "the model", 30)
        ready = {each["id"]: each["ready"] for each in server.client.get("/pipelines").json()}
        assert ready["midi"], "what was downloaded is what pipelines look for"
    assert hub.ranges(LARGEST) == [(0, REACHED), (REACHED, len(hub.files[LARGEST]))] and hub.sent_twice() == 0


def test_pause_verify_and_remove(hub: HostileHub, tmp_path: Path) -> None:  # noqa: F811
    with RunningServer(tmp_path / "data") as server:
        begin(server, hub)
        busy = server.client.post("/models/midi/verify")
        assert (busy.status_code, busy.json()["code"]) == (409, "model-busy")
        assert seconds(lambda: server.client.delete("/models/midi/download")) < 1
        assert model(server)["state"] == "partial" and come(server) == REACHED
        server.client.post("/models/midi", json={})
        until(lambda: model(server)["state"] == "ready", "the model", 30)
        assert server.client.post("/models/midi/verify").status_code == 202
        until(lambda: model(server)["verified"], "the check", 30)
        removed = server.client.delete("/models/midi")
        assert removed.status_code == 200 and removed.json()["state"] == "absent"


def test_a_server_that_leaves_takes_the_download_with_it(hub: HostileHub, tmp_path: Path) -> None:  # noqa: F811
    with RunningServer(tmp_path / "data") as server:
        begin(server, hub)
        assert server.client.post("/shutdown").status_code == 202
        assert seconds(lambda: server.process.wait(5)) < 4.5 and server.process.returncode == 0


def test_refusals(hub: HostileHub, tmp_path: Path) -> None:  # noqa: F811
    with RunningServer(tmp_path / "data", SET_DRESSER_OFFLINE="1") as server:

        def code(method: str, path: str, **options: Any) -> tuple[int, str]:
            answer = server.client.request(method, path, **options)
            return answer.status_code, answer.json()["code"]

        assert code("GET", "/models/none") == (404, "model-not-found")
        assert code("POST", "/models/midi", json={}) == (409, "licence-not-accepted")
        assert code("POST", "/models/midi", json={"accept_licence": True}) == (409, "offline")
        assert code("POST", "/models/midi", json={"accept": True}) == (422, "request-invalid")
        assert code("POST", "/models/midi/verify") == (409, "weights-missing")
        states = {(each["source"], each["state"]) for each in server.client.get("/models").json()}
        assert states == {("hub", "absent"), ("local", "ready")}
        assert hub.requests() == []
