"""Reference attention: what the UNet attends to in the photo's latents, it attends to in the sheet as well.

Each step runs the UNet twice. In the first pass, over the noised latents of the photo, every self-attention keeps the
hidden states that come into it. In the second, over the sheet, its keys and values are those of the sheet's own hidden
states followed by the kept ones. (Zero123++, section 3.2; the idea is "reference-only" control of ControlNet 1.1.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class ReferenceAttention:
    """The two passes of a UNet whose self-attentions are connected; see `connected`.

    Attributes:
        kept: hidden states [rows, tokens, channels] by the name of the self-attention, from the last `look`.
    """

    def __init__(self, unet: Any, names: tuple[str, ...]) -> None:
        self.kept: dict[str, Tensor] = {}
        self._unet = unet
        self._names = names
        self._looking = False
        self._whole = False

    def look(self, reference: Tensor, timestep: Tensor, embeddings: Tensor, whole: bool = False) -> None:
        """The pass over the reference. It stops once the last self-attention has kept its input.

        Args:
            reference: noised and scaled latents [rows, channels, h, w].
            timestep: a number, shared by all rows.
            embeddings: [rows, tokens, width].
            whole: go on to the end, whose result nothing uses: the same numbers for more work.
        """
        self.kept.clear()
        self._looking, self._whole = True, whole
        try:
            self._unet(reference, timestep, encoder_hidden_states=embeddings, return_dict=False)
        except _Enough:
            return
        finally:
            self._looking = False

    def predict(self, sample: Tensor, timestep: Tensor, embeddings: Tensor) -> Tensor:
        """The pass over the sheet: the network's prediction [rows, channels, h, w]. Shapes as in `look`."""
        prediction: Tensor = self._unet(sample, timestep, encoder_hidden_states=embeddings, return_dict=False)[0]
        return prediction

    def context(self, name: str, hidden_states: Tensor) -> Tensor | None:
        """What a self-attention takes its keys and values from; None for its own hidden states."""
        if not self._looking:
            return torch.cat([hidden_states, self.kept[name]], dim=1)
        self.kept[name] = hidden_states
        if len(self.kept) == len(self._names) and not self._whole:
            raise _Enough
        return None


@contextmanager
def connected(unet: Any) -> Iterator[ReferenceAttention]:
    """Connects the self-attentions of a UNet2DConditionModel; afterwards, however it ends, it is as it was before."""
    found = {name: module for name, module in unet.named_modules() if name.endswith(".attn1")}
    published = {name: module.processor for name, module in found.items()}
    attention = ReferenceAttention(unet, tuple(found))
    try:
        for name, module in found.items():
            module.set_processor(_Connected(name, attention, published[name]))
        yield attention
    finally:
        for name, module in found.items():
            module.set_processor(published[name])
        attention.kept.clear()


class _Enough(Exception):
    """Everything that the second pass needs has been kept."""


class _Connected:
    """An attention processor of diffusers that asks the reference for the keys' and values' source."""

    def __init__(self, name: str, attention: ReferenceAttention, published: Any) -> None:
        self._name = name
        self._attention = attention
        self._published = published

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None or attention_mask is not None:
            raise NotImplementedError("a self-attention of Zero123++ has neither a context nor a mask")
        context = self._attention.context(self._name, hidden_states)
        output: Tensor = self._published(attn, hidden_states, encoder_hidden_states=context)
        return output
