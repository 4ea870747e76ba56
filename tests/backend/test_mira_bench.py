"""The benchmark of OpenLRM and MIRA measures every stage both ways and looks at its bars; at the tiny size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from bench import mira  # noqa: E402
from bench.mira_stages import SIZES  # noqa: E402
from models.lrm.single_view import OFFICIAL  # noqa: E402
from tests import documented  # noqa: E402


def test_it_measures_every_stage_both_ways(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "figures.json"
    mira.main(["--amount", "least", "--together", "--whole", "--json", str(file)])
    said = capsys.readouterr().out
    assert "NOT the times of the published ones" in said
    measured, card = (documented.table(part) for part in said.split("On a graphics card"))
    titles = list(mira.TITLES.values())
    assert [row[0] for row in measured] == [row[0] for row in card] == titles
    assert all(re.fullmatch(r"[\d.]+ s", row[1]) and re.fullmatch(r"-?[\d.]+ GB|–", row[3]) for row in measured)
    assert all(row[1:] == ["not run"] * 4 for row in card)
    figures = json.loads(file.read_text(encoding="utf-8"))["figures"]
    assert figures["mesh published"]["apart"] <= mira.SAME
    assert figures["mesh published"]["faces"] == pytest.approx(figures["mesh"]["faces"], rel=1e-3)
    found = mira.rows(figures)
    assert 2.5 * found["video"]["queries"] <= found["video published"]["queries"]
    assert figures["video"]["apart"] <= mira.COLOUR_BAR
    assert re.search(r"the whole lattice gives [\d,]+ triangles, .*: the bar is held", said)


def test_the_bars_are_looked_at() -> None:
    def judged(mesh: int, video: int, peak: int | None, apart: float) -> list[bool]:
        found = {
            "mesh": {"queries": mesh, "peak": peak},
            "mesh published": {"queries": 8_000},
            "video": {"queries": video},
            "video published": {"queries": 10_000},
        }
        said = mira.verdict(found, {"video": {"apart": apart}, "mesh published": {}})
        return ["NOT held" not in sentence for sentence in said]

    assert judged(1_000, 4_000, 10**9, 2 / 255) == [True] * 4
    assert judged(1_001, 4_001, 10**9 + 1, 3 / 255) == [False] * 4
    assert judged(1_000, 4_000, None, 0.0) == [True] * 3


def test_the_full_amount_is_a_published_model_at_its_published_sizes() -> None:
    full = SIZES["full"]
    assert full.config == OFFICIAL["openlrm-base-1.1"]
    assert (full.source, full.resolution, full.side) == (336, 384, 288)


def test_the_document_has_the_rows_that_are_printed() -> None:
    rows = documented.rows("benchmarks.md", "OpenLRM and MIRA")
    assert [row[0] for row in rows] == list(mira.TITLES.values())
