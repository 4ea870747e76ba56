"""`python -m bench.hi3d`: operations, memory and, on a graphics card, seconds of Hi3D's two stages.

Needs no weights: the networks are random and as large as the published ones. On a CPU nothing of that size is run: one
orbit would take hours; there operations are counted on the meta device, with the memory that the plans predict.
"""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from backend.devices import choose
from backend.memory import with_margin
from bench import hi3d_networks, hi3d_sizes
from bench.hi3d_networks import TERA, Counted, Ran
from models.hi3d.files import ORBIT, REFINE, Stage
from models.hi3d.memory import needed_bytes, ways
from models.hi3d.schedule import STEPS
from models.writing import write_json

STAGES = (ORBIT, REFINE)
MEMORY_BAR = 9.0e9
"""Bytes of stage 2 at 16 bits in published quality."""

SAME_BAR, OTHER_BAR = 0.98, 0.75
"""Shares of the reference's operations: with the same numbers, and with others."""


def operations_table(counted: dict[int, Counted]) -> str:
    """Of each part, and of whole runs."""
    lines = [["one use of", *(f"stage {stage.number}, TFLOP" for stage in STAGES)], ["---"] * 3]
    for name in dict.fromkeys(name for each in counted.values() for name in each.parts):
        found = [counted[stage.number].parts.get(name) for stage in STAGES]
        lines.append([name, *("–" if each is None else f"{each / TERA:.2f}" for each in found)])
    for name in ("reference", "ours", "interval"):
        values = [getattr(counted[stage.number], name) for stage in STAGES]
        shares = [value / counted[stage.number].reference for value, stage in zip(values, STAGES, strict=True)]
        title = {"reference": "the reference's", "ours": "ours, the same numbers", "interval": "ours, guided in part"}
        cells = [f"{value / TERA:.0f} ({share:.3f})" for value, share in zip(values, shares, strict=True)]
        lines.append([f"**a run of {STEPS} steps, {title[name]}**", *cells])
    return _table(lines)


def memory_table(stage: Stage, ran: Ran | None) -> str:
    """What each way is predicted to need at 16 bits, and what was measured."""
    lines = [[f"stage {stage.number}, 16 bits", "predicted", "with the margin", "a step, measured"], ["---"] * 4]
    for way in ways(stage):
        needed = needed_bytes(stage, way, hi3d_sizes.PARAMETERS[stage.number], 2)
        peak = None if ran is None else ran.peaks.get(f"a step, {way.name}")
        seconds = None if ran is None else ran.seconds.get(f"a step, {way.name}")
        if ran is None:
            measured = "not run"
        elif seconds is None:
            measured = "out of memory"
        else:
            measured = f"{seconds:.2f} s" + ("" if peak is None else f", {peak / 1e9:.2f} GB")
        lines.append([way.manner, f"{needed / 1e9:.2f} GB", f"{with_margin(needed) / 1e9:.2f} GB", measured])
    return _table(lines)


def differences_table(found: dict[str, dict[str, float]]) -> str:
    """What other settings change, on small random networks."""
    names = list(next(iter(found.values())))
    lines = [["changes of the latents, small random networks", *found], ["---"] * (1 + len(found))]
    lines += [[name, *(f"{each[name]:.1%}" for each in found.values())] for name in names]
    return _table(lines)


def verdicts(counted: dict[int, Counted]) -> list[str]:
    """The bars, and whether they were held."""
    halves = next(way for way in ways(REFINE) if way.name == "halves")
    needed = needed_bytes(REFINE, halves, hi3d_sizes.PARAMETERS[2], 2)
    held = _held(needed <= MEMORY_BAR)
    found = [
        f"Stage 2 in published quality: {needed / 1e9:.2f} GB predicted; the bar of {MEMORY_BAR / 1e9} GB is {held}."
    ]
    for name, title, bar in (("ours", "the same numbers", SAME_BAR), ("interval", "guided in part", OTHER_BAR)):
        share = max(getattr(each, name) / each.reference for each in counted.values())
        found.append(f"Operations, {title}: {share:.3f} of the reference's; the bar of {bar} is {_held(share <= bar)}.")
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hi3d", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1; on the CPU nothing is run")
    parser.add_argument("--dtype", choices=["float16", "bfloat16"], default="float16")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="of the runs on small networks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    found = choose(chosen.device)
    counted = {stage.number: hi3d_networks.count(stage) for stage in STAGES}
    ran = {
        stage.number: None if found.kind == "cpu" else hi3d_networks.run(stage, found, getattr(torch, chosen.dtype))
        for stage in STAGES
    }
    with torch.inference_mode():
        differences = hi3d_networks.differences(steps=chosen.steps)
    print(f"Hi3D at the published sizes, random weights, {found.title}, PyTorch {torch.__version__}\n")
    print(operations_table(counted))
    for stage in STAGES:
        print(f"\n{memory_table(stage, ran[stage.number])}")
    print(f"\n{differences_table(differences)}\n")
    print("\n".join(verdicts(counted)))
    if chosen.json:
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
        document: dict[str, Any] = {
            "machine": machine,
            "date": datetime.now(UTC).date().isoformat(),
            "device": found.title,
            "operations": {number: asdict(each) for number, each in counted.items()},
            "run": {number: None if each is None else asdict(each) for number, each in ran.items()},
            "differences": differences,
        }
        write_json(chosen.json, document)


def _held(held: bool) -> str:
    return "held" if held else "NOT held"


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
