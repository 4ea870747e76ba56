"""The soak at its smallest, and that it would notice what grows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import held, soak, soak_findings
from bench.artists import Artist, Book, Door

FIGURES = {"uss": 5e7, "pss": 5e7, "rss": 7e7, "handles": 17, "threads": 9, "processor": 1.0}


@pytest.mark.skipif(sys.platform != "linux", reason="what processes hold is read from /proc")
def test_a_soak_restarts_kills_looks_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "IDLE_THREAD_SECONDS", 0.0)
    before = set(held.descendants(os.getpid()))
    amount = ["--minutes", "0.12", "--restart-minutes", "0.03", "--sample-seconds", "0.3", "--pause", "0.1"]
    soak.main([*amount, "--json", str(tmp_path / "soak.json")])
    said = capsys.readouterr().out
    told = json.loads((tmp_path / "soak.json").read_bytes())
    assert told["unexpected"] == [] and told["outlived_their_server"] == [] and told["tracebacks_in_the_log"] == 0
    assert told["lives"] == sum(told["ended"].values()) >= 2
    assert sum(told["done"].values()) >= 3 and told["ends_of_jobs"]
    assert told["samples"] and {"server", "worker 0"} <= told["samples"][-1]["held"].keys()
    assert [set(sample["held"]) for sample in told["quiet"]][-1] == {"server", "worker 0", "worker 1"}
    assert "Rising: nothing." in said and "Unexpected: 0." in said
    assert set(held.descendants(os.getpid())) <= before


@pytest.mark.parametrize(
    ("slope", "jitter", "verdict"), [(0.0, 1e5, "flat"), (1e6, 1e5, "rises"), (1e5, 1e6, "flat"), (-2e6, 1e5, "falls")]
)
def test_a_leak_is_told_from_noise(slope: float, jitter: float, verdict: str) -> None:
    """Slopes in bytes an hour, over an hour in which a figure is taken every ten seconds."""
    seconds = np.arange(0, 3600, 10.0)
    values = 5e7 + slope * seconds / 3600 + np.random.default_rng(0).normal(0, jitter, len(seconds))
    values[::37] += 2e7  # a large picture now and then
    fit = held.trend(list(seconds), list(values))
    assert fit is not None and fit.verdict == verdict
    assert fit.slope == pytest.approx(slope, abs=3 * jitter)
    assert fit.low <= fit.slope <= fit.high
    assert held.trend(list(seconds[:30]), list(values[:30])) is None, "five minutes tell nothing"


def sample(minute: float, life: int, pid: int, **more: float) -> soak_findings.Sample:
    server = {"pid": pid, **FIGURES, **more}
    folder = {"processes": 1, "jobs_bytes": 8e6, "other_bytes": 4e6, "other_files": 6}
    return {"seconds": 60 * minute, "life": life, "held": {"server": server}, **folder}


def test_each_life_is_judged_by_itself() -> None:
    """Three lives: the second leaks; all of them begin anew."""
    leak = {10: 0.0, 11: 1e6, 12: 0.0}
    samples = [
        sample(30 * life + minute, life, pid, uss=5e7 + leak[pid] * minute)
        for life, pid in enumerate(leak)
        for minute in np.arange(0, 29.5, 0.5)
    ]
    assert soak_findings.of_each_life(samples) == {"server: flat": 2, "server: rises": 1}
    found = {(whose, figure): fit.verdict for whose, figure, _, fit in soak_findings.trends(samples)}
    assert found["server, all lives", "handles"] == found["data folder", "jobs_bytes"] == "flat"


def test_a_handle_that_is_gained_is_told() -> None:
    quiet = [sample(1, 0, 10, handles=30), sample(2, 1, 11), sample(3, 1, 11), sample(4, 1, 11, handles=18)]
    assert soak_findings.gained(quiet[:3]) == []
    assert soak_findings.gained(quiet) == ["server: 17 handles at first, 18 at last"]
    more = {**quiet[2], "processes": 2}
    assert soak_findings.gained([quiet[1], more]) == ["1 processes at first, 2 at last"]


def test_a_cut_line_is_a_surprise_only_while_the_server_lives() -> None:
    door, book = Door(), Book()
    artist = Artist("anna", "x" * 43, door, book, 0.0, 0)

    def cut() -> None:
        raise ConnectionResetError

    def cut_by_an_end() -> None:
        door.shut()
        raise ConnectionResetError

    artist._do(cut_by_an_end)
    assert book.unexpected == [] and book.cut == {"cut_by_an_end": 1}
    artist._do(cut)
    assert book.unexpected == ["cut: ConnectionResetError: "]
