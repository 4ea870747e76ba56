"""Files of checkpoints, written whole or not at all: killed at any moment, the old file or none is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.loading import DTYPES, CheckpointForeign

NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_whole(file: Path, chunks: Iterable[bytes | memoryview]) -> Path:
    """Writes beside and renames. The folder is made if need be.

    Raises:
        OSError: nothing new is left behind, and an older file of the name is untouched.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return file


def write_json(file: Path, content: Mapping[str, Any]) -> Path:
    """A JSON object, as `config.json` is written."""
    return write_whole(file, [(json.dumps(content, indent=2, sort_keys=True) + "\n").encode()])


def write_safetensors(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    """Tensors in the safetensors format, one after the other: no more than one of them is copied at a time.

    Args:
        tensors: in 32 or 16 bit floats, also mapped from another file.
        metadata: strings that are kept in the header.

    Raises:
        CheckpointForeign: a tensor is of another type.
        OSError: see `write_whole`.
    """
    # The widest first, so that each begins at a multiple of its own width.
    names = sorted(tensors, key=lambda name: -tensors[name].element_size())
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    end = 0
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in NAMES:
            raise CheckpointForeign(f"{file}: {name} is {tensor.dtype}; only {', '.join(DTYPES)} can be written.")
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    bodies = (_bytes(tensors[name]) for name in names)
    return write_whole(file, chain((len(text).to_bytes(8, "little"), text), bodies))


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
