"""What `bench.soak` has seen: how each figure runs, what was gained between quiet moments, and a table of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.held import Trend, trend

MEGABYTE = 1e6
SETTLING_SECONDS = 120.0
"""At the beginning of a life, in which a process loads what it needs; not counted."""

Sample = dict[str, Any]
"""What was held at one moment, see `bench.soak.Soak.sample`."""

FIGURES = {"uss": "MB", "pss": "MB", "rss": "MB", "handles": "", "threads": ""}
"""Of each process; see `bench.held.Held`."""

FOLDER = {"jobs_bytes": "MB", "other_bytes": "MB", "other_files": "", "processes": ""}
"""Of the whole. Uploads are kept for a day, so they grow; they are told, not judged."""


def series(samples: Sequence[Sample], who: str, figure: str) -> dict[int, list[tuple[float, float]]]:
    """Of each process that was the server, or a worker, (seconds, figure) once it has settled."""
    found: dict[int, list[tuple[float, float]]] = {}
    for sample in samples:
        for name, process in sample["held"].items():
            if name.startswith(who):
                found.setdefault(process["pid"], []).append((sample["seconds"], process[figure]))
    return {
        pid: [(when, value) for when, value in pairs if when - pairs[0][0] >= SETTLING_SECONDS]
        for pid, pairs in found.items()
    }


def fitted(pairs: Sequence[tuple[float, float]]) -> Trend | None:
    return trend([when for when, _ in pairs], [value for _, value in pairs]) if pairs else None


def trends(samples: Sequence[Sample]) -> list[tuple[str, str, str, Trend]]:
    """(whose, figure, unit, trend): of the server's and a worker's longest life and the second half of that, in which
    all that is kept once is kept, of all lives together, and of folders."""
    found: list[tuple[str, str, str, Trend | None]] = []
    for who in ("server", "worker"):
        for figure, unit in FIGURES.items():
            lives = series(samples, who, figure)
            longest = max(lives.values(), key=len, default=[])
            everything = sorted(pair for pairs in lives.values() for pair in pairs)
            found += [(f"{who}, longest life", figure, unit, fitted(longest))]
            found += [(f"{who}, its second half", figure, unit, fitted(longest[len(longest) // 2 :]))]
            found += [(f"{who}, all lives", figure, unit, fitted(everything))]
    for figure, unit in FOLDER.items():
        pairs = [(sample["seconds"], sample[figure]) for sample in samples if sample["seconds"] >= SETTLING_SECONDS]
        found += [("data folder" if figure != "processes" else "all", figure, unit, fitted(pairs))]
    return [(whose, figure, unit, fit) for whose, figure, unit, fit in found if fit is not None]


def of_each_life(samples: Sequence[Sample]) -> Counter[str]:
    """How many lives, of the server and of workers, there were by what became of their own memory."""
    verdicts: Counter[str] = Counter()
    for who in ("server", "worker"):
        for pairs in series(samples, who, "uss").values():
            fit = fitted(pairs)
            verdicts[f"{who}: {fit.verdict if fit else 'too short to tell'}"] += 1
    return verdicts


def gained(quiet: Sequence[Sample]) -> list[str]:
    """Where a process of the last life holds more handles or threads in its last quiet moment than in its first, or
    there are more processes."""
    last = [sample for sample in quiet if sample["life"] == quiet[-1]["life"]] if quiet else []
    if len(last) < 2:
        return []
    found = []
    for name, now in last[-1]["held"].items():
        before = next((s["held"][name] for s in last if s["held"].get(name, {}).get("pid") == now["pid"]), now)
        for what in ("handles", "threads"):
            if now[what] > before[what]:
                found.append(f"{name}: {before[what]} {what} at first, {now[what]} at last")
    if last[-1]["processes"] > last[0]["processes"]:
        found.append(f"{last[0]['processes']} processes at first, {last[-1]['processes']} at last")
    return found


def table(told: dict[str, Any]) -> str:
    """What is to be read of a report."""
    lines = [f"{told['minutes']:.1f} minutes, {told['lives']} lives of the server, ended by {told['ended']},"]
    lines += [f"{told['workers_killed']} workers killed; of the processor this program took itself"]
    lines += [f"{told['own_processor_seconds']:.0f} s. Done: {sum(told['done'].values())} of {told['done']};"]
    lines += [
        f"cut by ends of the server: {told['cut']}; refused: {told['refused']}; jobs: {told['ends_of_jobs']}.",
        "",
    ]
    lines += ["| whose | figure | hours | level | slope an hour (95 %) | growth | noise | |", "| " + "--- | " * 8]
    for fit in told["trends"]:
        scale = MEGABYTE if fit["unit"] == "MB" else 1.0
        level, slope, low, high, growth, noise = (
            f"{fit[name] / scale:.2f}" for name in ("level", "slope", "low", "high", "growth", "noise")
        )
        unit = f" {fit['unit']}".rstrip()
        figures = (f"{fit['hours']:.2f}", level + unit, f"{slope} ({low} to {high})", growth, noise, fit["verdict"])
        lines += [f"| {' | '.join((fit['whose'], fit['figure'], *figures))} |"]
    lines += ["", "Quiet moments, nothing to do and a worker in each slot:", ""]
    lines += ["| minute | life | who | own memory | handles | threads |", "| " + "--- | " * 6]
    for sample in told["quiet"]:
        for name, process in sample["held"].items():
            cells = (f"{sample['seconds'] / 60:.1f}", str(sample["life"]), name, f"{process['uss'] / MEGABYTE:.1f} MB")
            lines += [f"| {' | '.join(cells)} | {process['handles']} | {process['threads']} |"]
    lines += ["", f"Lives by their own memory: {told['lives_by_own_memory']}."]
    rising = [f"{fit['whose']}, {fit['figure']}" for fit in told["trends"] if fit["verdict"] == "rises"]
    lines += [f"Rising: {'; '.join(rising) or 'nothing'}."]
    lines += [f"Gained between quiet moments of the last life: {'; '.join(told['gained']) or 'nothing'}."]
    gone = max(told["seconds_until_all_had_gone"], default=0.0)
    lines += [f"Outlived their server: {'; '.join(told['outlived_their_server']) or 'nothing'};"]
    lines += [f"its workers had gone {gone:.2f} s after it at the latest."]
    lines += [f"Tracebacks in the server's log: {told['tracebacks_in_the_log']}."]
    lines += [f"Unexpected: {len(told['unexpected'])}.", *(f"  {sentence}" for sentence in told["unexpected"][:50])]
    return "\n".join(lines)
