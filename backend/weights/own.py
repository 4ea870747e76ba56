"""Models of one's own: folders below `own` in the folder of models, chosen by name.

A request names such a folder and never a path, so nobody can have the server open a file elsewhere; whoever can write
into the folder of models decides what is there. The files are read as data, like those of the hub.
"""

from __future__ import annotations

import re
from pathlib import Path

from backend.weights.places import is_folder, own_folder
from backend.weights.row import Weights

FOLDER = "own"
PREFIX = f"{FOLDER}/"
LONGEST_NAME = 80

WORDS = ("learned_embeds.safetensors", "learned_embeds.bin")
"""What a learned word is kept in."""

RUN = "model.pth"

LAYOUTS = (("config.json", "model.safetensors"), (RUN,), *((name,) for name in WORDS))
"""Files by which a folder is complete: of OpenLRM 1.1; of OpenLRM 1.0, or a run of Magic123; a learned word."""

SAFETENSORS = "model.safetensors"

TRAINED = re.compile(r"checkpoint_(\d{1,9})\.pt")
"""What MIRA's training writes beside its config.json, with the epoch in the name."""


def is_name(text: str) -> bool:
    """Whether it can be the name of a folder, here and nowhere else."""
    return (
        0 < len(text) <= LONGEST_NAME
        and text.isprintable()
        and not any(sign in text for sign in '/\\:*?"<>|')
        and not text.startswith(".")
        and text == text.strip(" .")
    )


def is_own(identifier: str) -> bool:
    """Whether an id names a model of one's own."""
    return identifier.startswith(PREFIX)


def place_of_all() -> Path | None:
    """The folder that holds all of them; None outside a folder of models."""
    models = own_folder()
    return None if models is None else models / FOLDER


def names() -> list[str]:
    """Those that are there with all their files."""
    place = place_of_all()
    if place is None or not is_folder(place):
        return []
    return sorted(
        folder.name
        for folder in place.iterdir()
        if is_name(folder.name) and all((folder / file).is_file() for file in _required(folder))
    )


def own_row(identifier: str) -> Weights:
    """What the catalogue would know of one. Of several checkpoints of a training run the newest counts.

    Raises:
        KeyError: no id of a model of one's own.
    """
    name = identifier.removeprefix(PREFIX)
    if not is_own(identifier) or not is_name(name):
        raise KeyError(identifier)
    place = place_of_all()
    required = LAYOUTS[0] if place is None else _required(place / name)
    return Weights(
        id=identifier,
        repository=identifier,
        revision=None,
        files=required,
        required=required,
        bytes=0,
        licence="LicenseRef-own",
        licence_note="",
        memory_bytes=0,
        source="own",
    )


def _required(folder: Path) -> tuple[str, ...]:
    found = {path.name for path in folder.iterdir()} if is_folder(folder) else set()
    trained = sorted((int(match[1]), name) for name in found if (match := TRAINED.fullmatch(name)))
    if SAFETENSORS not in found and trained:
        return ("config.json", trained[-1][1])
    return next((files for files in LAYOUTS if files[-1] in found), LAYOUTS[0])
