"""`python -m bench.cluster`: jobs on a Ray cluster of three nodes, all on this machine, whose processes are killed.

Six users send jobs over real HTTP while every ten seconds a worker, a node or the server is killed; a node and the
server are started again. The head, which runs no jobs, is left alone. What is told at the end: whether every job has
ended once, and well; whether the results are whole; how long each user waited; whether a process is left. Then,
undisturbed, how many stand-ins are done on 1, 2 and 4 slots, and what a job on the cluster takes beyond one in a
worker of this machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.server import users as accounts
from backend.server.users import Role
from bench import stand_in
from bench.jobs import throughput
from bench.local_cluster import LocalCluster, is_actor, is_worker
from bench.pictures import picture
from bench.server import Client as Http
from bench.server import Server, running

STAND_IN = stand_in.PIPELINES[0].id
PICTURE = picture(128, 1)
NODES, CORES = 2, 2
"""Beside the head."""

ENDED = ("done", "failed", "cancelled")
AWAY = (OSError, http.client.HTTPException, json.JSONDecodeError)
"""What a client meets while the server is not there."""

DRAIN_SECONDS, END_SECONDS = 600.0, 60.0
KINDS = ("worker", "node", "server")
CHECKS = (
    "every job has ended, and once",
    "all of them well",
    "results whole",
    "no user waited twice as long as the mean",
    "no process left",
)
"""docs/benchmarks.md has the same words."""


class Farm:
    """A server on the cluster that several users have, and that can be killed and started again."""

    def __init__(self, folder: Path, cluster: LocalCluster, slots: int, names: Sequence[str]) -> None:
        self._folder = folder
        listing = folder / "users"
        self.tokens = {name: accounts.add(listing, name, Role.USER) for name in names}
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        reached = ("--listen", f"127.0.0.1:{port}", "--users", str(listing), "--user-requests", "1000")
        self._options = (*reached, "--ray", cluster.address, "--ray-slots", str(slots))
        self.server = self._start()

    def _start(self) -> Server:
        variables = {"SET_DRESSER_PLUGINS": stand_in.__name__}
        return Server(self._folder / "data", *self._options, variables=variables)

    def restart(self) -> None:
        """Kill the server, and start another on the same list of jobs."""
        self.server.kill()
        self.server = self._start()

    def of(self, user: str) -> Http:
        """The server, as a user sees it."""
        return Http(self.server.port, self.tokens[user])


@dataclass
class Client:
    """One user, who sends jobs at even distances. named: ids by the names that tell one from the others."""

    user: str
    jobs: Sequence[tuple[str, dict[str, Any]]]
    named: dict[str, str] = field(default_factory=dict)

    def send(self, farm: Farm, seconds: float) -> None:
        began = time.monotonic()
        for number, (pipeline, parameters) in enumerate(self.jobs):
            time.sleep(max(0.0, began + seconds * number / len(self.jobs) - time.monotonic()))
            self._send(farm, f"{self.user} {number}", pipeline, parameters)

    def _send(self, farm: Farm, name: str, pipeline: str, parameters: dict[str, Any]) -> None:
        """Until the server has it. Where the answer was lost on the way the list tells whether it does."""
        doubt = False
        while name not in self.named:
            try:
                server = farm.of(self.user)
                if doubt:
                    self.named |= {view["name"]: view["id"] for view in server.get("/jobs?limit=1000")}
                if name not in self.named:
                    doubt = True
                    self.named[name] = server.submit(*PICTURE, parameters, pipeline, name)
            except AWAY:
                time.sleep(0.3)


def kill_one(kind: str, farm: Farm, cluster: LocalCluster, chance: random.Random) -> str:
    """Kill a worker process or its actor, a node, or the server; what that was, "" if there was none.

    Another node is started in the place of one, and while it starts no other is killed: a worker is then.
    """
    if kind == "server":
        farm.restart()
        return kind
    if kind == "node" and len(cluster.nodes) > 1:
        cluster.kill(chance.choice(cluster.nodes))
        return kind
    what, which = chance.choice((("worker process", is_worker), ("actor", is_actor)))
    found = cluster.processes(which)
    if not found:
        return ""
    os.kill(chance.choice(found), signal.SIGKILL)
    return what


def disturbed(farm: Farm, cluster: LocalCluster, clients: Sequence[Client], chosen: argparse.Namespace) -> Counter[str]:
    """Send all jobs in so many minutes while things are killed; then wait until all have ended. What was killed."""
    chance, killed, nodes = random.Random(chosen.seed), Counter[str](), len(cluster.nodes)
    threads = [threading.Thread(target=each.send, args=(farm, 54.0 * chosen.minutes), daemon=True) for each in clients]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60.0 * chosen.minutes

    def kill() -> None:
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, chosen.every))
            if left > chosen.every and (what := kill_one(chance.choice(KINDS), farm, cluster, chance)):
                killed[what] += 1

    killer = threading.Thread(target=kill, name="killer", daemon=True)
    killer.start()
    while killer.is_alive():
        killer.join(0.2)
        if len(cluster.nodes) < nodes:
            cluster.add()  # Ray wants the main thread for that
    for thread in threads:
        thread.join()
    give_up = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < give_up and any(view["state"] not in ENDED for view in views(farm, clients)):
        time.sleep(1.0)
    return killed


def views(farm: Farm, clients: Sequence[Client]) -> list[dict[str, Any]]:
    """Every job that the list has."""
    return [view for client in clients for view in farm.of(client.user).get("/jobs?limit=1000")]


def waited(view: dict[str, Any]) -> float:
    """Seconds from when a job was sent until it began for the last time."""
    began = view["started"] or view["finished"]
    return (datetime.fromisoformat(began) - datetime.fromisoformat(view["created"])).total_seconds()


def ends_of(server: Http, job: str) -> int:
    """How often the events of a job tell that it has ended."""
    return sum(each.kind == "state" and each.data["state"] in ENDED for each in server.events(job))


def is_whole(server: Http, job: str) -> bool:
    """Whether the result is the job's, and its scene as long as it says."""
    scene = server.ask("GET", f"/jobs/{job}/files/scene.glb").body
    return bool(server.result(job)["job"] == job and int.from_bytes(scene[8:12], "little") == len(scene))


def judged(farm: Farm, clients: Sequence[Client], jobs: int) -> tuple[list[tuple[bool, str]], list[str]]:
    """Of all of `CHECKS` but the last whether it holds, and a figure; then a row for each user."""
    listed = views(farm, clients)
    owner = {view["id"]: farm.of(client.user) for client in clients for view in listed if view["user"] == client.user}
    states = Counter(view["state"] for view in listed)
    ends = Counter(ends_of(owner[view["id"]], view["id"]) for view in listed)
    done = [view for view in listed if view["state"] == "done"]
    whole = sum(is_whole(owner[view["id"]], view["id"]) for view in done)
    waits = defaultdict[str, list[float]](list)
    for view in listed:
        waits[view["user"]].append(waited(view))
    mean = statistics.mean(seconds for each in waits.values() for seconds in each)
    longest = max(statistics.mean(each) for each in waits.values())
    others = [f"{view['name']}: {view['problem']['detail']}" for view in listed if view["state"] == "failed"]
    checks = [
        (len(listed) == jobs and set(ends) == {1}, f"{sum(states[each] for each in ENDED)} of {jobs}"),
        (states["done"] == jobs, f"{states['done']} done{''.join(f'; {other}' for other in others)}"),
        (whole == len(done), f"{whole} of {len(done)}"),
        (longest <= 2 * mean, f"{longest:.1f} s, mean {mean:.1f} s"),
    ]
    rows = [
        f"| {user} | {len(each)} | {statistics.mean(each):.1f} s | {max(each):.1f} s |" for user, each in waits.items()
    ]
    return checks, rows


def job_seconds(data: Path, repeats: int, *options: str) -> float:
    """Median of what a stand-in that sleeps for no time takes, from its submission to its end, on a warm worker."""
    took = []
    with running(data, *options, SET_DRESSER_PLUGINS=stand_in.__name__) as server:
        for _ in range(repeats + 2):
            began = time.perf_counter()
            *_, last = server.events(server.submit(*PICTURE, {"seconds": 0.0}, STAND_IN))
            if last.data["state"] != "done":
                raise RuntimeError(f"a stand-in ended as {last.data}")
            took.append(last.moment - began)
    return statistics.median(took[2:])


def kills(folder: Path, cluster: LocalCluster, chosen: argparse.Namespace) -> None:
    """The disturbed part, and its tables."""
    names = [f"user-{number}" for number in range(1, chosen.users + 1)]
    jobs = [(STAND_IN, {"seconds": chosen.seconds})] * chosen.jobs + [("inflate", {})] * chosen.inflate
    random.Random(chosen.seed).shuffle(jobs)
    clients = [Client(name, jobs[number :: len(names)]) for number, name in enumerate(names)]
    farm = Farm(folder, cluster, chosen.most_slots, names)
    began = time.monotonic()
    try:
        killed = disturbed(farm, cluster, clients, chosen)
        taken = time.monotonic() - began
        checks, rows = judged(farm, clients, len(jobs))
    finally:
        farm.server.close(END_SECONDS)
    give_up = time.monotonic() + END_SECONDS
    while (
        left := cluster.processes(lambda command: is_worker(command) or is_actor(command))
    ) and time.monotonic() < give_up:
        time.sleep(0.2)
    checks.append((not left, f"{len(left)} workers and actors"))
    what = ", ".join(f"{count} × {kind}" for kind, count in sorted(killed.items())) or "nothing"
    print(f"{len(jobs)} jobs of {len(names)} users in {taken:.0f} s on {chosen.most_slots} slots; killed: {what}\n")
    print("| check | holds | figure |\n| --- | --- | --- |")
    for name, (holds, figure) in zip(CHECKS, checks, strict=True):
        print(f"| {name} | {'yes' if holds else 'NO'} | {figure} |")
    print("\n| user | jobs | mean wait | longest |\n| --- | --- | --- | --- |")
    print("\n".join(rows))
    sys.stdout.flush()


def undisturbed(folder: Path, cluster: LocalCluster, chosen: argparse.Namespace) -> None:
    """How fast it is, and its tables."""
    on_ray = ("--ray", cluster.address)
    print(f"\n| slots | stand-ins done in {chosen.seconds:g} s | of as many as slots |\n| --- | --- | --- |")
    for slots in chosen.slots:
        options = (*on_ray, "--ray-slots", str(slots))
        done = throughput(folder / f"slots-{slots}", slots, chosen.each, chosen.seconds, *options)
        print(f"| {slots} | {done:.2f} | {done / slots:.2f} |")
        sys.stdout.flush()
    here = job_seconds(folder / "here", chosen.repeats, "--slots", "1")
    there = job_seconds(folder / "there", chosen.repeats, *on_ray, "--ray-slots", "1")
    print("\n| a job of no time, warm | median |\n| --- | --- |")
    print(f"| worker of this machine | {1e3 * here:.0f} ms |\n| on the cluster | {1e3 * there:.0f} ms |")
    print(f"| beyond | {1e3 * (there - here):.0f} ms |")
    sys.stdout.flush()


def main(arguments: list[str] | None = None, cluster: LocalCluster | None = None) -> None:
    """cluster: one that is there already; it stays."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=(__doc__ or "").partition(":")[2])
    parser.add_argument("--minutes", type=float, default=5.0, help="of the disturbed part; 0: none (default: 5)")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=300, help="stand-ins (default: %(default)s)")
    parser.add_argument("--inflate", type=int, default=20, help="jobs of inflate (default: %(default)s)")
    parser.add_argument("--users", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a stand-in takes (default: %(default)s)")
    parser.add_argument("--most-slots", type=int, default=4, help="of the disturbed part (default: %(default)s)")
    parser.add_argument("--slots", type=int, nargs="*", default=[1, 2, 4], help="of the undisturbed part (1 2 4)")
    parser.add_argument("--each", type=int, default=8, help="stand-ins for each slot (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=20, help="of a job of no time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        own = cluster is None
        nodes = cluster or LocalCluster(folder / "machines", NODES, CORES)
        try:
            if chosen.minutes:
                kills(folder, nodes, chosen)
            if chosen.repeats:
                undisturbed(folder, nodes, chosen)
        finally:
            left = nodes.close() if own else []
        if left:
            raise RuntimeError(f"{len(left)} processes did not end with the cluster")


if __name__ == "__main__":
    main()
