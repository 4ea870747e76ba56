"""LPIPS (Zhang et al. 2018, arXiv 1801.03924), where its package and the network under it are on this machine."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

TRUNKS = {"alex": "alexnet", "vgg": "vgg16"}


def perceptual(kind: str, device: torch.device) -> Perception | None:
    """LPIPS with one of its networks; None, and a word in the log, where it cannot be had. Nothing is downloaded."""
    try:
        import lpips  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        logger.warning("LPIPS is left out: the package `lpips` is not installed.")
        return None
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not list(folder.glob(f"{TRUNKS[kind]}-*.pth")):
        logger.warning("LPIPS is left out: the network %s is not in %s.", TRUNKS[kind], folder)
        return None
    return Perception(lpips.LPIPS(net=kind, verbose=False)).to(device)


class Perception(nn.Module):
    """Pictures [N, 3, H, W] 0 … 1 and what they should be → [N]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def forward(self, pictures: Tensor, wanted: Tensor) -> Tensor:
        # It takes −1 … 1; MIRA gave it 0 … 1, which it was not made for.
        distance: Tensor = self.network(pictures * 2 - 1, wanted * 2 - 1)
        return distance.flatten()
