"""Backend figures, as JSON on standard output: run by `python -m bench` in the backend's environment."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.pictures import picture
from bench.server import Server, running

STARTS = 7
JOBS = 15
SIZES = (256, 512, 1024, 2048)
REPEATS = 3


def server_ready(folder: Path) -> list[float]:
    """Seconds from starting the process to its handshake."""
    times = []
    for index in range(STARTS):
        with running(folder / f"start-{index}") as server:
            times.append(server.ready_seconds)
    return times


def small_jobs(server: Server) -> dict[str, list[float]]:
    """Of small jobs in a warm worker: submit -> first progress event, and what a job costs beyond its pipeline."""
    image, instances = picture(128, 1)
    first, overhead = [], []
    for _ in range(JOBS):
        began = time.perf_counter()
        job = server.submit(image, instances)
        arrivals = [(moment, kind) for moment, kind, _ in server.events(job)]
        first.append(next(moment for moment, kind in arrivals if kind == "progress") - began)
        overhead.append(arrivals[-1][0] - began - server.result(job)["seconds"])
    return {"submit_to_first_progress": first, "overhead": overhead}


def pictures(server: Server) -> list[dict[str, Any]]:
    """Seconds of `inflate` by size, five instances a picture; medians."""
    rows = []
    for size in SIZES:
        image, instances = picture(size, 5)
        walls, stages, faces, memory = [], [], 0, 0
        for _ in range(REPEATS):
            began = time.perf_counter()
            job = server.submit(image, instances)
            end = [moment for moment, _, _ in server.events(job)][-1]
            result = server.result(job)
            walls.append(end - began)
            stages.append({row["stage"]: row["seconds"] for row in result["timings"]})
            faces = sum(prop["faces"] for prop in result["props"])
            memory = result["peak_memory_bytes"] or 0
        rows.append(
            {
                "size": size,
                "instances": 5,
                "faces": faces,
                "wall": median(walls),
                "stages": {name: median(row[name] for row in stages) for name in stages[0]},
                "per_instance": median(sum(row.values()) for row in stages) / 5,
                "peak_memory_bytes": memory,
            }
        )
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, Any] = {"server_ready": server_ready(folder)}
        with running(folder / "warm") as server:
            server.wait_until_warm()
            figures.update(small_jobs(server))
            figures["inflate"] = pictures(server)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
