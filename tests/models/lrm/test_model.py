"""From views to a field and a surface, with a tiny checkpoint of the published layout."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.lrm.cameras import slot_cameras, view_cameras  # noqa: E402
from models.lrm.decoding import density_surface  # noqa: E402
from models.lrm.model import InstantMeshModel  # noqa: E402
from models.lrm.tiny import BLOB_RADIUS  # noqa: E402

POINTS = 2 * torch.rand(500, 3, generator=torch.Generator().manual_seed(3)) - 1


def test_pictures_and_cameras_decide_the_planes_and_their_order_does_not(models: Any, views: Any) -> None:
    model = models["mesh"]
    planes = model.encode(views, slot_cameras())
    side = 2 * model.config.transformer.low_resolution
    assert planes.shape == (3, model.config.transformer.plane_channels, side, side)
    assert torch.allclose(model.encode(views.flip(0), slot_cameras().flip(0)), planes, atol=1e-4)
    assert not torch.allclose(model.encode(views, slot_cameras().flip(0)), planes, atol=1e-3)
    assert not torch.allclose(model.encode(1 - views, slot_cameras()), planes, atol=1e-3)
    assert model.encode(views[:2], view_cameras([10, 190], [0, 5])).shape == planes.shape


def test_the_layers_report_and_can_be_stopped(models: Any, views: Any) -> None:
    told: list[float] = []
    models["mesh"].encode(views, slot_cameras(), told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) == 4

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models["mesh"].encode(views, slot_cameras(), stop)


def test_views_that_do_not_fit_are_refused_with_their_shape(models: Any, views: Any) -> None:
    model = models["mesh"]
    for wrong, cameras, words in (
        (views[:0], slot_cameras()[:0], "Views are"),
        (views[0], slot_cameras(), "Views are"),
        (views[:, :1], slot_cameras(), "Views are"),
        (views[..., :-1], slot_cameras(), "multiples of 16"),
        (views, slot_cameras()[:5], "6 views need cameras"),
    ):
        with pytest.raises(ValueError, match=words):
            model.encode(wrong, cameras)


def test_the_tiny_mesh_variant_is_a_closed_blob_of_several_colours(fields: Any) -> None:
    from models.isosurface.flexicubes import extract_surface

    field = fields["mesh"]
    mesh = extract_surface(field, 32)
    radius = mesh.vertices.norm(dim=1)
    assert not mesh.empty
    assert radius.min() > 0.8 * BLOB_RADIUS and radius.max() < 1.2 * BLOB_RADIUS
    edges = np.sort(mesh.faces.numpy()[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "closed"
    assert (field.colour(mesh.vertices).std(0) > 0.03).all()


def test_the_tiny_nerf_variant_is_a_closed_blob_of_several_colours(fields: Any) -> None:
    field = fields["density"]
    triangles = density_surface(field, 65)
    vertices = torch.from_numpy(triangles.vertices)
    radius = vertices.norm(dim=1)
    assert radius.min() > 0.8 * BLOB_RADIUS and radius.max() < 1.2 * BLOB_RADIUS
    assert torch.allclose(field.density(vertices), torch.tensor(10.0), atol=1.0)
    corners = vertices[torch.from_numpy(triangles.faces).long()]
    volume = (corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * radius.mean().item() ** 3, rel=0.1), "faces look outwards"
    assert (field.colour(vertices).std(0) > 0.03).all()


def test_where_the_surface_is_looked_for_does_not_change_it(fields: Any) -> None:
    """Coarse to fine gives what the complete lattice gives."""
    sparse = density_surface(fields["density"], 129)
    from models.isosurface import surface
    from models.lrm.decoding import BOUNDS

    dense = surface(lambda points: 10.0 - fields["density"].density(points), BOUNDS, 129, passes=1, coarse=129)
    assert sparse.queries < dense.queries / 3
    assert np.array_equal(sparse.faces, dense.faces)
    assert np.abs(sparse.vertices - dense.vertices).max() < 1e-5


def test_fields_answer_in_float32_where_the_points_are(fields: Any) -> None:
    mesh, density = fields["mesh"], fields["density"]
    points = POINTS.double()
    corners = POINTS[:480].view(-1, 8, 3)
    for answer, shape in (
        (mesh.signed_distance(points), (500,)),
        (mesh.deformation(points), (500, 3)),
        (mesh.weights(corners), (60, 21)),
        (mesh.colour(points), (500, 3)),
        (density.density(points), (500,)),
        (density.colour(points), (500, 3)),
    ):
        assert answer.shape == shape and answer.dtype == torch.float32 and not answer.requires_grad
        answer.add_(1)  # an ordinary tensor, not one of inference mode
    assert mesh.colour(points).min() >= 0 and mesh.colour(points).max() <= 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_moves_the_surface_by_little(
    dtype: torch.dtype, tiny_checkpoints: Any, fields: Any, views: Any, tmp_path: Any
) -> None:
    model = InstantMeshModel.from_checkpoint(tiny_checkpoints["mesh"], dtype=dtype, converted=tmp_path)
    planes = model.encode(views, slot_cameras())
    assert planes.dtype == torch.float32
    difference = model.field(planes).signed_distance(POINTS) - fields["mesh"].signed_distance(POINTS)
    assert difference.abs().max() < (0.05 if dtype == torch.bfloat16 else 0.01)
