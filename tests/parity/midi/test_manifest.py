"""At the published hyperparameters the networks have exactly the published parameters."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.parity.goldens import part_of  # noqa: E402


@pytest.fixture(scope="module")
def modules(reference: Path) -> Any:
    return json.loads(part_of(reference, "manifest.json").read_text(encoding="utf-8"))["modules"]


def on_meta(name: str, config: dict[str, Any]) -> Any:
    from models.midi.transformer import MidiTransformer, TransformerConfig
    from models.midi.vae import MidiVae, VaeConfig

    with torch.device("meta"):
        if name == "transformer":
            return MidiTransformer(TransformerConfig(**config))
        return MidiVae(VaeConfig(**config))


@pytest.mark.parametrize("name", ["transformer", "vae"])
def test_names_and_shapes_are_the_published_ones(name: str, modules: Any) -> None:
    model = on_meta(name, modules[name]["config"])
    found = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert found == modules[name]["keys"]
    assert sum(parameter.numel() for parameter in model.parameters()) == modules[name]["num_parameters"]


@pytest.mark.parametrize("name", ["transformer", "vae"])
def test_the_published_hyperparameters_are_the_defaults(name: str, modules: Any) -> None:
    assert on_meta(name, {}).config == on_meta(name, modules[name]["config"]).config


def test_the_published_state_dict_loads_strictly(modules: Any) -> None:
    for name in ("transformer", "vae"):
        state = {key: torch.empty(shape, device="meta") for key, shape in modules[name]["keys"].items()}
        on_meta(name, modules[name]["config"]).load_state_dict(state, strict=True, assign=True)


def test_the_blocks_around_the_middle_see_all_instances(modules: Any) -> None:
    model = on_meta("transformer", modules["transformer"]["config"])
    assert list(model.config.multi_instance_blocks) == modules["transformer"]["multi_instance_self_attention_blocks"]


@pytest.mark.parametrize("number", [1, 2])
def test_the_image_encoders_have_the_published_size(number: int, modules: Any) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    entry = modules[f"image_encoder_{number}"]
    config = {key: value for key, value in entry["config_expected"].items() if key != "hidden_act"}
    with torch.device("meta"):
        model = (
            CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
            if number == 1
            else Dinov2Model(Dinov2Config(**config))
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == entry["num_parameters"]
    for key, shape in entry.get("override_shapes", {}).items():
        assert list(model.state_dict()[key].shape) == shape
