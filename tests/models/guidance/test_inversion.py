"""A word is learned from a picture: one row of numbers, in the autoencoder's range, resumed to the bit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from torch import Tensor  # noqa: E402

from models.guidance.inversion import (  # noqa: E402
    SENTENCES,
    VIEWS,
    Inversion,
    Latents,
    altered,
    begin,
    encode,
    listening,
    optimiser,
    write_word,
)
from models.guidance.stable_diffusion import StableDiffusionFiles  # noqa: E402
from models.guidance.text import read_words  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from models.optimisation.hooks import Hooks  # noqa: E402
from models.optimisation.loop import Loop, Settings  # noqa: E402
from models.optimisation.state import read_state  # noqa: E402
from models.published import load_tokenizer  # noqa: E402

SIDE = 64


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    """A red square with a blue left edge on white, 3 × 96 × 96."""
    picture = torch.ones(3, 96, 96)
    picture[:, 16:80, 16:80] = torch.tensor([0.8, 0.2, 0.1])[:, None, None]
    picture[:, 16:80, 16:28] = torch.tensor([0.1, 0.2, 0.8])[:, None, None]
    return picture


@pytest.fixture(scope="module")
def files(stable_diffusion: Path) -> StableDiffusionFiles:
    return StableDiffusionFiles(stable_diffusion)


@pytest.fixture(scope="module")
def latents(files: StableDiffusionFiles, picture: Tensor) -> Latents:
    with torch.no_grad():
        return encode(altered(picture, 6, SIDE, 1), files.parts["vae"])


def objective(files: StableDiffusionFiles, latents: Latents, batch: int = 4, unet: Any = None) -> Inversion:
    tokenizer = load_tokenizer(files.folder / "tokenizer")
    unet = files.parts["unet"] if unet is None else unet
    return Inversion(unet, files.parts["text_encoder"], tokenizer, latents, "a chair", batch)


@pytest.fixture(scope="module")
def listening_unet(files: StableDiffusionFiles) -> Any:
    """A network made by chance hardly hears what it is told; this one does."""
    network = copy.deepcopy(files.parts["unet"])
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "attn2.to_out" in name and name.endswith("weight"):
                weight *= 20
    return network


def loop(files: StableDiffusionFiles, latents: Latents, steps: int, **settings: Any) -> Loop:
    made = objective(files, latents)
    return Loop(made, optimiser(made), Settings(steps, seed=2, judged_every=0, **settings))


def test_altered_pictures_have_the_autoencoder_s_range_and_white_around_them(picture: Tensor) -> None:
    found = list(altered(picture, VIEWS, SIDE, 3))
    assert len(found) == VIEWS and all(each.shape == (3, SIDE, SIDE) for each in found)
    assert min(each.min() for each in found) < -0.5 and max(each.max() for each in found) == 1
    assert all((each[:, 0, 0] == 1).all() and (each[:, -1, -1] == 1).all() for each in found)
    plain = torch.nn.functional.interpolate(picture[None], (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    assert torch.allclose(found[0], 2 * plain - 1, atol=1e-5), "the first is as the picture is"
    mirrored = [(each[2] - each[0]).mean(0) for each in found]
    assert {bool(each[: SIDE // 2].mean() > each[SIDE // 2 :].mean()) for each in mirrored} == {True, False}
    greys = [each for each in found if torch.allclose(each[0], each[1], atol=1e-4)]
    assert 0 < len(greys) < VIEWS / 4
    again = list(altered(picture, 5, SIDE, 3))
    assert all(torch.equal(one, other) for one, other in zip(again, found, strict=False))
    assert not torch.equal(next(iter(list(altered(picture, 2, SIDE, 4))[1:])), found[1])


def test_only_the_word_is_learned(files: StableDiffusionFiles, latents: Latents) -> None:
    before = {name: each.clone() for name, each in files.parts["text_encoder"].state_dict().items()}
    made = loop(files, latents, 2)
    first = made.parameters["word"].detach().clone()
    assert list(made.parameters) == ["word"] and list(made.objective.state_dict()) == ["word"]
    made.run()
    after = files.parts["text_encoder"].state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert not torch.equal(made.parameters["word"], first)
    networks = [files.parts[name] for name in ("unet", "text_encoder")]
    assert all(each.grad is None for network in networks for each in network.parameters())


def test_the_gradient_is_that_of_the_loss(files: StableDiffusionFiles, latents: Latents, listening_unet: Any) -> None:
    """Against differences along it."""
    made = objective(files, latents, 2, listening_unet)
    (loss,) = made(Step(0, 5)).values()
    (gradient,) = torch.autograd.grad(loss, made.word)
    direction = gradient / gradient.norm()
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            made.word += sign * 0.005 * direction
            values.append(float(made(Step(0, 5))["noise"]))
            made.word -= sign * 0.005 * direction
    assert (values[0] - values[1]) / 0.01 == pytest.approx(float(gradient.norm()), rel=0.05)


def test_parts_of_a_step_are_the_step(files: StableDiffusionFiles, latents: Latents) -> None:
    whole, parts = loop(files, latents, 1), loop(files, latents, 1, accumulation=4)
    whole.run()
    parts.run()
    assert whole.losses.means["noise"] == pytest.approx(parts.losses.means["noise"], rel=1e-5)
    assert torch.allclose(whole.parameters["word"], parts.parameters["word"], atol=1e-6)


def test_the_loss_falls(files: StableDiffusionFiles, latents: Latents, listening_unet: Any) -> None:
    """At a rate for which a few steps do; the same noise is asked before and after."""
    made = objective(files, latents, unet=listening_unet)

    def asked() -> float:
        with torch.no_grad():
            return sum(float(made(Step(number, 99))["noise"]) for number in range(8))

    before = asked()
    steps = torch.optim.AdamW([made.word], lr=0.05)
    Loop(made, steps, Settings(40, seed=2, judged_every=0)).run()
    assert asked() < 0.997 * before


def test_it_goes_on_to_the_bit(files: StableDiffusionFiles, latents: Latents, tmp_path: Path) -> None:
    undisturbed = loop(files, latents, 6)
    undisturbed.run()
    cut = loop(files, latents, 6)
    cut.run(Hooks(finish=lambda: cut.step == 3))
    cut.write(tmp_path)
    resumed = loop(files, latents, 6)
    read_state(resumed, tmp_path)
    assert resumed.step == 3
    resumed.run()
    assert torch.equal(resumed.parameters["word"], undisturbed.parameters["word"])


def test_a_written_word_is_read_again(tmp_path: Path) -> None:
    embedding = torch.arange(5.0)
    found = read_words(write_word(tmp_path / "word.safetensors", "<this>", embedding))
    assert list(found) == ["<this>"] and torch.equal(found["<this>"], embedding)
    torch.save({"_ironman_": embedding}, tmp_path / "learned_embeds.bin")
    assert torch.equal(read_words(tmp_path / "learned_embeds.bin")["_ironman_"], embedding)


def test_a_word_begins_as_what_is_known(files: StableDiffusionFiles) -> None:
    tokenizer, encoder = load_tokenizer(files.folder / "tokenizer"), files.parts["text_encoder"]
    numbers = tokenizer("chair", add_special_tokens=False).input_ids
    table = encoder.get_input_embeddings().weight
    assert torch.allclose(begin("chair", tokenizer, encoder), table[numbers].mean(0))
    with pytest.raises(ValueError, match="nothing to begin with"):
        begin(" ", tokenizer, encoder)


def test_the_encoder_hears_the_word_in_every_sentence_and_is_given_back(
    files: StableDiffusionFiles, latents: Latents
) -> None:
    made, encoder = objective(files, latents), files.parts["text_encoder"]
    table = encoder.get_input_embeddings()
    new = table.num_embeddings
    for numbers in made._tokens.sentences:
        assert numbers.shape == (77,) and int((numbers == new).sum()) == 1
    assert len(made._tokens.sentences) == len(SENTENCES) and all(each.count("{}") == 1 for each in SENTENCES)
    known = torch.stack([torch.where(each == new, 5, each) for each in made._tokens.sentences[:2]])
    with torch.no_grad():
        expected = encoder(known)[0]
        with listening(encoder, table.weight[5]):
            found = encoder(torch.stack(made._tokens.sentences[:2]))[0]
    assert torch.equal(found, expected), "a new word with the numbers of word 5 is word 5"
    assert encoder.get_input_embeddings() is table
