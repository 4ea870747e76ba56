"""`python -m tests.parity.other_sizes FOLDER`: numbers of InstantMesh and MIDI at other sizes, in the form of the
reference's.

Lattice, steps, widths, layers, heads, views, instances, tokens and pictures all differ from those of the sets that came
from the reference's own code. In float64 are computed, by `plain.py` and `plain_midi.py`, which know nothing of
`models/`: of InstantMesh the networks of the reconstruction, cameras, schedules and the repair of empty shapes; of MIDI
the transformer, the autoencoder, schedules, guided denoising, and smoothing, boxes and triangles of a field. By our own
code in float64: FlexiCubes' meshes, volume rendering and InstantMesh's diffusion networks; MIDI's pixels of pictures.
MIDI's image encoders are those of transformers. So for the former the tests compare two ways of writing the same
formulas; for the latter they show no more than that sizes are taken from the files and that float32 is enough. Neither
replaces the reference's numbers.

    SET_DRESSER_REFERENCE=FOLDER python -m pytest tests/parity/instantmesh tests/parity/midi
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.parity.other_sizes import midi, reconstruction, views


class Writer:
    """Writes golden files into a folder, which is made if it does not exist."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def __call__(self, name: str, tensors: dict[str, Tensor], keep: tuple[str, ...] = (), **metadata: Any) -> None:
        """Whole numbers as they are, all others in float32 but those to keep."""
        stored = {
            key: (each.float() if each.is_floating_point() and key not in keep else each).contiguous().clone()
            for key, each in tensors.items()
        }
        told = {key: json.dumps(value) for key, value in metadata.items()}
        save_file(stored, self.folder / f"golden_{name}.safetensors", told)


def write_set(root: Path) -> Path:
    """Writes `root/instantmesh` and `root/midi`, and gives the root back."""
    with torch.inference_mode():
        for make in (*reconstruction.FILES, views.views):
            make(Writer(root / "instantmesh"))
        midi.write_files(Writer(root / "midi"), root / "midi")
    return root


if __name__ == "__main__":
    print(write_set(Path(sys.argv[1])))
