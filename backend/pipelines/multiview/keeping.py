"""What a finished stage has made, as a checkpoint: a job that was cut off does not make it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.pipelines.context import Context
from backend.scene import Mesh

FILE = "made.npz"
MESH = "mesh."


@dataclass(frozen=True, eq=False)
class Made:
    """What there is so far, in the frame of the views.

    vertices: (V, 3) float32. faces: (F, 3): of the surface.
    left_out: which views showed something else than the others.
    mesh: the same surface cleaned and with its colours, where that is done. removed_pieces: by the cleaning.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    left_out: tuple[int, ...] = ()
    mesh: Mesh | None = None
    removed_pieces: int = 0

    def keep(self, context: Context, step: int) -> None:
        """Save it as the checkpoint after a step."""
        arrays: dict[str, Any] = {
            name: getattr(self, name) for name in ("vertices", "faces", "left_out", "removed_pieces")
        }
        if self.mesh is not None:
            named = (
                (name, getattr(self.mesh, name)) for name in ("vertices", "faces", "corner_uv", "texture", "colours")
            )
            arrays |= {MESH + name: values for name, values in named if values is not None}

        def write(folder: Path) -> None:
            np.savez(folder / FILE, **arrays)

        context.checkpoints.save(step, write)


def kept(context: Context) -> Made | None:
    """What an earlier attempt has made; None if this one begins at the beginning."""
    found = context.checkpoints.latest()
    if found is None:
        return None
    with np.load(found.folder / FILE) as file:
        parts = {name.removeprefix(MESH): file[name] for name in file.files if name.startswith(MESH)}
        left_out = tuple(file["left_out"].tolist())
        mesh = Mesh(**parts) if parts else None
        return Made(file["vertices"], file["faces"], left_out, mesh, int(file["removed_pieces"]))
