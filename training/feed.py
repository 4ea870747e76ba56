"""Items ready when a step asks for them: prepared ahead, in the order of the steps, by processes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar, cast

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from models.optimisation.chance import Step
from models.optimisation.processes import Processes

AHEAD = 4
"""Parts of steps that each worker prepares ahead."""

Item = TypeVar("Item", bound=tuple)  # type: ignore[type-arg]


class Key(NamedTuple):
    """Which item: the step and the row of its batch that it is for, and the number of what it is made of."""

    step: int
    row: int
    source: int


class _Order(Sampler[list[Key]]):
    """The items of this process, part by part, from a step on."""

    def __init__(
        self, count: int, batch: int, first: int, steps: int, seed: int, accumulation: int, processes: Processes
    ) -> None:
        self.count, self.batch, self.first, self.steps = count, batch, first, steps
        self.seed, self.accumulation, self.processes = seed, accumulation, processes

    def __iter__(self) -> Iterator[list[Key]]:
        parts = self.accumulation * self.processes.size
        rows = self.batch // parts
        for number in range(self.first, self.steps):
            for own in range(self.accumulation):
                step = Step(number, self.seed, self.processes.rank * self.accumulation + own, parts)
                sources = step.batch(self.count, self.batch).tolist()
                yield [Key(number, step.part * rows + row, source) for row, source in enumerate(sources)]


class Feed(Generic[Item]):
    """The batches of a run, one after the other. A context: its end is the end of the workers.

    Args:
        items: a data set of named tuples of tensors; what makes one follows from its `Key` alone, and `len` says of how
            many sources.
        batch: items of a step over all processes and parts.
        steps: of the whole run.
        seed, accumulation, processes: see `models.optimisation.loop`.
        workers: processes that prepare items; 0: they are prepared when they are asked for.
    """

    def __init__(
        self,
        items: Dataset[Item],
        batch: int,
        steps: int,
        seed: int,
        accumulation: int,
        processes: Processes,
        workers: int,
    ) -> None:
        self._items, self._workers = items, workers
        self._order = (batch, steps, seed, accumulation, processes)
        self._batches: Iterator[Item] | None = None
        self._due = (-1, -1)

    def __call__(self, step: Step) -> Item:
        """What the part of the step needs; whoever asks for another than the next makes it begin anew there."""
        batch, steps, seed, accumulation, processes = self._order
        if self._batches is None or self._due != (step.number, step.part):
            self.close()
            order = _Order(len(cast(Sized, self._items)), batch, step.number, steps, seed, accumulation, processes)
            first = processes.rank * accumulation
            if step.part != first:
                raise ValueError(f"Part {step.part} of a step was asked for before part {first}.")
            loader = DataLoader(
                self._items,
                batch_sampler=order,
                num_workers=self._workers,
                prefetch_factor=AHEAD if self._workers else None,
                # Not forked: a process that computes has threads, and one with a graphics card cannot be forked at all.
                multiprocessing_context="forkserver" if self._workers else None,
            )
            self._batches = iter(loader)
        found = next(self._batches)
        last = step.part == (processes.rank + 1) * accumulation - 1
        self._due = (step.number + 1, processes.rank * accumulation) if last else (step.number, step.part + 1)
        return found

    def close(self) -> None:
        """Ends the workers."""
        self._batches = None

    def __enter__(self) -> Feed[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def on(item: Item, device: torch.device) -> Item:
    """A batch on a device."""
    return type(item)(*(each.to(device, non_blocking=True) for each in item))
