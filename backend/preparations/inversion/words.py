"""Words that were learned, kept beside the jobs: `<data>/words/<hash>.safetensors`, a few kilobytes each.

The hash is of all that a word depends on: the picture that it was learned from, how, and from which model. Whatever of
it changes, the word is learned anew. Files are written whole or not at all, so that several workers may share the
folder; what has not been asked for longest goes when there are too many.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from backend.shot import Word
from backend.weights.places import data_folder
from models.guidance.inversion import write_word
from models.guidance.text import read_words
from models.headers import CheckpointError

MOST_WORDS = 1000
"""That are kept: of 768 numbers each, 3 MB together."""

FOLDER = "words"
logger = logging.getLogger(__name__)


def hash_of(picture: bytes, facts: Mapping[str, Any]) -> str:
    """What a word is kept by. facts: JSON, all that it depends on but the picture's pixels."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()


def recalled(key: str, text: str) -> Word | None:
    """A word that was learned before; None if it was not, or its file is no good, which goes then."""
    folder = _folder()
    if folder is None:
        return None
    file = folder / f"{key}.safetensors"
    try:
        found = read_file(file, text)
        os.utime(file)
    except FileNotFoundError:
        return None
    except (OSError, CheckpointError) as error:
        if file.exists():
            logger.warning("the word in %s cannot be used: %s", file, error)
            _remove(file)
        return None
    return found


def read_file(file: Path, text: str) -> Word:
    """The word of a file that has one. Raises CheckpointError."""
    words = read_words(file)
    (embedding,) = words.values()
    return Word(text, embedding.numpy())


def keep(key: str, word: Word) -> None:
    """Keep a word for other jobs. That it cannot be kept ends nothing."""
    folder = _folder()
    if folder is None:
        return
    try:
        write_word(folder / f"{key}.safetensors", word.text, torch.from_numpy(word.embedding))
        files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    except OSError as error:
        logger.warning("a learned word is not kept: %s", error)
        return
    for file in files[MOST_WORDS:]:
        _remove(file)


def _folder() -> Path | None:
    """Where they are; None outside of a data folder."""
    data = data_folder()
    return None if data is None else data / FOLDER


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:  # open elsewhere, on Windows: it goes another time
        logger.warning("%s cannot be removed: %s", file, error)
