"""The one place that knows Ray: machines, actors, and what it means when a call fails."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from backend.cluster.machines import CPU, GPU, RESOURCES, Machine
from backend.cluster.node import NodeWorker

CONNECT_SECONDS = 5.0
KEEP_ALIVE_CALLS = 4
"""Methods of an actor that may run at once: two wait most of the time."""


NOT_MADE = "creation task"
"""What Ray says where an actor has raised before it was there, in the middle of a longer text."""


class Away(Exception):
    """The cluster cannot be reached, as a sentence."""


class Gone(Exception):
    """An actor, or the machine it was on, is gone; as the end of a sentence."""


class Broken(Exception):
    """A method of an actor has raised, as a sentence."""


class Rays:
    """A connection to a cluster, which this process has one of.

    address: HOST:PORT of its head, or "auto" for the one that runs on this machine. Raises Away.
    """

    def __init__(self, address: str) -> None:
        if address != "auto":
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
            except OSError as error:
                raise Away(f"nothing answers at {address} ({error})") from error
        import ray

        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level="WARNING", include_dashboard=False)
        except Exception as error:
            raise Away(_first_line(error)) from error

    def machines(self) -> list[Machine]:
        """Those that are alive. Raises Away."""
        from ray._private import state

        try:
            free = state.available_resources_per_node()
            nodes = self._ray.nodes()
        except Exception as error:
            raise Away(_first_line(error)) from error
        return [
            Machine(
                str(node["NodeID"]),
                str(node["NodeManagerHostname"]),
                _known(node["Resources"]),
                _known(free.get(node["NodeID"], {})),
            )
            for node in nodes
            if node["Alive"]
        ]

    def start(self, machine: str, resources: Mapping[str, float], *arguments: Any) -> Actor:
        """A `NodeWorker` on a machine, begun but not there yet."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        others = {name: amount for name, amount in resources.items() if name not in (CPU, GPU)}
        made = self._ray.remote(NodeWorker).options(
            num_cpus=resources.get(CPU, 0.0),
            num_gpus=resources.get(GPU, 0.0),
            resources=others,
            max_concurrency=KEEP_ALIVE_CALLS,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(machine, soft=False),
        )
        return Actor(self._ray, made.remote(*arguments))


class Actor:
    """A `NodeWorker` somewhere else. It ends with this process, however that ends."""

    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle
        self._killed = False

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Raises Gone, Broken, and TimeoutError."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(getattr(self._handle, method).remote(*arguments), timeout=timeout)
        except errors.GetTimeoutError as error:
            raise TimeoutError(f"{method} took longer than {timeout} s") from error
        except errors.RayTaskError as error:
            raise Broken(_first_line(error.cause) if error.cause else _first_line(error)) from error
        except errors.RayError as error:
            if NOT_MADE in str(error):
                raise Broken(str(error).strip().splitlines()[-1].strip()[:300]) from error
            raise Gone(_first_line(error)) from error

    def kill(self) -> None:
        """End it at once, with what it has started."""
        if not self._killed:
            self._killed = True
            try:
                self._ray.kill(self._handle, no_restart=True)
            except self._ray.exceptions.RayError as error:
                raise Gone(_first_line(error)) from error


def _known(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: float(resources[name]) for name in RESOURCES if name in resources}


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]
