"""FlexiCubes over a field: the shape it finds, what it asks for, what it says of empty and broken fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from bench import flexicubes as bench
from bench.shapes import Solid, ball
from models.isosurface import FieldError
from models.isosurface.flexicubes import CubicGrid, Extraction, extract_surface, flexicubes, signed_distances
from models.isosurface.flexicubes.dual import triangles
from models.isosurface.flexicubes.extraction import Questions
from models.isosurface.flexicubes.tables import tables
from models.isosurface.sampling import Progress
from tests.models.isosurface.fields import signed_volume

PUBLISHED_TABLES = "a84ae9b85e044613f9c6ac8a2c17924499b2e71a66872156900f72cb6e8cc4bb"


class Shape:
    """A solid with any deformation and weights; remembers how much it was asked."""

    def __init__(self, solid: Solid, amount: float = 1.0) -> None:
        self.solid, self.amount = solid, amount
        self.asked: dict[str, list[Tensor]] = {"sdf": [], "deformation": [], "weights": []}

    def signed_distance(self, points: Tensor) -> Tensor:
        self.asked["sdf"].append(points)
        return self.solid(points)

    def deformation(self, points: Tensor) -> Tensor:
        self.asked["deformation"].append(points)
        return self.amount * (9 * points.roll(1, 1)).sin()

    def weights(self, corners: Tensor) -> Tensor:
        self.asked["weights"].append(corners)
        return self.amount * (7 * corners.reshape(-1, 24)[:, :21]).sin()


def closed(found: Extraction) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(found.vertices.numpy(), found.faces.numpy(), process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    return mesh


def test_the_derived_tables_are_the_published_ones() -> None:
    """By a digest, as the published tables are not part of the repository."""
    known = tables(torch.device("cpu"))
    whole = torch.cat([torch.where(known.used, known.edges, -1).reshape(256, 28), known.tunnel], dim=1)
    digest = hashlib.sha256(whole.to(torch.int8).numpy().tobytes()).hexdigest()
    assert digest == PUBLISHED_TABLES


@pytest.mark.parametrize("amount", [0.0, 1.0])
def test_a_ball_has_its_size_and_place_and_faces_outwards(amount: float) -> None:
    found = extract_surface(Shape(ball((0.2, -0.1, 0.1), 0.6), amount), 48)
    assert (found.vertices.dtype, found.faces.dtype, found.empty) == (torch.float32, torch.int64, False)
    mesh = closed(found)
    assert mesh.euler_number == 2
    distance = (found.vertices - torch.tensor([0.2, -0.1, 0.1])).norm(dim=1)
    assert (distance - 0.6).abs().max() < (0.004 if amount == 0 else 2.1 / 48)
    assert signed_volume(mesh.vertices, mesh.faces) == pytest.approx(0.905, abs=0.012)


def test_weights_and_deformation_are_asked_for_only_where_the_surface_is() -> None:
    shape, plain = Shape(ball((0, 0, 0), 0.8)), Shape(ball((0, 0, 0), 0.8))
    found = extract_surface(shape, 32, chunk=1000)
    sizes = {name: [len(each) for each in asked] for name, asked in shape.asked.items()}
    assert sum(sizes["sdf"]) == 33**3
    assert sum(sizes["deformation"]) == found.moved < 0.1 * 33**3
    assert sum(sizes["weights"]) == found.cells < 0.1 * 32**3
    assert max(sizes["sdf"]) <= 1000 and max(sizes["deformation"]) <= 1000 and max(sizes["weights"]) <= 125
    corners = torch.cat(shape.asked["weights"])
    inside = plain.solid(corners.reshape(-1, 3)).reshape(-1, 8) < 0
    assert (inside.any(1) & ~inside.all(1)).all()
    assert len(torch.cat(shape.asked["deformation"]).unique(dim=0)) == found.moved
    assert torch.equal(extract_surface(plain, 32, chunk=1 << 20).vertices, found.vertices)


def test_vertices_are_rounded_like_the_published_grid() -> None:
    axis = CubicGrid(128, 2.1).axis(torch.device("cpu"))
    assert axis[1].item() == pytest.approx((0.00781 - 0.5) * 2.1, abs=1e-7)
    assert axis[[0, 64, 128]].tolist() == pytest.approx([-1.05, 0.0, 1.05])


def test_corners_are_points_of_the_grid_in_the_published_order() -> None:
    grid = CubicGrid(5, 2.0)
    corners = grid.corners(torch.tensor([(1 * 5 + 2) * 5 + 3]))[0]
    for corner, place in enumerate(corners):
        x, y, z = 1 + (corner & 1), 2 + (corner >> 1 & 1), 3 + (corner >> 2)
        assert torch.equal(place, grid.points(torch.tensor([(x * 6 + y) * 6 + z]))[0])


@pytest.mark.parametrize("solid", [lambda p: p.norm(dim=1) + 1, lambda p: p.norm(dim=1) - 9])
def test_a_field_without_a_surface_is_told(solid: Solid) -> None:
    found = extract_surface(Shape(solid), 12)
    assert found.empty
    assert len(found.faces) > 0, "the published repair makes a mesh that means nothing"


def test_a_shape_in_the_outermost_layer_only_is_empty() -> None:
    assert extract_surface(Shape(lambda p: 0.9 - p[:, 0]), 20).empty is False
    assert extract_surface(Shape(lambda p: 1.0 - p[:, 0]), 20).empty


def test_a_surface_that_leaves_the_grid_is_left_open() -> None:
    found = extract_surface(Shape(lambda p: p[:, 2] - 0.02), 10)
    assert len(found.vertices) == 100
    assert len(found.faces) == 2 * 9 * 9
    normals = trimesh.Trimesh(found.vertices.numpy(), found.faces.numpy(), process=False).face_normals
    assert (normals[:, 2] > 0).all()


def test_it_tells_how_far_it_is_and_can_be_stopped() -> None:
    told: list[float] = []
    extract_surface(Shape(ball((0, 0, 0), 0.7)), 16, chunk=500, progress=told.append)
    assert told == sorted(told)
    assert (told[0] > 0, told[-1]) == (True, 1.0)

    class Stopped(Exception):
        pass

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        extract_surface(Shape(ball((0, 0, 0), 0.7)), 16, chunk=500, progress=stop)


def test_answers_of_another_precision_are_taken() -> None:
    solid = ball((0, 0, 0), 0.7)
    found = extract_surface(Shape(lambda p: solid(p)[:, None].half()), 16)
    assert found.vertices.dtype == torch.float32
    closed(found)


@pytest.mark.parametrize("broken", ["signed_distance", "deformation", "weights"])
@pytest.mark.parametrize("wrong", [lambda answer: answer[..., :1].reshape(-1)[:-1], lambda answer: answer / 0])
def test_a_broken_answer_gets_a_sentence(broken: str, wrong: Callable[[Tensor], Tensor]) -> None:
    shape = Shape(ball((0, 0, 0), 0.7))
    right = getattr(shape, broken)
    setattr(shape, broken, lambda places: wrong(right(places)))
    with pytest.raises(FieldError, match="The field returned"):
        extract_surface(shape, 12)


def test_parameters_out_of_range_get_a_sentence() -> None:
    shape = Shape(ball((0, 0, 0), 0.7))
    for words, parameters in {
        "5 to 512": {"resolution": 4},
        "positive number": {"scale": 0.0},
        "one point": {"chunk": 0},
    }.items():
        with pytest.raises(ValueError, match=words):
            extract_surface(shape, **parameters)
    with pytest.raises(ValueError, match="not one grid"):
        flexicubes(torch.zeros(3, 3, 3, 3), torch.zeros(3, 3, 4))
    with pytest.raises(ValueError, match="do not fit"):
        flexicubes(torch.zeros(3, 3, 3, 3), torch.zeros(3, 3, 3), torch.zeros(3, 3, 3, 21))


def test_quads_are_split_along_the_larger_product_and_ties_the_second_way() -> None:
    quad = torch.tensor([[0, 1, 2, 3]])
    for gamma, expected in {
        (2.0, 1.0, 1.0, 1.0): [[0, 1, 2], [0, 2, 3]],
        (1.0, 1.0, 1.0, 2.0): [[0, 1, 3], [3, 1, 2]],
        (1.0, 1.0, 1.0, 1.0): [[0, 1, 3], [3, 1, 2]],
    }.items():
        assert triangles(quad, torch.tensor(gamma)).tolist() == expected


def test_signed_distances_lie_as_the_grid_does() -> None:
    grid = CubicGrid(6, 2.0)
    questions = Questions(50, torch.device("cpu"), Progress(None))
    volume = signed_distances(Shape(lambda p: p[:, 0] + 10 * p[:, 1] + 100 * p[:, 2]), grid, questions)
    axis = grid.axis(torch.device("cpu"))
    expected = axis[:, None, None] + 10 * axis[:, None] + 100 * axis
    assert torch.allclose(volume, expected)


def test_the_benchmark_compares_two_ways_that_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first extraction in a process of its own, as all of them are when memory is compared; the others here."""
    ways = iter([bench.measure, *[bench.run] * 4])
    monkeypatch.setattr(bench, "measure", lambda *given: next(ways)(*given))
    bench.main(["--sparse", "12", "16", "--dense", "12", "--json", str(tmp_path / "figures.json")])
    assert "12³: the same faces" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    sparse, dense = figures["sparse"]["12"], figures["dense"]["12"]
    assert set(figures["sparse"]) == {"12", "16"}
    assert (sparse["vertices"], sparse["faces"]) == (dense["vertices"], dense["faces"])
    assert figures["folded"]["12"]["cells"] == sparse["cells"] < dense["cells"] == 12**3
    assert (sparse["peak"] is None) is not bench.STATUS.exists()


def test_the_benchmark_refuses_to_compare_different_meshes(tmp_path: Path) -> None:
    one, other, third = (tmp_path / f"{name}.npz" for name in ("one", "other", "third"))
    faces = np.array([[0, 1, 2]])
    np.savez(one, vertices=np.eye(3, dtype=np.float32), faces=faces)
    np.savez(other, vertices=np.eye(3, dtype=np.float32) * 1.5, faces=faces)
    np.savez(third, vertices=np.eye(3, dtype=np.float32), faces=faces[:, ::-1])
    assert bench.difference(one, one) == 0
    assert bench.difference(one, other) == 0.5
    assert bench.difference(one, third) == float("inf")
