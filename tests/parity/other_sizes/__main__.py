"""`python -m tests.parity.other_sizes FOLDER`: numbers of InstantMesh at other sizes, in the form of the reference's.

Lattice, steps, widths, layers, heads, views and pictures all differ from those of the set that came from the
reference's own code. The networks of the reconstruction, cameras, schedules and the repair of empty shapes are computed
in float64 by `plain.py`, which knows nothing of `models/`; FlexiCubes' meshes, volume rendering and the diffusion
networks by our own code in float64. So for the former the tests compare two ways of writing the same formulas; for the
latter they show no more than that sizes are taken from the files and that float32 is enough. Neither replaces the
reference's numbers.

    SET_DRESSER_REFERENCE=FOLDER python -m pytest tests/parity/instantmesh
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.parity.other_sizes import reconstruction, views


def write_set(root: Path) -> Path:
    """Writes `root/instantmesh`, made if it does not exist, and gives it back."""
    folder = root / "instantmesh"
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, tensors: dict[str, Tensor], keep: tuple[str, ...] = (), **metadata: Any) -> None:
        """Whole numbers as they are, all others in float32 but those to keep."""
        stored = {
            key: (each.float() if each.is_floating_point() and key not in keep else each).contiguous().clone()
            for key, each in tensors.items()
        }
        told = {key: json.dumps(value) for key, value in metadata.items()}
        save_file(stored, folder / f"golden_{name}.safetensors", told)

    with torch.inference_mode():
        for make in (*reconstruction.FILES, views.views):
            make(write)
    return folder


if __name__ == "__main__":
    print(write_set(Path(sys.argv[1])))
