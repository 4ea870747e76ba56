"""A line to a worker that is on this machine: everything of a cluster but Ray."""

from __future__ import annotations

import os
import pickle
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.cluster import line as lines
from backend.cluster import models, node
from backend.cluster.line import Line, Models
from backend.cluster.machines import Machine
from backend.cluster.models import HASHES, Hashes, Model, ModelFile, NodeModels
from backend.cluster.node import NodeWorker
from backend.cluster.outbox import LogLines
from backend.cluster.rays import Broken, Gone
from backend.contract import GenerateRequest
from backend.downloads.folder import HubFile, ModelFolder
from backend.jobs.channel import Message
from backend.jobs.folders import JobFolders
from backend.jobs.process import WorkerProcess
from backend.pipelines import PIPELINES
from backend.weights import row_of
from tests.backend.cluster.conftest import PLUGINS
from tests.backend.jobs import fake_pipelines, long_pipeline
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until


class Near:
    """A `NodeWorker` in this process, to which everything goes as bytes."""

    def __init__(self, worker: NodeWorker) -> None:
        self.worker = worker
        self.gone = False
        self.calls: list[str] = []

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        if self.gone:
            raise Gone("somebody pulled the plug")
        self.calls.append(method)
        try:
            answer = getattr(self.worker, method)(*pickle.loads(pickle.dumps(arguments)))
        except Exception as error:
            raise Broken(f"{type(error).__name__}: {error}") from error
        if self.gone:
            raise Gone("somebody pulled the plug")
        return pickle.loads(pickle.dumps(answer))

    def kill(self) -> None:
        self.gone = True
        self.worker.leave()


class Way:
    """A line, and what it has said."""

    def __init__(self, tmp_path: Path) -> None:
        self.folders = JobFolders(tmp_path / "data" / "jobs")
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.gone: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.near = Near(NodeWorker({}))
        self.machine = Machine("1", "attic", {}, {})
        models = Models(Hashes(tmp_path / "data" / HASHES), defaultdict(threading.Lock), defaultdict(set))
        self.line = Line(
            self.near,
            self.machine,
            self.folders.root,
            models,
            shared=False,
            tell=self.said.put,
            gone=lambda *why: self.gone.put(why),
        )

    def make(self, pipeline: str, **parameters: Any) -> str:
        return self.folders.create(GenerateRequest(pipeline=pipeline, parameters=parameters), [cut_out()], None, None)

    def run(self, job: str, models: tuple[str, ...] = ()) -> None:
        self.line.send({"type": "run", "job": job, "folder": "", "models": models})

    def hears(self, *kinds: str) -> Message:
        while True:
            message = self.said.get(timeout=60)
            if message["type"] in kinds:
                return message


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    monkeypatch.setenv("SET_DRESSER_PLUGINS", PLUGINS)
    monkeypatch.setenv("SET_DRESSER_HOME", str(tmp_path / "attic"))
    monkeypatch.delenv("SET_DRESSER_MODELS", raising=False)
    for info in (*fake_pipelines.PIPELINES, *long_pipeline.PIPELINES):
        monkeypatch.setitem(PIPELINES, info.id, info)
    mask = os.umask(0o077)
    way = Way(tmp_path)
    yield way
    os.umask(mask)
    way.line.end("ended", "", kill=False)
    way.gone.get(timeout=10)
    assert not list((tmp_path / "attic" / "farm").glob("*/job")), "what was there of jobs is removed"
    assert way.near.worker._started.wait(60)
    process = way.near.worker._worker
    assert process is not None
    process.kill()  # it may be about to leave by itself


def test_files_come_home_before_what_tells_of_them(way: Way) -> None:
    """Kept pictures before a question, previews before they are shown, the result before its end."""
    job = way.folders.create(GenerateRequest(pipeline="steady", prepare={"halves": {}}), [cut_out()], None, None)
    way.run(job)
    way.hears("question")
    assert (way.folders.path(job) / "kept" / "left.png").read_bytes() == b"left"
    way.line.send({"type": "answer", "job": job, "answer": {"chosen": [1]}})
    assert way.hears("done", "failed")["type"] == "done"
    assert set(way.folders.files(job)) >= {"scene.glb", "result.json", "left.png", "right.png"}

    job = way.make("long", steps=60)
    way.run(job)
    shown = way.hears("preview")
    assert way.folders.find(job, shown["data"]["file"]) is not None
    assert way.hears("done", "failed")["type"] == "done"
    steps = sorted(path.name for path in (way.folders.path(job) / "checkpoints" / "long").iterdir())
    assert steps == ["step-000000000040", "step-000000000060"], "and older ones go"
    assert way.folders.path(job).stat().st_mode & 0o077 == 0
    assert [path.name for path in way.folders.path(job).iterdir() if path.name.startswith(".")] == []


def test_checkpoints_go_out_with_the_job(way: Way, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    job = way.make("long", steps=50, pause=30, journal=str(journal))
    way.run(job)
    until(lambda: way.folders.reached(job) > 20, "a checkpoint at home")
    until(lambda: journal.read_text().endswith(" 30\n"), "the step at which it waits")
    way.line.send({"type": "cancel", "job": job})
    way.hears("cancelled")
    way.run(job)
    assert way.hears("done", "failed")["type"] == "done"
    done = [int(line.split()[1]) for line in journal.read_text().splitlines()]
    assert done == [*range(1, 31), *range(21, 51)]


def test_the_end_of_a_worker_and_that_of_its_machine_are_told_apart(way: Way, tmp_path: Path) -> None:
    way.run(way.make("crashing"))
    cause, why = way.gone.get(timeout=60)
    assert cause == "died" and why == (
        "The worker process on attic ended during this job (signal SIGKILL; the system may have run out of memory)."
    )
    other = Way(tmp_path)
    job = other.make("steady", gate=str(tmp_path / "never"))
    other.run(job)
    other.hears("progress")
    process = other.near.worker._worker
    assert process is not None
    other.near.gone = True
    cause, why = other.gone.get(timeout=60)
    assert (cause, why) == ("lost", "The worker on attic is gone: somebody pulled the plug.")
    assert not process.alive
    way.gone.put((cause, why))


def test_inputs_that_are_gone_and_what_cannot_be_written_fail_the_job(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = way.make("steady")
    way.folders.remove(job)
    way.run(job)
    assert way.hears("failed", "done")["problem"]["code"] == "inputs-gone"
    assert way.gone.get(timeout=10)[0] == "ended"
    way.gone.put(("ended", ""))


def test_who_leaves_before_the_process_has_started_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_HOME", str(tmp_path))
    begun: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
    left = threading.Event()

    def slow(*arguments: Any) -> WorkerProcess:
        process = WorkerProcess(*arguments)
        begun.put(process)
        left.wait(60)
        return process

    monkeypatch.setattr(node, "WorkerProcess", slow)
    mask = os.umask(0o077)
    worker = NodeWorker({})
    os.umask(mask)
    process = begun.get(timeout=60)
    worker.leave()
    left.set()
    until(lambda: not process.alive, "the end of the process")


def test_models_are_sent_once_and_compared_by_hash(way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "attic" / "models"
    word = ours / "own" / "chair"
    word.mkdir(parents=True)
    (word / "learned_embeds.bin").write_bytes(b"a word" * 1000)
    (theirs / "own" / "chair").mkdir(parents=True)
    there = theirs / "own" / "chair" / "learned_embeds.bin"
    there.write_bytes(b"another" * 1000)
    way.near.worker._models = NodeModels()  # it knows its folder; the variable is the server's from here on
    monkeypatch.setenv("SET_DRESSER_MODELS", str(ours))
    job = way.make("steady")
    way.run(job, ("own/chair", "u2netp"))
    assert "Sending own/chair to attic: 0.0 of 0.0 GB" in way.hears("progress")["data"]["message"]
    assert way.hears("done", "failed")["type"] == "done"
    assert there.read_bytes() == (word / "learned_embeds.bin").read_bytes()
    assert way.near.calls.count("take_model") == 1
    way.run(way.make("steady"), ("own/chair",))
    assert way.hears("done", "failed")["type"] == "done"
    assert way.near.calls.count("missing") == 1


def test_hashes_are_written_down_once_for_all_files_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = models.replace_whole
    monkeypatch.setattr(models, "replace_whole", lambda path, data: [written.append(path.name), write(path, data)])
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path / "models"))
    word = tmp_path / "models" / "own" / "chair"
    word.mkdir(parents=True)
    for name in ("learned_embeds.bin", "one.txt", "two.txt"):
        (word / name).write_bytes(name.encode() * 100)
    hashes = Hashes(tmp_path / HASHES)
    found = models.model("own/chair", hashes)
    assert found is not None and len(found.files) == 3 and written == [HASHES]
    assert models.model("own/chair", hashes) == found and written == [HASHES], "nothing is new"
    monkeypatch.setattr(models.hashlib, "file_digest", lambda *given: pytest.fail("it is known"))
    assert models.model("own/chair", Hashes(tmp_path / HASHES)) == found


def test_batches_end_at_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BATCH_BYTES", 10)
    items = [LogLines(b"x" * size) for size in (4, 4, 4, 20, 1)]
    assert [len(batch) for batch in lines.batches(items)] == [3, 1, 1]


def test_a_machine_notes_which_revision_of_a_model_it_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    row = row_of("midi")
    sent = Model(row.id, row.home, "0" * 40, (ModelFile("model_index.json", 3, "f" * 64),))
    NodeModels().note(sent)
    record = ModelFolder(tmp_path, row).record()
    assert record is not None and record.commit == sent.revision and record.repository == row.repository
    assert record.files == [HubFile("model_index.json", 3, f"sha256:{'f' * 64}")]
    assert record.fetched == [], "what others have sent is not ours to remove"
