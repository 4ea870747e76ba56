"""Files of checkpoints, written whole or not at all: killed at any moment, the old file or none is there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from models.loading import DTYPES, CheckpointForeign

NAMES = {dtype: name for name, dtype in DTYPES.items()}
"""What networks consist of."""

EVERY_NAME = NAMES | {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""And what else a state may hold."""


def write_whole(file: Path, chunks: Iterable[bytes | memoryview]) -> Path:
    """Writes beside and renames. The folder is made if need be.

    Raises:
        OSError: nothing new is left behind, and an older file of the name is untouched.
    """
    with whole_file(file) as stream:
        for chunk in chunks:
            stream.write(chunk)
    return file


def write_torch(file: Path, content: Mapping[str, Any]) -> Path:
    """A file in torch's own format, as training programs keep their checkpoints. Errors: see `write_whole`."""
    with whole_file(file) as stream:
        torch.save(content, stream)
    return file


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """A stream beside a file, which takes its place when the block ends well. Errors: see `write_whole`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_json(file: Path, content: Mapping[str, Any]) -> Path:
    """A JSON object, as `config.json` is written."""
    return write_whole(file, [(json.dumps(content, indent=2, sort_keys=True) + "\n").encode()])


def write_safetensors(
    file: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    types: Mapping[torch.dtype, str] = NAMES,
) -> Path:
    """Tensors in the safetensors format, one after the other: no more than one of them is copied at a time.

    Args:
        tensors: may be mapped from another file.
        metadata: strings that are kept in the header.
        types: those that may be written, and what they are called: `NAMES` or `EVERY_NAME`.

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
        if tensor.dtype not in types:
            possible = ", ".join(types.values())
            raise CheckpointForeign(f"{file}: {name} is {tensor.dtype}; only {possible} can be written.")
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": types[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    bodies = (_bytes(tensors[name]) for name in names)
    return write_whole(file, chain((len(text).to_bytes(8, "little"), text), bodies))


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
