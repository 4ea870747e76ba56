"""A checkpoint loads whole and unchanged, or is refused with the name of the file, before anything is allocated."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from models.loading import (  # noqa: E402
    CheckpointDamaged,
    CheckpointError,
    CheckpointForeign,
    CheckpointMissing,
)
from models.zero123plus.pipeline import Zero123Plus  # noqa: E402
from models.zero123plus.tiny import tiny_parts, write_white_unet  # noqa: E402

WEIGHTS = "diffusion_pytorch_model.safetensors"
UNET = Path("unet") / WEIGHTS


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


@pytest.fixture
def white(white_unet: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(white_unet, tmp_path))


def rewrite(file: Path, change: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def change_tensors(file: Path, change: Any) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def refused(folder: Path, kind: type[CheckpointError], *words: str, white_unet: Path | None = None) -> None:
    """Opening fails with these words."""
    with pytest.raises(kind) as caught:
        Zero123Plus.from_pretrained(folder, white_unet)
    for word in words:
        assert word in str(caught.value)


def test_what_was_written_is_what_is_loaded(folder: Path) -> None:
    parts, opened = tiny_parts(), Zero123Plus.from_pretrained(folder)
    for name in ("unet", "vae", "vision_encoder"):
        loaded = opened.parts[name].state_dict()
        assert loaded.keys() == parts[name].tensors.keys()
        assert all(torch.equal(loaded[key], parts[name].tensors[key]) for key in loaded)
        assert not any(parameter.requires_grad for parameter in opened.parts[name].parameters())


def test_networks_are_loaded_as_their_libraries_load_them(folder: Path, pipeline: Any) -> None:
    """The published form of the text encoder's names included."""
    import diffusers
    from transformers import CLIPTextModel, CLIPVisionModelWithProjection

    pixels = torch.rand(1, 3, 28, 28)
    with torch.inference_mode():
        vision = CLIPVisionModelWithProjection.from_pretrained(folder / "vision_encoder").eval()
        found = pipeline.parts["vision_encoder"](pixel_values=pixels).image_embeds
        assert torch.equal(found, vision(pixel_values=pixels).image_embeds)
        text = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
        assert torch.equal(pipeline.text, text(torch.tensor([[6, 7] + [0] * 75])).last_hidden_state[0])
        unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet").eval()
        inputs = torch.rand(1, 4, 12, 8), torch.tensor(7.0), torch.rand(1, 77, 16)
        assert torch.equal(pipeline.parts["unet"](*inputs).sample, unet(*inputs).sample)


def test_older_names_of_the_autoencoder_are_known(folder: Path, pipeline: Any) -> None:
    from models.published import RENAMED

    def older(name: str) -> str:
        for old, new in RENAMED:
            name = name.replace(new, old)
        return name

    file = folder / "vae" / WEIGHTS
    tensors = load_file(file)
    save_file({older(name): tensor for name, tensor in tensors.items()}, file)
    assert set(load_file(file)) != set(tensors)
    loaded = Zero123Plus.from_pretrained(folder).parts["vae"].state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_opening_reads_headers_only(folder: Path, white: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors

    def forbidden(*arguments: Any, **named: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(safetensors, "safe_open", forbidden)
    opened = Zero123Plus.from_pretrained(folder, white)
    assert opened.loaded_bytes == 0
    assert [file.name for file in white.parent.iterdir() if file.is_file()] == [white.name]
    with pytest.raises(AssertionError, match="weights were read"):
        _ = opened.parts["vae"]


def test_with_the_white_unet_the_other_weights_need_not_be_there(folder: Path, white: Path, tmp_path: Path) -> None:
    (folder / UNET).unlink()
    refused(folder, CheckpointMissing, str(folder / UNET))
    expected = tiny_parts(1)["unet"].tensors
    kept = tmp_path / "kept"
    opened = Zero123Plus.from_pretrained(folder, white, kept=kept)
    opened.prepare()
    assert {file.suffix for file in kept.iterdir()} == {".safetensors"}
    loaded = opened.parts["unet"].state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    white.unlink()
    again = Zero123Plus.from_pretrained(folder, white, kept=kept).parts["unet"].state_dict()
    assert all(torch.equal(again[name], expected[name]) for name in expected)
    direct = Zero123Plus.from_pretrained(folder, next(kept.glob("diffusion*"))).parts["unet"].state_dict()
    assert all(torch.equal(direct[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "name",
    [
        "model_index.json",
        "unet/config.json",
        f"unet/{WEIGHTS}",
        f"vae/{WEIGHTS}",
        "vision_encoder/model.safetensors",
        "text_encoder/model.safetensors",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        "feature_extractor_vae/preprocessor_config.json",
        "feature_extractor_clip/preprocessor_config.json",
    ],
)
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    refused(folder, CheckpointMissing, str(folder / name), "missing")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_named(share: float, folder: Path, white: Path) -> None:
    for file, white_unet in ((folder / "vae" / WEIGHTS, None), (white, white)):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])
        refused(folder, CheckpointDamaged, str(file), white_unet=white_unet)
        file.write_bytes(whole)
    Zero123Plus.from_pretrained(folder, white)


def test_foreign_tensors_are_named(folder: Path, white: Path) -> None:
    def unlike(change: Any, *words: str) -> None:
        """The same change of the UNet in both layouts is refused with the same words."""
        whole = load_file(folder / UNET)
        tensors = dict(whole)
        change(tensors)
        save_file(tensors, folder / UNET)
        write_white_unet(white, tensors)
        refused(folder, CheckpointForeign, str(folder / "unet"), *words)
        refused(folder, CheckpointForeign, str(white), *words, white_unet=white)
        save_file(whole, folder / UNET)

    unlike(lambda tensors: tensors.update({"lora.up": torch.zeros(1)}), "lora.up is unknown")
    unlike(lambda tensors: tensors.pop("conv_out.bias"), "conv_out.bias is missing")
    unlike(lambda tensors: tensors.update({"conv_out.bias": torch.zeros(5)}), "conv_out.bias", "[5]", "[4]")
    wrong = torch.zeros(4, dtype=torch.int64)
    unlike(lambda tensors: tensors.update({"conv_out.bias": wrong}), "conv_out.bias", "64")


def test_a_foreign_white_unet_is_refused(folder: Path, white: Path, tmp_path: Path) -> None:
    refused(folder, CheckpointMissing, "nowhere.bin", white_unet=tmp_path / "nowhere.bin")
    write_white_unet(white, tiny_parts()["vae"].tensors)
    refused(folder, CheckpointForeign, str(white), "another network", white_unet=white)


@pytest.mark.parametrize(
    ("file", "change", "word"),
    [
        ("model_index.json", {"ramping_coefficients": None}, "ramping_coefficients"),
        ("unet/config.json", {"_class_name": "UNet3DConditionModel"}, "UNet3DConditionModel"),
        ("unet/config.json", {"layers_per_block": 10**9}, "layers_per_block"),
        ("unet/config.json", {"block_out_channels": [8, 16]}, "does not describe"),
        ("unet/config.json", {"cross_attention_dim": 24}, "24"),
        ("vae/config.json", {"norm_num_groups": 3}, "does not describe"),
        ("vision_encoder/config.json", {"num_hidden_layers": 3}, "missing"),
        ("vision_encoder/config.json", {"model_type": "siglip"}, "siglip"),
        ("text_encoder/config.json", {"hidden_size": 18}, "shape"),
        ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, "DDIMScheduler"),
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}, "epsilon"),
        ("scheduler/scheduler_config.json", {"beta_end": 2.0}, "beta"),
        ("feature_extractor_vae/preprocessor_config.json", {"image_mean": [0.5]}, "image_mean"),
    ],
)
def test_another_configuration_is_refused(file: str, change: Any, word: str, folder: Path) -> None:
    rewrite(folder / file, lambda content: content.update(change))
    refused(folder, CheckpointForeign, word)


def test_parts_that_do_not_fit_together_are_refused(folder: Path) -> None:
    rewrite(folder / "vision_encoder" / "config.json", lambda config: config.update(projection_dim=24))
    file = folder / "vision_encoder" / "model.safetensors"
    change_tensors(file, lambda tensors: tensors.update({"visual_projection.weight": torch.zeros(24, 16)}))
    refused(folder, CheckpointForeign, "vision_encoder", "24 channels", "16")


def test_a_ramp_for_another_text_is_refused(folder: Path) -> None:
    rewrite(folder / "model_index.json", lambda index: index["ramping_coefficients"].pop())
    with pytest.raises(CheckpointForeign, match="76 for 77"):
        Zero123Plus.from_pretrained(folder).prepare()


def test_views_must_be_whole_latents(folder: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        Zero123Plus.from_pretrained(folder, view_size=321)
