"""What keeps meshes smooth: known values, open edges, gradients against differences."""

from __future__ import annotations

import pytest
import torch

from models.magic123.mesh_losses import laplacian, normal_consistency
from models.rendering.silhouettes import Edges
from tests.models.rendering.solids import ball, box


def test_a_regular_fan_is_as_bumpy_as_its_tip_is_high() -> None:
    """Around the tip of a pyramid with four sides: 4 · tip - sum = 4 · height."""
    height = 0.5
    vertices = torch.tensor([[0, 0, height], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    edges = Edges.of(faces)
    around = torch.tensor([3.0, 0, -height], dtype=torch.float64).norm()  # 3 · (1, 0, 0) - both others - the tip
    assert float(laplacian(vertices, edges)) == pytest.approx((4 * height + 4 * float(around)) / 5)


def test_a_cube_bends_at_twelve_of_its_eighteen_edges() -> None:
    vertices, faces = box((1.0, 1.0, 1.0))
    assert float(normal_consistency(vertices, faces, Edges.of(faces))) == pytest.approx(12 / 18)


def test_open_edges_do_not_count() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    faces = torch.tensor([[0, 1, 2], [1, 3, 2]])
    edges = Edges.of(faces)
    assert float(normal_consistency(vertices, faces, edges)) == 0
    lifted = vertices.clone()
    lifted[3, 2] = 1.0
    alone = normal_consistency(lifted, faces, edges)
    assert float(alone) == pytest.approx(1 - 1 / 3**0.5)
    # The published code compares open edges with the first triangle: two of this one's own, two of the other's.
    assert float(normal_consistency(lifted, faces, edges, reference=True)) == pytest.approx(3 / 5 * float(alone))


@pytest.mark.parametrize("loss", ["laplacian", "normals"])
def test_gradients_are_those_of_differences(loss: str) -> None:
    vertices, faces = ball(5)
    vertices = (vertices + 0.05 * torch.randn(vertices.shape, generator=torch.Generator().manual_seed(1))).double()
    edges = Edges.of(faces)
    assert torch.autograd.gradcheck(
        (lambda v: laplacian(v, edges)) if loss == "laplacian" else (lambda v: normal_consistency(v, faces, edges)),
        vertices.requires_grad_(),
    )


def test_a_triangle_without_area_breaks_nothing() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    edges = Edges.of(faces)
    (laplacian(vertices, edges) + normal_consistency(vertices, faces, edges)).backward()  # type: ignore[no-untyped-call]
    assert vertices.grad is not None and bool(vertices.grad.isfinite().all())


def test_no_triangles_have_no_bends() -> None:
    faces = torch.empty(0, 3, dtype=torch.int64)
    assert float(normal_consistency(torch.empty(0, 3), faces, Edges.of(faces))) == 0
