"""Checkpoints in torch's own format (.bin, .ckpt): read as data, never run, and converted to safetensors once.

Such a file is a pickle, which may hold a program. Its claims are checked first (`pickled_claims`); then torch reads it
in its weights-only mode, which knows tensors and plain containers and refuses everything else.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.headers import (
    CheckpointDamaged,
    CheckpointForeign,
    CheckpointMissing,
    CheckpointUnwritable,
    TensorHeader,
    open_header,
)
from models.pickled_claims import check_claims, open_archive
from models.pickled_strangers import read_among_strangers
from models.writing import NAMES, write_safetensors

Rename = Callable[[str], str | None]
"""Name in the file → name that is kept, or None for what is not needed."""

SHARES = 4
"""Tensors may share their bytes, but what all of them claim is not many times the file."""

SUFFIX = ".converted"
CHUNK = 1 << 22
ZIP = b"PK\x03\x04"


def read_pickled(file: Path, strangers: bool = False) -> dict[str, Tensor]:
    """The tensors of a file by name, mapped: a tensor is read from the disk when it is used.

    A training checkpoint gives what is under its "state_dict". strangers: see `read_content`.

    Raises:
        CheckpointMissing: no such file.
        CheckpointDamaged: cut off, or no file of torch's.
        CheckpointForeign: it holds more than weights, or something else.
    """
    content = read_content(file, strangers)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    return tensor_table(content, file)


def read_content(file: Path, strangers: bool = False) -> Any:
    """What a file of torch's holds: tensors, mapped, in plain containers with numbers and strings.

    Args:
        strangers: it may hold more, which is not read but stands as a thing that does nothing: what a training program
            keeps beside its weights. For zips alone; see `pickled_strangers`.

    Raises:
        CheckpointError: as `read_pickled`.
    """
    if not file.is_file():
        raise CheckpointMissing(f"{file} is missing.")
    with file.open("rb") as stream:
        start = stream.read(8)
    if start == b"version ":
        raise CheckpointDamaged(f"{file} is a Git LFS pointer, not the file itself; download it with Git LFS.")
    zipped = zipfile.is_zipfile(file)
    if start.startswith(ZIP) and not zipped:
        raise CheckpointDamaged(f"{file} is cut off ({file.stat().st_size} bytes); the download is incomplete.")
    check_claims(file)
    try:
        if strangers and zipped:
            return read_among_strangers(file)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" in str(error) and zipped:
            raise CheckpointForeign(f"{file} holds more than weights and is not opened: {_brief(error)}") from error
        raise CheckpointDamaged(f"{file} is cut off or no checkpoint of torch: {_brief(error)}") from error
    except Exception as error:
        # torch checks little of what a file says, and stumbles over it in many ways.
        raise CheckpointDamaged(f"{file} is cut off or no checkpoint of torch: {_brief(error)}") from error


def tensor_table(content: object, file: Path) -> dict[str, Tensor]:
    """Part of a file's content as the table of tensors that it should be.

    Raises:
        CheckpointForeign: it is something else.
        CheckpointDamaged: its tensors claim many times what the file has.
    """
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CheckpointForeign(f"{file} holds no table of tensors.")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise CheckpointForeign(f"{file}: {name} is no tensor.")
    claimed, size = sum(value.numel() * value.element_size() for value in content.values()), file.stat().st_size
    if claimed > SHARES * size:
        raise CheckpointDamaged(f"{file}: its tensors claim {claimed} bytes, and it has {size}.")
    return content


def header_of(tensor: Tensor, file: Path) -> TensorHeader:
    """Type and shape as `loading.read_header` gives them."""
    return TensorHeader(file, NAMES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))


def pickled_headers(file: Path, rename: Rename = str) -> dict[str, TensorHeader]:
    """Types and shapes under the names that are kept. Errors: `read_pickled`."""
    return {
        kept: header_of(tensor, file)
        for name, tensor in read_pickled(file).items()
        if (kept := rename(name)) is not None
    }


def converted(file: Path, place: Path | None = None, rename: Rename = str) -> Path:
    """The safetensors form of a file, made at the first call and found again at later ones.

    It is made anew when the file has changed. When the file is gone and its converted form is there, that will do.

    Args:
        file: of torch's format.
        place: the folder in which the converted form is kept; beside the file if None.
        rename: see `Rename`. A change of it is not noticed.

    Raises:
        CheckpointError: see `read_pickled`; CheckpointUnwritable where the place cannot be written to.
    """
    target = converted_form(file, place)
    if target.is_file() and _origin(target) == (fingerprint(file) if file.is_file() else _origin(target)):
        return target
    tensors = {kept: tensor for name, tensor in read_pickled(file).items() if (kept := rename(name)) is not None}
    examine(file)
    try:
        return write_safetensors(target, tensors, {"converted_from": fingerprint(file)})
    except OSError as error:
        raise CheckpointUnwritable(
            f"{target}, the converted form of {file.name}, cannot be written: {error}"
        ) from error


def converted_form(file: Path, place: Path | None = None) -> Path:
    """Where `converted` keeps what it makes."""
    return (place or file.parent) / f"{file.stem}{SUFFIX}.safetensors"


def _origin(target: Path) -> str | None:
    """The fingerprint of the file that a converted form was made from; None if it is no converted form."""
    try:
        return open_header(target).metadata.get("converted_from")
    except CheckpointDamaged:
        return None


def fingerprint(file: Path) -> str:
    """Tells two files apart by the sizes and checksums that their tables of contents state, without reading them."""
    stated: object = (file.stat().st_size, file.stat().st_mtime_ns)
    if zipfile.is_zipfile(file):
        with open_archive(file) as archive:
            stated = [(entry.filename, entry.file_size, entry.CRC) for entry in archive.infolist()]
    return hashlib.sha256(repr(stated).encode()).hexdigest()


def examine(file: Path) -> None:
    """Compares the content with its checksums, where there are any: a hole in the middle shows nowhere else.

    Raises:
        CheckpointDamaged: they differ.
    """
    if not zipfile.is_zipfile(file):
        return
    with open_archive(file) as archive:
        for entry in archive.infolist():
            if not entry.CRC:
                continue
            try:
                with archive.open(entry) as stream:
                    while stream.read(CHUNK):
                        pass
            except (zipfile.BadZipFile, EOFError) as error:
                raise CheckpointDamaged(
                    f"{file} is damaged at {entry.filename}: delete it and download it again."
                ) from error


def _brief(error: Exception) -> str:
    """The first line: the rest is advice to programmers. Of what torch refuses, what that is: its first line advises to
    open the file all the same."""
    if "Weights only load failed" in str(error):
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"it calls {named[1]}." if named else "it has instructions that weights need not have."
    return (str(error) or type(error).__name__).splitlines()[0]
