"""The process that talks to a Ray cluster: `python -m backend.cluster.driver <pid of the server> <address> <jobs>
<"shared" or "apart">`.

Standard input: {"type": "start", "slot", "serial", "resources", "models"}, which begins a worker on the machine that
suits best; {"type": "send", "slot", "serial", "message"} for that worker; {"type": "end", "slot", "serial", "kill"}.
Standard output: {"type": "cluster", "machines"} at first and whenever that changes; {"type": "said", "slot", "serial",
"message"}; and at last {"type": "gone", "slot", "serial", "cause", "why"}; {"type": "away", "why"} before it ends by
itself, because the cluster is.

In Ray's eyes the workers belong to this process: when it ends, however that happens, they do. It is apart from the
server because Ray ends the process that uses it when a cluster's head is gone.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from backend.cluster.line import Cause, Line, Models
from backend.cluster.machines import CPU, Machine
from backend.cluster.models import HASHES, Hashes
from backend.cluster.rays import Away, Rays
from backend.jobs.channel import Message, encode, messages
from backend.jobs.child import die_with, leave, take_pipes
from backend.plugins import VARIABLE as PLUGINS
from backend.weights import VARIABLE as MODELS

LOOK_SECONDS = 0.5
ANSWER_SECONDS = 45.0
REST_SECONDS = (5.0, 15.0, 60.0, 300.0)
"""For so long no worker is begun on a machine where one has not started; longer where that comes again and again."""

SETTINGS = (PLUGINS,)
logger = logging.getLogger(__name__)


class Driver:
    """Begins workers and passes on what is said. jobs: the folder of all jobs. shared: the machines see it, too."""

    def __init__(self, rays: Rays, jobs: Path, shared: bool, replies: Any) -> None:
        self._rays = rays
        self._jobs = jobs
        self._shared = shared
        self._replies = replies
        self._sending = threading.Lock()
        self._lines: dict[tuple[int, int], tuple[Line, Mapping[str, float]]] = {}
        self._told: list[dict[str, Any]] | None = None
        self._rested: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._answered = time.monotonic()
        self._models = Models(Hashes(jobs.parent / HASHES), defaultdict(threading.Lock), defaultdict(set))

    def serve(self, commands: Any) -> NoReturn:
        threading.Thread(target=self._watch, name="cluster", daemon=True).start()
        threading.Thread(target=self._guard, name="guard", daemon=True).start()
        for message in messages(commands):
            key = (message["slot"], message["serial"])
            if message["type"] == "start":
                try:
                    self._start(key, message["resources"], frozenset(message["models"]))
                except Exception as error:  # one that does not start must not end the others
                    logger.exception("no worker can be begun")
                    why = f"No worker can be begun ({type(error).__name__})."
                    self._say({"type": "gone", "slot": key[0], "serial": key[1], "cause": "not-started", "why": why})
            elif key in self._lines:
                line, _ = self._lines[key]
                if message["type"] == "send":
                    line.send(message["message"])
                else:
                    line.end("ended", "", kill=message["kill"])
        leave()

    def _start(self, key: tuple[int, int], resources: Mapping[str, float], models: frozenset[str]) -> None:
        def tell(message: Message) -> None:
            if message["type"] == "ready":
                self._failures.pop(machine.id, None)
            self._say({"type": "said", "slot": key[0], "serial": key[1], "message": message})

        def gone(cause: Cause, why: str) -> None:
            if cause == "not-started":
                failures = self._failures.get(machine.id, 0)
                self._failures[machine.id] = failures + 1
                pause = REST_SECONDS[min(failures, len(REST_SECONDS) - 1)]
                self._rested[machine.id] = time.monotonic() + pause
            self._lines.pop(key, None)
            self._say({"type": "gone", "slot": key[0], "serial": key[1], "cause": cause, "why": why})

        fitting = [each for each in self._machines() if each.has_room(resources)]
        if fitting:
            machine = max(fitting, key=lambda each: self._suits(each, models))
            wanted = (*SETTINGS, MODELS) if self._shared else SETTINGS
            settings = {name: os.environ[name] for name in wanted if name in os.environ}
            remote = self._rays.start(machine.id, resources, settings, str(self._jobs.parent) if self._shared else "")
            line = Line(remote, machine, self._jobs, self._models, shared=self._shared, tell=tell, gone=gone)
            self._lines[key] = line, resources
        else:
            self._say({"type": "gone", "slot": key[0], "serial": key[1], "cause": "full", "why": "There is no room."})
        self._report(anew=True)

    def _machines(self) -> list[Machine]:
        """Those that workers can be begun on. What Ray tells as free is a moment old, so that the workers of this
        process are counted here, too."""
        try:
            found = self._rays.machines()
        except Away as error:
            self._end(str(error))
        self._answered = time.monotonic()
        ours = [(line.machine.id, resources) for line, resources in list(self._lines.values())]
        for number, each in enumerate(found):
            taken = [resources for machine, resources in ours if machine == each.id]
            free = {
                name: min(each.free.get(name, 0.0), total - sum(one.get(name, 0.0) for one in taken))
                for name, total in each.total.items()
            }
            found[number] = replace(each, free=free)
        return [each for each in found if self._is_used(each)]

    def _report(self, *, anew: bool) -> None:
        """Tell how the cluster is, if that has changed, or `anew` in any case."""
        machines = [each.document() for each in self._machines()]
        if anew or machines != self._told:
            self._told = machines
            self._say({"type": "cluster", "machines": machines})

    def _is_used(self, machine: Machine) -> bool:
        return time.monotonic() > self._rested.get(machine.id, 0.0)

    def _suits(self, machine: Machine, models: frozenset[str]) -> tuple[int, float]:
        """Where the models are already, and then where most is free."""
        return len(models & self._models.filled[machine.id]), machine.free.get(CPU, 0.0)

    def _watch(self) -> NoReturn:
        while True:
            self._report(anew=False)
            time.sleep(LOOK_SECONDS)

    def _guard(self) -> NoReturn:
        """End where the cluster does not answer: Ray itself waits for a minute, and takes the process with it."""
        while True:
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - self._answered > ANSWER_SECONDS:
                self._end(f"its head has not answered for {ANSWER_SECONDS:.0f} s")

    def _end(self, why: str) -> NoReturn:
        self._say({"type": "away", "why": why})
        leave()

    def _say(self, message: Message) -> None:
        line = encode(message)
        with self._sending:
            self._replies.write(line)
            self._replies.flush()


def main() -> NoReturn:
    server, address, jobs, shared = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4] == "shared"
    die_with(server)
    commands, replies = take_pipes()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        rays = Rays(address)
    except Away as error:
        replies.write(encode({"type": "away", "why": str(error)}))
        replies.flush()
        leave()
    Driver(rays, jobs, shared, replies).serve(commands)


if __name__ == "__main__":
    main()
