"""FlexiCubes on random numbers: closed, facing outwards, independent of the place in the grid, sparse like dense."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from models.isosurface.flexicubes import CubicGrid, DualMesh, extract_surface, flexicubes

SEEDS = st.integers(0, 2**32 - 1)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smooth(seed: int, side: int) -> Tensor:
    """Values `[side, side, side]` that change slowly, positive at the border."""
    values = interpolate(noise(seed, 1, 1, 5, 5, 5), (side, side, side), mode="trilinear", align_corners=True)[0, 0]
    values = values.clone()
    values[:1] = values[-1:] = values[:, :1] = values[:, -1:] = values[:, :, :1] = values[:, :, -1:] = 1.0
    return values


def lattice(side: int) -> Tensor:
    axis = torch.arange(float(side))
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)


def directed(faces: Tensor) -> Counter[tuple[int, int]]:
    """How often each edge is passed in each direction."""
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return Counter(map(tuple, pairs.tolist()))


def assert_closed_and_outward(mesh: DualMesh, sdf: Tensor) -> None:
    edges = directed(mesh.faces)
    assert all(count == 1 == edges[other, one] for (one, other), count in edges.items())
    assert mesh.faces.unique().tolist() == list(range(len(mesh.vertices)))
    # Facing outwards: the solid angle of all faces around an inside vertex of the grid is a whole turn, else none.
    corners = mesh.vertices.double().numpy()[mesh.faces.numpy()]
    for inside in (True, False):
        places = ((sdf < 0) == inside).nonzero()
        picked = places[len(places) // 2].double().numpy()
        a, b, c = (corners - picked).swapaxes(0, 1)
        lengths = [np.linalg.norm(each, axis=1) for each in (a, b, c)]
        above = np.einsum("ij,ij->i", a, np.cross(b, c))
        below = lengths[0] * lengths[1] * lengths[2]
        below += np.einsum("ij,ij->i", a, b) * lengths[2] + np.einsum("ij,ij->i", b, c) * lengths[0]
        below += np.einsum("ij,ij->i", c, a) * lengths[1]
        turns = float(np.arctan2(above, below).sum() * 2 / (4 * np.pi))
        assert turns == pytest.approx(1.0 if inside else 0.0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, side=st.integers(6, 15), amount=st.sampled_from([0.0, 1.0, 5.0]))
def test_smooth_closed_fields_give_closed_manifolds_facing_outwards(seed: int, side: int, amount: float) -> None:
    sdf = smooth(seed, side)
    sdf[side // 2, side // 2, side // 2] = -1.0
    weights = noise(seed + 1, side - 1, side - 1, side - 1, 21) * amount
    assert_closed_and_outward(flexicubes(lattice(side), sdf, weights), sdf)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, side=st.integers(4, 9), sizes=st.sampled_from([None, 1, 3]))
def test_random_signs_give_closed_manifolds_too(seed: int, side: int, sizes: int | None) -> None:
    """Every case next to every other; with whole numbers also values of exactly zero."""
    sdf = torch.ones(side, side, side)
    inner = noise(seed, side - 2, side - 2, side - 2)
    sdf[1:-1, 1:-1, 1:-1] = inner if sizes is None else (inner * sizes).round()
    sdf[1, 1, 1] = -1.0
    mesh = flexicubes(lattice(side), sdf, noise(seed + 1, side - 1, side - 1, side - 1, 21))
    edges = directed(mesh.faces)
    assert all(count == edges[other, one] for (one, other), count in edges.items())
    assert max(edges.values()) == 1


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, offset=st.tuples(*[st.integers(0, 4)] * 3), extra=st.tuples(*[st.integers(0, 2)] * 3))
def test_a_shape_moved_by_whole_cells_has_the_same_mesh(
    seed: int, offset: tuple[int, int, int], extra: tuple[int, int, int]
) -> None:
    """In a grid of any shape; the vertices of the grid keep their places, so those of the mesh keep every bit."""
    side = 8
    sdf, weights = smooth(seed, side), noise(seed + 1, side - 1, side - 1, side - 1, 21)
    sdf[3, 3, 3] = -1.0
    shape = [side + before + after for before, after in zip(offset, extra, strict=True)]
    i, j, k = offset
    larger, places = torch.ones(shape), torch.zeros(*shape, 3)
    more = noise(seed + 2, *[each - 1 for each in shape], 21)
    larger[i : i + side, j : j + side, k : k + side] = sdf
    places[i : i + side, j : j + side, k : k + side] = lattice(side)
    more[i : i + side - 1, j : j + side - 1, k : k + side - 1] = weights
    here, there = flexicubes(lattice(side), sdf, weights), flexicubes(places, larger, more)
    assert torch.equal(here.faces, there.faces)
    assert torch.equal(here.vertices, there.vertices)
    assert torch.equal(here.deviation, there.deviation)


class Polynomial:
    """A wavy solid with deformation and weights; its values do not depend on the other points of a batch."""

    def __init__(self, seed: int) -> None:
        self.numbers = noise(seed, 3, 10, 21)

    def _of(self, points: Tensor, which: int, width: int) -> Tensor:
        x, y, z = points.unbind(-1)
        terms = (x, y, z, x * y, y * z, z * x, x * x * y, y * y * z, z * z * x, x * y * z)
        total = torch.zeros(*points.shape[:-1], width)
        for term, numbers in zip(terms, self.numbers[which, :, :width], strict=True):
            total = total + term[..., None] * numbers
        return total

    def signed_distance(self, points: Tensor) -> Tensor:
        x, y, z = points.unbind(-1)
        return x * x + y * y + z * z - 0.5 + self._of(points, 0, 1)[:, 0] / 2

    def deformation(self, points: Tensor) -> Tensor:
        return self._of(points, 1, 3)

    def weights(self, corners: Tensor) -> Tensor:
        return self._of(corners, 2, 21).sum(1)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, resolution=st.integers(5, 20), chunk=st.sampled_from([37, 1000, 1 << 20]))
def test_asking_only_at_the_surface_gives_the_mesh_of_asking_everywhere(seed: int, resolution: int, chunk: int) -> None:
    field, grid = Polynomial(seed), CubicGrid(resolution, 2.1)
    points = grid.points(torch.arange(grid.vertices))
    moved = points + 1 / (resolution * 4) * field.deformation(points).tanh()
    sdf = field.signed_distance(points).reshape(grid.shape)
    weights = field.weights(grid.corners(torch.arange(resolution**3)))
    found = extract_surface(field, resolution, 2.1, chunk=chunk)
    if found.empty:
        inner = sdf[1:-1, 1:-1, 1:-1]
        assert not ((inner > 0).any() and (inner < 0).any())
        return
    expected = flexicubes(moved.reshape(*grid.shape, 3), sdf, weights.reshape(*[resolution] * 3, 21))
    assert torch.equal(found.faces, expected.faces)
    assert torch.equal(found.vertices, expected.vertices)
