"""Views and cameras become the reference's tokens, at a size that the position table was not made for too."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

TOLERANCE = 3e-5

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("encoder")


@pytest.fixture
def network(numbers: Any) -> Any:
    from models.lrm.encoder import CameraEncoder
    from tests.parity.instantmesh.sizes import encoder_config

    encoder = CameraEncoder(encoder_config(numbers.json("vit_config"))).eval()
    encoder.load_state_dict(numbers.weights("w."))
    return encoder


def test_tokens_of_all_views(network: Any, numbers: Any, close: Any) -> None:
    views, cameras = numbers["in.images"].flatten(0, 1), numbers["in.cameras"].flatten(0, 1)
    close(network.camera_embedder(cameras), numbers["mid.camera_embedding"].flatten(0, 1), TOLERANCE)
    close(network(views, cameras), numbers["out.last_hidden_state"], TOLERANCE)


def test_layer_by_layer(network: Any, numbers: Any, close: Any) -> None:
    embeddings = network.model.embeddings
    rows, columns = (side // network.config.patch_size for side in numbers["in.images"].shape[-2:])
    close(embeddings.positions(rows, columns), numbers["mid.interpolated_pos_embed"], TOLERANCE)
    hidden = embeddings((numbers["in.images"][0, :1] - 0.5) / 0.5)
    close(hidden, numbers["mid.embeddings"], TOLERANCE)
    camera = numbers["mid.camera_embedding"][0, :1]
    for index, layer in enumerate(network.model.layers):
        hidden = layer(hidden, camera)
        close(hidden, numbers[f"mid.layer{index}"], TOLERANCE)


def test_at_its_own_size_the_positions_are_taken_as_they_are(network: Any, numbers: Any, close: Any) -> None:
    tokens = network(numbers["in.images_native"][0], numbers["in.cameras"][0, :2])
    close(tokens, numbers["out.last_hidden_state_native"], TOLERANCE)
