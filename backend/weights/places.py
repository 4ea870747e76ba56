"""Where models may lie on this machine. Nothing is downloaded here and the network is never touched.

Of the hub's models two kinds of places are looked at, in this order:

1. the folder that the environment variable `SET_DRESSER_MODELS` names: a plain folder of the model, made by
   `backend/downloads`, by hand or by `hf download --local-dir`, or a cache of the hub
   (`models--owner--name/snapshots/…`). Where the user has not set it, server and command line name the folder `models`
   of their data folder in it, see `models_kept_in`; the processes they start inherit it;
2. the usual cache of the hub (HF_HUB_CACHE, HF_HOME, or ~/.cache/huggingface/hub).

A model that comes with this program lies beside this file, one of the user's own below `own` in the first of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backend.weights.row import Weights

VARIABLE = "SET_DRESSER_MODELS"
CONVERTED_VARIABLE = "SET_DRESSER_CONVERTED"
LOCAL = Path(__file__).resolve().parent / "local"


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


def data_folder() -> Path | None:
    """The data folder; None outside `models_kept_in`."""
    named = os.environ.get(CONVERTED_VARIABLE, "").strip()
    return Path(named).parent if named else None


def converted_folder(identifier: str) -> Path | None:
    """Where a model's files in a form that loads faster are kept; None, beside the files, outside `models_kept_in`."""
    named = os.environ.get(CONVERTED_VARIABLE, "").strip()
    return Path(named) / identifier if named else None


def places(weights: Weights) -> Iterator[Place]:
    """Every folder there is that may hold the model, the first to be preferred."""
    if weights.source == "local":
        yield Place(LOCAL / weights.id, LOCAL / weights.id, "")
        return
    owner, _, name = weights.repository.partition("/")
    own = own_folder()
    if weights.source == "own":
        if own is not None and is_folder(folder := own / weights.home):
            yield Place(folder, folder, "")
        return
    if own is not None:
        for folder in dict.fromkeys((own / weights.home, own / owner / name, own / f"{owner}--{name}", own / name)):
            if is_folder(folder):
                yield Place(folder, folder, f'--local-dir "{folder}"')
        yield from _hub_places(own, weights, f'--cache-dir "{own}"')
    yield from _hub_places(_hub_cache(), weights, "")


def _hub_cache() -> Path:
    """Where huggingface_hub keeps its files, by the variables that it documents."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if named := os.environ.get(name):
            return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


def is_folder(path: Path) -> bool:
    """Whether it is a folder that we may look at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _hub_places(cache: Path, weights: Weights, download: str) -> Iterator[Place]:
    """The snapshots of a hub cache: the revision that is wanted, the main branch's, then the others by name.

    One that is there already is better than gigabytes anew; a job tells that it is another, see `revisions.py`. A cache
    without a snapshot gives a place without files, so that an unfinished download is not overlooked.
    """
    root = cache / f"models--{weights.repository.replace('/', '--')}"
    if not is_folder(root):
        return
    snapshots = root / "snapshots"
    wanted = [snapshots / weights.revision] if weights.revision else []
    for name in filter(None, (weights.revision, "main")):
        reference = root / "refs" / name
        if reference.is_file():
            wanted.append(snapshots / reference.read_text().strip())
    wanted += sorted(snapshots.glob("*"))
    for folder in dict.fromkeys(wanted or [snapshots / "main"]):
        yield Place(folder, root, download)
