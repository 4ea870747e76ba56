"""What a job of Hi3D keeps so that nothing is done twice: the sampler's state, and what later stages have made.

Views and textures are kept as pictures beside it. A checkpoint holds all of the rest, as only the newest ones stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.pipelines.context import Context
from models.hi3d.denoising import State

Arrays = Mapping[str, NDArray[Any]]

SECONDS = 15.0
"""Between checkpoints of the sampler: that much work and one step are done twice at most."""

STATE, INDEX = "sampler", "made.json"


class Kept:
    """The checkpoint of an attempt: what the attempt before had come to, and what is added to it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._step = 0
        self._sampling = ""
        self._state: State | None = None
        self._made: dict[str, Arrays] = {}
        self._saved = context.elapsed
        latest = context.checkpoints.latest()
        if latest is not None:
            self._step = latest.step
            self._read(latest.folder)

    def state(self, sampling: str) -> State | None:
        """Where a run of the sampler has come to; None if it has not begun."""
        return self._state if sampling == self._sampling else None

    def keep_state(self, sampling: str, state: State) -> None:
        """Keep where a run has come to: at its end, and now and then before."""
        self._sampling, self._state = sampling, state
        if state.done == state.steps or (state.done and self._context.elapsed - self._saved >= SECONDS):
            self._save()

    def once(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """What `make` gives, or has given in an attempt before."""
        if name not in self._made:
            self._made[name] = make()
            self._sampling, self._state = "", None  # all views are there
            self._save()
        return self._made[name]

    def _save(self) -> None:
        self._step += 1
        self._context.checkpoints.save(self._step, self._write)
        self._saved = self._context.elapsed

    def _write(self, folder: Path) -> None:
        state = {} if self._state is None else {name: each.numpy() for name, each in self._state.tensors().items()}
        for name, arrays in {STATE: state, **self._made}.items():
            with (folder / f"{name}.npz").open("wb") as file:
                np.savez(file, **dict[str, Any](arrays))
        index = {"sampling": self._sampling, "made": sorted(self._made)}
        (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")

    def _read(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self._sampling = index["sampling"]
        self._made = {name: _arrays(folder, name) for name in index["made"]}
        if self._sampling:
            state = _arrays(folder, STATE)
            self._state = State.from_tensors({name: torch.from_numpy(each) for name, each in state.items()})


def _arrays(folder: Path, name: str) -> Arrays:
    with np.load(folder / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}
