"""Backend figures, as JSON on standard output: run by `python -m bench` in the backend's environment.

`python -m bench.backend full`, or the name of another amount of `bench.amounts`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.amounts import AMOUNTS, INSTANCES
from bench.pictures import picture
from bench.server import Server, running


def server_ready(folder: Path, starts: int) -> list[float]:
    """Seconds from starting the process to its handshake."""
    times = []
    for index in range(starts):
        with running(folder / f"start-{index}") as server:
            times.append(server.ready_seconds)
    return times


def small_jobs(server: Server, jobs: int) -> dict[str, list[float]]:
    """Of small jobs in a warm worker: submit -> first progress event, and what a job costs beyond its pipeline."""
    image, instances = picture(128, 1)
    first, overhead = [], []
    for _ in range(jobs):
        began = time.perf_counter()
        job = server.submit(image, instances)
        arrivals = list(server.events(job))
        first.append(next(event.moment for event in arrivals if event.kind == "progress") - began)
        overhead.append(arrivals[-1].moment - began - server.result(job)["seconds"])
    return {"submit_to_first_progress": first, "overhead": overhead}


def pictures(server: Server, sizes: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Seconds of `inflate` by size; medians."""
    rows = []
    for size in sizes:
        image, instances = picture(size, INSTANCES)
        walls, stages, faces, memory = [], [], 0, 0
        for _ in range(repeats):
            began = time.perf_counter()
            job = server.submit(image, instances)
            *_, last = server.events(job)
            result = server.result(job)
            walls.append(last.moment - began)
            stages.append({row["stage"]: row["seconds"] for row in result["timings"]})
            faces = sum(prop["faces"] for prop in result["props"])
            memory = result["peak_memory_bytes"] or 0
        rows.append(
            {
                "size": size,
                "instances": INSTANCES,
                "faces": faces,
                "wall": median(walls),
                "stages": {name: median(row[name] for row in stages) for name in stages[0]},
                "per_instance": median(sum(row.values()) for row in stages) / INSTANCES,
                "peak_memory_bytes": memory,
            }
        )
    return rows


def main() -> None:
    amount = AMOUNTS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, Any] = {"server_ready": server_ready(folder, amount.starts)}
        with running(folder / "warm") as server:
            server.wait_until_warm()
            figures.update(small_jobs(server, amount.jobs))
            figures["inflate"] = pictures(server, amount.sizes, amount.repeats)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
