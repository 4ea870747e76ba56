"""Files in pieces: whole at their end, or not there."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from backend.cluster import parcels
from backend.cluster.parcels import Arrivals, Damaged, Piece, Present, all_below, packed


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "PIECE_BYTES", 8)


def folders(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "step" / "state" / "empty").mkdir(parents=True)
    (source / "step" / "record.json").write_bytes(b"{}")
    (source / "step" / "state" / "numbers").write_bytes(bytes(range(200)))
    (source / "step" / "state" / "nothing").write_bytes(b"")
    target.mkdir()
    return source, target


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in all_below(folder) if not name.endswith("/")}


@pytest.mark.parametrize("shared", [False, True])
def test_a_folder_is_there_when_its_last_piece_has_come(tmp_path: Path, shared: bool) -> None:
    source, target = folders(tmp_path)
    pieces = list(packed(source, "step", all_below(source / "step"), whole=True, shared=shared))
    assert len(pieces) == 5 if shared else len(pieces) > 25
    arrivals = Arrivals(target, ["step"])
    for piece in pieces[:-1]:
        arrivals.take(piece)
        assert not (target / "step").exists()
    arrivals.take(pieces[-1])
    assert all_below(target / "step") == all_below(source / "step")
    assert files(target) == files(source)
    (source / "step" / "record.json").unlink()
    (source / "step" / "record.json").write_bytes(b"another")
    for piece in packed(source, "step", all_below(source / "step"), whole=True, shared=shared):
        arrivals.take(piece)
    assert files(target) == files(source) and [path.name for path in target.iterdir()] == ["step"]


def test_files_that_belong_together_come_with_the_last_one_as_their_seal(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, content in ((source, b"new and longer than a piece"), (target, b"old")):
        (folder / "output").mkdir(parents=True)
        for name in ("scene.glb", "result.json"):
            (folder / "output" / name).write_bytes(content)
    arrivals = Arrivals(target, ["output"])
    pieces = list(packed(source, "output", ["scene.glb", "result.json"], whole=False))
    for piece in pieces[:-1]:
        arrivals.take(piece)
    assert set(files(target / "output").values()) == {b"old"}
    broken = replace(pieces[-1], data=b"!" + pieces[-1].data[1:])
    with pytest.raises(Damaged, match="damaged"):
        arrivals.take(broken)
    assert files(target) == {"output/scene.glb": b"old", "output/result.json": b"old"}
    for piece in pieces:
        arrivals.take(piece)
    assert files(target) == files(source)


@pytest.mark.parametrize(
    "into, name",
    [
        ("output", "../../out"),
        ("..", "out"),
        ("/etc", "out"),
        ("inputs", "out"),
        ("", "request.json"),
        ("output/..", "x"),
    ],
)
def test_nothing_is_written_where_it_does_not_belong(tmp_path: Path, into: str, name: str) -> None:
    arrivals = Arrivals(tmp_path / "home", ["output", "spent.json"])
    for whole in (False, True) if into != "output" else (False,):
        with pytest.raises(Damaged):
            arrivals.take(Piece(into, whole, name, b"x", "", "00", True, True))
    with pytest.raises(Damaged):
        arrivals.keep(Present("inputs", ()))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_others_go_and_what_the_dead_have_left(tmp_path: Path) -> None:
    for name in ("kept/a", "kept/b", "kept/c/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    arrivals = Arrivals(tmp_path)
    arrivals.keep(Present("kept", ("b",)))
    assert all_below(tmp_path / "kept") == ["b"]
    stale, young = (tmp_path / f"{parcels.STAGING}{which}.partial" for which in ("one", "two"))
    for each in (stale, young):
        each.mkdir()
    before = time.time() - 2 * parcels.STALE_SECONDS
    os.utime(stale, (before, before))
    arrivals.sweep()
    assert not stale.exists() and young.exists()
