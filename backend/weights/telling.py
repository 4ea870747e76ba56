"""What is said of models: how to get one, and what came of opening it."""

from __future__ import annotations

import errno

from backend.errors import Problem
from backend.weights.catalogue import row_of
from backend.weights.own import names, place_of_all
from backend.weights.places import VARIABLE, is_folder, own_folder
from backend.weights.row import Weights

INSTALL_AGAIN = "It comes with Set Dresser: install that again."
OWN_AGAIN = "Put a whole copy of the file there again."
OWN_LAYOUTS = (
    "It holds config.json and model.safetensors (OpenLRM 1.1), model.pth (OpenLRM 1.0, a run of Magic123), config.json "
    "and checkpoint_<number>.pt (MIRA), or learned_embeds.safetensors or .bin (a learned word)."
)


def download_command(identifier: str, options: str | None = None) -> str:
    """The command line that gets a model, and only the files that are needed. `options`: see `Place.download`."""
    weights = row_of(identifier)
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
    weights = row_of(identifier)
    elsewhere = without_hub(weights)
    command = "" if elsewhere else download_command(identifier)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "CheckpointMissing" in kinds:
        hint = OWN_LAYOUTS if weights.source == "own" else elsewhere or f"Download it again: {command}"
        return Problem("weights-missing", str(error), hint, weights=identifier)
    if "CheckpointUnwritable" in kinds:
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
        return Problem("disk-full" if full else "output-not-writable", str(error), weights=identifier)
    if "CheckpointForeign" in kinds:
        hint = f"This folder should hold {weights.repository}. Give the right folder, or download it: {command}"
        hint = OWN_LAYOUTS if weights.source == "own" else hint
        return Problem("weights-foreign", str(error), hint, weights=identifier)
    if "CheckpointError" in kinds:
        hint = elsewhere or f"Delete that file and download it again: {command}"
        return Problem("weights-damaged", str(error), hint, weights=identifier)
    return Problem("internal", f"{weights.repository} cannot be opened: {error}", weights=identifier)


def without_hub(weights: Weights) -> str | None:
    """How to get a file of a model again that is not of the hub; None for one that is."""
    return {"local": INSTALL_AGAIN, "own": OWN_AGAIN, "hub": None}[weights.source]


def nowhere(weights: Weights) -> str:
    own = own_folder()
    if weights.source == "own":
        place = place_of_all()
        where = f"the folder {place}" if place else f"the folder that the environment variable {VARIABLE} should name"
        return f"There is no model '{weights.title}' in {where}."
    if own is not None and not is_folder(own):
        return f"{weights.repository} is not on this computer; {VARIABLE} names {own}, which is no folder."
    return f"{weights.repository} is not on this computer."


def how_to_get(weights: Weights) -> str:
    if weights.source == "local":
        return INSTALL_AGAIN
    if weights.source == "own":
        place = place_of_all()
        if place is not None and is_folder(place / weights.title):
            return f"Its folder is there, but not what belongs into it. {OWN_LAYOUTS}"
        there = ", ".join(names())
        return f"There are: {there}." if there else f"Put its folder there. {OWN_LAYOUTS}"
    own = own_folder()
    folder = f"{own / weights.home}" if own else f"the folder {weights.repository} of your own folder of models"
    named = "" if own else f" and name that folder in the environment variable {VARIABLE}"
    size = f"{weights.bytes / 1e9:.1f} GB"
    return f"Download it ({size}): {download_command(weights.id)} or put its files into {folder}{named}."
