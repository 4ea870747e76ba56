"""The blocks of diffusers' spatio-temporal UNet, able to work through less of a batch at a time, for the same result.

Spatial layers know nothing of other frames, so they can take a few at a time. Temporal transformers know nothing of
other pixels, so they can take a share of them. Feed-forwards know nothing of other tokens. Only the temporal
convolutions, with norms over all frames, need everything at once. What comes out is written into one tensor, so that
the pieces never lie beside their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diffusers.models.attention import BasicTransformerBlock, FeedForward, TemporalBasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor


@dataclass(frozen=True)
class Frugality:
    """How much at once; None: everything. The result is the same up to rounding.

    one_batch: both halves of the guidance in one pass.
    frames: of which spatial layers see so many, and temporal transformers the like share of pixels.
    tokens: of which feed-forwards see so many.
    attention_rows: queries of an attention, for devices where it holds a matrix of scores.
    """

    one_batch: bool = True
    frames: int | None = None
    tokens: int | None = None
    attention_rows: int | None = None

    def __post_init__(self) -> None:
        for name in ("frames", "tokens", "attention_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: at least one at a time, not {value}")


WHOLE = Frugality()


class SpatialBlock(BasicTransformerBlock):  # type: ignore[misc]
    """A transformer block within frames. Runs on `frames` of them at a time."""

    frames: int | None = None

    def forward(self, hidden_states: Tensor, *_: Any, encoder_hidden_states: Tensor, **__: Any) -> Tensor:
        """hidden_states [frames, tokens, channels], encoder_hidden_states [frames, 1, width]."""

        def work(start: int, end: int) -> Tensor:
            told = encoder_hidden_states[start:end]
            found: Tensor = super(SpatialBlock, self).forward(hidden_states[start:end], encoder_hidden_states=told)
            return found

        return in_pieces(work, len(hidden_states), self.frames)


class SpatialResnet(ResnetBlock2D):  # type: ignore[misc]
    """A residual block within frames. Runs on `frames` of them at a time."""

    frames: int | None = None

    def forward(self, input_tensor: Tensor, temb: Tensor, *_: Any, **__: Any) -> Tensor:
        """input_tensor [frames, channels, h, w], temb [frames, width]."""

        def work(start: int, end: int) -> Tensor:
            found: Tensor = super(SpatialResnet, self).forward(input_tensor[start:end], temb[start:end])
            return found

        return in_pieces(work, len(input_tensor), self.frames)


class TemporalBlock(TemporalBasicTransformerBlock):  # type: ignore[misc]
    """A transformer block along time. Runs on as large a share of the pixels as `frames` is of the frames."""

    frames: int | None = None

    def forward(self, hidden_states: Tensor, num_frames: int, encoder_hidden_states: Tensor) -> Tensor:
        """hidden_states [clips · frames, pixels, channels]; encoder_hidden_states [clips · pixels, 1, width], of which
        those of a clip are all the same."""
        pixels = hidden_states.shape[1]
        told = encoder_hidden_states[::pixels]

        def work(start: int, end: int) -> Tensor:
            found: Tensor = super(TemporalBlock, self).forward(hidden_states[:, start:end], num_frames, told)
            return found

        share = None if self.frames is None else math.ceil(pixels * self.frames / num_frames)
        return in_pieces(work, pixels, share, axis=1)


class PiecewiseFeedForward(FeedForward):  # type: ignore[misc]
    """A feed-forward. Runs on `tokens` at a time."""

    tokens: int | None = None

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        """hidden_states [n, tokens, channels]."""
        flat = hidden_states.flatten(0, 1)

        def work(start: int, end: int) -> Tensor:
            found: Tensor = super(PiecewiseFeedForward, self).forward(flat[start:end])
            return found

        found = in_pieces(work, len(flat), self.tokens)
        return found.reshape(*hidden_states.shape[:2], found.shape[-1])


BLOCKS = {
    BasicTransformerBlock: SpatialBlock,
    TemporalBasicTransformerBlock: TemporalBlock,
    ResnetBlock2D: SpatialResnet,
    FeedForward: PiecewiseFeedForward,
}


def able(unet: Any) -> None:
    """Lets the blocks of a network work in pieces; they go on with everything at once until told otherwise."""
    for module in unet.modules():
        if type(module) in BLOCKS:
            module.__class__ = BLOCKS[type(module)]


def set_pieces(unet: Any, frugality: Frugality) -> None:
    """Tells an `able` network how much to take at once."""
    for module in unet.modules():
        if isinstance(module, SpatialBlock | SpatialResnet | TemporalBlock):
            module.frames = frugality.frames
        elif isinstance(module, PiecewiseFeedForward):
            module.tokens = frugality.tokens
    for processor in unet.attn_processors.values():
        processor.rows = frugality.attention_rows


def in_pieces(work: Callable[[int, int], Tensor], length: int, piece: int | None, axis: int = 0) -> Tensor:
    """Joins what `work` gives for (start, end) along an axis of so many entries, `piece` of them at a time."""
    if piece is None or piece >= length:
        return work(0, length)
    joined: Tensor | None = None
    for start in range(0, length, piece):
        end = min(start + piece, length)
        found = work(start, end)
        if joined is None:
            shape = list(found.shape)
            shape[axis] = length
            joined = found.new_empty(shape)
        joined.narrow(axis, start, end - start).copy_(found)
        del found
    assert joined is not None
    return joined
