"""`python -m bench.jobs`: a long list of jobs, and many jobs at once, over real HTTP.

First a server whose list has so many jobs, nine in ten of them done, the others queued behind one that runs: how long
it takes to answer, and its memory; for who started it, or with `--users` for one of seven users of a server for others,
which is told what its jobs may hold. Then servers with one slot and with several, each with jobs of a stand-in that
sleeps: how many are done in the time that one takes, of as many as there are slots.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from backend.contract import GenerateRequest, JobState
from backend.jobs.folders import JobFolders
from backend.jobs.store import JobStore
from backend.server.users import Role
from backend.server.users import add as add_user
from bench import stand_in
from bench.held import processor_seconds
from bench.pictures import picture
from bench.server import Server, running
from bench.stand_in import STAND_IN

GONE = "0" * 16
"""The owner of the jobs that are there when a server starts: one that does not live, so that their queue is adopted."""

ANSWERS = ("list of 100", "list of 100, the oldest", "a queued job", "health", "submit")
"""What is asked of the server with the long list, where it has users of one's own; docs/benchmarks.md has the same
words."""

USERS = tuple(f"user-{number}" for number in range(7))
KEEP_BYTES = 10**12
START_SECONDS, IDLE_SHARE = 120.0, 0.05
NO_LIMITS = ("--user-requests", "100000", "--user-jobs", "100000")
PICTURE = picture(128, 1)
PROGRESS = {"stage": "sleep", "stage_index": 0, "stage_count": 2, "fraction": 1.0, "elapsed": 1.0}


def fill(data: Path, jobs: int) -> list[str]:
    """Make a data folder with so many jobs, the last tenth of them queued; the ids, the oldest first."""
    data.mkdir(mode=0o700)
    folders, ids = JobFolders(data / "jobs"), list[str]()
    store = JobStore(data / "jobs.sqlite3", folders.reached)
    try:
        for number in range(jobs):
            request = GenerateRequest.model_validate(
                {"pipeline": STAND_IN, "name": f"Shot {number}", "parameters": {"seconds": 3600.0}}
            )
            if ids:
                job = folders.create_like(request, ids[0])
            else:
                job = folders.create(request, [PICTURE[0]], PICTURE[1], None)
            ids.append(job)
            origin = {"file": f"/shots/{number}.blend"}
            store.add(job, GONE, request.name, request.pipeline, origin, user=USERS[number % len(USERS)])
            if number < jobs - jobs // 10:
                store.take(GONE, job)
                store.append(job, "progress", PROGRESS)
                for name in ("scene.glb", "result.json"):
                    (folders.path(job) / "output" / name).write_bytes(b"{}")
                store.finish(job, JobState.DONE, files=("result.json", "scene.glb"))
    finally:
        store.close()
    return ids


def answer_times(server: Server, ids: Sequence[str], repeats: int) -> dict[str, tuple[list[float], float | None]]:
    """Of each of `ANSWERS` the seconds that it took, time after time, and those of the server's processor for one."""
    oldest = ids[min(100, len(ids) - 1)]
    asked: tuple[Callable[[], object], ...] = (
        lambda: server.get("/jobs?limit=100"),
        lambda: server.get(f"/jobs?limit=100&before={oldest}"),
        lambda: server.get(f"/jobs/{ids[-1]}"),
        lambda: server.get("/health"),
        lambda: server.submit(*PICTURE, {"seconds": 0.0}, STAND_IN),
    )
    answers: dict[str, tuple[list[float], float | None]] = {}
    for name, ask in zip(ANSWERS, asked, strict=True):
        times, before = [], processor_seconds(server.pid)
        for _ in range(repeats):
            began = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began)
        after = processor_seconds(server.pid)
        taken = None if before is None or after is None else (after - before) / repeats
        answers[name] = sorted(times), taken
    return answers


def memory(process: int) -> tuple[int, int] | None:
    """Bytes that a process holds now, and has held at most; None where the system does not tell."""
    status = Path(f"/proc/{process}/status")
    if not status.is_file():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return int(lines["VmRSS"].split()[0]) * 1024, int(lines["VmHWM"].split()[0]) * 1024


@contextmanager
def running_with(folder: Path, *, users: bool) -> Iterator[Server]:
    """A server with the data folder `long`; the client is who started it, or the last of `USERS`."""
    data, options, token = folder / "long", tuple[str, ...](), None
    if users:
        listed = folder / "users"
        for name in USERS:
            token = add_user(listed, name, Role.USER)
        options = ("--listen", "127.0.0.1:0", "--users", str(listed), "--keep-bytes", str(KEEP_BYTES), *NO_LIMITS)
    server = Server(data, *options, token=token, variables={"SET_DRESSER_PLUGINS": stand_in.__name__})
    try:
        yield server
    finally:
        server.close()


def wait_until_idle(server: Server) -> None:
    """Until it has done what it does at its start, and only answers. Raises TimeoutError."""
    give_up, before = time.monotonic() + START_SECONDS, float("-inf")
    while (now := processor_seconds(server.pid) or 0.0) > before + IDLE_SHARE:
        if time.monotonic() > give_up:
            raise TimeoutError("the server has not come to rest")
        before = now
        time.sleep(1.0)


def load() -> str:
    """What else the machine does, in words: on a busy one the clock says little of the code."""
    if not hasattr(os, "getloadavg"):
        return "load not told"
    minute, five, _ = os.getloadavg()
    return f"load {minute:.1f} of the last minute, {five:.1f} of five, {os.cpu_count()} cores"


def throughput(data: Path, slots: int, each: int, seconds: float, *options: str) -> float:
    """How many stand-ins are done in the time that one takes; `slots` if the server took none itself.

    Counted from the moment the first of `each` jobs a slot began until the last has ended; every worker had one before.
    options: by which the server has so many slots; those of one machine if left out.
    """
    with running(data, *(options or ("--slots", str(slots))), SET_DRESSER_PLUGINS=stand_in.__name__) as server:
        for count in (slots, slots * each):
            ids = [server.submit(*PICTURE, {"seconds": seconds}, STAND_IN) for _ in range(count)]
            for job in ids:
                *_, last = server.events(job)
                if last.data["state"] != "done":
                    raise RuntimeError(f"a stand-in ended as {last.data}")
        views = [server.get(f"/jobs/{job}") for job in ids]
    began = min(datetime.fromisoformat(view["started"]) for view in views)
    ended = max(datetime.fromisoformat(view["finished"]) for view in views)
    return len(ids) * seconds / (ended - began).total_seconds()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description=(__doc__ or "").partition(":")[2].strip())
    parser.add_argument("--jobs", type=int, default=10_000, help="in the list (default: %(default)s)")
    parser.add_argument("--users", action="store_true", help="ask as one of seven users")
    parser.add_argument("--repeats", type=int, default=100, help="of each question (default: %(default)s)")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4], help="(default: 1 2 4)")
    parser.add_argument("--each", type=int, default=8, help="stand-ins for each slot (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a stand-in takes (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = fill(folder / "long", chosen.jobs)
        with running_with(folder, users=chosen.users) as server:
            wait_until_idle(server)
            own = ids[len(USERS) - 1 :: len(USERS)] if chosen.users else ids
            times = answer_times(server, own, chosen.repeats)
            held = memory(server.pid)
            print(f"{chosen.jobs} jobs in the list, {server.get('/health')['queued']} queued; {load()}\n")
            print("| asked | median | 95 % under | longest | processor |\n| --- | --- | --- | --- | --- |")
            print(f"| ready: process start to handshake | {server.ready_seconds:.2f} s | | | |")
            for asked, (took, processor) in times.items():
                figures = (took[len(took) // 2], took[min(int(len(took) * 0.95), len(took) - 1)], took[-1])
                cells = [f"{1e3 * seconds:.0f} ms" for seconds in figures]
                cells.append("not told" if processor is None else f"{1e3 * processor:.1f} ms")
                print(f"| {asked} | {' | '.join(cells)} |")
            if held is not None:
                print(f"\nThe server holds {held[0] / 1e6:.0f} MB, {held[1] / 1e6:.0f} MB at most.")
        print(f"\n{load()}\n")
        print(f"| slots | stand-ins done in {chosen.seconds:g} s | of as many as slots |\n| --- | --- | --- |")
        for slots in chosen.slots:
            done = throughput(folder / f"slots-{slots}", slots, chosen.each, chosen.seconds)
            print(f"| {slots} | {done:.2f} | {done / slots:.2f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
