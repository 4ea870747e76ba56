"""`python -m bench` in a Blender environment: prints a table, writes build/bench.json.

Absolute times belong to the machine they were taken on; the file says which.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import blender
from bench.amounts import AMOUNTS, INSTANCES, Amount

OUTPUT = Path(__file__).parents[1] / "build" / "bench.json"


def titles(amount: Amount) -> list[str]:
    """What is measured, row by row; docs/benchmarks.md has the same words."""
    return [
        "server ready: process start to handshake",
        "submit to first progress event, warm worker",
        "job overhead beyond the pipeline's own time",
        *(f"inflate, {INSTANCES} instances, {size}²" for size in amount.sizes),
        *(f"import into Blender, {count} × {amount.triangles:,} triangles" for count in amount.props),
        "main-thread slice during a job, without rendering and import",
    ]


def rows(amount: Amount, figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The table: what was measured, and the figure."""
    texts = [_spread(figures[name]) for name in ("server_ready", "submit_to_first_progress", "overhead")]
    for row in figures["inflate"]:
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in row["stages"].items())
        memory = row["peak_memory_bytes"] / 1e9
        text = f"{row['wall']:.2f} s ({stages}; {row['per_instance']:.2f} an instance; {row['faces']} faces;"
        texts.append(f"{text} {memory:.2f} GB peak)")
    texts += [f"{row['seconds']:.2f} s ({row['bytes'] / 1e6:.0f} MB)" for row in figures["blender"]["import"]]
    held = figures["blender"]["slices"]
    longest = f"longest {held['longest'] * 1e3:.2f} ms of {held['slices']:.0f}"
    texts.append(f"95 % under {held['p95'] * 1e3:.2f} ms, {longest}")
    return list(zip(titles(amount), texts, strict=True))


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.3f} s (median of {len(seconds)}; {min(seconds):.3f} to {max(seconds):.3f})"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--amount", choices=list(AMOUNTS), default="full", help="least: whether it works, in seconds")
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="FILE", help="where all figures are written")
    chosen = parser.parse_args(arguments)
    amount = AMOUNTS[chosen.amount]
    figures = blender.run_backend("bench.backend", chosen.amount)
    figures["blender"] = blender.main(amount)
    figures["machine"] = {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    figures["date"] = datetime.now(UTC).date().isoformat()
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    part = chosen.json.with_suffix(".part")
    part.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    part.replace(chosen.json)
    table = rows(amount, figures)
    width = max(len(what) for what, _ in table)
    for what, figure in table:
        print(f"{what:<{width}}  {figure}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
