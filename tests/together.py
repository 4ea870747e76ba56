"""`python -m tests.together MAKE TARGET…`: targets of make at the same time, the output of each in one piece.

The first one's output is shown as it comes. That of the others is written to build/TARGET.log and shown when all have
ended. Ends with 1 if any of them failed.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

LOGS = Path(__file__).resolve().parents[1] / "build"


@dataclass
class Target:
    """One that runs. `log`: where its output goes; None for the one that is shown as it comes."""

    name: str
    process: subprocess.Popen[Any]
    log: Path | None
    seconds: float | None = None


def start(make: str, name: str, log: Path | None, files: ExitStack) -> Target:
    """make, with its output and errors in a file or where ours go."""
    output: IO[bytes] | None = None if log is None else files.enter_context(log.open("wb"))
    errors = None if log is None else subprocess.STDOUT
    command = [make, "--no-print-directory", name]
    return Target(name, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors), log)


def wait(targets: list[Target], begun: float) -> None:
    """Until all have ended; notes how long each one took."""
    while any(target.seconds is None for target in targets):
        for target in targets:
            if target.seconds is None and target.process.poll() is not None:
                target.seconds = time.monotonic() - begun
        time.sleep(0.05)


def main(arguments: list[str]) -> int:
    make, *names = arguments
    LOGS.mkdir(exist_ok=True)
    begun = time.monotonic()
    targets: list[Target] = []
    with ExitStack() as files:
        try:
            for name in names:
                targets.append(start(make, name, LOGS / f"{name}.log" if targets else None, files))
            wait(targets, begun)
        finally:
            for target in targets:
                target.process.terminate()  # nothing happens to one that has ended
                target.process.wait()
    for target in targets:
        if target.log is not None:
            print(f"\n===== {target.name}", flush=True)
            with target.log.open("rb") as log:
                shutil.copyfileobj(log, sys.stdout.buffer)
            sys.stdout.flush()
    print()
    for target in targets:
        how = "passed" if target.process.returncode == 0 else "FAILED"
        print(f"{target.name} {how} after {target.seconds:.0f} s")
    return int(any(target.process.returncode for target in targets))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what runs is ended, too
    sys.exit(main(sys.argv[1:]))
