"""At the published hyperparameters the networks have exactly the published parameters."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

DIFFUSERS = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}


@pytest.fixture(scope="module")
def multiview(manifest: Any) -> Any:
    return manifest["multiview"]


def on_meta(name: str, part: Any, folder: Path) -> Any:
    """A network from a `config.json` of the published values, as a checkpoint would bring it."""
    import transformers

    from models.published import diffusers_network, transformers_network
    from models.writing import write_json

    config = dict(part["config"])
    heads = config.pop("attention_head_dim_meaning_number_of_heads", None)
    if heads is not None:
        config["attention_head_dim"] = heads
    if name == "vae":
        blocks = len(config["block_out_channels"])
        config["down_block_types"] = ["DownEncoderBlock2D"] * blocks
        config["up_block_types"] = ["UpDecoderBlock2D"] * blocks
    write_json(folder / "config.json", config)
    if name in DIFFUSERS:
        assert part["type"] == f"diffusers {DIFFUSERS[name]}"
        return diffusers_network(folder, DIFFUSERS[name])
    class_name = part["type"].removeprefix("transformers ")
    config_name = "CLIPTextConfig" if "Text" in class_name else "CLIPVisionConfig"
    return transformers_network(folder, getattr(transformers, class_name), getattr(transformers, config_name))


@pytest.mark.parametrize("name", ["unet", "vae", "vision_encoder", "text_encoder"])
def test_each_network_has_the_published_size(name: str, multiview: Any, tmp_path: Path) -> None:
    network = on_meta(name, multiview[name], tmp_path)
    assert sum(parameter.numel() for parameter in network.parameters()) == multiview[name]["parameters"]
    if "tensors" in multiview[name]:
        assert len(network.state_dict()) == multiview[name]["tensors"]


def test_each_transformer_of_the_unet_has_a_self_attention_to_connect(multiview: Any, tmp_path: Path) -> None:
    network = on_meta("unet", multiview["unet"], tmp_path)
    names = list(network.attn_processors)
    config = multiview["unet"]["config"]
    down, up = (sum("CrossAttn" in kind for kind in config[f"{way}_block_types"]) for way in ("down", "up"))
    transformers = down * config["layers_per_block"] + up * (config["layers_per_block"] + 1) + 1  # one in the middle
    assert len(names) == 2 * transformers
    assert sum(".attn1." in name for name in names) == transformers


def test_the_published_schedule_and_ramp_are_the_ones_used(multiview: Any, tmp_path: Path) -> None:
    from models.writing import write_json
    from models.zero123plus.conditioning import read_ramp
    from models.zero123plus.pictures import COLUMNS, ROWS, VIEW_SIZE
    from models.zero123plus.scheduler import SchedulerConfig

    published = multiview["scheduler"]
    config = SchedulerConfig()
    for name in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type"):
        assert getattr(config, name) == published[name]
    write_json(tmp_path / "model_index.json", {"ramping_coefficients": multiview["ramping_coefficients"]})
    assert len(read_ramp(tmp_path)) == multiview["text_encoder"]["config"]["max_position_embeddings"]
    assert (multiview["height"], multiview["width"]) == (ROWS * VIEW_SIZE, COLUMNS * VIEW_SIZE)


def test_the_empty_text_has_the_published_tokens(multiview: Any) -> None:
    from models.zero123plus.conditioning import empty_text

    told = []

    class Encoder:
        class config:
            vocab_size = multiview["text_encoder"]["config"]["vocab_size"]
            max_position_embeddings = multiview["text_encoder"]["config"]["max_position_embeddings"]

        def __call__(self, input_ids: Any) -> Any:
            told.extend(input_ids[0].tolist())
            return type("Output", (), {"last_hidden_state": torch.zeros(*input_ids.shape, 4)})

    empty_text(Encoder())
    tokenizer = multiview["tokenizer"]
    assert told == [
        tokenizer["bos"],
        tokenizer["eos"],
        *[tokenizer["pad_token_id"]] * (Encoder.config.max_position_embeddings - 2),
    ]
