"""Encoders, camera embedding, modulated transformer and planes give the reference's numbers."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.lrm.fields import DensityField  # noqa: E402
from models.lrm.single_view import OFFICIAL, SingleViewModel  # noqa: E402
from models.lrm.single_view_names import generation_of, published_name, renamed  # noqa: E402
from tests.parity.mira.networks import mira, openlrm  # noqa: E402


@pytest.mark.parametrize("name", OFFICIAL)
def test_published_checkpoints_fit_key_by_key(name: str, manifest: Any) -> None:
    published, config = manifest["models"][name], OFFICIAL[name]
    with torch.device("meta"):
        network = SingleViewModel(config)
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == {renamed(key, config.generation): shape for key, shape in published["keys"].items()}
    assert generation_of(published["keys"]) == config.generation
    assert [published_name(key, config.generation) for key in shapes] == [
        old for key in shapes for old in published["keys"] if renamed(old, config.generation) == key
    ]
    assert sum(each.numel() for each in network.parameters()) == published["num_parameters"]


def test_every_published_model_is_known(manifest: Any) -> None:
    assert OFFICIAL.keys() == manifest["models"].keys()


def test_openlrm_from_picture_to_planes(golden: Any, close: Any) -> None:
    numbers = golden("openlrm11_transformer")
    network = openlrm(numbers)
    picture, camera = numbers["in.image"], numbers["in.source_camera"]
    tokens, embedding = network.encoder(picture), network.camera_embedder(camera)
    close(tokens, numbers["out.encoder_tokens"], 2e-5)
    close(embedding, numbers["out.camera_embedding"], 1e-5)
    first, hidden = network.transformer.layers[0], network.pos_embed.expand(len(picture), -1, -1)
    close(first.norm1(hidden, embedding), numbers["mid.block0_norm1"], 2e-5)
    close(first(hidden, tokens, embedding), numbers["mid.block0_out"], 5e-5)
    close(network.transformer(hidden, tokens, embedding), numbers["out.tokens"], 1e-4)
    close(network.planes(picture, camera), numbers["out.planes"], 1e-4)


def test_mira_from_picture_to_field(golden: Any, close: Any) -> None:
    numbers = golden("mira_model")
    network = mira(numbers)
    picture, camera = numbers["in.image"], numbers["in.source_camera20"]
    close(network.encoder(picture), numbers["out.encoder_tokens"], 5e-5)
    close(network.camera_embedder(camera), numbers["out.camera_embedding"], 1e-5)
    planes = network.planes(picture, camera)
    close(planes, numbers["out.planes"], 2e-4)
    size = len(numbers["out.grid_sigma"])
    axis = torch.linspace(-1, 1, size)
    field, points = DensityField(network.synthesizer.decoder, planes[0]), torch.cartesian_prod(axis, axis, axis)
    close(field.density(points), numbers["out.grid_sigma"].flatten(), 1e-3)
    close(field(points)[0], numbers["out.grid_rgb"].reshape(-1, 3), 1e-3)
