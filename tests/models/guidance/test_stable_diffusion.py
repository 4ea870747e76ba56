"""Stable Diffusion as a prior: its folder, its texts, and learned words."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from models.guidance.stable_diffusion import StableDiffusionFiles, sizes  # noqa: E402
from models.guidance.text import _tokens, read_words, sentences, view_texts, with_word  # noqa: E402
from models.guidance.tiny import WIDTH, write_words  # noqa: E402
from models.headers import CheckpointDamaged, CheckpointForeign, CheckpointMissing  # noqa: E402
from models.published import load_tokenizer  # noqa: E402
from models.writing import write_torch  # noqa: E402

SUFFIXES = [".bin", ".safetensors"]


@pytest.fixture(autouse=True)
def inference() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def files(stable_diffusion: Path) -> StableDiffusionFiles:
    return StableDiffusionFiles(stable_diffusion)


def test_texts_are_those_of_clip(files: StableDiffusionFiles) -> None:
    tokenizer = load_tokenizer(files.folder / "tokenizer")
    for text in (*sentences("a red chair"), "", "x" * 200):
        filled = tokenizer(text, padding="max_length", truncation=True, max_length=77).input_ids
        assert _tokens(text, tokenizer, {}) == filled
    texts = files.texts("a red chair", "ugly")
    encoder = files.parts["text_encoder"]
    for found, text in ((texts.front, "a red chair, front view"), (texts.back, "a red chair, back view")):
        told = tokenizer(text, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
        assert torch.equal(found, encoder(told)[0][0]) or torch.allclose(found, encoder(told)[0][0], atol=1e-6)
    assert texts.negative.shape == (77, WIDTH) and not torch.equal(texts.negative, files.texts("a red chair").negative)


def test_a_view_is_told_from_where_it_looks(files: StableDiffusionFiles) -> None:
    texts = files.texts("a chair")
    pi = torch.pi
    found = texts.told(torch.tensor([0.0, pi / 2, -pi / 2, pi, -pi, pi / 4, -pi / 4, 3 * pi / 4]))
    assert found.shape == (8, 77, WIDTH)
    between = 0.5 * (texts.front + texts.side), 0.5 * (texts.side + texts.back)
    expected = [texts.front, texts.side, texts.side, texts.back, texts.back, between[0], between[0], between[1]]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_learned_word_is_read_and_told(files: StableDiffusionFiles, suffix: str, tmp_path: Path) -> None:
    words = read_words(write_words(tmp_path / f"learned{suffix}", seed=1))
    assert list(words) == ["<prop>"] and words["<prop>"].shape == (WIDTH,)
    others = read_words(write_words(tmp_path / f"other{suffix}", seed=2))
    told, plain = files.texts("a photo of <token>", words=words), files.texts("a photo of a chair")
    assert not torch.allclose(told.front, plain.front)
    assert not torch.allclose(told.front, files.texts("a photo of <token>", words=others).front)
    assert torch.equal(files.texts("a photo of a chair").front, plain.front), "the encoder is left as it was"


def test_a_learned_word_is_one_token(files: StableDiffusionFiles) -> None:
    tokenizer = load_tokenizer(files.folder / "tokenizer")
    found = _tokens("a <prop>, a <prop>!", tokenizer, {"<prop>": 9999})
    assert found.count(9999) == 2 and len(found) == 77
    encoder = files.parts["text_encoder"]
    table = encoder.get_input_embeddings()
    row = torch.randn(WIDTH)
    with pytest.raises(ValueError, match="There is no text"):
        view_texts(" ", "", tokenizer, encoder, {"<prop>": row})
    assert encoder.get_input_embeddings() is table
    view_texts("<token>", "", tokenizer, encoder, {"<prop>": row})
    assert encoder.get_input_embeddings() is table


def test_texts_that_cannot_be_told(files: StableDiffusionFiles) -> None:
    assert with_word("a <token> here", ["<x>"]) == "a <x> here"
    assert with_word("a chair", []) == "a chair"
    with pytest.raises(ValueError, match="none was learned"):
        files.texts("a <token>")
    with pytest.raises(ValueError, match="there are 2: <a>, <b>"):
        with_word("a <token>", ["<a>", "<b>"])
    with pytest.raises(ValueError, match="There is no text"):
        files.texts("")
    with pytest.raises(ValueError, match="CLIP knows already"):
        files.texts("<token>", words={"a": torch.zeros(WIDTH)})
    with pytest.raises(CheckpointForeign, match=f"have {WIDTH}"):
        files.texts("<token>", words={"<a>": torch.zeros(WIDTH + 1)})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_hold_no_words(suffix: str, tmp_path: Path) -> None:
    from models.writing import write_safetensors

    def write(content: dict[str, Any]) -> Path:
        place = tmp_path / f"learned{suffix}"
        return write_safetensors(place, content) if suffix == ".safetensors" else write_torch(place, content)

    with pytest.raises(CheckpointMissing):
        read_words(tmp_path / f"none{suffix}")
    with pytest.raises(CheckpointForeign, match="one row of numbers"):
        read_words(write({"<a>": torch.zeros(2, 3)}))
    with pytest.raises(CheckpointForeign, match="entries"):
        read_words(write({}))
    with pytest.raises(CheckpointDamaged, match="no finite numbers"):
        read_words(write({"<a>": torch.full((3,), float("nan"))}))
    with pytest.raises(CheckpointDamaged, match="is no word"):
        read_words(write({"\n": torch.zeros(3)}))
    file = write({"<a>": torch.zeros(300)})
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(CheckpointDamaged):
        read_words(file)


def test_a_program_in_a_file_of_words_is_not_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return (pickle.loads, (b"cos\nsystem\n(S'false'\ntR.",))

    torch.save({"<a>": Harmful()}, tmp_path / "learned.bin")
    with pytest.raises(CheckpointForeign, match="more than weights"):
        read_words(tmp_path / "learned.bin")


def test_the_sizes_are_read_from_headers(files: StableDiffusionFiles) -> None:
    found = sizes(files.folder)
    for name, count in found.items():
        assert count == sum(each.numel() for each in files.parts[name].parameters()), name


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("scheduler/scheduler_config.json", {"prediction_type": "v_prediction"}, "prediction_type is 'v_prediction'"),
        ("scheduler/scheduler_config.json", {"beta_start": 0.1}, "beta_start is 0.1"),
        ("unet/config.json", {"in_channels": 8}, "conv_in.weight has the shape"),
        ("text_encoder/config.json", {"hidden_size": 48}, "text_encoder"),
    ],
)
def test_other_models_are_refused(
    stable_diffusion: Path, tmp_path: Path, file: str, change: dict[str, Any], says: str
) -> None:
    folder = shutil.copytree(stable_diffusion, tmp_path / "sd")
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | change))
    with pytest.raises(CheckpointForeign, match=says):
        StableDiffusionFiles(folder)


def test_zero123_is_not_stable_diffusion(zero123: Path, stable_diffusion: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stable_diffusion, tmp_path / "sd")
    shutil.rmtree(folder / "unet")
    shutil.copytree(zero123 / "unet", folder / "unet")
    with pytest.raises(CheckpointForeign, match="takes 8 channels; that of Stable Diffusion takes 4"):
        StableDiffusionFiles(folder)
    with pytest.raises(CheckpointMissing):
        StableDiffusionFiles(tmp_path / "nothing")
