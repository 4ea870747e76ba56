"""The options of `serve` that give its jobs to a cluster."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backend.cluster.executor import MOST_SLOTS, RayExecutor
from backend.errors import Problem
from backend.jobs.executor import Executor
from backend.jobs.folders import storage_problem

INSTALL = 'Install it beside Set Dresser, on every machine of the cluster alike: pip install "ray[default]>=2.60".'
ADDRESS = re.compile(r"auto|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):(\d{1,5})")


@dataclass(frozen=True)
class Cluster:
    """Which cluster, and how it is used; see `RayExecutor`."""

    address: str
    slots: int | None = None
    shared_disk: bool = False

    def executor(self, data: Path, grace_seconds: float) -> Callable[[Path], Executor[Any]]:
        """What `JobService` takes. Raises Problem for a data folder that cannot be made."""
        jobs = data.absolute() / "jobs"
        try:
            jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise storage_problem(error, "The data folder cannot be used") from error
        return lambda log: RayExecutor(
            log, jobs, self.address, grace_seconds=grace_seconds, slots=self.slots, shared_disk=self.shared_disk
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    group = parser.add_argument_group("on a Ray cluster")
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run the jobs on this cluster: HOST:PORT of its head, or auto for the one that this machine is part of",
    )
    group.add_argument(
        "--ray-slots",
        type=int,
        metavar="N",
        help="run so many jobs at once (default: as many as the cluster has graphics cards, or else machines)",
    )
    group.add_argument(
        "--shared-disk",
        action="store_true",
        help="all machines see the data folder under the same path: files are not sent",
    )


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """The cluster that was chosen; None for none. Raises Problem("cluster-unusable")."""
    if options.ray is None:
        if options.ray_slots is not None or options.shared_disk:
            option = "--shared-disk" if options.ray_slots is None else "--ray-slots"
            raise Problem("cluster-unusable", f"{option} says nothing without a cluster.", "Name one: --ray HOST:PORT.")
        return None
    address = options.ray.strip()
    if address.startswith("ray://"):
        detail = f"{address} is for Ray's clients; the server takes part in the cluster itself."
        raise Problem(
            "cluster-unusable",
            detail,
            "Start Ray here (ray start --address=HOST:6379 --num-cpus=0 --num-gpus=0), then give --ray HOST:6379.",
        )
    found = ADDRESS.fullmatch(address)
    if found is None or (found[2] and not 0 < int(found[2]) < 65536):
        raise Problem("cluster-unusable", f"{address[:80]!r} is no address of a cluster.", "Give HOST:PORT, or auto.")
    if options.slots is not None:
        detail = "--slots is for jobs on this machine, and with --ray none run here."
        raise Problem("cluster-unusable", detail, "Use --ray-slots.")
    if options.ray_slots is not None and not 1 <= options.ray_slots <= MOST_SLOTS:
        raise Problem("cluster-unusable", f"1 to {MOST_SLOTS} jobs can run at once, not {options.ray_slots}.")
    if sys.platform != "linux":
        raise Problem("cluster-unusable", "Clusters are for Linux.", "Run the server on a Linux machine.")
    if find_spec("ray") is None:
        raise Problem("cluster-unusable", "Ray is not installed in this Python.", INSTALL)
    return Cluster(address, options.ray_slots, options.shared_disk)
