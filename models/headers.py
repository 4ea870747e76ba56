"""What stands at the beginning of a safetensors file, read without the rest and without torch.

Here is the one place that knows the format's header: eight bytes that tell its length, then a JSON object of names,
types, shapes and places. The standard library is enough, so light processes can look at files, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_HEADER = 8_000_000  # bytes, some sixty thousand tensors; networks have a few thousand
GIT_LFS = b"version "  # how a pointer of Git LFS begins, which is a small text in place of the file
WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
"""Bytes of a value, by the names of the safetensors format."""


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file."""


class CheckpointMissing(CheckpointError):
    """There is no such checkpoint, or a file of it is not there: download it (again)."""


class CheckpointDamaged(CheckpointError):
    """A file is cut off or not what its name says: delete it and download it again."""


class CheckpointUnwritable(CheckpointError):
    """A converted form of a checkpoint cannot be written; the error of the system is its cause."""


class CheckpointForeign(CheckpointError):
    """The files are sound but belong to another network."""


@dataclass(frozen=True)
class TensorHeader:
    """Where one tensor lies and what it is."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """The whole header.

    Attributes:
        tensors: by name.
        metadata: strings that the writer has kept.
    """

    tensors: dict[str, TensorHeader]
    metadata: dict[str, str]


def read_header(file: Path) -> dict[str, TensorHeader]:
    """Names, types and shapes of the tensors of one safetensors file. Errors: see `open_header`."""
    return open_header(file).tensors


def open_header(file: Path) -> Header:
    """The header of a safetensors file, whose length is checked too.

    Raises:
        CheckpointMissing: no such file.
        CheckpointDamaged: cut off, too long, or no safetensors file at all.
    """
    if not file.is_file():
        raise CheckpointMissing(f"{file} is missing.")
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if start == GIT_LFS:
            raise CheckpointDamaged(f"{file} is a Git LFS pointer, not the file itself; download it with Git LFS.")
        length = int.from_bytes(start, "little")
        if len(start) == 8 and LONGEST_HEADER < length <= size - 8:
            raise CheckpointDamaged(f"{file} has a header of {length} bytes; {LONGEST_HEADER} are the most.")
        if len(start) < 8 or length > size - 8:
            raise CheckpointDamaged(
                f"{file} is cut off or no safetensors file ({size} bytes); perhaps the download is incomplete."
            )
        text = stream.read(length)
    try:
        entries = json.loads(text)
        headers = {name: entry for name, entry in entries.items() if name != "__metadata__"}
        spans = sorted(_span(name, entry) for name, entry in headers.items())
        found = {name: TensorHeader(file, entry["dtype"], tuple(entry["shape"])) for name, entry in headers.items()}
        metadata = {str(name): str(value) for name, value in (entries.get("__metadata__") or {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise CheckpointDamaged(f"{file} has an unreadable header: {error!r}") from error
    end = 0
    for begin, until, name in spans:
        if begin != end:
            raise CheckpointDamaged(f"{file}: {name[:80]} begins at byte {begin}; the one before it ends at {end}.")
        end = until
    if size != 8 + length + end:
        raise CheckpointDamaged(f"{file} has {size} bytes instead of {8 + length + end}; the download is incomplete.")
    return Header(found, metadata)


def _span(name: str, entry: Mapping[str, Any]) -> tuple[int, int, str]:
    """First byte, end and name of a tensor. Raises ValueError if its dtype, shape and place contradict each other."""
    dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or len(shape) > 64:
        raise ValueError(f"{name[:80]} has no dtype or no shape")
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end)):
        raise ValueError(f"{name[:80]} has a size or a place that is no whole number that can be")
    width = WIDTHS.get(dtype)
    if begin > end or (width is not None and math.prod(shape) * width != end - begin):
        raise ValueError(f"{name[:80]} is {dtype[:20]} {shape} in {end - begin} bytes")
    return begin, end, name
