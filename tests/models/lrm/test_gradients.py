"""Large reconstruction models can be trained: gradients come through views, planes, fields, rays and surfaces."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.isosurface.flexicubes import extract_surface  # noqa: E402
from models.lrm.cameras import camera_rays, pinhole, slot_cameras, spherical_poses  # noqa: E402
from models.lrm.decoders import perceptron  # noqa: E402
from models.lrm.fields import DensityField, MeshField  # noqa: E402
from models.lrm.model import InstantMeshModel  # noqa: E402
from models.lrm.tiny import tiny_network  # noqa: E402
from models.lrm.triplane import PlanePerceptron, sample  # noqa: E402
from models.lrm.volume import render_rays  # noqa: E402
from tests.models.gradients import check_gradients, trainable  # noqa: E402
from tests.models.lrm.test_networks import plain_features  # noqa: E402

CHUNK = 500
"""Points at once, so that several chunks make one graph."""


def planes_of(network: Any) -> Any:
    views = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    return InstantMeshModel(network).encode(views, slot_cameras()[:2])


def rays() -> tuple[Any, Any]:
    origins, directions = camera_rays(spherical_poses([20], [10], 4.0), pinhole(), 8, 8)
    return origins[0], directions[0]


def test_pictures_of_a_density_variant_train_all_of_it() -> None:
    network = trainable(tiny_network("density"))
    field = DensityField(network.synthesizer.decoder, planes_of(network), CHUNK)
    seen = render_rays(field, *rays(), 32, chunk=CHUNK)
    assert 0.1 < float(seen.weight.detach().mean()) < 0.9, "both the object and the background are seen"
    check_gradients(network, (seen.colour - 0.3).square().mean() + seen.depth.mean())


def test_the_surface_of_a_mesh_variant_trains_all_of_it() -> None:
    network = trainable(tiny_network("mesh"))
    field = MeshField(network.synthesizer.decoder, planes_of(network), CHUNK)
    found = extract_surface(field, 12, chunk=CHUNK)
    assert not found.empty and len(found.faces) > 100
    corners = found.vertices[found.faces]
    volume = torch.linalg.det(corners).sum() / 6
    assert 0.5 < float(volume.detach()) < 1.5, "a ball of radius 0.6 has 0.9"
    check_gradients(network, volume + field.radiance(found.vertices).mean())


def test_a_loaded_checkpoint_is_for_inference_until_it_is_told_to_learn(tiny_checkpoints: dict[str, Path]) -> None:
    model = InstantMeshModel.from_checkpoint(tiny_checkpoints["density"])
    assert not any(part.training or any(each.requires_grad for each in part.parameters()) for part in [model.network])
    assert not planes_of(model.network).requires_grad
    network = trainable(model.network)
    raw = DensityField(network.synthesizer.decoder, planes_of(network))(torch.rand(50, 3) - 0.5)[1]
    check_gradients(network.transformer, raw.mean())


@pytest.mark.parametrize("per_query", [1, 8])
def test_learning_and_inference_take_ways_that_agree(per_query: int) -> None:
    torch.manual_seed(3)
    network, planes = perceptron(per_query * 15, 4), torch.randn(3, 5, 8, 8)
    points = torch.randn(40 * per_query, 3).view(-1, per_query, 3)
    both = PlanePerceptron(network, planes, chunk=17)
    assert both.learns(points) and not both.folded(points).requires_grad
    assert torch.allclose(both(points), both.folded(points), atol=2e-6)
    assert torch.equal(both(points), both.plain(points)) and both(points).requires_grad
    with torch.no_grad():
        assert not both.learns(points)
        assert torch.equal(both(points), both.folded(points))
    network.requires_grad_(False)
    assert not both.learns(points) and both.learns(points.requires_grad_())


def test_inference_sees_what_has_been_learned_since() -> None:
    torch.manual_seed(4)
    network, planes = perceptron(15, 2), torch.randn(3, 5, 8, 8).requires_grad_()
    both, points = PlanePerceptron(network, planes), torch.randn(30, 3)
    optimiser = torch.optim.SGD([planes, *network.parameters()], 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        both(points).square().mean().backward()
        optimiser.step()
        with torch.no_grad():
            assert torch.allclose(both(points), both.plain(points), atol=2e-6)
    network.load_state_dict({name: each.clone() for name, each in perceptron(15, 2).state_dict().items()}, assign=True)
    with torch.no_grad():
        assert torch.allclose(both(points), both.plain(points), atol=2e-6)


def test_planes_and_points_get_the_gradients_of_bilinear_interpolation() -> None:
    torch.manual_seed(5)
    planes, points = torch.randn(3, 2, 6, 6).requires_grad_(), (1.8 * torch.rand(50, 3) - 0.9).requires_grad_()
    weights = torch.randn(50, 6)
    ours = torch.autograd.grad((sample(planes, points) * weights).sum(), [planes, points])
    theirs = torch.autograd.grad((plain_features(planes, points) * weights).sum(), [planes, points])
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
