"""Image tokens become the reference's planes."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

TOLERANCE = 3e-5

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("transformer")


@pytest.fixture
def network(numbers: Any) -> Any:
    from models.lrm.transformer import TriplaneTransformer
    from tests.parity.instantmesh.sizes import transformer_config

    transformer = TriplaneTransformer(transformer_config(numbers.json("config"))).eval()
    transformer.load_state_dict(numbers.weights("w."))
    return transformer


def test_planes_of_two_objects(network: Any, numbers: Any, close: Any) -> None:
    close(network(numbers["in.image_feats"]), numbers["out.planes"], TOLERANCE)


def test_block_by_block(network: Any, numbers: Any, close: Any) -> None:
    hidden, context = network.pos_embed, numbers["in.image_feats"][:1]
    for index, block in enumerate(network.layers):
        hidden = block(hidden, context)
        close(hidden, numbers[f"mid.layer{index}"], TOLERANCE)


def test_the_order_of_the_views_does_not_matter(network: Any, numbers: Any, close: Any) -> None:
    turned = numbers["in.image_feats"].roll(5, dims=1)
    close(network(turned), numbers["out.planes"], TOLERANCE)
