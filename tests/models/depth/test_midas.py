"""The depth network reads published files strictly; what it sees and says is as MiDaS prepares it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from models.depth.loading import load_depth  # noqa: E402
from models.depth.midas import inverse_depth, predicted, seen, seen_size, within  # noqa: E402
from models.depth.tiny import CONFIG, LAYERS, WIDTH, tiny_tensors, write_tiny_midas  # noqa: E402
from models.loading import CheckpointDamaged, CheckpointForeign, CheckpointMissing  # noqa: E402
from models.writing import write_json, write_safetensors  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_midas(tmp_path_factory.mktemp("midas"))


def plain_beit(pixels: Tensor, t: dict[str, Tensor]) -> list[Tensor]:
    """The states after each layer of a BEiT that sees 64 × 64, from the published names alone (arXiv 2106.08254)."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), t[f"{name}.weight"], t[f"{name}.bias"], 1e-12)

    places = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"), -1).reshape(-1, 2)
    apart = places[:, None] - places[None] + 3
    index = torch.full((17, 17), 49 + 2)
    index[1:, 1:], index[0, 1:], index[1:, 0] = apart[..., 0] * 7 + apart[..., 1], 49, 49 + 1
    stem = "backbone.embeddings.patch_embeddings.projection"
    patches = F.conv2d(pixels, t[f"{stem}.weight"], t[f"{stem}.bias"], stride=16).flatten(2).transpose(1, 2)
    x = torch.cat([t["backbone.embeddings.cls_token"].expand(len(pixels), -1, -1), patches], 1)
    states = []
    for layer in range(LAYERS):
        at = f"backbone.encoder.layer.{layer}"
        heads = f"{at}.attention.attention"
        y = norm(x, f"{at}.layernorm_before")
        query = F.linear(y, t[f"{heads}.query.weight"], t[f"{heads}.query.bias"])
        key = F.linear(y, t[f"{heads}.key.weight"])
        value = F.linear(y, t[f"{heads}.value.weight"], t[f"{heads}.value.bias"])
        query, key, value = (each.unflatten(2, (2, -1)).transpose(1, 2) for each in (query, key, value))
        bias = t[f"{heads}.relative_position_bias.relative_position_bias_table"][index].permute(2, 0, 1)
        shares = (query @ key.transpose(2, 3) / (WIDTH // 2) ** 0.5 + bias).softmax(-1)
        mixed = (shares @ value).transpose(1, 2).flatten(2)
        y = F.linear(mixed, t[f"{at}.attention.output.dense.weight"], t[f"{at}.attention.output.dense.bias"])
        x = x + t[f"{at}.lambda_1"] * y
        y = norm(x, f"{at}.layernorm_after")
        y = F.gelu(F.linear(y, t[f"{at}.intermediate.dense.weight"], t[f"{at}.intermediate.dense.bias"]))
        y = F.linear(y, t[f"{at}.output.dense.weight"], t[f"{at}.output.dense.bias"])
        x = x + t[f"{at}.lambda_2"] * y
        states.append(x)
    return states


@torch.no_grad()
def test_published_names_go_where_they_belong(folder: Path) -> None:
    """A plain reading of the file's layout gives the same states in every layer."""
    network = load_depth(folder, "cpu", torch.float32)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = plain_beit(pixels, tiny_tensors())
    found = network.backbone(pixels).feature_maps
    assert len(found) == LAYERS
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert network.training is False and not any(each.requires_grad for each in network.parameters())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), (512, 512)),
        ((768, 1024), (512, 672)),  # 512/768 is nearer to 1 than 512/1024; 1024 · 2/3 = 682.7 is 21.3 · 32
        ((300, 400), (384, 512)),  # 512/400 is nearer to 1 than 512/300
        ((1, 4000), (32, 512)),
    ],
)
def test_what_it_sees_is_resized_as_little_as_may_be(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert seen_size(*size) == expected


def test_colours_and_edges_are_those_of_the_training() -> None:
    picture = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    found = seen(picture, 64)
    assert torch.allclose(found, 2 * picture - 1, atol=1e-6)


@torch.no_grad()
def test_depth_comes_back_at_the_picture_s_size_and_one_by_one(folder: Path) -> None:
    network = load_depth(folder, "cpu", torch.float32)
    pictures = torch.rand(2, 3, 50, 90, generator=torch.Generator().manual_seed(2))
    found = inverse_depth(pictures, network, 64)
    assert found.shape == (2, 50, 90) and found.std() > 0
    assert torch.equal(found[1:], inverse_depth(pictures[1:], network, 64))
    assert predicted(seen(pictures, 64), network).shape == (2, 64, 128)


def test_an_object_reaches_from_0_to_1_whatever_is_around_it() -> None:
    inverse = torch.tensor([[9.0, 2.0], [3.0, 4.0]])
    cover = torch.tensor([[0.0, 0.01], [0.5, 1.0]])
    assert torch.equal(within(inverse, cover), torch.tensor([[0.0, 0.0], [0.5, 1.0]]))
    assert torch.equal(within(inverse, torch.zeros(2, 2)), torch.zeros(2, 2))
    assert torch.equal(within(torch.ones(2, 2), cover), torch.zeros(2, 2)), "flat is no division by nothing"


def without(names: dict[str, Tensor]) -> None:
    del names["neck.convs.1.weight"]


def beyond(names: dict[str, Tensor]) -> None:
    names["head.head.9.weight"] = torch.zeros(2)


def of_another_width(names: dict[str, Tensor]) -> None:
    names["backbone.encoder.layer.2.lambda_1"] = torch.zeros(WIDTH + 1)


@pytest.mark.parametrize(
    ("spoil", "said"), [(without, "neck.convs.1"), (beyond, "head.head.9"), (of_another_width, "lambda_1")]
)
def test_a_file_that_does_not_fit_is_told_by_the_tensor(tmp_path: Path, spoil: Any, said: str) -> None:
    tensors = tiny_tensors()
    spoil(tensors)
    write_json(tmp_path / "config.json", CONFIG)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(CheckpointForeign, match=said):
        load_depth(tmp_path, "meta", torch.float32)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "vit"},
        {"backbone_config": {**CONFIG["backbone_config"], "num_hidden_layers": 10**6}},
        {"backbone_config": {**CONFIG["backbone_config"], "num_attention_heads": 3}},
        {"backbone_config": {**CONFIG["backbone_config"], "hidden_size": None}},
        {"fusion_hidden_size": 10**9},
        {"neck_hidden_sizes": [8]},
    ],
)
def test_a_configuration_of_nothing_is_refused(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    with pytest.raises(CheckpointForeign):
        load_depth(tmp_path, "meta", torch.float32)


def test_what_is_missing_or_cut_off_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing):
        load_depth(tmp_path, "cpu", torch.float32)
    write_json(tmp_path / "config.json", CONFIG)
    with pytest.raises(CheckpointMissing):
        load_depth(tmp_path, "cpu", torch.float32)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(CheckpointDamaged):
        load_depth(tmp_path, "cpu", torch.float32)
