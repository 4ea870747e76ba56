"""`python -m bench.midi`: seconds and memory of each stage of MIDI, the fast way beside the published way.

Needs no weights: the networks are random and as large as the published ones, pictures and conditions are noise, and the
decoder finds the surfaces of a furnished scene (`bench.shapes`) while every point is paid for with a query of the
network. On a CPU the networks are smaller, which is said; such figures compare the two ways and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from backend import devices
from backend.memory import choose_dtype
from bench.midi_sizes import SIZES, Size
from bench.midi_stages import TURNS, Measured, Meter, agreement, decoding, denoising, encoding
from bench.shapes import SCENE
from models.midi.decoding import PASSES

INSTANCES = [1, 3, 5, 8]
STEPS = [15, 30, 50]
AGREES = 1e-4
"""In float32 the two ways differ by rounding only: a few millionths at the tiny size."""


def measure(
    size: Size, found: devices.Device, instances: list[int], timed_steps: int, timed_chunks: int
) -> dict[str, dict[int, Measured]]:
    """Both ways, by number of instances. One network is held at a time, as in the pipeline."""
    meter, dtype = Meter(found), getattr(torch, choose_dtype(found))
    fast, plain = ({count: Measured() for count in instances} for _ in range(2))
    encoding(size, meter, dtype, fast)
    for count in instances:
        plain[count].encode, plain[count].peak["encode"] = fast[count].encode, fast[count].peak.get("encode")
    denoising(size, meter, dtype, fast, plain, timed_steps)
    decoding(size, meter, dtype, fast, plain, timed_chunks)
    return {"fast": fast, "published": plain}


def table(ways: dict[str, dict[int, Measured]], steps: list[int]) -> str:
    """A Markdown table: two lines for each number of instances, and what the fast way takes of the other."""
    head = ["n", "way", "encode", "contexts", "a step", *[f"{count} steps" for count in steps]]
    head += ["decode + surface", f"all, {steps[-1]} steps", "clean-up", "queries", "peak memory, GB"]
    lines = [head, ["---"] * len(head)]
    for count, fast in ways["fast"].items():
        plain = ways["published"][count]
        lines += [_line(count, "fast", fast, steps), _line(count, "published", plain, steps)]
        shares = [(fast.step, plain.step), *[(fast.denoising(each), plain.denoising(each)) for each in steps]]
        shares += [(fast.decoding, plain.decoding), (fast.whole(steps[-1]), plain.whole(steps[-1]))]
        queries = _share(fast.queries, plain.queries)
        lines.append([str(count), "share", "", "", *[_share(*pair) for pair in shares], "", queries, ""])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _line(count: int, name: str, measured: Measured, steps: list[int]) -> list[str]:
    seconds = [measured.encode, measured.contexts, measured.step, *[measured.denoising(each) for each in steps]]
    seconds += [measured.decoding, measured.whole(steps[-1])]
    memory = " / ".join("–" if each is None else f"{each / 1e9:.1f}" for each in measured.peak.values())
    cleaned = "–" if measured.clean is None else _seconds(measured.clean)
    return [str(count), name, *map(_seconds, seconds), cleaned, f"{measured.queries / 1e6:.1f} M", memory]


def _seconds(seconds: float | None) -> str:
    return "out of memory" if seconds is None else f"{seconds:.3g} s"


def _share(one: float | None, other: float | None) -> str:
    return "–" if one is None or not other else f"{one / other:.2f}"


def explanation(size: Size, found: devices.Device, timed_steps: int, timed_chunks: int) -> str:
    """What the figures mean, and what was not run but reckoned."""
    memory = {
        "cuda": "Peak memory of tensors: encode / denoise / decode, one stage resident at a time.",
        "mps": "Peak memory is not told by this device.",
        "cpu": "Peak memory is that of the process so far: it only grows.",
    }
    return "\n".join(
        (
            f"{TURNS} × {timed_steps} steps timed, each time after one that does not count; a step is the fastest of",
            "them, and a run is not run but reckoned: contexts + steps × that. Encoding is the same in both ways.",
            "Fast decoding is run completely, each object once, one after the other.",
            f"Published decoding is reckoned: the fastest of {timed_chunks} chunks of {size.chunk:,} points"
            f" × {PASSES * size.resolution**3 / size.chunk:.0f},",
            "plus smoothing and meshing one complete lattice × n.",
            "Clean-up, which the published way does not have, is not in the sum.",
            memory[found.kind],
        )
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.midi", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", choices=list(SIZES), help="default: official on a GPU, reduced on a CPU")
    parser.add_argument("--instances", type=int, nargs="+", default=INSTANCES, metavar="N")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, metavar="N")
    parser.add_argument(
        "--timed-steps", type=int, metavar="N", help="in each of two turns; default: 5 on a GPU, 3 on a CPU"
    )
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:1, mps or cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    chosen = parser.parse_args(arguments)
    if not all(1 <= count <= len(SCENE) for count in chosen.instances):
        parser.error(f"the scene has 1 to {len(SCENE)} instances")
    if min(*chosen.steps, 1 if chosen.timed_steps is None else chosen.timed_steps) < 1:
        parser.error("there is at least one step")
    found = devices.choose(chosen.device)
    on_cpu = found.kind == "cpu"
    name = chosen.config or ("reduced" if on_cpu else "official")
    timed_steps, timed_chunks = chosen.timed_steps or (3 if on_cpu else 5), 4 if on_cpu else 20
    size = SIZES[name]
    print(f"MIDI, {name} configuration, {found.title}, {choose_dtype(found)}, PyTorch {torch.__version__}")
    if name != "official":
        print(f"*** The {name.upper()} configuration: these are NOT the times of the published networks. ***")
    differences = agreement()
    print("Both ways at the tiny size: " + ", ".join(f"{what} differ by {by:.0e}" for what, by in differences.items()))
    if not max(differences.values()) < AGREES:
        raise SystemExit("The two ways disagree: the figures would compare different things.")
    print(explanation(size, found, timed_steps, timed_chunks), flush=True)
    ways = measure(size, found, sorted(set(chosen.instances)), timed_steps, timed_chunks)
    print(table(ways, sorted(set(chosen.steps))))
    if chosen.json:
        _write(chosen.json, name, found, timed_steps, timed_chunks, differences, ways)


def _write(
    path: Path,
    name: str,
    found: devices.Device,
    timed_steps: int,
    timed_chunks: int,
    differences: dict[str, float],
    ways: dict[str, dict[int, Measured]],
) -> None:
    figures: dict[str, Any] = {
        "configuration": name,
        "device": asdict(found),
        "dtype": choose_dtype(found),
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__},
        "date": datetime.now(UTC).date().isoformat(),
        "timed": {"turns": TURNS, "steps": timed_steps, "chunks": timed_chunks},
        "differences": differences,
        "ways": {way: {count: asdict(each) for count, each in rows.items()} for way, rows in ways.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main()
