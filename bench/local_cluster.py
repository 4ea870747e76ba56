"""A Ray cluster of several nodes on this machine, for benchmarks and tests, and the means to take it apart."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MARK = "SET_DRESSER_CLUSTER_MARK"
STORE_BYTES = 80 << 20
GONE_SECONDS = 20.0
START_SECONDS, TRIES = 60.0, 5
"""That a node may take to start, and how often it is tried; Ray itself gives it half a minute."""

SETTINGS = {"RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0", "OMP_NUM_THREADS": "1"}
"""Nothing is started that nobody has asked for: each of Ray's own processes is 80 MB of Python."""


class LocalCluster:
    """A head, and nodes that believe to be machines; their processes are told by their environment.

    home: what SET_DRESSER_HOME is there, the data folder of the machines. nodes: beside the head. cores: of each.
    head_cores: of the head, which runs nothing without. variables: more of the environment.
    """

    def __init__(self, home: Path, nodes: int, cores: int = 2, head_cores: int = 0, **variables: str) -> None:
        from ray.cluster_utils import Cluster

        self._mark = secrets.token_hex(8)
        self._cores, self._head_cores = cores, head_cores
        told = {
            **SETTINGS,
            MARK: self._mark,
            "SET_DRESSER_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        self._before = {name: os.environ.get(name) for name in (*told, "PYTHONDONTWRITEBYTECODE")}
        os.environ.update(told)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self._cluster: Any = Cluster()
        try:
            self._add(head_cores)
            for _ in range(nodes):
                self.add()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """HOST:PORT of the head."""
        return str(self._cluster.address)

    @property
    def nodes(self) -> list[Any]:
        """Those beside the head."""
        return list(self._cluster.worker_nodes)

    def add(self) -> None:
        """One more node."""
        self._add(self._cores)

    def _add(self, cores: int, **options: Any) -> None:
        settings = {"object_store_memory": STORE_BYTES, "include_dashboard": False, "include_log_monitor": False}
        settings.update(options)
        for left in range(TRIES - 1, -1, -1):
            try:
                with _patience():
                    self._cluster.add_node(num_cpus=cores, wait=False, **settings)
                return
            except Exception as error:  # Ray's own kind; a raylet ends by itself where its helpers come too late
                if not left:
                    raise
                print(f"a node has not started: {error}", file=sys.stderr)

    def kill(self, node: Any) -> None:
        """End a node as a power cut would: its raylet is killed, and the cluster is not told."""
        raylet = node.all_processes["raylet"][0].process
        raylet.kill()
        raylet.wait()
        self._cluster.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        """End the head of the cluster: nobody can reach it any more."""
        for kind in ("gcs_server", "raylet"):
            for each in self._cluster.head_node.all_processes[kind]:
                each.process.kill()
                each.process.wait()

    def begin_anew(self) -> None:
        """A head at the address of the one that was killed, and as many nodes as there were, as whoever looks after the
        cluster starts them again."""
        nodes, port = len(self.nodes), int(self.address.rpartition(":")[2])
        self._cluster.shutdown()
        self._add(self._head_cores, gcs_server_port=port)
        for _ in range(nodes):
            self.add()

    def processes(self, what: Callable[[str], bool] = lambda command: True) -> list[int]:
        """Those that belong to it and whose command line is as asked for, this process not among them."""
        mine = f"{MARK}={self._mark}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mine in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found += [int(folder.name)] * (bool(command) and what(command))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended just now, or is another user's
        return sorted(found)

    def close(self) -> list[int]:
        """End everything; the processes that had to be killed by hand. Jobs must not use it any more."""
        self._cluster.shutdown()
        give_up = time.monotonic() + GONE_SECONDS
        while (left := self.processes()) and time.monotonic() < give_up:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        return left


@contextmanager
def _patience() -> Iterator[None]:
    """Inside, Ray waits for `START_SECONDS` until a node that it has started is known to the head."""
    from ray._private import services

    ask = services.get_node

    def get_node(*arguments: Any) -> Any:
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                return ask(*arguments)
            except RuntimeError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = ask


def is_worker(command: str) -> bool:
    """Whether a command line is that of a worker process."""
    return "backend.jobs.worker" in command


def is_actor(command: str) -> bool:
    """Whether a command line is that of an actor of ours."""
    return command.startswith("ray::NodeWorker")
