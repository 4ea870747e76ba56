"""One process or several: what `torchrun` says, on processors (gloo) or on graphics cards (NCCL)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from models.optimisation.processes import ALONE, Processes


@contextmanager
def started(cards: bool | None = None) -> Iterator[tuple[Processes, torch.device]]:
    """This process among those that `torchrun` has started, and its device; alone where it has not.

    Args:
        cards: whether to work on CUDA; None: if there is a card for every process of this machine.
    """
    local, size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if cards is None:
        cards = torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    device = torch.device("cuda", local) if cards else torch.device("cpu")
    if size == 1:
        yield ALONE, device
        return
    if cards:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cards else "gloo")
    try:
        yield Processes(distributed.get_rank(), size), device
    finally:
        distributed.destroy_process_group()
