"""What is said of models: how to get one, and what came of opening it."""

from __future__ import annotations

import errno

from backend.errors import Problem
from backend.weights.catalogue import WEIGHTS
from backend.weights.places import VARIABLE, is_folder, own_folder
from backend.weights.row import Weights

INSTALL_AGAIN = "It comes with Set Dresser: install that again."


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
    command = INSTALL_AGAIN if weights.source == "local" else download_command(identifier)
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


def nowhere(weights: Weights) -> str:
    own = own_folder()
    if own is not None and not is_folder(own):
        return f"{weights.repository} is not on this computer; {VARIABLE} names {own}, which is no folder."
    return f"{weights.repository} is not on this computer."


def how_to_get(weights: Weights) -> str:
    if weights.source == "local":
        return INSTALL_AGAIN
    own = own_folder()
    folder = f"{own / weights.home}" if own else f"the folder {weights.repository} of your own folder of models"
    named = "" if own else f" and name that folder in the environment variable {VARIABLE}"
    size = f"{weights.bytes / 1e9:.1f} GB"
    return f"Download it ({size}): {download_command(weights.id)} or put its files into {folder}{named}."
