"""A real server process and how to talk to it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-for-tests-0123456789"
FAKES = "tests.backend.jobs.fake_pipelines"
ENDED = ("done", "failed", "cancelled")
Event = tuple[int, str, dict[str, Any]]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "SET_DRESSER_TOKEN": TOKEN, "SET_DRESSER_PLUGINS": FAKES, **more}


def processor_seconds(pid: int) -> float:
    """What a process has taken of the processor; 0 where the system does not tell. The machine may have other things to
    do, so that the clock would say nothing."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return 0.0
    of_its_own, of_the_system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(of_its_own) + int(of_the_system)) / os.sysconf("SC_CLK_TCK")


class RunningServer:
    """`python -m backend serve`, started in the constructor; a context manager that ends it.

    start_seconds: of the processor, until it had said where it is to be reached.
    """

    def __init__(self, data: Path, *options: str, log: Path | None = None, **more: str) -> None:
        self.log = log or data.parent / f"{data.name}-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "backend", "serve", "--data", str(data), "--watch-stdin", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(**more),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdin and self.process.stdout
        line = self.process.stdout.readline()
        self.start_seconds = processor_seconds(self.process.pid)
        assert line, self.log.read_text()
        self.handshake: dict[str, Any] = json.loads(line)
        self.port: int = self.handshake["port"]
        self.client = self.new_client()

    def new_client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=20, trust_env=False)

    def __enter__(self) -> "RunningServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.stdin.close()  # type: ignore[union-attr]
            try:
                self.process.wait(6)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self.process.wait()
        self.process.stdout.close()  # type: ignore[union-attr]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def submit(
        self,
        pipeline: str = "steady",
        client: httpx.Client | None = None,
        picture: bytes | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        request = {"pipeline": pipeline, "parameters": parameters, "name": "a test"}
        answer = self.post_job(request, {"image": ("a.png", picture or cut_out())}, client)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def post_job(
        self, request: dict[str, Any], files: dict[str, tuple[str, bytes]], client: httpx.Client | None = None
    ) -> httpx.Response:
        return (client or self.client).post("/jobs", data={"request": json.dumps(request)}, files=files)

    def job(self, job: str) -> dict[str, Any]:
        answer = self.client.get(f"/jobs/{job}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, job: str, *states: str, seconds: float = 20.0) -> dict[str, Any]:
        """The job once it is in one of the states (or has ended, if none is named)."""
        wanted = states or ENDED
        until(lambda: self.job(job)["state"] in wanted, f"{job} reaching {wanted}", seconds)
        return self.job(job)

    def worker_of(self, job: str) -> int:
        """The worker's process id, as the fake pipeline tells it."""

        for _, _, data in self.events(job):
            if data.get("message", "").startswith("pid "):
                return int(data["message"].removeprefix("pid "))
        raise AssertionError(f"the worker of {job} did not tell its process id: {self.job(job)}")

    def events_so_far(self, job: str) -> list[Event]:
        """What the stream tells up to the question of a job in needs_input."""
        told = []
        for event in self.events(job):
            told.append(event)
            if event[1] == "needs_input":
                break
        return told

    def events(self, job: str, after: int | None = None, client: httpx.Client | None = None) -> Iterator[Event]:
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        with (client or self.client).stream("GET", f"/jobs/{job}/events", headers=headers) as answer:
            assert answer.status_code == 200
            yield from parse(answer.iter_lines())


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events as (id, event, data)."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
