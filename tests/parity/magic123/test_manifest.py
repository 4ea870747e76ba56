"""Every tensor of Zero123's files has its place, by name and shape, at the published size: on the meta device."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from models.converted_folders import check_parts, part_network  # noqa: E402
from models.guidance.tiny import original_tensors  # noqa: E402
from models.guidance.zero123_files import (  # noqa: E402
    AVERAGE,
    PROJECTIONS,
    RAW,
    UNET,
    VAE,
    Part,
    check_projection,
    contents,
)
from models.hi3d import names  # noqa: E402
from models.pickled import header_of  # noqa: E402
from tests.parity.goldens import part_of, reference_folder  # noqa: E402

FILE = Path("105000.ckpt")
VAE_CONFIG = {
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}


def empty(shapes: dict[str, Any]) -> dict[str, Any]:
    with torch.device("meta"):
        return {name: torch.empty(shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def tower() -> dict[str, Any]:
    """Tensors of OpenAI's ViT-L/14, as another published file has them."""
    import json

    known = json.loads(part_of(reference_folder("hi3d"), "manifest.json").read_text(encoding="utf-8"))
    groups = known["stages"]["stage1"]["conditioners"].values()
    prefix = "conditioner.embedders.1.aesthetic_model.visual."
    return empty(names.under({name: shape for group in groups for name, shape in group.items()}, prefix))


@pytest.fixture(scope="module")
def published(manifest: Any, tower: dict[str, Any]) -> dict[str, Any]:
    """All tensors of an authors' file, without content."""
    import diffusers

    with torch.device("meta"):
        vae = getattr(diffusers, VAE).from_config(VAE_CONFIG).state_dict()
    projection = {
        name.removeprefix("cc_projection."): shape
        for name, shape in manifest["differs_from_sd15"].items()
        if name.startswith("cc_projection.")
    }
    unet = empty(manifest["unet_keys_diffusers"])
    return original_tensors(unet, 2, vae, tower, empty(projection))


def test_the_names_of_the_unet_are_the_published_ones(manifest: Any, published: dict[str, Any]) -> None:
    found = {name: list(each.shape) for name, each in published.items() if name.startswith(RAW)}
    assert found == manifest["unet_keys_original"]
    averages = {("diffusion_model." + name.removeprefix(RAW)).replace(".", "") for name in found}
    assert set(names.under(published, AVERAGE)) == averages | {"decay", "num_updates"}


def test_each_network_is_filled_to_the_last_tensor(manifest: Any, published: dict[str, Any]) -> None:
    found = contents(published)
    check_parts(found.parts, FILE)
    counts = {name: sum(each.numel() for each in part.tensors.values()) for name, part in found.parts.items()}
    stated = manifest["parameter_counts"]
    named = {"unet": "unet_8ch", "vae": "vae", "image_encoder": "clip_vision_with_projection"}
    assert counts == {name: stated[key] for name, key in named.items()}
    assert sum(each.numel() for each in found.projection.values()) == stated["cc_projection"]
    shapes = {name: list(each.shape) for name, each in found.parts["unet"].tensors.items()}
    assert shapes == manifest["unet_keys_diffusers"]
    config = part_network(found.parts["unet"], FILE).config
    for key, value in manifest["diffusers_unet_config"].items():
        assert _plain(config[key]) == value, key


def test_a_mirror_s_unet_is_filled_to_the_last_tensor(manifest: Any) -> None:
    part = Part(
        UNET, {"_class_name": UNET, **manifest["diffusers_unet_config"]}, empty(manifest["unet_keys_diffusers"])
    )
    check_parts({"unet": part}, Path("mirror"))


def test_both_families_have_the_same_projection(manifest: Any) -> None:
    stated = " ".join(manifest["diffusers_mirrors"].values())
    shapes = {name.rpartition(".")[2]: each for name, each in manifest["differs_from_sd15"].items() if "cc_" in name}
    for folder, layer in PROJECTIONS.items():
        assert folder in stated and f"{layer}.weight" in stated and f"{layer}.bias" in stated
    check_projection({name: header_of(each, FILE) for name, each in empty(shapes).items()}, (768, 768), FILE)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
