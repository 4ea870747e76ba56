"""The published tetrahedra to triangles, and what keeps these smooth: every number of the set, with its gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.isosurface.tetrahedra import Crossings, crossings  # noqa: E402
from models.magic123.mesh_losses import face_normals, laplacian, normal_consistency  # noqa: E402
from models.rendering.silhouettes import Edges  # noqa: E402

Close = Callable[[Any, Any, float], None]
CASES = ["sphere", "torus", "box", "random"]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    """With gradients, unlike the other parity tests."""
    yield


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("dmtet")


def found(numbers: Any, case: str) -> tuple[Crossings, Any, Any, Any]:
    """The triangles as they are published, their vertices, and what these came from."""
    signed = numbers[f"{case}.in.sdf"].clone().requires_grad_()
    deform = numbers[f"{case}.in.deform"].clone().requires_grad_()
    points = numbers["in.verts"] + deform.tanh() / numbers.json("config")["n"]
    surface = crossings(numbers["in.tets"].long(), signed > 0, reference=True)
    return surface, surface.places(points[surface.ends], signed[surface.ends]), signed, deform


def rotated(faces: Any) -> list[list[int]]:
    """Triangles in their order, each from its lowest vertex on."""
    return [face[(at := face.index(min(face))) :] + face[:at] for face in faces.tolist()]


@pytest.mark.parametrize("case", CASES)
def test_the_surface_is_the_published_one(numbers: Any, close: Close, case: str) -> None:
    surface, vertices, _, _ = found(numbers, case)
    close(vertices.detach(), numbers[f"{case}.out.verts"], 1e-5)
    published = numbers[f"{case}.out.faces"]
    assert rotated(surface.faces) == rotated(published)
    normals = dict(zip(map(tuple, rotated(published)), numbers[f"{case}.out.face_normals"], strict=True))
    expected = torch.stack([normals[tuple(face)] for face in rotated(surface.faces)])
    close(face_normals(vertices.detach(), surface.faces), expected, 1e-4)


@pytest.mark.parametrize("case", CASES)
def test_gradients_reach_distances_and_moves(numbers: Any, near: Close, case: str) -> None:
    _, vertices, signed, deform = found(numbers, case)
    vertices.backward(numbers[f"{case}.in.grad_verts"])
    tolerance = 1e-2 if case == "random" else 1e-3
    near(signed.grad, numbers[f"{case}.out.grad_sdf"], tolerance)
    near(deform.grad, numbers[f"{case}.out.grad_deform"], tolerance)


@pytest.mark.parametrize("case", CASES)
def test_regularisers_and_their_gradients_are_the_published_ones(
    numbers: Any, close: Close, near: Close, case: str
) -> None:
    vertices = numbers[f"{case}.out.verts"].clone().requires_grad_()
    faces = numbers[f"{case}.out.faces"].long()
    edges = Edges.of(faces)
    bumps = laplacian(vertices, edges)
    close(bumps.detach(), numbers[f"{case}.out.laplacian_loss"], 1e-5)
    near(torch.autograd.grad(bumps, vertices)[0], numbers[f"{case}.out.laplacian_grad_verts"], 1e-4)
    bends = normal_consistency(vertices, faces, edges, reference=True)
    close(bends.detach(), numbers[f"{case}.out.normal_consistency_loss"], 1e-5)
    near(torch.autograd.grad(bends, vertices)[0], numbers[f"{case}.out.normal_consistency_grad_verts"], 1e-3)


@pytest.mark.parametrize("case", CASES)
def test_ours_face_the_other_way_and_count_pairs_only(numbers: Any, case: str) -> None:
    surface, vertices, signed, _ = found(numbers, case)
    ours = crossings(numbers["in.tets"].long(), signed > 0)
    assert ours.ends.tolist() == surface.ends.tolist()
    assert ours.faces.flip(1).tolist() == surface.faces.tolist()
    edges = Edges.of(ours.faces)
    open_edges = int((torch.bincount(edges.of_side.reshape(-1)) == 1).sum())
    mine = normal_consistency(vertices, ours.faces, edges)
    published = normal_consistency(vertices, ours.faces, edges, reference=True)
    assert (open_edges == 0) == torch.equal(mine, published)
