"""At the published sizes the networks have the published parameters; the sizes are found from the shapes."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

VARIANTS = ["instant_mesh_base", "instant_mesh_large", "instant_nerf_base", "instant_nerf_large"]


@pytest.fixture
def published(request: Any, manifest: Any) -> Any:
    return manifest["models"][request.param]


@pytest.mark.parametrize("published", VARIANTS, indirect=True, ids=VARIANTS)
def test_names_and_shapes_are_the_published_ones(published: Any) -> None:
    from models.lrm.checkpoint import network_name
    from models.lrm.configs import config_of
    from models.lrm.model import LargeReconstructionModel

    shapes = {network_name(name): tuple(shape) for name, shape in published["state_dict"].items()}
    config = config_of(shapes, Path(published["file"]))
    assert config.variant == Path(published["file"]).stem
    with torch.device("meta"):
        model = LargeReconstructionModel(config)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == shapes
    assert sum(parameter.numel() for parameter in model.parameters()) == published["parameters"]
    assert config.samples_per_ray == published["config"]["rendering_samples_per_ray"]
    assert config.transformer.heads == published["config"]["transformer_heads"]


def test_the_encoder_is_the_published_one(manifest: Any) -> None:
    from models.lrm.configs import EncoderConfig
    from models.lrm.encoder import IMAGE_DEVIATION, IMAGE_MEAN, NORM_EPS
    from tests.parity.instantmesh.sizes import encoder_config

    assert encoder_config(manifest["encoder_vit_config"]) == EncoderConfig()
    assert manifest["encoder_vit_config"]["layer_norm_eps"] == NORM_EPS
    assert manifest["encoder_preprocess"]["image_mean"] == [IMAGE_MEAN] * 3
    assert manifest["encoder_preprocess"]["image_std"] == [IMAGE_DEVIATION] * 3
