"""Objects alike in shape are never on both sides, whatever they are called and however large they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.data.sets import cameras, write_ours
from training.layouts import METADATA, SOLID
from training.split import SPLIT, Split, agreement, box_cells, clusters, main, read_split, split
from training.views import ViewsError


def bar(x: tuple[int, int], y: tuple[int, int], z: tuple[int, int], side: int = 48) -> np.ndarray:
    cells = np.zeros((side, side, side), bool)
    cells[slice(*x), slice(*y), slice(*z)] = True
    return cells


def corner(size: int, mirrored: bool = False) -> np.ndarray:
    """An L, which is not its own mirror image."""
    cells = bar((0, size), (0, size // 4), (0, size // 2)) | bar((0, size // 4), (0, size // 4), (0, size))
    return cells[::-1] if mirrored else cells


def table(size: int) -> np.ndarray:
    return (
        bar((0, size), (0, size), (size - 3, size))
        | bar((0, 3), (0, 3), (0, size))
        | bar((0, 3), (size - 3, size), (0, size))
    )


def grouped(*solids: np.ndarray) -> list[int]:
    cells, lengths = zip(*map(box_cells, solids), strict=True)
    return clusters(np.stack(cells), np.stack(lengths)).tolist()


def test_size_place_and_mirror_make_no_difference_but_proportions_do() -> None:
    small, large, mirrored, other = corner(24), corner(48), corner(40, mirrored=True), table(40)
    groups = grouped(small, np.roll(small, 7, 1), large, mirrored, other)
    assert groups[0] == groups[1] == groups[2] == groups[3] != groups[4]
    cube, slab = bar((0, 20), (0, 20), (0, 20)), bar((0, 20), (0, 20), (0, 10))
    assert len(set(grouped(cube, slab))) == 2, "the same in its own box, and not alike"


def test_what_is_alike_through_a_third_is_of_one_cluster() -> None:
    chain = [bar((0, 20), (0, 20), (0, high)) for high in (20, 17, 14, 12)]
    assert len(set(grouped(*chain))) == 1
    assert len(set(grouped(chain[0], chain[-1]))) == 2


def test_agreement_is_intersection_over_union() -> None:
    cells, _ = box_cells(corner(48))
    half = cells.copy()
    half[np.nonzero(half)[0][::2]] = False
    assert agreement(cells[None], cells[None])[0, 0] == 1
    assert agreement(cells[None], half[None])[0, 0] == pytest.approx(half.sum() / cells.sum())


def test_whole_small_clusters_and_single_objects_of_large_ones_are_held_out() -> None:
    groups = np.repeat(np.arange(40), [1] * 20 + [2] * 10 + [8] * 10)
    names = [f"object-{index}" for index in range(len(groups))]
    made = split(names, groups, hard=12, near=5, seed=3)
    of = dict(zip(names, groups.tolist(), strict=True))
    assert 12 <= len(made.hard) <= 13 and len(made.near) == 5 and made.left_out == ()
    assert {of[name] for name in made.hard}.isdisjoint(of[name] for name in (*made.train, *made.near))
    assert all(of[name] >= 30 for name in made.near)
    assert sorted((*made.train, *made.hard, *made.near)) == sorted(names)
    assert made == split(names, groups, hard=12, near=5, seed=3) != split(names, groups, hard=12, near=5, seed=4)


def test_what_comes_later_never_brings_a_held_out_shape_into_training() -> None:
    before = Split(train=("a", "b"), hard=("c",), near=("d",))
    made = split(["a", "b", "c", "d", "e", "f"], np.array([0, 1, 2, 3, 2, 3]), hard=3, near=3, seed=0, before=before)
    assert made == Split(train=("a", "b", "f"), hard=("c",), near=("d",), left_out=("e",))


def test_the_program_writes_what_it_reads(tmp_path: Path) -> None:
    for number in range(6):
        write_ours(tmp_path / f"table-{number}", "mira", cameras(1), table(30 + number))
    write_ours(tmp_path / "corner", "mira", cameras(1), corner(40))
    assert main([str(tmp_path), "--hard", "1", "--near", "2"]) == 0
    made = read_split(tmp_path / SPLIT)
    assert made.hard == ("corner",) and len(made.near) == 2 and len(made.train) == 4
    write_ours(tmp_path / "corner-again", "mira", cameras(1), corner(36))
    assert main([str(tmp_path)]) == 0
    assert read_split(tmp_path / SPLIT).left_out == ("corner-again",)
    (tmp_path / SPLIT).write_text("{}")
    assert main([str(tmp_path)]) == 1
    with pytest.raises(ViewsError, match="not a split"):
        read_split(tmp_path / SPLIT)


def test_a_set_without_solids_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_ours(tmp_path / "chair", "mira", cameras(1))
    assert main([str(tmp_path)]) == 1 and "has no solid" in caplog.text


def test_objects_that_cannot_be_read_are_told_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(4):
        write_ours(tmp_path / f"table-{number}", "mira", cameras(1), table(30 + number))
    write_ours(tmp_path / "corner", "mira", cameras(1), corner(40))
    (tmp_path / "table-0" / METADATA).write_text("{")
    (tmp_path / "table-1" / SOLID).write_bytes(b"no solid")
    assert main([str(tmp_path), "--hard", "1", "--near", "0"]) == 0
    made = read_split(tmp_path / SPLIT)
    assert (made.hard, made.train) == (("corner",), ("table-2", "table-3"))
    assert "table-0 is left out: " in caplog.text and "table-1 is left out: " in caplog.text
    for name in ("table-2", "table-3", "corner"):
        (tmp_path / name / SOLID).write_bytes(b"")
    assert main([str(tmp_path)]) == 1 and "none of its objects can be used" in caplog.text


def test_of_a_small_set_most_is_learned_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    solids = (corner(40), table(40), bar((0, 20), (0, 20), (0, 20)), bar((0, 40), (0, 20), (0, 4)))
    for number, solid in enumerate(solids):
        write_ours(tmp_path / f"object-{number}", "mira", cameras(1), solid)
    assert main([str(tmp_path)]) == 0
    made = read_split(tmp_path / SPLIT)
    assert (len(made.train), len(made.hard), len(made.near)) == (3, 1, 0)
    assert main([str(tmp_path), "--hard", "70", "--afresh"]) == 1
    assert "none is left to learn from" in caplog.text and read_split(tmp_path / SPLIT) == made
