"""Clients of `bench.soak`: threads that do with a server what artists and bad lines do, over and over, by chance."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from backend.contract import JobState
from bench.pictures import picture
from bench.server import Client, Refused, Told
from bench.stand_in import STAND_IN, STEP_BY_STEP

CUT = (OSError, http.client.HTTPException)
"""What a client meets where the line is cut or the server is gone; a timeout too."""

LONGEST_JOB = 240.0
"""Seconds from a request to the job's end, with others before it and a server or two that end meanwhile."""

LEFT_MOST, ENDED_MOST = 2, 25
"""Of one user: questions that nobody has answered, and ended jobs; what is more is answered, cancelled or forgotten."""

EXPECTED_PROBLEMS = {"worker-died", "worker-start-failed", "interrupted"}
"""How jobs may fail here: workers, those that start too, and servers are killed."""


class Door:
    """Whether the server can be asked now. Clients are inside while they do something."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._port: int | None = None
        self._waited_for = False
        self._inside = 0
        self.ended = False
        self.life = 0
        """How many servers there have been."""

    def open(self, port: int) -> None:
        """A new server can be reached, or clients may go on."""
        with self._changed:
            self._port, self._waited_for = port, False
            self._changed.notify_all()

    def shut(self) -> None:
        """The server ends now, whoever is inside; the next one is the next life."""
        with self._changed:
            self._port = None
            self.life += 1

    def empty(self, seconds: float) -> None:
        """Let nobody begin anything, and wait until all have come to an end. Raises TimeoutError."""
        with self._changed:
            self._waited_for = True
            if not self._changed.wait_for(lambda: not self._inside, seconds):
                raise TimeoutError(f"{self._inside} clients have not come to an end in {seconds:g} s")

    def end(self) -> None:
        """Clients do nothing any more."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def port(self) -> int:
        """Where the server is, as soon as there is one. Raises Ended."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._port is not None)
            if self.ended or self._port is None:
                raise Ended
            return self._port

    @contextmanager
    def inside(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self.ended or (self._port is not None and not self._waited_for))
            if self.ended:
                raise Ended
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended, seconds)


class Ended(Exception):
    """There is nothing to be done any more."""


class Book:
    """What was done and what came of it, from all threads; `unexpected` holds a sentence for each surprise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.unexpected: list[str] = []

    def count(self, what: Counter[str], name: str) -> None:
        with self._lock:
            what[name] += 1

    def surprise(self, sentence: str) -> None:
        with self._lock:
            self.unexpected.append(sentence)


class Artist(threading.Thread):
    """One user, who does one thing after another.

    pause: seconds between two of them, in the mean.
    """

    def __init__(self, name: str, token: str, door: Door, book: Book, pause: float, seed: int) -> None:
        super().__init__(name=name)
        self._token = token
        self._door = door
        self._book = book
        self._pause = pause
        self._chance = Random(f"{seed} {name}")
        self._pictures = [picture(96, 1 + number, seed=number) for number in range(2)]
        self._actions: dict[Callable[[], None], float] = {
            self.generate: 4,
            self.inflate: 2,
            self.drop_events: 2,
            self.answer: 2,
            self.leave_question: 1,
            self.cancel: 2,
            self.finish_and_continue: 2,
            self.cancel_and_continue: 1,
            self.look_at_preview: 1,
            self.cut_upload: 1,
            self.cut_result: 2,
            self.again: 1,
            self.ask_wrongly: 1,
            self.look: 2,
            self.tidy: 4,
        }

    def run(self) -> None:
        try:
            while True:
                self._door.rest(self._chance.expovariate(1 / self._pause))
                with self._door.inside():
                    self._do(*self._chance.choices(list(self._actions), list(self._actions.values())))
        except Ended:
            return

    def _do(self, action: Callable[[], None]) -> None:
        name, life = action.__name__, self._door.life
        try:
            action()
        except Ended:
            raise
        except Refused as refused:
            if refused.code in ("queue-full", "too-many-requests", "job-not-found"):  # retention may be faster
                self._book.count(self._book.refused, refused.code)
            else:
                self._book.surprise(f"{name}: {refused.status} {refused.code}: {refused}")
        except CUT as error:
            self._book.count(self._book.cut, name)
            if self._door.life == life:  # the server has not ended meanwhile
                self._book.surprise(f"{name}: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - told at the end; a thread that ended would go unnoticed for hours
            self._book.surprise(f"{name}: {type(error).__name__}: {error}")
        else:
            self._book.count(self._book.done, name)

    # what is asked of the server

    @property
    def _client(self) -> Client:
        return Client(self._door.port(), self._token)

    def _submit(self, pipeline: str, **parameters: Any) -> str:
        image, instances = self._chance.choice(self._pictures)
        return self._client.submit(image, instances, parameters, pipeline)

    def _follow(self, job: str, until: str = "", data: Callable[[dict[str, Any]], bool] = lambda data: True) -> Told:
        """Events as they come, on from the last one whenever the server has ended, until one of a kind, or the end."""
        give_up, after = time.monotonic() + LONGEST_JOB, 0
        while True:
            life = self._door.life
            try:
                for event in self._client.events(job, after, give_up - time.monotonic()):
                    if event.id <= after:
                        raise AssertionError(f"event {event.id} of {job} came after {after}")
                    after = event.id
                    if event.kind == until and data(event.data):
                        return event
                    if event.kind == "state" and JobState(event.data["state"]).ended:
                        return self._noted(event)
            except CUT:
                if self._door.life == life or time.monotonic() > give_up:
                    raise
            if self._door.life == life:
                self._door.rest(0.2)  # the server is about to end, and has let everybody go
            if time.monotonic() > give_up:
                raise TimeoutError(f"the job {job} has not ended")

    def _noted(self, end: Told) -> Told:
        problem = end.data["problem"]
        how = f"{end.data['state']} {problem['code']}" if problem else str(end.data["state"])
        self._book.count(self._book.ends, how)
        if problem and problem["code"] not in EXPECTED_PROBLEMS:
            self._book.surprise(f"a job has ended as {how}: {problem['detail']}")
        return end

    def _fetch(self, job: str, name: str = "scene.glb") -> None:
        """A file of a result, as a whole, and compare its hash."""
        answer = self._client.ask("GET", f"/jobs/{job}/files/{name}")
        if answer.headers["ETag"] != f'"{hashlib.sha256(answer.body).hexdigest()}"':
            raise AssertionError(f"{name} of {job} is not what its hash says")

    def _follow_and_fetch(self, job: str) -> None:
        if self._follow(job).data["state"] == JobState.DONE:
            self._fetch(job)
            self._fetch(job, "result.json")

    def _post(self, job: str, what: str, body: Any = None) -> dict[str, Any]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads(self._client.ask("POST", f"/jobs/{job}/{what}", data, headers).body)
        return answer

    @contextmanager
    def _may_be_too_late(self, *codes: str) -> Iterator[None]:
        """The job may have ended by itself, or the server with it, at this very moment."""
        try:
            yield
        except Refused as refused:
            if refused.code not in codes:
                raise
            self._book.count(self._book.refused, refused.code)

    # what is done

    def generate(self) -> None:
        self._follow_and_fetch(self._submit(STAND_IN, seconds=self._chance.uniform(0.1, 2.0)))

    def inflate(self) -> None:
        self._follow_and_fetch(self._submit("inflate", texture_size=256))

    def drop_events(self) -> None:
        """Cut the line after an event or two, and go on from the last one."""
        job = self._submit(STEP_BY_STEP, seconds=self._chance.uniform(0.5, 3.0))
        for _ in range(self._chance.randint(1, 3)):
            events = self._client.events(job, seconds=LONGEST_JOB)
            for event, _ in zip(events, range(self._chance.randint(1, 4)), strict=False):
                del event
            events.close()  # type: ignore[attr-defined]  # a generator, which closes its connection
        self._follow(job)

    def answer(self) -> None:
        job = self._submit(STEP_BY_STEP, seconds=self._chance.uniform(0.2, 1.0), asks=True)
        if self._follow(job, until="needs_input").kind == "needs_input":
            self._client.ask("GET", f"/jobs/{job}/files/one.png")
            self._door.rest(self._chance.uniform(0, 2))
            with self._may_be_too_late("input-not-expected"):
                self._post(job, "input", {"answer": {"chosen": [self._chance.randint(0, 1)]}})
                self._follow_and_fetch(job)

    def leave_question(self) -> None:
        self._submit(STEP_BY_STEP, seconds=0.2, asks=True)

    def cancel(self) -> None:
        job = self._submit(self._chance.choice((STAND_IN, STEP_BY_STEP)), seconds=self._chance.uniform(1, 30))
        self._door.rest(self._chance.uniform(0, 2))
        self._client.ask("DELETE", f"/jobs/{job}")
        self._follow(job)

    def finish_and_continue(self) -> None:
        job = self._submit(STEP_BY_STEP, seconds=self._chance.uniform(2, 6))
        if self._follow(job, until="progress", data=lambda data: data["fraction"] > 0.1).kind == "progress":
            with self._may_be_too_late("finish-not-possible"):
                self._post(job, "finish")
            self._follow_and_fetch(job)
            self._continue(job)

    def cancel_and_continue(self) -> None:
        job = self._submit(STEP_BY_STEP, seconds=self._chance.uniform(1, 4))
        if self._follow(job, until="progress", data=lambda data: data["fraction"] > 0.1).kind == "progress":
            self._client.ask("DELETE", f"/jobs/{job}")
            self._follow(job)
            self._continue(job)

    def _continue(self, job: str) -> None:
        """If it can be. The end of the attempt before is among the events, so the job is looked at."""
        if not self._client.get(f"/jobs/{job}")["can_continue"]:
            return
        self._post(job, "continue")
        last, give_up = self._client.get(f"/jobs/{job}"), time.monotonic() + LONGEST_JOB
        while not JobState(last["state"]).ended:
            if time.monotonic() > give_up:
                raise TimeoutError(f"the job {job} has not ended after it was continued")
            self._door.rest(0.5)
            last = self._client.get(f"/jobs/{job}")
        self._book.count(self._book.ends, f"{last['state']}, continued")
        if last["state"] == JobState.DONE:
            self._fetch(job)

    def look_at_preview(self) -> None:
        job = self._submit(STEP_BY_STEP, seconds=2.0)
        event = self._follow(job, until="preview")
        if event.kind == "preview":
            with self._may_be_too_late("file-not-found"):  # it has come to its end meanwhile
                self._client.ask("GET", f"/jobs/{job}/files/{event.data['file']}")
            self._follow(job)

    def cut_upload(self) -> None:
        """Send a part of a picture, ask how much has come, send the rest, and name it in a request."""
        image, instances = picture(160, 1, seed=self._chance.getrandbits(32))
        sha, half = hashlib.sha256(image).hexdigest(), self._chance.randrange(1, len(image))

        def broken() -> Iterator[bytes]:
            yield image[:half]
            raise ConnectionAbortedError

        try:
            with self._client.asked("PUT", f"/uploads/{sha}", broken(), {"Content-Length": str(len(image))}):
                raise AssertionError("a part of a picture was taken for the whole")
        except ConnectionAbortedError:
            self._door.rest(0.2)
        for _ in range(10):
            received = self._client.get(f"/uploads/{sha}")["received"]
            part = {"Content-Range": f"bytes {received}-{len(image) - 1}/{len(image)}"}
            try:
                self._client.ask("PUT", f"/uploads/{sha}", image[received:], part)
                break
            except Refused as refused:
                if refused.code != "upload-out-of-step":
                    raise
                self._door.rest(0.2)  # more of the line before was still on its way
        self._follow_and_fetch(self._client.submit(sha, instances, {"seconds": 0.2}, STAND_IN))

    def cut_result(self) -> None:
        """Read a part of a scene, and go on from there."""
        job = self._submit("inflate", texture_size=256)
        if self._follow(job).data["state"] != JobState.DONE:
            return
        path = f"/jobs/{job}/files/scene.glb"
        with self._client.asked("GET", path) as response:
            tag, got = str(response.headers["ETag"]), response.read(self._chance.randint(1, 20_000))
        rest = {"Range": f"bytes={len(got)}-", "If-Range": tag}
        got += self._client.ask("GET", path, headers=rest).body
        if tag != f'"{hashlib.sha256(got).hexdigest()}"':
            raise AssertionError(f"the parts of {path} are not the whole")

    def again(self) -> None:
        jobs = [job for job in self._client.get("/jobs?limit=100") if job["pipeline"] == STAND_IN]
        if jobs:
            change = {"seed": self._chance.randint(0, 99), "parameters": {"seconds": 0.3}}
            made = self._post(self._chance.choice(jobs)["id"], "again", change)
            self._post(made["id"], "priority", {"priority": self._chance.randint(-5, 5)})
            self._follow_and_fetch(made["id"])

    def ask_wrongly(self) -> None:
        """What the server refuses, each with its code."""
        client, nobody = self._client, "0" * 24
        asked: dict[str, Callable[[], object]] = {
            "token-wrong": lambda: Client(client.port, "x" * 43).get("/jobs"),
            "job-not-found": lambda: client.get(f"/jobs/{nobody}"),
            "pipeline-unknown": lambda: client.submit(*self._pictures[0], pipeline="nothing"),
            "parameters-invalid": lambda: client.submit(*self._pictures[0], {"seconds": -1}, STAND_IN),
            "image-unreadable": lambda: client.submit(b"no picture", self._pictures[0][1], {}, STAND_IN),
            "not-allowed": lambda: client.ask("POST", "/rest"),
        }
        code = self._chance.choice(list(asked))
        try:
            asked[code]()
        except Refused as refused:
            if refused.code != code:
                raise
        else:
            raise AssertionError(f"{code} was not refused")

    def look(self) -> None:
        for path in ("/health", "/jobs", "/storage", "/pipelines", "/models", "/openapi.json"):
            self._client.get(path)

    def tidy(self) -> None:
        """Answer or cancel the questions that were left, and forget old jobs."""
        jobs = self._client.get("/jobs?limit=1000")
        for job in [job["id"] for job in jobs if job["state"] == JobState.NEEDS_INPUT][LEFT_MOST:]:
            if self._chance.random() < 0.5:
                self._client.ask("DELETE", f"/jobs/{job}")
            else:
                with self._may_be_too_late("input-not-expected"):
                    self._post(job, "input", {"answer": {"chosen": [0]}})
        for job in [job["id"] for job in jobs if JobState(job["state"]).ended][ENDED_MOST:]:
            self._client.ask("DELETE", f"/jobs/{job}?forget=true")
