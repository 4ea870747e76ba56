"""Sets of files made to do harm, tried in a process of their own that tells how it went.

    python -m tests.backend.hostile_sets scenes 0 1000

prints {"refused", "taken", "uncaught": [[seed, error]], "slowest": [seconds, seed], "peak": bytes}. Seconds are the
processor's. A file that takes `PATIENCE` seconds by the clock ends the process with the place where it hangs.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
SETS = {
    "scenes": "tests.backend.registration.hostile_glbs",
    "checkpoints": "tests.models.hostile_checkpoints",
    "pictures": "tests.backend.imaging.hostile_pictures",
}
"""A set -> its module, which has `attempt(seed, folder)` and `REFUSALS`, the errors that are promised."""


@dataclass(frozen=True)
class Outcome:
    """How a set went: counts of files, [seed, error] of what was not promised, [seconds, seed], bytes."""

    refused: int
    taken: int
    uncaught: list[list[object]]
    slowest: list[float]
    peak: int


def outcome(name: str, seeds: range) -> Outcome:
    """Try a set in a process of its own. Its memory counts from nothing, and whatever it does to itself, it is gone."""
    command = [sys.executable, "-m", "tests.backend.hostile_sets", name, str(seeds.start), str(seeds.stop)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def peak_bytes() -> int:
    """The most memory this process has had in use; 0 where the system does not say."""
    status = Path("/proc/self/status")  # what getrusage tells has that of the process that started this one in it
    if not status.is_file():
        return 0
    lines = status.read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def main(name: str, first: str, last: str) -> None:
    import tempfile

    module = importlib.import_module(SETS[name])
    refused = taken = 0
    uncaught: list[list[object]] = []
    slowest = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(int(first), int(last)):
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            began = time.process_time()
            try:
                module.attempt(seed, Path(folder))
                taken += 1
            except module.REFUSALS:
                refused += 1
            except BaseException as error:  # noqa: BLE001 - what is not promised is what is looked for
                uncaught.append([seed, repr(error)[:300]])
            slowest = max(slowest, [time.process_time() - began, float(seed)])
            faulthandler.cancel_dump_traceback_later()
    print(json.dumps(Outcome(refused, taken, uncaught, slowest, peak_bytes()).__dict__))


if __name__ == "__main__":
    main(*sys.argv[1:])
