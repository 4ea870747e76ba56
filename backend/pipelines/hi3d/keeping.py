"""What a job of Hi3D keeps so that nothing is done twice: the sampler's state, and then what later stages have made.

Views are kept as pictures beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from backend.pipelines.context import Context
from backend.pipelines.viewed.keeping import Kept, read_arrays, write_arrays
from models.hi3d.denoising import State

SECONDS = 15.0
"""Between checkpoints of the sampler: that much work and one step are done twice at most."""

STATE = "sampler"


class KeptOrbit(Kept):
    """Where the sampler has come to, until all views are there and what is made of them begins to be kept."""

    def __init__(self, context: Context) -> None:
        self._sampling = ""
        self._state: State | None = None
        self._saved = context.elapsed
        super().__init__(context)

    def state(self, sampling: str) -> State | None:
        """Where a run of the sampler has come to; None if it has not begun."""
        return self._state if sampling == self._sampling else None

    def keep_state(self, sampling: str, state: State) -> None:
        """Keep where a run has come to: at its end, and now and then before."""
        self._sampling, self._state = sampling, state
        if state.done == state.steps or (state.done and self._context.elapsed - self._saved >= SECONDS):
            self._save()
            self._saved = self._context.elapsed

    def _write(self, folder: Path) -> None:
        if self._unfinished:
            write_arrays(folder, STATE, {name: each.numpy() for name, each in self._unfinished.tensors().items()})
        super()._write(folder)

    def _index(self) -> dict[str, Any]:
        return {"sampling": self._sampling if self._unfinished else ""}

    @property
    def _unfinished(self) -> State | None:
        """What is made of views is made when all of them are there."""
        return None if self._made else self._state

    def _read(self, folder: Path, index: dict[str, Any]) -> None:
        super()._read(folder, index)
        self._sampling = index["sampling"]
        if self._sampling:
            state = read_arrays(folder, STATE)
            self._state = State.from_tensors({name: torch.from_numpy(each) for name, each in state.items()})
