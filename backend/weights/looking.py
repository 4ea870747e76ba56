"""How much of a model is there, as far as file names, lengths and headers tell.

The server imports this module, so it needs the standard library only. The thorough check, every tensor by name and
shape, is `models/loading.py`'s when a checkpoint is opened.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from backend.errors import Problem
from backend.weights.catalogue import row_of
from backend.weights.places import Place, places
from backend.weights.row import Weights
from backend.weights.telling import OWN_LAYOUTS, download_command, how_to_get, nowhere, without_hub


class State(StrEnum):
    """How much of a model is there, as far as file names and lengths tell."""

    absent = "absent"
    partial = "partial"
    ready = "ready"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one file; `damaged`: it is there and must go before a download helps."""

    file: Path
    what: str
    damaged: bool


@dataclass(frozen=True)
class Sight:
    """What was seen of a model.

    place: where it is complete, or begun; None if it is absent.
    fault: what is wrong there; a damaged file first, because it is in the way of finishing the download.
    """

    state: State
    place: Place | None = None
    fault: Fault | None = None


def look(identifier: str) -> Sight:
    """Where a model is, and how much of it. Reads file lengths and headers of safetensors files; cheap enough to poll.

    Raises:
        KeyError: no such id in the catalogue, and no name of an own one.
    """
    weights = row_of(identifier)
    begun: Sight | None = None
    for place in places(weights):
        wrong = faults(place.folder, weights)
        if not wrong:
            return Sight(State.ready, place)
        if begun is None and _begun(place, wrong, weights):
            begun = Sight(State.partial, place, max(wrong, key=lambda fault: fault.damaged))
    return begun or Sight(State.absent)


def present(identifier: str) -> State:
    """How much of a model is there; see `look`."""
    return look(identifier).state


def locate(identifier: str) -> Path:
    """The folder of a model, complete as far as `look` can tell.

    Raises:
        Problem: weights-missing if there is none or files are missing, weights-damaged if a file is cut off, empty or
            no more than a pointer; the sentence names the file, the hint the command or the folder. Its member
            `weights` is the id.
        KeyError: no such id in the catalogue, and no name of an own one.
    """
    weights = row_of(identifier)
    seen = look(identifier)
    if seen.place is None:
        raise Problem("weights-missing", nowhere(weights), how_to_get(weights), weights=identifier)
    if seen.fault is None:
        return seen.place.folder
    command = download_command(identifier, seen.place.download)
    if seen.fault.damaged or weights.source == "local":
        hint = without_hub(weights) or f"Delete that file and download it again: {command}"
        raise Problem("weights-damaged", f"{seen.fault.file} {seen.fault.what}.", hint, weights=identifier)
    detail = f"{weights.repository} is not complete: {seen.fault.file} {seen.fault.what}."
    hint = OWN_LAYOUTS if weights.source == "own" else f"Finish the download: {command}"
    raise Problem("weights-missing", detail, hint, weights=identifier)


def variant(identifier: str, folder: Path) -> str | None:
    """What diffusers is to be told as `variant`: "fp16" if any network of the folder is there in that form."""
    return "fp16" if any(_marked(folder, name) for name in row_of(identifier).required) else None


def faults(folder: Path, weights: Weights) -> list[Fault]:
    """What keeps a folder from being complete, in the order of `weights.required`."""
    found = (_fault(folder, name) for name in weights.required)
    return [fault for fault in found if fault is not None]


def _begun(place: Place, wrong: list[Fault], weights: Weights) -> bool:
    """Whether anything of the model is here, if only a download that was cut off."""
    some = len(wrong) < len(weights.required) or any(fault.damaged for fault in wrong)
    return some or any(place.root.rglob("*.incomplete"))


def _options(name: str) -> list[str]:
    """The file names that a requirement allows: what is in square brackets may be there or not."""
    return list(dict.fromkeys([re.sub(r"[\[\]]", "", name), re.sub(r"\[.*?\]", "", name)]))


def _marked(folder: Path, name: str) -> bool:
    """Whether a requirement with square brackets is met by the file that has what is in them."""
    options = _options(name)
    return len(options) == 2 and _fault_of(folder / options[0]) is None


def _fault(folder: Path, name: str) -> Fault | None:
    """What keeps a requirement from being met; None if one of the files it allows is there and whole."""
    wrong = []
    for option in _options(name):
        fault = _fault_of(folder / option)
        if fault is None:
            return None
        wrong.append(fault)
    return max(reversed(wrong), key=lambda fault: fault.damaged)


def _fault_of(file: Path) -> Fault | None:
    """What is wrong with a file, or with the shards that an index puts in its place."""
    index = file.with_name(f"{file.name}.index.json")
    try:
        if file.exists() or not index.exists():
            return _fault_of_file(file)
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
        if not all(isinstance(shard, str) and Path(shard).name == shard for shard in shards):
            raise ValueError("a shard has no plain file name")
    except OSError as error:
        return Fault(file, f"cannot be read ({error.strerror})", damaged=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Fault(index, f"is not a readable index of shards ({error})", damaged=True)
    found = (_fault_of_file(file.with_name(shard)) for shard in sorted(shards))
    wrong = [fault for fault in found if fault is not None]
    return max(wrong, key=lambda fault: fault.damaged, default=None)


def _fault_of_file(file: Path) -> Fault | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return Fault(file, "is missing", damaged=False)
    if status.st_size == 0:
        return Fault(file, "is empty", damaged=True)
    if file.suffix != ".safetensors":
        return None
    what = _what_is_wrong(file, status.st_size, status.st_mtime_ns)
    return None if what is None else Fault(file, what, damaged=True)


@lru_cache(maxsize=256)
def _what_is_wrong(file: Path, size: int, changed: int) -> str | None:
    """What the header of a safetensors file tells; None if the file is as it says. Read once per change."""
    from models.headers import CheckpointError, open_header  # the standard library, and no network

    try:
        open_header(file)
    except CheckpointError as error:
        return str(error).removeprefix(str(file)).strip(" :.")
    return None
