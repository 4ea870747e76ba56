"""`python -m bench.soak`: hours of random jobs, questions, cancels, cut lines, killed workers and restarts, and whether
the server and its workers hold more in the end than in the beginning. Linux, where /proc tells what processes hold.

A server with users and two slots; three artists do one thing after another by chance (`bench/artists.py`). In the
first half of the time the server is ended every few minutes, in good order or by kill -9, always in the middle of
things; in the second half one server lives to the end. Workers are killed all the time, always the youngest, so that
the oldest grows old. What processes and the data folder hold is noted every few seconds. Now and then everybody
pauses, each slot runs a job, and then, with nothing to do, handles, threads and processes can be counted to the last
one. The table tells how each figure runs: by Theil and Sen from medians of a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from backend.contract import JobState
from backend.files import replace_whole
from backend.jobs.local import WORKER
from backend.server import users
from backend.server.users import Role
from bench import stand_in
from bench.artists import Artist, Book, Door
from bench.held import alive, descendants, held, size
from bench.pictures import picture
from bench.server import Server
from bench.soak_findings import Sample, gained, of_each_life, table, trends
from bench.stand_in import STAND_IN

SLOTS = 2
ARTISTS = ("anna", "ben", "clara")
ADMINISTRATOR = "farm"
KEEP_BYTES = 8_000_000
EMPTY_SECONDS = 300.0
IDLE_THREAD_SECONDS = 12.0
"""The server's pools of threads let those go that had nothing to do for ten seconds, with the next request."""

GONE_SECONDS = 20.0
"""A worker that has just been started hears that its server is gone once it has loaded what it needs."""


@dataclass
class Soak:
    """What runs, and what was seen of it. `quiet`: samples with nothing to do; `left`: processes that outlived their
    server; `gone_seconds`: until all processes of a life had ended."""

    data: Path
    tokens: dict[str, str]
    log: Path
    door: Door = field(default_factory=Door)
    book: Book = field(default_factory=Book)
    samples: list[Sample] = field(default_factory=list)
    quiet: list[Sample] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    killed: int = 0
    left: list[str] = field(default_factory=list)
    gone_seconds: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    server: Server | None = None

    # lives of the server

    def start(self) -> None:
        options = ("--listen", "127.0.0.1:0", "--users", str(self.data.with_name("users")), "--slots", str(SLOTS))
        limits = ("--keep-bytes", str(KEEP_BYTES), "--grace-seconds", "1", "--user-requests", "500")
        token = self.tokens[ADMINISTRATOR]
        variables = {"SET_DRESSER_PLUGINS": stand_in.__name__}
        self.lives += 1
        self.server = Server(self.data, *options, *limits, token=token, log=self.log, variables=variables)
        self.door.open(self.server.port)

    def end(self, how: str) -> None:
        """End the server: by its own route, by a closed input, or by kill -9. What it leaves behind is noted."""
        assert self.server is not None
        server, self.server = self.server, None
        children = descendants(server.pid)
        self.door.shut()
        self.ended[how] += 1
        if how == "kill -9":
            server.kill()
        else:
            if how == "shutdown":
                server.ask("POST", "/shutdown")
            server.close()
        began = time.monotonic()
        give_up = began + GONE_SECONDS
        while (left := [child for child in children if alive(child)]) and time.monotonic() < give_up:
            time.sleep(0.05)
        self.gone_seconds.append(time.monotonic() - began)
        for child in left:
            self.left.append(children[child])
            os.kill(child, signal.SIGKILL)

    def restart(self, how: str) -> None:
        self.end(how)
        self.start()

    def kill_youngest_worker(self) -> None:
        """The one that was started last; the oldest alone is left in peace."""
        workers = self._workers()
        if len(workers) > 1:
            os.kill(workers[-1], signal.SIGKILL)
            self.killed += 1

    def _workers(self) -> list[int]:
        return (
            []
            if self.server is None
            else [child for child, what in descendants(self.server.pid).items() if WORKER in what]
        )

    # looking

    def sample(self) -> Sample:
        """What is held now."""
        assert self.server is not None
        children = descendants(self.server.pid)
        workers = [child for child, what in children.items() if WORKER in what]
        (jobs, files), (uploads, _) = size(self.data / "jobs"), size(self.data / "uploads")
        other, other_files = size(self.data, without=("jobs", "uploads"))
        each = {"server": self.server.pid, **{f"worker {number}": pid for number, pid in enumerate(workers)}}
        return {
            "seconds": time.monotonic() - self.began,
            "life": self.door.life,
            "processes": 1 + len(children),
            "held": {name: {"pid": pid, **found._asdict()} for name, pid in each.items() if (found := held(pid))},
            "jobs_bytes": jobs,
            "jobs_files": files,
            "uploads_bytes": uploads,
            "other_bytes": other,
            "other_files": other_files,
            "load": os.getloadavg()[0],
        }

    def look_quietly(self) -> None:
        """Have everybody pause, let all come to its end, have a worker in each slot, and look."""
        assert self.server is not None
        self.door.empty(EMPTY_SECONDS)
        try:
            self._settle()
            image, instances = picture(96, 1)
            jobs = [self.server.submit(image, instances, {"seconds": 2.0}, STAND_IN) for _ in range(SLOTS)]
            for job in jobs:
                list(self.server.events(job, seconds=EMPTY_SECONDS))
                self.server.ask("DELETE", f"/jobs/{job}?forget=true")
            time.sleep(IDLE_THREAD_SECONDS)
            for path in ("/health", "/jobs?limit=1"):
                self.server.get(path)
            time.sleep(1.0)
            self.quiet.append(self.sample())
        finally:
            self.door.open(self.server.port)

    def _settle(self) -> None:
        """Cancel the questions that wait, and wait for whatever runs."""
        assert self.server is not None
        give_up = time.monotonic() + EMPTY_SECONDS
        while open_ones := [job for job in self.server.get("/jobs?limit=1000") if not JobState(job["state"]).ended]:
            for job in open_ones:
                if job["state"] == JobState.NEEDS_INPUT:
                    self.server.ask("DELETE", f"/jobs/{job['id']}")
            if time.monotonic() > give_up:
                raise TimeoutError(f"{len(open_ones)} jobs have not ended")
            time.sleep(0.5)

    def account(self) -> None:
        """Of what is in the list at last: whether all has ended, and results are there."""
        assert self.server is not None
        self.door.empty(EMPTY_SECONDS)
        self._settle()
        for job in self.server.get("/jobs?limit=1000"):
            if job["state"] == JobState.DONE and not {"scene.glb", "result.json"} <= set(job["files"]):
                self.book.surprise(f"the result of {job['id']} is not whole: {job['files']}")


def conduct(
    soak: Soak, minutes: float, restart_minutes: float, every: float, chance: Random, note: Callable[[], None]
) -> None:
    """Restart, kill, look and note until the time is over."""
    end, half = 60 * minutes, 30 * minutes
    pauses = {
        "restart": 60 * restart_minutes,
        "kill": 40 * restart_minutes,
        "quiet": 60 * restart_minutes,
        "note": 60.0,
    }
    due = {name: seconds * chance.uniform(0.6, 1.4) for name, seconds in pauses.items()}
    while (now := time.monotonic() - soak.began) < end:
        for what in [name for name, when in due.items() if when <= now]:
            if what == "restart" and now < half:
                soak.restart(chance.choice(("shutdown", "input closed", "kill -9", "kill -9")))
            elif what == "kill":
                soak.kill_youngest_worker()
            elif what == "quiet" and now > half:
                soak.look_quietly()
            elif what == "note":
                note()
            due[what] = (
                time.monotonic() - soak.began + pauses[what] * (1 if what == "note" else chance.uniform(0.6, 1.4))
            )
        soak.samples.append(soak.sample())
        time.sleep(max(0.0, min(every, end - (time.monotonic() - soak.began))))
    soak.look_quietly()


def report(soak: Soak) -> dict[str, Any]:
    """All that was seen, as JSON."""
    fits = trends(soak.samples)
    used = os.times()
    log = soak.log.read_text(encoding="utf-8", errors="replace") if soak.log.exists() else ""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
        "minutes": (time.monotonic() - soak.began) / 60,
        "own_processor_seconds": used.user + used.system,
        "lives": soak.lives,
        "ended": dict(soak.ended),
        "workers_killed": soak.killed,
        "done": dict(soak.book.done),
        "cut": dict(soak.book.cut),
        "refused": dict(soak.book.refused),
        "ends_of_jobs": dict(soak.book.ends),
        "unexpected": soak.book.unexpected,
        "outlived_their_server": soak.left,
        "seconds_until_all_had_gone": soak.gone_seconds,
        "tracebacks_in_the_log": log.count("Traceback"),
        "trends": [{"whose": w, "figure": f, "unit": u, "verdict": t.verdict, **t._asdict()} for w, f, u, t in fits],
        "lives_by_own_memory": dict(of_each_life(soak.samples)),
        "gained": gained(soak.quiet),
        "quiet": soak.quiet,
        "samples": soak.samples,
    }


@contextmanager
def ended_by_a_signal() -> Iterator[None]:
    """SIGTERM and Ctrl-C, of a program in the background too, end all that was started before the program."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=(__doc__ or "").partition(":")[2].strip())
    parser.add_argument("--minutes", type=float, default=120, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all that is seen is written, once a minute")
    parser.add_argument("--restart-minutes", type=float, default=6, help="between two restarts (default: %(default)s)")
    parser.add_argument("--sample-seconds", type=float, default=10, help="between two looks (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=5, help="of an artist, seconds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what is done by chance (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if not Path("/proc/self/smaps_rollup").exists():
        parser.error("what processes hold is read from /proc, which only Linux has")
    with tempfile.TemporaryDirectory() as name, ended_by_a_signal(), ExitStack() as ending:
        listed = Path(name, "users")
        tokens = {artist: users.add(listed, artist, Role.USER) for artist in ARTISTS}
        tokens[ADMINISTRATOR] = users.add(listed, ADMINISTRATOR, Role.ADMINISTRATOR)
        soak = Soak(Path(name, "data"), tokens, Path(name, "server.log"))

        def note() -> None:
            if chosen.json:
                replace_whole(chosen.json, json.dumps(report(soak), indent=1).encode())

        ending.callback(note)
        artists = [Artist(who, tokens[who], soak.door, soak.book, chosen.pause, chosen.seed) for who in ARTISTS]
        for artist in artists:
            ending.callback(artist.join)
            artist.start()
        # The server ends before they are waited for: its end cuts what they follow.
        ending.callback(lambda: soak.end("input closed") if soak.server else None)
        ending.callback(soak.door.end)
        soak.start()
        conduct(soak, chosen.minutes, chosen.restart_minutes, chosen.sample_seconds, Random(chosen.seed), note)
        soak.account()
        print(table(report(soak)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
