"""OpenLRM's and MIRA's networks: what differs between them, and that they can be trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from skimage.measure import marching_cubes

torch = pytest.importorskip("torch")

from models.lrm.cameras import camera_rays, camera_vectors, pinhole, source_vectors, spherical_poses  # noqa: E402
from models.lrm.configs import EncoderConfig  # noqa: E402
from models.lrm.decoding import BOUNDS, SINGLE_VIEW_THRESHOLD, density_surface  # noqa: E402
from models.lrm.dinov2 import DinoV2Config  # noqa: E402
from models.lrm.fields import DensityField  # noqa: E402
from models.lrm.single_view import SingleViewConfig, SingleViewModel  # noqa: E402
from models.lrm.single_view_names import as_generation, renamed  # noqa: E402
from models.lrm.single_view_tiny import tiny_single_view  # noqa: E402
from models.lrm.volume import render_rays  # noqa: E402
from tests.models.gradients import check_gradients, trainable  # noqa: E402
from tests.models.isosurface.fields import Counted  # noqa: E402

OLD = EncoderConfig(24, 1, 2, 48, 32, 8, camera_width=0, position_offset=0.0)
NEW = DinoV2Config(24, 1, 2, 8, 32, 2)
SMALL = SingleViewConfig("openlrm-1.1", NEW, 20, 32, 2, 4, 4, 6, 16)
CONFIGS = [SMALL, replace(SMALL, generation="openlrm-1.0", encoder=OLD), replace(SMALL, generation="mira", encoder=OLD)]


def inputs(config: SingleViewConfig) -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    poses, lens = spherical_poses([-90, -60], [0, 20], 2.0), pinhole(67.4)
    cameras = camera_vectors(poses, lens, rows=4 if config.camera_numbers == 20 else 3)
    origins, directions = camera_rays(poses, lens, 6, 6)
    return torch.rand(2, 3, 24, 40, generator=generator), cameras, (origins[1], directions[1])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.generation)
@pytest.mark.parametrize("width", [32, 24], ids=["split", "packed"])
def test_every_network_learns_from_a_rendered_picture(config: SingleViewConfig, width: int) -> None:
    torch.manual_seed(1)
    network = trainable(SingleViewModel(replace(config, width=width)))
    pictures, cameras, rays = inputs(config)
    done: list[int] = []
    planes = network.planes(pictures, cameras, lambda: done.append(1))
    assert planes.shape == (2, 3, 6, 8, 8) and len(done) == 3
    seen = render_rays(DensityField(network.synthesizer.decoder, planes[0]), *rays, config.samples_per_ray)
    check_gradients(network, (seen.colour - 0.2).square().mean())


def test_scale_and_shift_change_places_between_the_generations() -> None:
    torch.manual_seed(2)
    old = SingleViewModel(CONFIGS[1]).eval()
    mira = as_generation(old, "mira")
    assert mira.config.generation == "mira" and mira.camera_embedder.mlp[0].in_features == 20
    back = as_generation(mira, "openlrm-1.0")
    pictures, cameras, _ = inputs(CONFIGS[1])
    with torch.no_grad():
        expected, swapped = old.planes(pictures, cameras), mira.planes(pictures, inputs(CONFIGS[2])[1])
    assert torch.allclose(swapped, expected, atol=1e-5)
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in back.state_dict().items())
    with pytest.raises(ValueError, match="another encoder"):
        as_generation(SingleViewModel(CONFIGS[0]), "mira")


def test_names_of_every_generation_become_those_of_the_last() -> None:
    for generation, name, expected in (
        ("openlrm-1.1", "transformer.norm.bias", "transformer.norm.bias"),
        ("openlrm-1.0", "transformer.deconv.weight", "upsampler.weight"),
        ("openlrm-1.0", "transformer.layers.1.norm2.mlp.1.bias", "transformer.layers.1.norm2.mlp.1.bias"),
        ("mira", "transformer.decoder.pos_embed", "pos_embed"),
        (
            "mira",
            "transformer.decoder.layers.0.modulated_norm_3.gamma_beta_mlp.1.bias",
            "transformer.layers.0.norm3.mlp.1.bias",
        ),
        ("mira", "transformer.encoder.model.layernorm.bias", "encoder.model.layernorm.bias"),
        ("mira", "renderer.decoder.net.0.bias", "synthesizer.decoder.net.0.bias"),
    ):
        assert renamed(name, generation) == expected  # type: ignore[arg-type]


def test_an_encoder_of_another_generation_is_refused() -> None:
    with pytest.raises(ValueError, match="mira has another encoder"):
        replace(SMALL, generation="mira")


def test_a_mesh_asks_near_its_surface_only_and_for_colours_at_vertices() -> None:
    resolution = 128
    network = tiny_single_view().requires_grad_(False)
    torch.manual_seed(0)
    planes = network.planes(torch.rand(1, 3, 56, 56), source_vectors(network.config))[0]
    field = DensityField(network.synthesizer.decoder, planes)
    asked = Counted(field.density)
    field.density = asked  # type: ignore[method-assign]
    found = density_surface(field, resolution, SINGLE_VIEW_THRESHOLD, coarse=33)
    # A surface grows with the square, its lattice with the cube: at the published 384 it is less than an eighth.
    assert found.queries == sum(asked.calls) <= resolution**3 / 7
    axis = torch.from_numpy(BOUNDS.axes(resolution)[0])
    values = SINGLE_VIEW_THRESHOLD - asked.field(torch.cartesian_prod(axis, axis, axis)).view(*[resolution] * 3)
    vertices, faces, _, _ = marching_cubes(values.numpy(), 0.0)
    assert found.faces.tolist() == faces.tolist()
    # Products of matrices round with their number of rows, and the values with them.
    assert abs(found.vertices - (vertices * 2 / (resolution - 1) - 1)).max() <= 1e-5
    colours = field.colour(torch.from_numpy(found.vertices))
    assert colours.shape == found.vertices.shape and 0 <= float(colours.min()) < float(colours.max()) <= 1


def test_mira_leaves_numbers_out_in_training_and_the_others_do_not() -> None:
    for config in CONFIGS:
        network = SingleViewModel(config).train()
        pictures, cameras, _ = inputs(config)
        with torch.no_grad():
            one, other = network.planes(pictures, cameras), network.planes(pictures, cameras)
            still = network.eval().planes(pictures, cameras)
        assert torch.equal(one, other) is (config.generation != "mira")
        assert torch.equal(one, still) is (config.generation != "mira")
