"""The catalogue of weights: what each model is called, where it lies, whether it is complete, what its licence says.

Nothing is downloaded here and the network is never touched. Two kinds of places are looked at, in this order:

1. the folder that the environment variable `SET_DRESSER_MODELS` names: a plain folder of the model, made by
   `backend/downloads`, by hand or by `hf download --local-dir`, or a cache of the hub
   (`models--owner--name/snapshots/…`). Where the user has not set it, server and command line name the folder `models`
   of their data folder in it, see `models_kept_in`; the processes they start inherit it;
2. the usual cache of the hub (HF_HUB_CACHE, HF_HOME, or ~/.cache/huggingface/hub).

The server imports this module, so it needs the standard library only. The thorough check, every tensor by name and
shape, is `models/loading.py`'s when a checkpoint is opened; `problem_of` says in one voice what came of it.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from backend.errors import Problem
from backend.weights_catalogue import WEIGHTS, Weights

__all__ = [
    "VARIABLE",
    "WEIGHTS",
    "State",
    "Weights",
    "converted_folder",
    "download_command",
    "locate",
    "look",
    "models_kept_in",
    "present",
    "problem_of",
    "variant",
]

VARIABLE = "SET_DRESSER_MODELS"
CONVERTED_VARIABLE = "SET_DRESSER_CONVERTED"
LFS_POINTER = b"version https://git-lfs"


class State(StrEnum):
    """How much of a model is there, as far as file names and lengths tell."""

    absent = "absent"
    partial = "partial"
    ready = "ready"


@dataclass(frozen=True)
class Place:
    """A folder that may hold a model.

    folder: what a loader would open.
    root: where a download leaves what is not finished; the folder itself, or the hub cache's folder of the model.
    download: options that make `hf download` write here.
    """

    folder: Path
    root: Path
    download: str


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
        KeyError: no such id in the catalogue.
    """
    weights = WEIGHTS[identifier]
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
        KeyError: no such id in the catalogue.
    """
    weights = WEIGHTS[identifier]
    seen = look(identifier)
    if seen.place is None:
        raise Problem("weights-missing", _nowhere(weights), _how_to_get(weights), weights=identifier)
    if seen.fault is None:
        return seen.place.folder
    command = download_command(identifier, seen.place.download)
    if seen.fault.damaged:
        hint = f"Delete that file and download it again: {command}"
        raise Problem("weights-damaged", f"{seen.fault.file} {seen.fault.what}.", hint, weights=identifier)
    detail = f"{weights.repository} is not complete: {seen.fault.file} {seen.fault.what}."
    raise Problem("weights-missing", detail, f"Finish the download: {command}", weights=identifier)


@contextmanager
def models_kept_in(data: Path) -> Iterator[None]:
    """Inside the block this process, and every one it starts, has its own models in `<data>/models`.

    Unless the user's SET_DRESSER_MODELS names another folder. It is told by that very variable, so that a server, its
    worker and its downloads cannot disagree. What is made of models (`converted_folder`) is in `<data>/converted` in
    any case: a folder of models that several machines share need not be writable.
    """
    folder = data.absolute() / "models"
    told = {CONVERTED_VARIABLE: str(data.absolute() / "converted")}
    if own_folder() is None:
        with suppress(OSError):  # told by whoever writes there
            folder.mkdir()
        told[VARIABLE] = str(folder)
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def own_folder() -> Path | None:
    """The folder of models that SET_DRESSER_MODELS names."""
    named = os.environ.get(VARIABLE, "").strip()
    return Path(named).expanduser() if named else None


def converted_folder(identifier: str) -> Path | None:
    """Where a model's files in a form that loads faster are kept; None, beside the files, outside `models_kept_in`."""
    named = os.environ.get(CONVERTED_VARIABLE, "").strip()
    return Path(named) / identifier if named else None


def variant(identifier: str, folder: Path) -> str | None:
    """What diffusers is to be told as `variant`: "fp16" if any network of the folder is there in that form."""
    return "fp16" if any(_marked(folder, name) for name in WEIGHTS[identifier].required) else None


def download_command(identifier: str, options: str | None = None) -> str:
    """The command line that gets a model, and only the files that are needed. `options`: see `Place.download`."""
    weights = WEIGHTS[identifier]
    folder = own_folder()
    if options is None:
        options = f'--local-dir "{folder / weights.home}"' if folder else ""
    include = " ".join(f'--include "{pattern}"' for pattern in weights.files)
    revision = f"--revision {weights.revision}" if weights.revision else ""
    return " ".join(part for part in ("hf download", weights.repository, revision, include, options) if part)


def problem_of(error: Exception, identifier: str) -> Problem:
    """What to tell the user of an error that opening a checkpoint raised; see the classes of `models/loading.py`.

    Decided by the names of the classes, because importing them would load PyTorch. An error of another kind becomes
    `internal`: the caller raises it `from` the error, which is in the log then.
    """
    if isinstance(error, Problem):
        return error
    weights = WEIGHTS[identifier]
    command = download_command(identifier)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "CheckpointMissing" in kinds:
        return Problem("weights-missing", str(error), f"Download it again: {command}", weights=identifier)
    if "CheckpointUnwritable" in kinds:
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
        return Problem("disk-full" if full else "output-not-writable", str(error), weights=identifier)
    if "CheckpointForeign" in kinds:
        hint = f"This folder should hold {weights.repository}. Give the right folder, or download it: {command}"
        return Problem("weights-foreign", str(error), hint, weights=identifier)
    if "CheckpointError" in kinds:
        hint = f"Delete that file and download it again: {command}"
        return Problem("weights-damaged", str(error), hint, weights=identifier)
    return Problem("internal", f"{weights.repository} cannot be opened: {error}", weights=identifier)


def places(weights: Weights) -> Iterator[Place]:
    """Every folder there is that may hold the model, the first to be preferred."""
    owner, _, name = weights.repository.partition("/")
    own = own_folder()
    if own is not None:
        for folder in dict.fromkeys((own / weights.home, own / owner / name, own / f"{owner}--{name}", own / name)):
            if _is_folder(folder):
                yield Place(folder, folder, f'--local-dir "{folder}"')
        yield from _hub_places(own, weights, f'--cache-dir "{own}"')
    yield from _hub_places(_hub_cache(), weights, "")


def faults(folder: Path, weights: Weights) -> list[Fault]:
    """What keeps a folder from being complete, in the order of `weights.required`."""
    found = (_fault(folder, name) for name in weights.required)
    return [fault for fault in found if fault is not None]


def _hub_cache() -> Path:
    """Where huggingface_hub keeps its files, by the variables that it documents."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if named := os.environ.get(name):
            return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


def _is_folder(path: Path) -> bool:
    """Whether it is a folder that we may look at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _hub_places(cache: Path, weights: Weights, download: str) -> Iterator[Place]:
    """The snapshots of a hub cache: the revision that is wanted, then, if none is wanted, the others by name.

    A cache without a snapshot gives a place without files, so that an unfinished download is not overlooked.
    """
    root = cache / f"models--{weights.repository.replace('/', '--')}"
    if not _is_folder(root):
        return
    wanted = weights.revision or "main"
    reference = root / "refs" / wanted
    chosen = root / "snapshots" / (reference.read_text().strip() if reference.is_file() else wanted)
    others = [] if weights.revision else sorted((root / "snapshots").glob("*"))
    for folder in dict.fromkeys([chosen, *others]):
        yield Place(folder, root, download)


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
    expected = _full_size(file, status.st_size, status.st_mtime_ns)
    if expected is None:
        return Fault(file, "is only a Git LFS pointer or no safetensors file", damaged=True)
    if expected != status.st_size:
        what = f"has {status.st_size} bytes instead of {expected}; the download is incomplete"
        return Fault(file, what, damaged=True)
    return None


@lru_cache(maxsize=256)
def _full_size(file: Path, size: int, changed: int) -> int | None:
    """The bytes that a safetensors file should have by its header; None if it has none. Read once per change."""
    with file.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if start + stream.read(len(LFS_POINTER) - 8) == LFS_POINTER or size < 8:
            return None
        if length > size - 8:
            # The header itself is cut off, unless the first bytes are no length at all.
            return 8 + length if length < 100_000_000 else None
        stream.seek(8)
        header = stream.read(length)
    try:
        entries = json.loads(header)
        ends = (int(entry["data_offsets"][1]) for name, entry in entries.items() if name != "__metadata__")
        return 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return None


def _nowhere(weights: Weights) -> str:
    own = own_folder()
    if own is not None and not _is_folder(own):
        return f"{weights.repository} is not on this computer; {VARIABLE} names {own}, which is no folder."
    return f"{weights.repository} is not on this computer."


def _how_to_get(weights: Weights) -> str:
    own = own_folder()
    folder = f"{own / weights.home}" if own else f"the folder {weights.repository} of your own folder of models"
    named = "" if own else f" and name that folder in the environment variable {VARIABLE}"
    size = f"{weights.bytes / 1e9:.1f} GB"
    return f"Download it ({size}): {download_command(weights.id)} or put its files into {folder}{named}."
