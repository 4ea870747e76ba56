"""The benchmark of pictures with gradients prints what it says, and looks at its bar; at a small size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import rasterising
from tests import documented


def test_it_measures_every_way(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasterising, "measure", rasterising.run)  # in this process: four would take their time to begin
    file = tmp_path / "figures.json"
    rasterising.main(["--triangles", "800", "--sides", "48", "64", "--repeats", "1", "--json", str(file)])
    rows = documented.table(capsys.readouterr().out)
    assert [row[2] for row in rows] == list(rasterising.WAYS.values()) * 2
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [row["side"] for row in figures] == [48, 64]
    for row in figures:
        assert len({row[way]["pixels"] for way in rasterising.WAYS}) == 1, "all ways draw the same"
        assert row["back"]["faces"] == 784


def test_a_row_is_a_process_of_its_own() -> None:
    found = rasterising.measure("back", 200, 16, "cpu", 1)
    assert found["seconds"] > 0 and found["pixels"] > 20


def test_the_bar_is_looked_at() -> None:
    def figures(back: float) -> list[dict[str, Any]]:
        return [{"covered": {"seconds": 1.0}, "back": {"seconds": back}}]

    assert "is held" in rasterising.verdict(figures(rasterising.BAR))
    assert "NOT held" in rasterising.verdict(figures(rasterising.BAR + 0.1))
