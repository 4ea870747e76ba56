"""Furniture that is made up: whole surfaces that stand on the ground, the same ones from the same seed."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from training.objects.__main__ import main
from training.objects.invented.chance import Chance
from training.objects.invented.collection import KINDS, make, plan
from training.objects.invented.shapes import (
    Shape,
    bar,
    box,
    cushion,
    lathe,
    oval,
    pillow,
    sheet,
    slab,
    tube,
    volume,
    wall,
)
from training.objects.listing import read_list

DRAWN = 3
"""Pieces of each kind that are looked at."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_of_whole_surfaces_and_stands(kind: str) -> None:
    for number in range(DRAWN):
        piece = KINDS[kind][0](Chance(3, number)).settled()
        for shape, _ in piece.parts:
            assert np.isfinite(shape.vertices).all()
            assert volume(shape.vertices - shape.vertices.mean(0), shape.faces) > 0
        low, high = piece.bounds()
        assert low[2] == pytest.approx(0, abs=1e-9) and np.allclose(low[:2], -high[:2])
        assert 0.2 < (high - low).max() < 3.6 and (high - low).min() > 0.1
        assert sum(len(shape.faces) for shape, _ in piece.parts) < 40_000


def test_a_file_has_y_up_and_looks_along_z() -> None:
    piece, data = make("refrigerator", 0, 1)
    assert make("refrigerator", 0, 1)[1] == data != make("refrigerator", 1, 1)[1] != make("refrigerator", 0, 2)[1]
    mesh: Any = trimesh.load(BytesIO(data), file_type="glb", force="mesh", process=False)
    (left, front, floor), (right, back, top) = piece.bounds()
    assert np.allclose(mesh.bounds, [[left, floor, -back], [right, top, -front]], atol=1e-5)
    # Handles are in front.
    grip = max(piece.parts, key=lambda part: -float(part[0].vertices[:, 1].min()))[0]
    assert grip.vertices[:, 1].min() == front < 0
    assert (mesh.vertex_normals * (mesh.vertices - mesh.centroid)).sum(1).mean() > 0


def test_kinds_come_as_often_as_they_should() -> None:
    shares = sum(often for _, _, often in KINDS.values())
    counts = Counter(plan(10 * shares, 4))
    assert counts == {name: 10 * often for name, (_, _, often) in KINDS.items()}
    assert plan(50, 4) == plan(50, 4) != plan(50, 5)


def test_a_folder_has_its_list(tmp_path: Path) -> None:
    assert main(["invented", str(tmp_path), "--count", "3", "--seed", "2"]) == 0
    entries = read_list(tmp_path)
    assert len(entries) == 3 and {entry.creator for entry in entries} == {"Set Dresser"}
    for entry in entries:
        mesh: Any = trimesh.load(tmp_path / entry.file, force="mesh")
        assert np.isfinite(mesh.vertices).all() and len(mesh.faces) and mesh.visual.uv is not None
    assert "--count 3 --seed 2" in (tmp_path / "ATTRIBUTION.md").read_text()
    first = {entry.file: (tmp_path / entry.file).read_bytes() for entry in entries}
    assert main(["invented", str(tmp_path), "--count", "3", "--seed", "2"]) == 0
    assert first == {entry.file: (tmp_path / entry.file).read_bytes() for entry in read_list(tmp_path)}


def test_none_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["invented", str(tmp_path / "none"), "--count", "0"]) == 1 and "--count takes 1" in caplog.text
    assert not (tmp_path / "none").exists()


def _flat() -> np.ndarray:
    u, v = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 2, 7), indexing="ij")
    return np.stack([u, v, 0.1 * np.sin(u)], 2)


LINE = np.array([[0.0, 0, 0], [0, 0, 1], [1, 0, 2]])
RING = np.column_stack([oval(2, 2), np.zeros(48)])


@pytest.mark.parametrize(
    ("shape", "encloses"),
    [
        (box(1, 2, 3, 0), 6.0),
        (box(1, 2, 3, 0.05, 3), 6.0),
        (slab(oval(2, 2, count=200), 1, 0.001), np.pi),
        (lathe([(1, 0), (1, 2)], 100), 2 * np.pi),
        (lathe([(1, 0), (1, 2), (0.5, 2), (0.5, 0)], 100, "joined"), 1.5 * np.pi),
        (bar([0, 0, 0], [3, 0, 0], 0.5, sides=100), 0.75 * np.pi),
        (tube(RING, 0.1, 60, "joined"), 2 * np.pi * 0.01 * np.pi),
        (sheet(_flat(), 0.1, 1.0), 0.2),
        (wall(LINE[:, [0, 2]], np.zeros(3), np.ones(3), 0.1, 0.01), (1 + 2**0.5) * 0.1),
        (tube(LINE, 0.1), None),
        (cushion(Chance(0), 0.6, 0.6, 0.2), None),
        (pillow(Chance(0), 0.6, 0.6, 0.2), None),
    ],
)
def test_shapes_are_closed_and_face_outwards(shape: Shape, encloses: float | None) -> None:
    faces = shape.faces
    edges = Counter(map(tuple, np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()))
    assert all(count == edges[end, start] == 1 for (start, end), count in edges.items())
    held = volume(shape.vertices, faces)
    assert held > 0 and (encloses is None or held == pytest.approx(encloses, rel=0.05))
    assert volume(shape.mirrored().vertices, shape.mirrored().faces) == pytest.approx(held)
    turned = shape.turned("x", 30).turned("y", 40).turned("z", 50)
    assert volume(turned.vertices, turned.faces) == pytest.approx(held)
