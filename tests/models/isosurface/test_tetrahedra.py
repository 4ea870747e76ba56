"""Tetrahedra of a lattice and the surfaces that pass them: closed, outwards, with gradients that are right."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from torch import Tensor

from models.isosurface.tetrahedra import ListedTetrahedra, TetrahedralGrid, crossings
from models.rendering.silhouettes import Edges

PUBLISHED = {32: (6641, 30136), 64: (36562, 192492), 128: (277410, 1524684)}
"""Vertices and tetrahedra of the published grids."""


def volumes(grid: TetrahedralGrid, tetrahedra: Tensor) -> Tensor:
    corner = grid.points(tetrahedra.reshape(-1)).reshape(-1, 4, 3).double()
    found: Tensor = torch.linalg.det(corner[:, 1:] - corner[:, :1]) / 6
    return found


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def signed_volume(vertices: Tensor, faces: Tensor) -> float:
    one, two, three = vertices.double()[faces].unbind(1)
    return float((one * torch.linalg.cross(two, three)).sum() / 6)


def surface(grid: TetrahedralGrid, signed: Tensor) -> tuple[Tensor, Tensor]:
    found = crossings(grid.crossed(signed > 0), signed > 0)
    points = grid.points(found.ends.reshape(-1)).reshape(-1, 2, 3)
    return found.places(points, signed[found.ends]), found.faces


def closed(faces: Tensor) -> bool:
    pairs = Counter(map(tuple, faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()))
    return all(count == 1 == pairs[two, one] for (one, two), count in pairs.items())


@pytest.mark.parametrize("cells", [2, 3, 7])
def test_the_tetrahedra_fill_the_cube_once(cells: int) -> None:
    """With the middles inside every tetrahedron is crossed, as each has corners of cells too."""
    grid = TetrahedralGrid(cells)
    tetrahedra = grid.crossed(torch.arange(grid.vertices) >= grid.corners)
    assert len(tetrahedra) == 12 * cells**3
    assert len(torch.unique(tetrahedra.sort(1).values, dim=0)) == len(tetrahedra)
    sizes = volumes(grid, tetrahedra)
    assert float(sizes.min()) > 0
    assert float(sizes.sum()) == pytest.approx(8, abs=1e-5)
    # Two tetrahedra at every triangle, or one along the border of the cube: 2 for each of its cells' squares.
    triangles = torch.cat([tetrahedra[:, list(each)] for each in itertools.combinations(range(4), 3)]).sort(1).values
    counts = torch.unique(triangles, dim=0, return_counts=True)[1]
    assert int(counts.max()) == 2
    assert int((counts == 1).sum()) == 12 * cells**2


def test_points_are_those_of_the_lattice() -> None:
    grid = TetrahedralGrid(4)
    points = grid.points(torch.arange(grid.vertices))
    assert torch.equal(points[0], -torch.ones(3)) and torch.equal(points[grid.corners - 1], torch.ones(3))
    assert points[1].tolist() == [-1, -1, -0.5]
    assert points[grid.corners].tolist() == [-0.75] * 3
    assert points[grid.corners + 1].tolist() == [-0.75, -0.75, -0.25]


@pytest.mark.parametrize("resolution", PUBLISHED)
def test_a_grid_is_as_fine_as_the_published_one(resolution: int) -> None:
    vertices, tetrahedra = PUBLISHED[resolution]
    grid = TetrahedralGrid.of_resolution(resolution)
    assert grid.vertices == pytest.approx(vertices, rel=0.26)
    assert 12 * grid.cells**3 == pytest.approx(tetrahedra, rel=0.13)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_crossed_is_all_that_is_crossed(seed: int) -> None:
    grid = TetrahedralGrid(5)
    inside = noise(seed, grid.vertices) > 0.8
    everything = grid.crossed(torch.arange(grid.vertices) >= grid.corners)
    corners = inside[everything]
    expected = everything[corners.any(1) & ~corners.all(1)]
    assert sorted(grid.crossed(inside).tolist()) == sorted(expected.tolist())


@pytest.mark.parametrize("seed", range(8))
def test_random_signs_give_closed_surfaces_around_what_is_inside(seed: int) -> None:
    grid = TetrahedralGrid(6)
    signed = noise(seed, grid.vertices)
    if seed % 2:
        signed = signed.round()  # zeros are outside
    border = grid.points(torch.arange(grid.vertices)).abs().amax(1) == 1
    signed[border] = -1
    vertices, faces = surface(grid, signed)
    assert closed(faces)
    assert torch.unique(faces).tolist() == list(range(len(vertices)))
    assert signed_volume(vertices, faces) > 0


def test_a_ball_has_its_volume_and_faces_outwards() -> None:
    grid = TetrahedralGrid(24)
    signed = 0.7 - grid.points(torch.arange(grid.vertices)).norm(dim=1)
    vertices, faces = surface(grid, signed)
    assert closed(faces)
    assert signed_volume(vertices, faces) == pytest.approx(4 / 3 * torch.pi * 0.7**3, rel=0.01)
    one, two, three = vertices[faces].unbind(1)
    assert bool(((torch.linalg.cross(two - one, three - one) * one).sum(1) > -1e-9).all())
    assert len(vertices) - len(Edges.of(faces).ends) + len(faces) == 2


def test_gradients_are_those_of_differences() -> None:
    grid = TetrahedralGrid(4)
    signed = (0.6 - grid.points(torch.arange(grid.vertices)).norm(dim=1) + 0.1 * noise(3, grid.vertices)).double()
    found = crossings(grid.crossed(signed > 0), signed > 0)
    used, ends = torch.unique(found.ends, return_inverse=True)
    points, values = grid.points(used).double().requires_grad_(), signed[used].requires_grad_()
    assert torch.autograd.gradcheck(lambda p, s: found.places(p[ends], s[ends]), (points, values))


def test_nothing_inside_is_an_empty_surface() -> None:
    grid = TetrahedralGrid(3)
    for inside in (torch.zeros(grid.vertices, dtype=torch.bool), torch.ones(grid.vertices, dtype=torch.bool)):
        found = crossings(grid.crossed(inside), inside)
        assert found.ends.shape == (0, 2) and found.faces.shape == (0, 3)


@pytest.mark.parametrize("cells", [1, 257])
def test_sizes_out_of_range_are_refused(cells: int) -> None:
    with pytest.raises(ValueError, match="2 to 256 cells"):
        TetrahedralGrid(cells)


def test_only_what_is_crossed_is_touched() -> None:
    """A grid of a million tetrahedra, of which a small ball crosses some thousand."""
    grid = TetrahedralGrid(44)
    inside = grid.points(torch.arange(grid.vertices)).norm(dim=1) < 0.2
    assert 0 < len(grid.crossed(inside)) < 12 * grid.cells**3 / 50


def test_listed_tetrahedra_give_the_same_surface_however_they_are_turned() -> None:
    grid = TetrahedralGrid(6)
    tetrahedra = grid.crossed(torch.arange(grid.vertices) >= grid.corners)
    turned = torch.where((torch.arange(len(tetrahedra)) % 3 == 0)[:, None], tetrahedra[:, [1, 0, 2, 3]], tetrahedra)
    listed = ListedTetrahedra(grid.points(torch.arange(grid.vertices)), turned, grid.resolution)
    inside = noise(5, grid.vertices) > 0.3
    assert float(volumes(grid, listed.crossed(inside)).min()) > 0
    ours, theirs = (crossings(each.crossed(inside), inside) for each in (grid, listed))
    assert torch.equal(ours.ends, theirs.ends)
    assert sorted(ours.faces.sort(1).values.tolist()) == sorted(theirs.faces.sort(1).values.tolist())


@pytest.mark.parametrize("tetrahedra", [torch.tensor([[0, 1, 2, 9]]), torch.empty(0, 4), torch.tensor([[0, 1, -1, 2]])])
def test_tetrahedra_that_name_no_vertex_are_refused(tetrahedra: Tensor) -> None:
    with pytest.raises(ValueError, match="no tetrahedra, or one names a vertex"):
        ListedTetrahedra(torch.rand(5, 3), tetrahedra, 32)


def test_what_is_enclosed_is_filled_and_nothing_else() -> None:
    """A hollow ball, and a hollow one with a hole."""
    grid = TetrahedralGrid(16)
    points = grid.points(torch.arange(grid.vertices))
    radius = points.norm(dim=1)
    shell = (radius < 0.8) & (radius > 0.5)
    assert torch.equal(grid.enclosed(shell), radius < 0.8)
    opened = shell & ~((points[:, :2].norm(dim=1) < 0.25) & (points[:, 2] > 0))
    assert torch.equal(grid.enclosed(opened), opened)
    nothing = torch.zeros_like(shell)
    assert torch.equal(grid.enclosed(nothing), nothing)


def test_pieces_are_those_that_edges_join() -> None:
    """Held to a search along the edges of all tetrahedra; those across the squares of the border do not count."""
    grid = TetrahedralGrid(6)
    chosen = (noise(9, grid.vertices) > 0.8) & ~grid.border()
    tetrahedra = grid.crossed(torch.arange(grid.vertices) >= grid.corners)
    pairs = torch.cat([tetrahedra[:, list(each)] for each in itertools.combinations(range(4), 2)])
    pairs = pairs[chosen[pairs].all(1)]
    label = torch.where(chosen, torch.arange(grid.vertices), -1)
    for _ in range(grid.vertices):
        least = label[pairs].amin(1)
        before = label.clone()
        label = label.scatter_reduce(0, pairs[:, 0], least, "amin").scatter_reduce(0, pairs[:, 1], least, "amin")
        if torch.equal(label, before):
            break
    found = grid.pieces(chosen)
    assert torch.equal(found > 0, chosen)
    together = torch.unique(torch.stack([found, label], dim=1)[chosen], dim=0)
    assert len(together) == len(torch.unique(found[chosen])) == len(torch.unique(label[chosen])) > 3


def test_the_border_is_where_a_coordinate_is_one() -> None:
    grid = TetrahedralGrid(4)
    assert torch.equal(grid.border(), grid.points(torch.arange(grid.vertices)).abs().amax(1) == 1)
