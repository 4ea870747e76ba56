"""Random numbers that depend on the seed and the step alone, so that whoever goes on needs no state of generators.

They do not depend on how a batch is shared out either: numbers are drawn for the whole batch of a step, and each part
takes its own rows of them. Two processes with half the batch each therefore see what one with all of it sees.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def seed_of(seed: int, *what: int | str) -> int:
    """A seed for one purpose: the same for the same words and numbers, unrelated to that for any others."""
    digest = hashlib.sha256(repr((seed, *what)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, *what: int | str) -> torch.Generator:
    """A generator on the CPU, where a seed means the same on every machine; see `seed_of`."""
    return torch.Generator("cpu").manual_seed(seed_of(seed, *what))


def shuffled(count: int, batch: int, step: int, seed: int) -> Tensor:
    """Which of `count` items a step's batch holds, [batch] int64.

    Every item has its turn before any has its next, and the order is another each time.

    Raises:
        ValueError: there are no items, or the batch holds none.
    """
    if count < 1 or batch < 1:
        raise ValueError(f"A batch of {batch} cannot be taken from {count} items.")
    places = torch.arange(step * batch, (step + 1) * batch)
    rounds = [int(each) for each in (places // count).unique()]  # type: ignore[no-untyped-call]
    orders = torch.cat([torch.randperm(count, generator=generator(seed, "order", each)) for each in rounds])
    return orders[places - rounds[0] * count]


@dataclass(frozen=True)
class Step:
    """What an objective is told of the step that it is asked for.

    number: from 0. seed: of the whole run.
    part, parts: which equal part of the step's batch this is, and of how many; over accumulation and processes.
    """

    number: int
    seed: int
    part: int = 0
    parts: int = 1

    def generator(self, purpose: str = "") -> torch.Generator:
        """For numbers of this step, the same in all its parts; another for each purpose."""
        return generator(self.seed, "step", self.number, purpose)

    def normal(self, *shape: int, purpose: str = "noise") -> Tensor:
        """Standard normal float32 on the CPU: this part's rows of what is drawn in the shape of the whole batch."""
        return self.mine(torch.randn(shape, generator=self.generator(purpose)))

    def batch(self, count: int, size: int) -> Tensor:
        """This part's share of a batch of `size`: which of `count` items it holds; see `shuffled`."""
        return self.mine(shuffled(count, size, self.number, self.seed))

    def mine(self, whole: Tensor) -> Tensor:
        """This part's rows of something that has one row for each item of the step's batch.

        Raises:
            ValueError: the rows cannot be shared out evenly.
        """
        if len(whole) % self.parts:
            raise ValueError(f"A batch of {len(whole)} cannot be shared out evenly among {self.parts}.")
        rows = len(whole) // self.parts
        return whole[self.part * rows : (self.part + 1) * rows]
