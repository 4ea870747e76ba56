"""What Stable Diffusion is told of a view: the text, from the front, from the side and from the back.

A word may have been learned from pictures (textual inversion, Gal et al. 2022, arXiv:2208.01618); its file is read as
data, whether it is safetensors or of torch's kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.headers import CheckpointDamaged, CheckpointForeign
from models.loading import DTYPES, check_finite, filled, read_header, read_tensors
from models.pickled import read_content, tensor_table

PLACE = "<token>"
"""Where in a text the learned word goes."""

SIDES = ("front", "side", "back")
MOST_WORDS = 64
"""Learned words in a file; usually it is one."""


@dataclass(frozen=True)
class ViewTexts:
    """Embeddings of one text, [tokens, width] each."""

    front: Tensor
    side: Tensor
    back: Tensor
    negative: Tensor

    def told(self, azimuth: Tensor) -> Tensor:
        """What is told of views, [N, tokens, width]. azimuth: N, radians in -π…π, from the reference's."""
        pair, share = mixture(azimuth)
        first = torch.where(pair[:, None, None] == 0, self.front, self.side)
        second = torch.where(pair[:, None, None] == 0, self.side, self.back)
        weight = share.to(first.dtype)[:, None, None]
        return weight * first + (1.0 - weight) * second


def mixture(azimuth: Tensor) -> tuple[Tensor, Tensor]:
    """Which two embeddings are mixed, and by which share the first counts.

    Args:
        azimuth: N, radians in -π…π; 0 looks from the front. The sign does not matter, but for the name of the pair at a
            right angle, where either says the side alone.

    Returns:
        N int64, 0: front and side, 1: side and back; and N in 0…1.
    """
    quarters = azimuth / (math.pi / 2.0)
    # A right angle is hit up to rounding, and must not be told apart from one by it.
    quarters = torch.where((quarters.abs() - 1.0).abs() < 1e-6, quarters.sign(), quarters)
    behind = (quarters >= 1.0) | (quarters < -1.0)
    share = torch.where(behind, 2.0 - quarters.abs(), 1.0 - quarters.abs())
    return behind.long(), share.clamp(0.0, 1.0)


def sentences(text: str) -> tuple[str, ...]:
    """The text as it is told from the front, the side and the back."""
    return tuple(f"{text}, {side} view" for side in SIDES)


def with_word(text: str, words: Iterable[str]) -> str:
    """The text with the learned word in its place.

    Raises:
        ValueError: there is a place and no word, or a choice of words; or no text at all.
    """
    if not text.strip():
        raise ValueError("There is no text: say what the object is.")
    if PLACE not in text:
        return text
    known = list(words)
    if len(known) != 1:
        found = "none was learned" if not known else f"there are {len(known)}: {', '.join(known[:3])}"
        raise ValueError(f"The text has a place for a learned word, {PLACE}, but {found}. Name the thing instead.")
    return text.replace(PLACE, known[0])


def read_words(file: Path) -> dict[str, Tensor]:
    """Learned words and their embeddings, [width] float32 each, of a file {word: embedding}.

    A safetensors file with one tensor called `emb_params`, as some programs write it, is no such file: it has no word.

    Raises:
        CheckpointMissing: there is no such file.
        CheckpointDamaged: it is cut off, or has numbers that are none.
        CheckpointForeign: it holds something else.
    """
    if file.suffix == ".safetensors":
        headers = read_header(file)
        _check_words({name: header.shape for name, header in headers.items()}, file)
        if other := sorted({header.dtype for header in headers.values()} - DTYPES.keys()):
            raise CheckpointForeign(f"{file}: a word is {other[0]}; only {', '.join(DTYPES)} can be used.")
        found = read_tensors(file, {name: name for name in headers}, "cpu", torch.float32)
    else:
        content = read_content(file)
        table = tensor_table(content, file)
        _check_words({name: tuple(each.shape) for name, each in table.items()}, file)
        if not all(each.is_floating_point() for each in table.values()):
            raise CheckpointForeign(f"{file}: a word consists of whole numbers, which is no embedding.")
        found = {name: each.to(torch.float32, copy=True) for name, each in table.items()}
    check_finite(found, file)
    return found


def view_texts(text: str, negative: str, tokenizer: Any, encoder: Any, words: Mapping[str, Tensor]) -> ViewTexts:
    """Embeddings of a text and of what it is not, in the precision and on the device of the encoder.

    Args:
        text: may have a place for a learned word, see `with_word`.
        tokenizer: CLIP's; it is given back as it came.
        encoder: `CLIPTextModel`; likewise.
        words: of `read_words`.

    Raises:
        ValueError: see `with_word`; or a word is one of CLIP's own.
        CheckpointForeign: an embedding is not as wide as the encoder's.
    """
    said = [*sentences(with_word(text, words)), negative]
    with _knowing(tokenizer, encoder, words) as numbers:
        tokens = torch.tensor([_tokens(each, tokenizer, numbers) for each in said], device=_device(encoder))
        found = encoder(tokens)[0]
    return ViewTexts(*found)


def _tokens(text: str, tokenizer: Any, numbers: Mapping[str, int]) -> list[int]:
    """A text's tokens, begun, ended and filled up to the longest that CLIP knows; learned words are one each."""
    longest = int(tokenizer.model_max_length)
    pieces = [text]
    for word in numbers:
        pieces = [part for piece in pieces for part in _split(piece, word, numbers)]
    inside: list[int] = []
    for piece in pieces:
        if piece in numbers:
            inside.append(numbers[piece])
        elif piece.strip():
            inside += tokenizer(piece, add_special_tokens=False).input_ids
    inside = [tokenizer.bos_token_id, *inside[: longest - 2], tokenizer.eos_token_id]
    return inside + [tokenizer.pad_token_id] * (longest - len(inside))


def _split(piece: str, word: str, numbers: Mapping[str, int]) -> list[str]:
    if piece in numbers:
        return [piece]
    parts = piece.split(word)
    return [each for part in parts[:-1] for each in (part, word)] + parts[-1:]


@contextmanager
def _knowing(tokenizer: Any, encoder: Any, words: Mapping[str, Tensor]) -> Iterator[dict[str, int]]:
    """An encoder with embeddings behind its own, for as long as the block lasts; the number of each word."""
    table = encoder.get_input_embeddings()
    count, width = table.weight.shape
    known = tokenizer.get_vocab()
    for word, embedding in words.items():
        if word in known or f"{word}</w>" in known:
            raise ValueError(
                f"{word!r} is a word that CLIP knows already; learn it by another name, such as <my-{word}>."
            )
        if len(embedding) != width:
            raise CheckpointForeign(f"{word!r} has {len(embedding)} numbers; those of this text encoder have {width}.")
    if not words:
        yield {}
        return
    rows = torch.stack([*words.values()]).to(table.weight.device, table.weight.dtype)
    with torch.device("meta"):
        larger = nn.Embedding(count + len(words), width)
    filled(larger, {"weight": torch.cat([table.weight, rows])})
    encoder.set_input_embeddings(larger)
    try:
        yield {word: count + place for place, word in enumerate(words)}
    finally:
        encoder.set_input_embeddings(table)


def _check_words(shapes: Mapping[str, tuple[int, ...]], file: Path) -> None:
    if not 1 <= len(shapes) <= MOST_WORDS:
        raise CheckpointForeign(f"{file} has {len(shapes)} entries; a file of learned words has 1 to {MOST_WORDS}.")
    for word, shape in shapes.items():
        if not word.strip() or len(word) > 100 or not word.isprintable():
            raise CheckpointDamaged(f"{file}: {word[:40]!r} is no word.")
        if len(shape) != 1 or not 1 <= shape[0] <= 8192:
            raise CheckpointForeign(
                f"{file}: {word[:40]!r} has the shape {list(shape)}; a word has one row of numbers."
            )


def _device(network: Any) -> Any:
    return next(network.parameters()).device
