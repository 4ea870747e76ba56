"""Every benchmark program is run by a test at its smallest size; those that no other test runs are run here."""

from __future__ import annotations

import re

import pytest

from bench import decoding, registration
from bench.generated_scenes import make_case
from tests import documented
from tests.structure.source import imports_of, sources, strings

PARTS_OF_MAKE_BENCH = {"__main__", "backend", "files", "props"}
"""`tests/blender_addon/test_bench.py` runs them."""


def test_no_benchmark_is_without_a_test() -> None:
    run: set[str] = set()
    for path in sources("tests"):
        if re.search(r"\w\.(main|measured)\(", path.read_text(encoding="utf-8")):
            run |= {item.module.removeprefix("bench.") for item in imports_of(path) if item.within("bench")}
    programs = {path.stem for path in sources("bench") if "__main__" in strings(path.read_text(encoding="utf-8"))}
    assert programs - PARTS_OF_MAKE_BENCH <= run
    assert programs >= {*PARTS_OF_MAKE_BENCH, "midi", "instantmesh", "texture", "flexicubes", "registration", "press"}


def test_scene_registration_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    names = [variant.name for variant in registration.VARIANTS]
    few = next(seed for seed in range(100) if len(make_case(seed).meshes) == 2)
    registration.main(["--scenes", "1", "--first", str(few), "--variant", names[0]])
    said = capsys.readouterr().out
    assert f"{names[0]}, 1 scenes" in said
    for figure in ("yaw", "position", "scale", "IoU/true", "confidence", "seconds"):
        assert re.search(rf"^  {figure} +median [0-9.]+", said, flags=re.MULTILINE)
    documented_rows = [cells[0].partition(", 3 objects")[0] for cells in documented.rows("registration.md", "Measured")]
    assert list(dict.fromkeys(documented_rows)) == names


def test_field_decoding_is_measured_as_the_document_tells(capsys: pytest.CaptureFixture[str]) -> None:
    decoding.main(["--resolution", "129"])
    said = capsys.readouterr().out
    assert "129³" in said
    printed, told = documented.table(said), documented.rows("benchmarks.md", "Field decoding")
    assert [row[0] for row in printed] == [row[0] for row in told] == list(decoding.shapes(257))
    assert all(int(row[1].replace(",", "")) < 129**3 / 2 for row in printed)


def test_the_tables_of_the_documents_have_the_rows_that_the_programs_print() -> None:
    from bench import instantmesh, midi, texture

    reconstruction = [cells[0] for cells in documented.rows("benchmarks.md", "Reconstruction")]
    titles = list(instantmesh.TITLES.values())
    assert [row[: len(title)] for row, title in zip(reconstruction, titles, strict=True)] == titles
    assert [cells[0] for cells in documented.rows("benchmarks.md", "Texture")] == list(texture.SHAPES)
    of_midi = [(cells[0], cells[1]) for cells in documented.rows("benchmarks.md", "Time")]
    assert of_midi == [(str(count), way) for count in midi.INSTANCES for way in ("fast", "published")]
    operations = documented.rows("benchmarks.md", "Views")
    assert [cells[0].split(",")[0].split(":")[0] for cells in operations] == ["a step", "a photo"]
