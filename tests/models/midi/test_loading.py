"""A checkpoint loads whole and unchanged, or is refused with the name of the file, before anything is allocated."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from models.loading import (  # noqa: E402
    CheckpointDamaged,
    CheckpointError,
    CheckpointForeign,
    CheckpointMissing,
)
from models.midi.pipeline import LOADERS, MidiPipeline  # noqa: E402
from models.midi.tiny import tiny_parts, write_tiny_checkpoint  # noqa: E402

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def rewrite(file: Path, change: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def change_tensors(file: Path, change: Any) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def refused(folder: Path, kind: type[CheckpointError], *words: str) -> None:
    """Opening fails with these words."""
    with pytest.raises(kind) as caught:
        MidiPipeline.from_pretrained(folder)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("shard_bytes", [None, 20_000])
def test_what_was_written_is_what_is_loaded(shard_bytes: int | None, tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", seed=4, shard_bytes=shard_bytes)
    files = list((folder / "transformer").glob("*.safetensors"))
    assert len(files) == 1 if shard_bytes is None else len(files) > 5
    parts = tiny_parts(seed=4)
    opened = MidiPipeline.from_pretrained(folder)
    for name in ("transformer", "vae"):
        loaded = getattr(opened, name).state_dict()
        assert loaded.keys() == parts[name].tensors.keys()
        assert all(torch.equal(loaded[key], parts[name].tensors[key]) for key in loaded)
        assert not any(parameter.requires_grad for parameter in getattr(opened, name).parameters())


def test_image_encoders_are_loaded_as_transformers_loads_them(tiny_checkpoint: Path) -> None:
    from transformers import CLIPVisionModelWithProjection, Dinov2Model

    pixels = torch.rand(2, 3, 56, 56), torch.rand(2, 7, 64, 64)
    for number, kind, output in (
        (1, CLIPVisionModelWithProjection, "image_embeds"),
        (2, Dinov2Model, "last_hidden_state"),
    ):
        name = f"image_encoder_{number}"
        ours = LOADERS[name](tiny_checkpoint / name, "cpu", torch.float32)
        theirs = kind.from_pretrained(tiny_checkpoint / name).eval()
        with torch.inference_mode():
            found, expected = (model(pixel_values=pixels[number - 1])[output] for model in (ours, theirs))
        assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_any_precision_on_disk_becomes_the_one_asked_for(dtype: Any, folder: Path) -> None:
    file = folder / "vae" / WEIGHTS
    exact = load_file(file)
    change_tensors(file, lambda tensors: tensors.update({name: each.to(dtype) for name, each in tensors.items()}))
    single = MidiPipeline.from_pretrained(folder).vae.state_dict()
    assert all(torch.equal(single[name], exact[name].to(dtype).float()) for name in exact)
    half = MidiPipeline.from_pretrained(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in half.vae.parameters()} == {torch.bfloat16}
    assert half.vae.field(torch.zeros(4, 8))(torch.zeros(2, 3)).dtype == torch.float32


def test_a_plain_dinov2_is_widened_to_seven_channels(folder: Path) -> None:
    part = folder / "image_encoder_2"
    name = "embeddings.patch_embeddings.projection.weight"
    rewrite(part / "config.json", lambda config: config.update(num_channels=3))
    change_tensors(
        part / "model.safetensors", lambda tensors: tensors.update({name: tensors[name][:, :3].contiguous()})
    )
    model: Any = LOADERS["image_encoder_2"](part, "cpu", torch.float32)
    weight = model.embeddings.patch_embeddings.projection.weight
    assert weight.shape[1] == 7
    assert all(torch.equal(weight[:, channel], weight[:, channel % 3]) for channel in range(7))
    assert model(pixel_values=torch.rand(1, 7, 28, 28)).last_hidden_state.shape == (1, 5, 40)


def test_opening_reads_headers_only(tiny_checkpoint: Path, monkeypatch: Any) -> None:
    import safetensors

    def forbidden(*arguments: Any, **named: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(safetensors, "safe_open", forbidden)
    opened = MidiPipeline.from_pretrained(tiny_checkpoint)
    with pytest.raises(AssertionError, match="weights were read"):
        assert opened.vae


@pytest.mark.parametrize(
    "name",
    [
        f"transformer/{WEIGHTS}",
        "transformer/config.json",
        f"vae/{WEIGHTS}",
        "image_encoder_1/model.safetensors",
        "image_encoder_2/config.json",
        "scheduler/scheduler_config.json",
        "feature_extractor_2/preprocessor_config.json",
    ],
)
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    refused(folder, CheckpointMissing, str(folder / name), "missing")


@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -1])
def test_a_file_that_is_cut_off_is_named(kept: int, folder: Path) -> None:
    file = folder / "transformer" / WEIGHTS
    file.write_bytes(file.read_bytes()[:kept])
    refused(folder, CheckpointDamaged, str(file))


def test_a_half_downloaded_shard_is_named(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", shard_bytes=20_000)
    shards = sorted((folder / "transformer").glob("*.safetensors"))
    whole = shards[2].read_bytes()
    shards[2].write_bytes(whole[: len(whole) // 2])
    refused(folder, CheckpointDamaged, str(shards[2]), "incomplete")
    shards[2].unlink()
    refused(folder, CheckpointMissing, str(shards[2]))


def test_an_index_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", shard_bytes=20_000)
    index = folder / "transformer" / f"{WEIGHTS}.index.json"
    whole = index.read_text(encoding="utf-8")
    rewrite(index, lambda content: content["weight_map"].pop("proj_in.bias"))
    refused(folder, CheckpointDamaged, "proj_in.bias", index.name)
    index.write_text(whole, encoding="utf-8")
    rewrite(index, lambda content: content["weight_map"].update({"one.more": content["weight_map"]["proj_in.bias"]}))
    refused(folder, CheckpointDamaged, "one.more", index.name)
    for outside in ("../vae/x.safetensors", "/x.safetensors", "..\\x.safetensors", 3):
        rewrite(index, lambda content, outside=outside: content["weight_map"].update({"proj_in.bias": outside}))
        refused(folder, CheckpointDamaged, str(index), "weight_map")


def test_other_content_is_refused(folder: Path) -> None:
    file = folder / "vae" / WEIGHTS
    whole = file.read_bytes()
    for content, word in [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!doctype html><html>sign in</html>", "cut off"),
        ((9).to_bytes(8, "little") + b'{"a": 1} ', "header"),
        ((9).to_bytes(8, "little") + b"[1, 2, 3]", "header"),
        (whole + b"more", "bytes"),
    ]:
        file.write_bytes(content)
        refused(folder, CheckpointDamaged, str(file), word)


def test_foreign_tensors_are_named(folder: Path) -> None:
    file = folder / "transformer" / WEIGHTS
    change_tensors(file, lambda tensors: tensors.update({"lora.up": torch.zeros(1)}))
    refused(folder, CheckpointForeign, str(file), "lora.up")
    change_tensors(file, lambda tensors: (tensors.pop("lora.up"), tensors.pop("norm_out.bias")))
    refused(folder, CheckpointForeign, str(folder / "transformer"), "norm_out.bias is missing")
    change_tensors(file, lambda tensors: tensors.update({"norm_out.bias": torch.zeros(63)}))
    refused(folder, CheckpointForeign, str(file), "norm_out.bias", "[63]", "[64]")
    change_tensors(file, lambda tensors: tensors.update({"norm_out.bias": torch.zeros(64, dtype=torch.int64)}))
    refused(folder, CheckpointForeign, str(file), "norm_out.bias", "I64")


@pytest.mark.parametrize("part", ["image_encoder_1", "image_encoder_2"])
def test_a_foreign_image_encoder_is_refused(part: str, folder: Path) -> None:
    other = "image_encoder_2" if part == "image_encoder_1" else "image_encoder_1"
    shutil.copy(folder / other / "model.safetensors", folder / part / "model.safetensors")
    refused(folder, CheckpointForeign, part, "missing")


@pytest.mark.parametrize("part", ["image_encoder_1", "image_encoder_2"])
@pytest.mark.parametrize(
    "change",
    [
        {"num_attention_heads": 7},
        {"num_attention_heads": 0},
        {"patch_size": 7},
        {"image_size": 28},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 1},
        {"hidden_size": "wide"},
        {"model_type": "siglip"},
    ],
)
def test_an_image_encoder_with_another_configuration_is_refused(part: str, change: Any, folder: Path) -> None:
    rewrite(folder / part / "config.json", lambda config: config.update(change))
    refused(folder, CheckpointForeign, part)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("transformer/config.json", {"_class_name": "HunyuanDiT2DModel"}),
        ("transformer/config.json", {"width": 66}),
        ("transformer/config.json", {"width": -64}),
        ("transformer/config.json", {"num_layers": "many"}),
        ("transformer/config.json", {"num_layers": 10**9}),
        ("transformer/config.json", {"multi_instance_blocks": ["middle"]}),
        ("vae/config.json", {"embedding_type": "learned"}),
        ("vae/config.json", {"width_decoder": 50}),
        ("vae/config.json", {"embed_include_pi": 3}),
        ("scheduler/scheduler_config.json", {"shift": 0}),
        ("scheduler/scheduler_config.json", {"shift": float("nan")}),
        ("feature_extractor_1/preprocessor_config.json", {"size": {"longest": 224}}),
        ("feature_extractor_1/preprocessor_config.json", {"image_mean": [0.5]}),
        ("feature_extractor_2/preprocessor_config.json", {"crop_size": 0}),
        ("feature_extractor_2/preprocessor_config.json", {"crop_size": 65}),
    ],
)
def test_configurations_out_of_range_are_refused(file: str, change: Any, folder: Path) -> None:
    rewrite(folder / file, lambda config: config.update(change))
    refused(folder, CheckpointForeign, str(folder / file))


@pytest.mark.parametrize(
    ("part", "change", "cut"),
    [
        ("vae", {"latent_channels": 4}, {"post_quant.weight": (48, 4), "quant.weight": (8, 32), "quant.bias": (8,)}),
        ("image_encoder_1", {"projection_dim": 9}, {"visual_projection.weight": (9, 32)}),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(part: str, change: Any, cut: Any, folder: Path) -> None:
    rewrite(folder / part / "config.json", lambda config: config.update(change))
    (file,) = (folder / part).glob("*.safetensors")
    change_tensors(file, lambda tensors: tensors.update({name: torch.zeros(shape) for name, shape in cut.items()}))
    refused(folder, CheckpointForeign, str(folder / part / "config.json"), "channels")


def test_a_configuration_that_is_no_json_is_refused(folder: Path) -> None:
    for content in (b"{", b"[]", b"\xff\xfe\x00"):
        (folder / "vae" / "config.json").write_bytes(content)
        refused(folder, CheckpointDamaged, str(folder / "vae" / "config.json"))


def test_what_is_no_folder_is_refused_and_nothing_is_downloaded(tmp_path: Path, monkeypatch: Any) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("the hub was asked"))
    (tmp_path / "file").touch()
    for source in (tmp_path / "file", tmp_path / "nothing", "just-a-name", "VAST-AI/MIDI-3D"):
        with pytest.raises(CheckpointMissing, match=re.escape(str(source))):
            MidiPipeline.from_pretrained(source)


def test_a_file_that_breaks_after_opening_is_still_named(folder: Path) -> None:
    opened = MidiPipeline.from_pretrained(folder)
    file = folder / "vae" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(CheckpointDamaged, match=re.escape(str(file))):
        assert opened.vae
