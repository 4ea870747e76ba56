"""A sentence in place of a picture: what `api.generate` is given."""

from __future__ import annotations

import os
from typing import Any

import bpy

from ..ground.messages import SetDresserError

SOURCE = "text"
"""What `api.generate` calls a sentence among its sources."""

LONGEST, LONGEST_NAME = 1000, 60
"""Letters of a sentence, and of a name that is taken from one; Blender's own end at 63 bytes."""

Prepare = dict[str, dict[str, Any]]


def is_asked(source: str | os.PathLike[str] | bpy.types.Image, text: str | None, made: bool) -> bool:
    """Whether a job starts from a sentence, or from whatever else makes its picture, and not from a picture.

    made: whether a preparation that makes the picture was named. Raises SetDresserError: for a picture beside it.
    """
    named = isinstance(source, str) and source.lower() == SOURCE
    if text is None and not named and not made:
        return False
    if not named and source != "camera":
        message = "A text stands for itself: there is no picture beside it."
        raise SetDresserError(message, "Leave out the source or the text.", "request-invalid")
    return True


def prepared(text: str | None, prepare: Prepare, maker: str, parameter: str) -> tuple[str, Prepare]:
    """The sentence that the picture is made of, and the preparations of a job with that among them.

    maker, parameter: which preparation makes the picture, and which of its parameters is the sentence; "" if it wants
    none. Raises SetDresserError: for a sentence without words.
    """
    given = prepare.get(maker) or {}
    if not parameter:
        return "", {**prepare, maker: given}
    sentence = str(given.get(parameter, "") if text is None else text)
    if not sentence.split():
        raise SetDresserError("There is no text to make something of.", "Write what is to be made.", "no-text")
    return sentence, {**prepare, maker: {**given, parameter: sentence}}


def name(sentence: str) -> str:
    """What to call a job, and its prop: the sentence, or its first words."""
    words = " ".join(sentence.split()).rstrip(" ,.")
    return words if len(words) <= LONGEST_NAME else words[:LONGEST_NAME].rpartition(" ")[0] or words[:LONGEST_NAME]
