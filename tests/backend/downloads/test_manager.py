"""Downloads as a server or a command line runs them: in processes that can be ended at any moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import weights
from backend.downloads.manager import Downloads, Task
from backend.downloads.views import ModelState, ModelView
from backend.errors import Problem
from tests.backend.downloads.conftest import TOKEN
from tests.backend.downloads.hostile_hub import SIGNATURE, Fault, HostileHub, seconds
from tests.backend.waiting import is_gone, until

LARGEST = "transformer/diffusion_pytorch_model.safetensors"
REACHED = 300_000


@pytest.fixture
def downloads(hub: HostileHub, models: Path) -> Iterator[Downloads]:
    with Downloads(models.parent) as running:
        yield running


def finished(downloads: Downloads, model: str = "midi") -> ModelView:
    assert downloads.wait(model, 30), "it is still at work"
    return downloads.view(model)


def refused(action: object) -> Problem:
    with pytest.raises(Problem) as raised:
        action()  # type: ignore[operator]
    return raised.value


def stalled(hub: HostileHub, downloads: Downloads) -> None:
    """A download that hangs after REACHED bytes of the largest file."""
    hub.faults[LARGEST] = [Fault(after=REACHED, stalls=True)]
    downloads.get("midi", accept_licence=True)
    assert hub.stalled.wait(20)
    until(lambda: has_come(downloads) == REACHED, "the bytes on the disk")


def has_come(downloads: Downloads) -> int:
    return next((file.present for file in downloads.view("midi").files if file.name == LARGEST), 0)


def pid_of(downloads: Downloads) -> int:
    (task,) = downloads._queue
    assert task.process is not None
    return task.process._process.pid


def test_a_download_shows_what_it_does_and_ends_ready(hub: HostileHub, downloads: Downloads, models: Path) -> None:
    before = downloads.view("midi")
    assert (before.state, before.bytes, before.total) == (ModelState.ABSENT, 0, weights.WEIGHTS["midi"].bytes)
    assert before.folder == str(models / "VAST-AI" / "MIDI-3D") and not before.ours
    stalled(hub, downloads)
    during = downloads.view("midi")
    assert during.state == ModelState.DOWNLOADING and during.activity is not None and during.ours
    assert (during.activity.stage, during.activity.file) == ("fetching", LARGEST)
    assert (
        0
        < during.bytes
        < during.total
        == sum(len(content) for path, content in hub.files.items() if path not in hub.extra)
    )
    hub.release()
    after = finished(downloads)
    assert (after.state, after.bytes, after.problem) == (ModelState.READY, after.total, None)
    assert weights.locate("midi") == Path(after.folder) and hub.sent_twice() == 0
    asked = len(hub.requests())
    assert downloads.get("midi").state == ModelState.READY and downloads.view("midi").activity is None
    assert len(hub.requests()) == asked


def test_a_download_is_paused_within_a_second_and_goes_on_where_it_was(hub: HostileHub, downloads: Downloads) -> None:
    stalled(hub, downloads)
    process = pid_of(downloads)
    assert seconds(lambda: downloads.pause("midi")) < 1
    assert is_gone(process)
    view = downloads.view("midi")
    assert (view.state, view.activity, view.problem) == (ModelState.PARTIAL, None, None)
    downloads.get("midi")
    assert finished(downloads).state == ModelState.READY
    assert hub.ranges(LARGEST) == [(0, REACHED), (REACHED, len(hub.files[LARGEST]))]


def test_a_download_ends_with_its_owner(hub: HostileHub, downloads: Downloads) -> None:
    stalled(hub, downloads)
    process = pid_of(downloads)
    assert seconds(downloads.stop) < 1
    assert is_gone(process)


def test_a_process_that_is_killed_is_told_and_the_next_goes_on(hub: HostileHub, downloads: Downloads) -> None:
    stalled(hub, downloads)
    os.kill(pid_of(downloads), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    view = finished(downloads)
    assert view.state == ModelState.PARTIAL and view.problem is not None and "unexpectedly" in view.problem.detail
    downloads.get("midi")
    assert finished(downloads).state == ModelState.READY and hub.sent_twice() == 0


def test_one_model_after_the_other(hub: HostileHub, downloads: Downloads) -> None:
    stalled(hub, downloads)
    waiting = downloads.get("sam")
    assert waiting.state == ModelState.DOWNLOADING and waiting.activity is not None
    assert waiting.activity.stage == "queued"
    assert downloads.pause("sam").state == ModelState.ABSENT, "it is taken from the queue"
    downloads.get("sam")
    hub.release()
    assert finished(downloads).state == ModelState.READY
    missing = finished(downloads, "sam")
    assert missing.problem is not None and missing.problem.code == "hub-not-found", "the hub has one model only"


def test_two_owners_of_one_folder_fetch_nothing_twice(hub: HostileHub, downloads: Downloads, models: Path) -> None:
    stalled(hub, downloads)
    with Downloads(models.parent) as other:
        view = other.view("midi")
        assert view.state == ModelState.DOWNLOADING and view.activity and view.activity.stage == "elsewhere"
        assert refused(lambda: other.remove("midi")).code == "model-busy"
        other.get("midi")
        until(lambda: (seen := other.view("midi").activity) and seen.stage == "waiting", "the second one waiting")
        hub.release()
        assert finished(downloads).state == finished(other).state == ModelState.READY
    assert hub.sent_twice() == 0


def test_a_licence_that_forbids_something_is_accepted_once(downloads: Downloads, hub: HostileHub, models: Path) -> None:
    problem = refused(lambda: downloads.get("midi"))
    assert problem.code == "licence-not-accepted" and "HunyuanDiT" in problem.detail
    assert hub.requests() == [] and not downloads.view("midi").licence_accepted
    assert not downloads.view("sam").licence_needed
    downloads.get("midi", accept_licence=True)
    downloads.pause("midi")
    assert downloads.view("midi").licence_accepted
    downloads.get("midi")
    downloads.pause("midi")
    file = models.parent / "licences.json"
    entry = json.loads(file.read_bytes())
    assert entry["midi"]["accepted"].endswith("+00:00") and len(entry["midi"]["note_sha256"]) == 64
    entry["midi"]["note_sha256"] = "of another text"
    file.write_text(json.dumps(entry))
    assert refused(lambda: downloads.get("midi")).code == "licence-not-accepted", "what was accepted has changed"


@pytest.mark.parametrize("variable", ["SET_DRESSER_OFFLINE", "HF_HUB_OFFLINE"])
def test_nothing_goes_online_when_that_is_switched_off(
    variable: str, downloads: Downloads, hub: HostileHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    problem = refused(lambda: downloads.get("midi", accept_licence=True))
    assert problem.code == "offline" and downloads.view("midi").activity is None and hub.requests() == []


def test_the_token_is_for_the_hub_alone_and_nothing_secret_is_written(
    downloads: Downloads, hub: HostileHub, models: Path
) -> None:
    hub.faults[LARGEST] = [Fault(after=1000), Fault(status=500)]
    downloads.get("midi", accept_licence=True)
    assert finished(downloads).state == ModelState.READY
    hub.always = {"": Fault(status=403)}
    shutil.rmtree(models / "VAST-AI")
    downloads.get("midi")
    view = finished(downloads)
    assert view.problem is not None and view.problem.code == "hub-access-denied"
    assert {seen.headers.get("authorization") for seen in hub.requests("hub")} == {f"Bearer {TOKEN}"}
    assert {seen.path for seen in hub.requests()} <= {"listing", *hub.files}, "nobody is told anything else"
    storage = hub.requests("storage")
    assert storage and not any(TOKEN in str(seen.headers) for seen in storage)
    written = [path for path in models.parent.parent.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in written)
    for secret in (TOKEN, SIGNATURE):
        assert secret not in view.model_dump_json()
        assert [path for path in written if secret.encode() in path.read_bytes()] == []


def test_only_what_was_downloaded_here_is_removed(downloads: Downloads, hub: HostileHub, models: Path) -> None:
    downloads.get("midi", accept_licence=True)
    folder = Path(finished(downloads).folder)
    (folder / "transformer" / "notes.txt").write_text("mine")
    assert downloads.remove("midi").state == ModelState.ABSENT
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["notes.txt"]
    (folder / "transformer" / "notes.txt").unlink()
    shutil.copytree(hub.folder, folder, dirs_exist_ok=True)
    assert downloads.view("midi").state == ModelState.READY
    problem = refused(lambda: downloads.remove("midi"))
    assert problem.code == "model-not-ours" and str(folder) in problem.detail and weights.locate("midi") == folder


def test_a_download_that_runs_is_ended_and_removed(downloads: Downloads, hub: HostileHub, models: Path) -> None:
    stalled(hub, downloads)
    view = downloads.remove("midi")
    assert (view.state, view.bytes, view.ours) == (ModelState.ABSENT, 0, False)
    assert not (models / "VAST-AI").exists()


def test_a_check_says_what_it_found(downloads: Downloads, hub: HostileHub) -> None:
    assert refused(lambda: downloads.verify("midi")).code == "weights-missing"
    downloads.get("midi", accept_licence=True)
    file = Path(finished(downloads).folder) / LARGEST
    downloads.verify("midi")
    assert finished(downloads).verified is not None
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    downloads.verify("midi")
    view = finished(downloads)
    assert (view.state, view.verified) == (ModelState.PARTIAL, None)
    assert view.problem is not None and view.problem.code == "weights-damaged" and LARGEST in view.problem.detail
    downloads.get("midi")
    assert finished(downloads).problem is None and hub.ranges(LARGEST)[1:] == [(0, len(hub.files[LARGEST]))]


def test_a_damaged_file_makes_a_model_broken(downloads: Downloads, hub: HostileHub, models: Path) -> None:
    folder = models / "MIDI-3D"
    shutil.copytree(hub.folder, folder)
    (folder / LARGEST).write_bytes(hub.files[LARGEST][:-1])
    view = downloads.view("midi")
    assert view.state == ModelState.BROKEN and view.problem is not None and str(folder / LARGEST) in view.problem.detail
    assert refused(lambda: downloads.view("no-such-model")).code == "model-not-found"


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("backend.downloads.manager.time.monotonic", lambda: now)
    task = Task("get", "midi")
    told = {"stage": "fetching", "message": "", "received": 0}
    assert task.rate is None
    for second in range(60):
        now = float(second)
        task.hear({**told, "received": second * (1000 if second < 30 else 100) + (27_000 if second >= 30 else 0)})
    assert task.rate == pytest.approx(100)
    now += 5
    assert task.rate == pytest.approx(50), "nothing has come for as long again"
    task.hear({**told, "message": "Trying again."})
    assert task.rate is None


def test_a_server_carries_nothing_of_the_hubs_library() -> None:
    script = "import sys, backend.server.main, backend.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "backend" in loaded and loaded & {"huggingface_hub", "httpx2", "httpx", "hf_xet"} == set()


def test_what_comes_along_is_ready_is_checked_without_the_hub_and_cannot_be_removed(
    downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = downloads.get("u2netp")
    assert (view.state, view.source, view.ours, view.activity) == (ModelState.READY, "local", False, None)
    assert view.bytes == view.total > 4_000_000 and view.page.endswith("/U-2-Net")
    assert downloads.verify("u2netp").verified and downloads.view("u2netp").problem is None
    assert refused(lambda: downloads.remove("u2netp")).code == "model-not-ours"
    copy = tmp_path / "local" / "u2netp"
    copy.mkdir(parents=True)
    monkeypatch.setattr("backend.weights.places.LOCAL", copy.parent)
    assert "install" in refused(lambda: downloads.get("u2netp")).hint
    (copy / "u2netp.onnx").write_bytes(b"another")
    after = downloads.verify("u2netp")
    assert after.state == ModelState.BROKEN and after.problem is not None and after.problem.code == "weights-damaged"
    assert "install" in after.problem.hint and after.verified is None
