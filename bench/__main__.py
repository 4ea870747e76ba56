"""`python -m bench` in a Blender environment: prints a table, writes build/bench.json.

Absolute times belong to the machine they were taken on; the file says which.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import blender

OUTPUT = Path(__file__).parents[1] / "build" / "bench.json"


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The table: what was measured, and the figure."""
    table = [
        ("server ready, handshake", _spread(figures["server_ready"])),
        ("submit to first progress event, warm worker", _spread(figures["submit_to_first_progress"])),
        ("job overhead beyond the pipeline", _spread(figures["overhead"])),
    ]
    for row in figures["inflate"]:
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in row["stages"].items())
        memory = row["peak_memory_bytes"] / 1e9
        text = f"{row['wall']:.2f} s ({stages}; {row['per_instance']:.2f} an instance; {row['faces']} faces;"
        table.append((f"inflate, {row['instances']} instances, {row['size']}²", f"{text} {memory:.2f} GB peak)"))
    for row in figures["blender"]["import"]:
        what = f"import {row['props']} x {blender.TRIANGLES} triangles ({row['bytes'] / 1e6:.0f} MB)"
        table.append((what, f"{row['seconds']:.2f} s"))
    held = figures["blender"]["slices"]
    text = f"95 % under {held['p95'] * 1e3:.2f} ms, longest {held['longest'] * 1e3:.2f} ms of {held['slices']:.0f}"
    table.append(("main-thread slice during a job", text))
    return table


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.3f} s (median of {len(seconds)}; {min(seconds):.3f} to {max(seconds):.3f})"


def main() -> None:
    figures = blender.run_backend("bench.backend")
    figures["blender"] = blender.main()
    figures["machine"] = {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    figures["date"] = datetime.now(UTC).date().isoformat()
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    part = OUTPUT.with_suffix(".part")
    part.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    part.replace(OUTPUT)
    table = rows(figures)
    width = max(len(what) for what, _ in table)
    for what, figure in table:
        print(f"{what:<{width}}  {figure}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
