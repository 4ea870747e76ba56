"""A job that takes long survives kill -9, ends early when that is wanted, and goes on later: over HTTP."""

from __future__ import annotations

import itertools
import os
import random
import signal
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from backend.contract import GenerateRequest
from backend.files import replace_whole
from backend.imaging.png import as_png, from_png
from backend.jobs.run import run_job
from tests.backend.jobs.long_pipeline import EVERY
from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

PLUGIN = "tests.backend.jobs.long_pipeline"
STEPS, STEP_SECONDS = 300, 0.01


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The scene that the stand-in makes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "inputs").mkdir()
    (folder / "inputs" / "image-0.bin").write_bytes(cut_out())
    (folder / "request.json").write_text(GenerateRequest(pipeline="long", name="a test").model_dump_json())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.jobs.run.find_pipeline", {"long": _long()}.__getitem__)
        run_job("job", folder, lambda said: None, lambda: False, lambda question: {})
    return (folder / "output" / "scene.glb").read_bytes()


def _long() -> Any:
    from tests.backend.jobs.long_pipeline import LONG

    return LONG


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("long") / "data", SET_DRESSER_PLUGINS=PLUGIN) as server:
        yield server


def data_of(server: RunningServer) -> Path:
    arguments = server.process.args
    assert isinstance(arguments, list)
    return Path(arguments[arguments.index("--data") + 1])


def file(server: RunningServer, job: str, name: str) -> httpx.Response:
    return server.client.get(f"/jobs/{job}/files/{name}")


def steps_of(journal: Path) -> list[tuple[int, int]]:
    """(process, step) of every step that was done, in order."""
    if not journal.exists():
        return []
    lines = [line.split() for line in journal.read_text().splitlines()]
    return [(int(line[0]), int(line[1])) for line in lines if len(line) == 2]


class Follower:
    """Hears every event of a job, from each server in turn."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, str, dict[str, Any]]] = []
        self._threads: list[threading.Thread] = []

    def follow(self, server: RunningServer, job: str) -> None:
        def listen() -> None:
            after = self.heard[-1][0] if self.heard else None
            with server.new_client() as client:
                try:
                    self.heard.extend(server.events(job, after, client))
                except httpx.TransportError:  # the server was killed
                    return

        self.leave()
        self._threads.append(threading.Thread(target=listen, daemon=True))
        self._threads[-1].start()

    def leave(self) -> None:
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


def test_killed_at_five_random_moments_it_ends_as_if_nothing_had_been(tmp_path: Path, undisturbed: bytes) -> None:
    data, journal = tmp_path / "data", tmp_path / "journal"
    chance = random.Random(11)
    moments = [50 * number + chance.randrange(25, 50) for number in range(5)]
    follower = Follower()
    server = RunningServer(data, SET_DRESSER_PLUGINS=PLUGIN)
    try:
        job = server.submit("long", seconds=STEP_SECONDS, journal=str(journal))["id"]
        follower.follow(server, job)
        for number, moment in enumerate(moments):

            def reached(moment: int = moment) -> int:
                done = steps_of(journal)
                return done[-1][0] if done and done[-1][1] >= moment else 0

            worker = until(reached, f"step {moment}")
            if number % 2 == 0:
                os.kill(worker, signal.SIGKILL)
            else:
                server.kill()
                server.client.close()
                server = RunningServer(data, SET_DRESSER_PLUGINS=PLUGIN)
                follower.follow(server, job)
            until(lambda worker=worker: steps_of(journal)[-1][0] != worker, "the next attempt")
        view = server.wait(job, seconds=30)
        follower.leave()
        assert (view["state"], view["finished_early"]) == ("done", False), view["problem"]
        assert file(server, job, "scene.glb").content == undisturbed
        assert file(server, job, "result.json").json()["attempts"] == len(moments) + 1
        folder = data / "jobs" / job
        until(
            lambda: not (folder / "checkpoints").exists(), "the end of its checkpoints, which go once the job is done"
        )
        until(lambda: not (folder / "previews").exists(), "the end of its previews")
        late = [kind for _, kind, _ in server.events(job)]
    finally:
        server.__exit__()

    done = steps_of(journal)
    twice = sum(count - 1 for count in Counter(step for _, step in done).values())
    attempts = list(dict.fromkeys(process for process, _ in done))
    assert len(attempts) == len(moments) + 1
    for before, after in itertools.pairwise(attempts):
        last = max(step for process, step in done if process == before)
        first = min(step for process, step in done if process == after)
        assert last - EVERY < first <= last + 1, "no more than what lies between two checkpoints is done twice"

    progress = [data for _, kind, data in follower.heard if kind == "progress"]
    fractions = [each["fraction"] for each in progress]
    assert fractions == sorted(fractions), "progress never runs back"
    errors = {}
    for attempt in attempts[1:]:
        told = [each["message"].split() for each in progress if each["message"].startswith(f"pid {attempt} ")]
        etas = [each["eta"] for each in progress if each["message"].startswith(f"pid {attempt} ")]
        pairs = [
            (eta, float(words[5]))
            for eta, words in zip(etas, told, strict=True)
            if eta is not None and words[5] > "0.2"
        ]
        if pairs:
            errors[attempt] = statistics.median(abs(eta / left - 1) for eta, left in pairs)
    assert len(errors) == len(moments) and max(errors.values()) < 0.2, errors
    assert len(late) < 100 and late.count("preview") == 0
    ids = [number for number, _, _ in follower.heard]
    assert ids == sorted(set(ids))
    worst = max(errors.values())
    figures = (
        f"killed after steps {moments}: {len(done)} steps done for {STEPS}, {twice} twice; time left off by {worst:.1%}"
    )
    sys.stderr.write(figures + "\n")


def test_ended_early_there_is_a_prop_and_continued_the_one_of_an_undisturbed_run(
    server: RunningServer, undisturbed: bytes, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    job = server.submit("long", pause=120, seconds=0.001, journal=str(journal))["id"]
    until(lambda: len(steps_of(journal)) == 120, "step 120")
    shown = until(lambda: server.job(job)["previews"], "a preview")
    assert [preview["slot"] for preview in shown] == ["shape"] and shown[0]["caption"].startswith("Step ")
    picture = file(server, job, shown[0]["file"])
    assert picture.headers["content-type"] == "image/png" and from_png(picture.content).shape == (48, 64, 3)
    assert server.job(job)["can_finish"] and not server.job(job)["can_continue"]

    assert server.client.post(f"/jobs/{job}/finish").json()["can_finish"] is False
    early = server.wait(job)
    assert (early["state"], early["finished_early"], early["can_continue"]) == ("done", True, True)
    assert early["files"] == ["result.json", "scene.glb", "thumbnail.png"], "checkpoints and previews are no results"
    result = file(server, job, "result.json").json()
    assert result["finished_early"] and len(result["props"]) == 1
    former = file(server, job, "scene.glb").content
    assert former != undisturbed and former.startswith(b"glTF")

    answer = server.client.post(f"/jobs/{job}/continue")
    assert answer.status_code == 200 and answer.json()["finished_early"], answer.text
    assert file(server, job, "scene.glb").content in (former, undisturbed), (
        "the former result stays until it is replaced"
    )
    ended = server.wait(job)
    assert (ended["state"], ended["finished_early"], ended["can_continue"]) == ("done", False, False)
    assert file(server, job, "scene.glb").content == undisturbed
    whole = file(server, job, "result.json").json()
    assert (whole["finished_early"], whole["attempts"]) == (False, 2) and whole["seconds"] > result["seconds"]
    assert [step for _, step in steps_of(journal)] == [*range(1, 121), *range(121, STEPS + 1)]
    refused = server.client.post(f"/jobs/{job}/continue")
    assert (refused.status_code, refused.json()["code"]) == (409, "continue-not-possible")


def test_a_cancelled_job_goes_on_from_its_checkpoint(server: RunningServer, undisturbed: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    job = server.submit("long", pause=130, journal=str(journal))["id"]
    until(lambda: len(steps_of(journal)) == 130, "step 130")
    server.client.delete(f"/jobs/{job}").raise_for_status()
    cancelled = server.wait(job)
    assert (cancelled["state"], cancelled["can_continue"], cancelled["files"]) == ("cancelled", True, [])
    assert file(server, job, "scene.glb").json()["code"] == "file-not-found"
    assert cancelled["previews"] and file(server, job, cancelled["previews"][0]["file"]).is_success
    server.client.post(f"/jobs/{job}/continue").raise_for_status()
    assert server.wait(job)["state"] == "done"
    assert file(server, job, "scene.glb").content == undisturbed
    assert [step for _, step in steps_of(journal)] == [*range(1, 131), *range(121, STEPS + 1)]


def test_a_preview_is_whole_however_often_the_next_takes_its_place(server: RunningServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    job = server.submit("long", pause=20, journal=str(journal))["id"]
    name = until(lambda: server.job(job)["previews"], "a preview")[0]["file"]
    path = data_of(server) / "jobs" / job / "previews" / name
    grain = np.random.default_rng(0).integers(0, 255, (2, 300, 300, 3), dtype=np.uint8)
    pictures = [as_png(grain[0]), as_png(grain[1, :200])]
    enough = threading.Event()

    def replace() -> None:
        while not enough.is_set():
            for picture in pictures:
                replace_whole(path, picture)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        answers = [file(server, job, name) for _ in range(60)]
    finally:
        enough.set()
        replacing.join()
    assert all(answer.is_success for answer in answers)
    seen = {answer.content for answer in answers[5:]}
    assert seen <= set(pictures) and len(seen) == 2
    server.client.delete(f"/jobs/{job}").raise_for_status()
    server.wait(job)


def test_what_dies_without_getting_ahead_is_not_tried_for_ever(server: RunningServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    job = server.submit("long", die=130, journal=str(journal))["id"]
    ended = server.wait(job)
    assert (ended["state"], ended["problem"]["code"], ended["can_continue"]) == ("failed", "worker-died", True)
    attempts = Counter(process for process, _ in steps_of(journal))
    assert list(attempts.values()) == [129, 9, 9], "one that got to a checkpoint, and two that got to no newer one"


def test_what_cannot_be_ended_early_or_continued_says_so(server: RunningServer) -> None:
    job = server.submit("hasty", pause=1)["id"]
    server.wait(job, "running")
    assert not server.job(job)["can_finish"]
    refused = server.client.post(f"/jobs/{job}/finish")
    assert (refused.status_code, refused.json()["code"]) == (409, "finish-not-possible")
    assert refused.json()["detail"] == "Hasty has nothing to show before its end."
    running = server.client.post(f"/jobs/{job}/continue").json()
    assert (running["code"], running["detail"]) == (
        "continue-not-possible",
        "The job is running: it goes on already.",
    )
    queued = server.submit("long")["id"]
    assert server.client.post(f"/jobs/{queued}/finish").json()["code"] == "finish-not-possible"
    for each in (queued, job):
        server.client.delete(f"/jobs/{each}").raise_for_status()
        server.wait(each)
        refused = server.client.post(f"/jobs/{each}/continue")
        assert refused.json()["detail"] == "The job has no checkpoint to go on from."
    for verb in ("finish", "continue"):
        assert server.client.post(f"/jobs/{'a' * 24}/{verb}").json()["code"] == "job-not-found"


def test_continue_says_what_has_changed_since_and_takes_nothing_away(
    server: RunningServer, undisturbed: bytes, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    job = server.submit("long", pause=50, journal=str(journal))["id"]
    until(lambda: len(steps_of(journal)) == 50, "step 50")
    server.client.delete(f"/jobs/{job}").raise_for_status()
    server.wait(job)
    folder = data_of(server) / "jobs" / job
    newest = folder / "checkpoints" / "long" / "step-000000000040"

    def refusal(path: Path, former: str, now: str) -> tuple[str, str]:
        text = path.read_text()
        assert former in text
        path.write_text(text.replace(former, now))
        refused = server.client.post(f"/jobs/{job}/continue").json()
        path.write_text(text)
        assert "what the job has kept stays" in refused["hint"]
        return refused["code"], refused["detail"]

    assert refusal(folder / "request.json", '"long"', '"gone"') == ("pipeline-unknown", "No pipeline is called 'gone'.")
    assert refusal(folder / "request.json", '"pause"', '"paws"')[0] == "parameters-invalid"
    code, detail = refusal(newest / "record.json", '"version": "1"', '"version": "0"')
    assert code == "continue-not-possible"
    assert detail == "The job has come so far with version 0 of Long; this is version 1."
    (newest / "state" / "state.npz").write_bytes(b"damaged")
    server.client.post(f"/jobs/{job}/continue").raise_for_status()
    server.wait(job)
    told = [data["code"] for _, kind, data in server.events(job) if kind == "warning"]
    assert told == ["checkpoint-unusable"]
    assert file(server, job, "scene.glb").content == undisturbed
    assert [step for _, step in steps_of(journal)] == [*range(1, 51), *range(21, STEPS + 1)]


def test_a_pipeline_tells_what_it_can(server: RunningServer) -> None:
    views = {view["id"]: view for view in server.client.get("/pipelines").json()}
    told = {name: (views[name]["finishes_early"], views[name]["checkpoints"]) for name in ("long", "hasty")}
    assert told == {"long": (True, True), "hasty": (False, False)}
    assert np.isclose(sum(stage["weight"] for stage in views["long"]["stages"]), 100)
