"""`python -m tests.gui [trixie sid …]`: the journey in real Blender windows, pictures in build/gui/<version>.

Needs root, and Debian's packages the first time. Where it cannot run it says why and ends well; a step that fails ends
its journey, with a picture and the logs, and the program with 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import traceback
from pathlib import Path

import build_addon
from tests.gui import root
from tests.gui.display import Display
from tests.gui.journey import STEPS
from tests.gui.machine import Machine, clear
from tests.gui.trip import Trip

OUT = root.PROJECT / "build" / "gui"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gui", description=__doc__)
    parser.add_argument("suites", nargs="*", default=root.SUITES, help="Debian suites; both if left out")
    parser.add_argument("--zip", type=Path, help="the add-on to try; packed from this checkout if left out")
    parser.add_argument("--to", default=STEPS[-1].__name__, help="the last step to take")
    chosen = parser.parse_args()
    if reason := root.hindrance():
        print(f"skipped: tests/gui: {reason}")
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    archive = chosen.zip or build_addon.build(destination=OUT)
    good = True
    for suite in chosen.suites:
        try:
            place = root.find_or_build(suite)
        except root.CannotBuild as error:
            print(f"skipped: tests/gui [{suite}]: {error}")
            continue
        good = take(place, archive, chosen.to) and good
    return 0 if good else 1


def take(place: root.Root, archive: Path, last: str) -> bool:
    """One journey; whether every step was taken."""
    folder = clear(OUT / place.version)
    stage = folder / "stage"
    (stage / "home").mkdir(parents=True)
    print(f"\nBlender {place.version} ({place.suite})", flush=True)
    here = [path for path in {Path(sys.prefix), Path(sys.base_prefix)} if path != Path("/usr")]
    with Machine(place, stage, here) as machine:
        trip = Trip(machine, Display(machine), folder, archive)
        try:
            taken = _walk(trip, last)
        finally:
            trip.close()
    _keep_logs(stage, folder)
    (folder / "report.json").write_text(json.dumps({"steps": taken, "facts": trip.facts}, indent=1) + "\n")
    for what, value in trip.facts.items():
        print(f"  {what}: {value}")
    return all(step["problem"] == "" for step in taken)


def _walk(trip: Trip, last: str) -> list[dict[str, object]]:
    taken: list[dict[str, object]] = []
    for step in STEPS:
        trip.step = step.__name__.replace("_", "-")
        began, problem = time.monotonic(), ""
        try:
            step(trip)
            trip.expect_no_problem()
            path = trip.shot()
        except Exception:  # noqa: BLE001 - reported, and the journey fails
            problem = traceback.format_exc()
            path = trip.shot("failed", as_it_is=True)
        seconds = time.monotonic() - began
        taken.append({"step": step.__name__, "seconds": round(seconds, 1), "problem": problem})
        print(f"  {'FAILED' if problem else 'ok':<7}{seconds:6.1f} s  {step.__name__.replace('_', ' ')}", flush=True)
        if problem:
            print(f"{problem}\nPicture: {path}\nLogs: {trip.folder}")
            break
        if step.__name__ == last:
            break
    return taken


def _keep_logs(stage: Path, folder: Path) -> None:
    """What can be read goes beside the pictures; the rest, with an environment of hundreds of megabytes, goes."""
    logs = clear(folder / "logs")
    for path in [*stage.glob("*.log"), *stage.glob("*.jsonl"), *stage.glob("home/**/logs/*.log")]:
        shutil.copyfile(path, logs / path.name)
    shutil.rmtree(stage)


if __name__ == "__main__":
    sys.exit(main())
