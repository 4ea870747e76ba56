"""Textual inversion: a new word of Stable Diffusion that means the very object of a picture.

Gal et al., "An Image is Worth One Word", arXiv 2208.01618. Of all numbers one row is learned, the embedding of the new
word, so that the denoising network, told "a photo of <word>", finds the noise in pictures of the object. Networks stay
as they are.

The published programs for Magic123 give the autoencoder pictures of 0 to 1 where it knows -1 to 1, and drop the alpha
of a cut-out picture, so that whatever colour lies beneath is learned with it. Here pictures are composed on white and
their range is that of the autoencoder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.guidance.distillation import TIMESTEPS, noised, signal_shares
from models.optimisation.chance import Step, generator
from models.writing import write_safetensors

RATE, DECAY = 1e-4, 1e-2
"""Of AdamW, constant, as published."""

BATCH = 16
VIEWS = 100
"""Altered pictures of the object that are learned from, as the published program repeats its one."""

SENTENCES = (
    "a photo of {}",
    "a picture of {}",
    "a rendering of {}",
    "a close-up photo of {}",
    "a bright photo of {}",
    "a dark photo of {}",
    "a clean photo of {}",
    "a good photo of {}",
    "a cropped photo of {}",
    "a photo of a small {}",
    "a photo of a large {}",
    "a photo of one {}",
    "a photo of the whole {}",
    "a product photo of {}",
    "a studio photo of {}",
    "a depiction of {}",
)
"""What the network is told of a picture; any of them. Short and plain, so that all that is particular is the word's."""

TURN = math.radians(10.0)
TURNED = 0.75
SMALLEST, LARGEST = 0.85, 1.15
SHIFT = 0.08
"""Of the picture's side."""

JITTER = 0.1
GREY, BLURRED, MIRRORED = 0.1, 0.1, 0.5
"""How often a picture is without colour, blurred, mirrored: as published."""


@dataclass(frozen=True)
class Latents:
    """The autoencoder's distribution of each altered picture, N×4×h×w float32, scaled."""

    mean: Tensor
    deviation: Tensor

    def __len__(self) -> int:
        return len(self.mean)


def altered(picture: Tensor, count: int, side: int, seed: int) -> Iterator[Tensor]:
    """Altered pictures of an object, 3×side×side each, -1 to 1: turned a little, larger or smaller, moved, mirrored,
    in slightly other colours. Around it there is white. The first is as the picture is.

    Args:
        picture: 3×H×W, 0 to 1, square; the object fills it, around it there is white.
        seed: where chance comes from, which is drawn on the CPU for each picture.
    """
    for index in range(count):
        chance = torch.rand(12, generator=generator(seed, "altered", index)).tolist()
        chance = [0.5, 1.0, 0.5, 0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 1.0, 1.0, 0.5] if index == 0 else chance
        yield _coloured(_placed(picture, side, chance[:6]), chance[6:]) * 2 - 1


def _placed(white: Tensor, side: int, chance: Sequence[float]) -> Tensor:
    """Turned, scaled, moved, mirrored: one resampling, 3×side×side."""
    turn = (2 * chance[0] - 1) * TURN if chance[1] < TURNED else 0.0
    scale = SMALLEST + (LARGEST - SMALLEST) * chance[2]
    x, y = ((2 * each - 1) * 2 * SHIFT for each in chance[3:5])
    mirror = -1.0 if chance[5] < MIRRORED else 1.0
    cosine, sine = math.cos(turn) / scale, math.sin(turn) / scale
    matrix = torch.tensor([[mirror * cosine, mirror * sine, x], [-sine, cosine, y]])
    grid = functional.affine_grid(matrix[None], [1, 3, side, side], align_corners=False)
    # What is sampled outside is 0: the picture's distance from white.
    there = functional.interpolate((1 - white)[None], (side, side), mode="bilinear", antialias=True)
    return 1 - functional.grid_sample(there, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def _coloured(picture: Tensor, chance: Sequence[float]) -> Tensor:
    """Brightness, contrast and saturation a little off, sometimes grey, sometimes blurred; 0 to 1."""
    bright, contrast, saturation = (1 + JITTER * (2 * each - 1) for each in chance[:3])
    # Where it is white it stays white: what is altered is the object.
    ink = 1 - picture
    shown = 1 - ink * (2 - bright)
    middle = 0.5 * (shown.mean() + 1)
    shown = torch.where(ink.amax(0) > 0, (shown - middle) * contrast + middle, shown)
    grey = (shown * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    shown = grey + (shown - grey) * (0.0 if chance[3] < GREY else saturation)
    if chance[4] < BLURRED:
        reach = 1 + 2 * max(picture.shape[-1] // 128, 1)
        padded = functional.pad(shown[None], [reach // 2] * 4, mode="replicate")
        shown = functional.avg_pool2d(padded, reach, 1)[0]
    return shown.clamp(0, 1)


def encode(pictures: Iterable[Tensor], vae: Any) -> Latents:
    """What the autoencoder makes of pictures 3×S×S, -1 to 1, one after the other. vae: `AutoencoderKL`, frozen."""
    weight = next(vae.parameters())
    scale = float(vae.config.scaling_factor)
    means, deviations = [], []
    for picture in pictures:
        found = vae.encode(picture[None].to(weight)).latent_dist
        means.append(found.mean.float() * scale)
        deviations.append(found.std.float() * scale)
    return Latents(torch.cat(means), torch.cat(deviations))


class Listening(nn.Module):
    """CLIP's table of words, with one more behind it."""

    def __init__(self, table: nn.Embedding, row: Tensor) -> None:
        super().__init__()
        self.table = table
        self.row = (row,)
        """Not a parameter of this network, whose own are what they were."""

    def forward(self, numbers: Tensor) -> Tensor:
        """[n, tokens] → [n, tokens, width]."""
        count = self.table.num_embeddings
        known: Tensor = self.table(numbers.clamp(max=count - 1))
        return torch.where((numbers == count)[..., None], self.row[0].to(known), known)


class Inversion(nn.Module):
    """The objective: how far the noise is from what the network finds, told of the word.

    Attributes:
        word: [width] float32, the one thing that is learned.
    """

    def __init__(self, unet: Any, encoder: Any, tokenizer: Any, latents: Latents, initial: str, batch: int = BATCH):
        """
        Args:
            unet, encoder, tokenizer: of Stable Diffusion, frozen; they are no part of this module.
            latents: of the altered pictures, on the networks' device.
            initial: what the object is like in plain words; the new word begins as their mean.
            batch: pictures of a step, over all its parts.

        Raises:
            ValueError: `initial` says nothing.
        """
        super().__init__()
        self._networks = (unet, encoder)  # in a tuple, so that they are not counted among what is kept
        self._latents, self._batch = latents, batch
        self._tokens = Tokens(tokenizer, encoder.get_input_embeddings().num_embeddings)
        self.word = nn.Parameter(begin(initial, tokenizer, encoder))
        self._shares = signal_shares().to(self.word.device)

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        unet, encoder = self._networks
        device, dtype = self.word.device, next(unet.parameters()).dtype
        chosen = step.batch(len(self._latents), self._batch).to(device)
        shape = (self._batch, *self._latents.mean.shape[1:])
        sample, noise = (step.normal(*shape, purpose=each).to(device) for each in ("sample", "noise"))
        clean = self._latents.mean[chosen] + self._latents.deviation[chosen] * sample
        drawn = torch.randint(TIMESTEPS, (self._batch,), generator=step.generator("time"))
        times = step.mine(drawn).to(device)
        noisy = noised(clean, noise, self._shares[times])
        which = step.mine(torch.randint(len(SENTENCES), (self._batch,), generator=step.generator("sentence")))
        numbers = torch.stack([self._tokens.sentences[each] for each in which.tolist()]).to(device)
        with listening(encoder, self.word):
            told = encoder(numbers)[0]
        found = unet(noisy.to(dtype), times, encoder_hidden_states=told.to(dtype)).sample
        return {"noise": functional.mse_loss(found.float(), noise)}


class Tokens:
    """The sentences as numbers of CLIP's, [tokens] int64 each, in which the new word is the number behind the last."""

    def __init__(self, tokenizer: Any, new: int) -> None:
        longest = int(tokenizer.model_max_length)
        self.sentences = []
        for sentence in SENTENCES:
            before, after = (
                tokenizer(part, add_special_tokens=False).input_ids if part.strip() else []
                for part in sentence.split("{}")
            )
            inside = [tokenizer.bos_token_id, *before, new, *after][: longest - 1]
            inside = [*inside, tokenizer.eos_token_id]
            self.sentences.append(torch.tensor(inside + [tokenizer.pad_token_id] * (longest - len(inside))))


def begin(initial: str, tokenizer: Any, encoder: Any) -> Tensor:
    """The mean of the embeddings of a few words, [width] float32. Raises ValueError if they are none."""
    numbers = tokenizer(initial, add_special_tokens=False).input_ids if initial.strip() else []
    if not numbers:
        raise ValueError("the new word has nothing to begin with: say in a word or two what the object is")
    table = encoder.get_input_embeddings().weight
    mean: Tensor = table[torch.tensor(numbers, device=table.device)].float().mean(0)
    return mean


@contextmanager
def listening(encoder: Any, word: Tensor) -> Iterator[None]:
    """A text encoder that knows the new word, by the number behind its last, for as long as the block lasts."""
    table = encoder.get_input_embeddings()
    encoder.set_input_embeddings(Listening(table, word))
    try:
        yield
    finally:
        encoder.set_input_embeddings(table)


def optimiser(objective: Inversion) -> torch.optim.Optimizer:
    """AdamW as published."""
    return torch.optim.AdamW([objective.word], lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)


def write_word(file: Path, word: str, embedding: Tensor) -> Path:
    """A file {word: [width]}, which `text.read_words` reads, float32, whole or not at all. Raises OSError."""
    write_safetensors(file, {word: embedding.float()})
    return file
