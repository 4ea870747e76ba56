"""What a job that makes a surface of views keeps, so that nothing is done twice: what each finished part has made.

A checkpoint holds all of it, as only the newest ones stay; of textures the files of pictures, which are smaller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.geometry.cleanup import Cleaned
from backend.imaging.png import as_png, from_png
from backend.pipelines.context import Context
from backend.pipelines.viewed.surfacing import Solid
from backend.scene import Mesh

Arrays = Mapping[str, NDArray[Any]]

INDEX = "made.json"


class Kept:
    """The checkpoint of an attempt: what the attempt before had come to, and what is added to it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._step = 0
        self._made: dict[str, Arrays] = {}
        latest = context.checkpoints.latest()
        if latest is not None:
            self._step = latest.step
            self._read(latest.folder, json.loads((latest.folder / INDEX).read_text(encoding="utf-8")))

    def solid(self, number: int, make: Callable[[], Solid]) -> Solid:
        """The surface of an instance: what `make` gives, or has given in an attempt before."""
        return Solid(**self._once(f"surface-{number}", lambda: vars(make())))

    def shape(self, number: int, make: Callable[[], Cleaned]) -> Cleaned:
        """The same, cleaned; see `solid`."""

        def arrays() -> Arrays:
            return {name: np.asarray(value) for name, value in vars(make()).items()}

        made = self._once(f"shape-{number}", arrays)
        return Cleaned(made["vertices"], made["faces"], int(made["removed_pieces"]), bool(made["watertight"]))

    def mesh(self, number: int, make: Callable[[], Mesh]) -> Mesh:
        """The same with its colours; see `solid`."""

        def arrays() -> Arrays:
            mesh = make()
            parts = {name: getattr(mesh, name) for name in ("vertices", "faces", "corner_uv", "colours")}
            if mesh.texture is not None:
                parts["texture"] = np.frombuffer(as_png(mesh.texture), np.uint8)
            return {name: values for name, values in parts.items() if values is not None}

        made = dict[str, Any](self._once(f"mesh-{number}", arrays))
        if "texture" in made:
            made["texture"] = from_png(made["texture"].tobytes())
        return Mesh(**made)

    def _once(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        if name not in self._made:
            self._made[name] = make()
            self._save()
        return self._made[name]

    def _save(self) -> None:
        self._step += 1
        self._context.checkpoints.save(self._step, self._write)

    def _write(self, folder: Path) -> None:
        for name, arrays in self._made.items():
            write_arrays(folder, name, arrays)
        index = {"made": sorted(self._made), **self._index()}
        (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")

    def _index(self) -> dict[str, Any]:
        """What else stands in the index."""
        return {}

    def _read(self, folder: Path, index: dict[str, Any]) -> None:
        self._made = {name: read_arrays(folder, name) for name in index["made"]}


def write_arrays(folder: Path, name: str, arrays: Arrays) -> None:
    """As a file of numpy's."""
    with (folder / f"{name}.npz").open("wb") as file:
        np.savez(file, **dict[str, Any](arrays))


def read_arrays(folder: Path, name: str) -> Arrays:
    """What `write_arrays` has written."""
    with np.load(folder / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}
