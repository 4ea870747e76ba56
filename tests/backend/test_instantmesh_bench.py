"""The benchmark of InstantMesh reports every stage and says what was not run; at the tiny size."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from bench import flexicubes, instantmesh  # noqa: E402
from bench.instantmesh_stages import OFFICIAL  # noqa: E402


@dataclass
class Run:
    """What a run of the program has said and written."""

    output: str
    figures: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """At the tiny size. The stages run in a process of their own; the surfaces here, as `test_flexicubes.py` starts
    processes for those."""
    file, said = tmp_path_factory.mktemp("bench") / "figures.json", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setattr(flexicubes, "measure", flexicubes.run)
        instantmesh.main(["--config", "tiny", "--dense", "16", "--json", str(file)])
    return Run(said.getvalue(), json.loads(file.read_text(encoding="utf-8")))


def test_it_reports_every_stage_and_the_dense_way(run: Run) -> None:
    output, figures = run.output, run.figures
    assert "TINY" in output and "NOT the times of the published networks" in output
    assert set(figures["stages"]) == set(instantmesh.TITLES)
    for name, title in instantmesh.TITLES.items():
        assert figures["stages"][name]["seconds"] > 0
        assert output.count(f"| {title} |") == 2, "once measured, once not run on a card"
    assert figures["sizes"]["faces"] <= 1000 < figures["sizes"]["surface"]
    assert all(len(figures["dense"][way]) == 1 for way in ("folded", "sparse", "dense"))
    assert output.count("not run") > 10


def test_operations_are_those_of_the_published_networks(run: Run) -> None:
    """As counted from the published code, whose pass over the photo goes on to its useless end."""
    found = run.figures["operations"]
    assert found["embed the photo"] == pytest.approx(0.33, abs=0.01)
    assert 2 * found["encode the photo"] == pytest.approx(2.23, abs=0.01)
    assert 6.6 < found["a step"] <= 6.76
    assert found["decode the sheet"] == pytest.approx(6.0, abs=0.05)
    assert found["planes of six views"] == pytest.approx(0.45 + 2.67, abs=0.02)
    assert found["a photo, 75 steps"] == pytest.approx(75 * found["a step"] + 0.33 + 1.12 + 6.0, abs=0.1)


def test_the_bar_is_looked_at() -> None:
    def figures(encode: int | None, surface: int | None) -> dict[str, Any]:
        return {"stages": {"encode": {"peak": encode}, "surface": {"peak": surface}}, "sizes": {"weights": 10**9}}

    assert "is held" in instantmesh.verdict(figures(10**9, 10**8))
    assert "NOT held" in instantmesh.verdict(figures(10**8, 16 * 10**9))
    assert "does not tell" in instantmesh.verdict(figures(None, None))


def test_the_official_size_is_what_the_pipeline_runs_by_default() -> None:
    assert (OFFICIAL.config.variant, OFFICIAL.resolution) == ("instant_mesh_large", 128)
    assert (OFFICIAL.faces, OFFICIAL.texture) == (40_000, 2048)
