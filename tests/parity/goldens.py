"""Reference numbers: where they lie and how they are read. They are not part of the repository.

A network's folder is `<SET_DRESSER_REFERENCE>/<network>`, by default `../shared/reference/<network>`. All sizes come
from the files.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def reference_folder(network: str) -> Path:
    """The folder of one network; skips what asks for it where it is missing."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = Path(os.environ.get("SET_DRESSER_REFERENCE", ROOT.parent / "shared" / "reference")) / network
    if not folder.is_dir():
        pytest.skip(f"the reference numbers of {network} are not at {folder} (SET_DRESSER_REFERENCE)")
    return folder


def part_of(folder: Path, name: str) -> Path:
    """A file of a set; skips what asks for it where the set has none: not every set has every part."""
    if not (folder / name).is_file():
        pytest.skip(f"this set of reference numbers has no {name}")
    return folder / name


class Golden:
    """One golden file: tensors by name, weights by prefix, metadata."""

    def __init__(self, file: Path) -> None:
        from safetensors import safe_open

        with safe_open(file, framework="pt") as content:
            self.metadata: dict[str, str] = content.metadata() or {}
            self.tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]

    def weights(self, prefix: str = "weight.") -> dict[str, Any]:
        """All tensors whose names begin with a prefix, without it."""
        return {name.removeprefix(prefix): each for name, each in self.tensors.items() if name.startswith(prefix)}

    def numbered(self, pattern: str) -> dict[str, Any]:
        """The tensors whose whole names a pattern matches, by what its group matches: sizes that stand in names.

        Raises AssertionError: there is none.
        """
        found = {match[1]: each for name, each in self.tensors.items() if (match := re.fullmatch(pattern, name))}
        assert found, f"the set has no numbers called {pattern}"
        return found

    def json(self, name: str) -> Any:
        """One entry of the metadata."""
        return json.loads(self.metadata[name])


class Goldens:
    """The golden files of a folder by name, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, Golden] = {}

    def __call__(self, name: str) -> Golden:
        if name not in self._read:
            self._read[name] = Golden(part_of(self.folder, f"golden_{name}.safetensors"))
        return self._read[name]
