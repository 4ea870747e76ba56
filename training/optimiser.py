"""The optimiser of every training run: AdamW with groups."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.config import Optimiser


def adamw(
    network: nn.Module, settings: Optimiser, part: Callable[[str], tuple[str, float]] = lambda name: ("", 1.0)
) -> torch.optim.AdamW:
    """Of the parameters that have gradients: matrices decay; norms, biases, learned tokens and position tables do not.

    Args:
        part: by the name of a parameter, the part of the network that it belongs to, and what the rate is multiplied
            with there. Each part has groups of its own, whatever its rate: a saved state fits as long as parts do.
    """
    groups: dict[tuple[bool, str, float], list[nn.Parameter]] = {}
    for name, each in network.named_parameters():
        if each.requires_grad:
            groups.setdefault((decays(name, each), *part(name)), []).append(each)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": settings.decay if decaying else 0.0,
                "lr": settings.rate * times,
            }
            for (decaying, _, times), parameters in groups.items()
        ],
        lr=settings.rate,
        betas=settings.betas,
    )


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay is for this parameter."""
    table = name.endswith(("pos_embed", "cls_token", "register_tokens", "position_embeddings"))
    return parameter.dim() >= 2 and not table
