"""A sentence in place of a picture: what `api.generate` is given, and what a prop's recipe keeps of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import bpy

from ..ground.messages import SetDresserError

TEXT, PROMPT = "text", "prompt"
"""The preparation that paints a picture of a sentence, and the parameter of it that is the sentence."""

LONGEST, LONGEST_NAME = 1000, 60
"""Letters of a sentence, and of a name that is taken from one; Blender's own end at 63 bytes."""

Prepare = dict[str, dict[str, Any]]


def asked(source: str | os.PathLike[str] | bpy.types.Image, text: str | None, prepare: Prepare) -> str | None:
    """The sentence that a job starts from; None if it starts from a picture.

    Raises SetDresserError: for a sentence without words, and for one beside a picture.
    """
    named = isinstance(source, str) and source.lower() == TEXT
    if text is None and not named and TEXT not in prepare:
        return None
    if not named and source != "camera":
        message = "A text stands for itself: there is no picture beside it."
        raise SetDresserError(message, "Leave out the source or the text.", "request-invalid")
    sentence = str((prepare.get(TEXT) or {}).get(PROMPT, "") if text is None else text)
    if not sentence.split():
        raise SetDresserError("There is no text to make something of.", "Write what is to be made.", "no-text")
    return sentence


def prepared(sentence: str, prepare: Prepare) -> Prepare:
    """The preparations of a job with its sentence among them."""
    return {**prepare, TEXT: {**(prepare.get(TEXT) or {}), PROMPT: sentence}}


def name(sentence: str) -> str:
    """What to call a job, and its prop: the sentence, or its first words."""
    words = " ".join(sentence.split()).rstrip(" ,.")
    return words if len(words) <= LONGEST_NAME else words[:LONGEST_NAME].rpartition(" ")[0] or words[:LONGEST_NAME]


def of_result(result: Mapping[str, Any]) -> str | None:
    """The sentence that a job was made of, from its result.json; None of others."""
    made = (result.get("prepared") or {}).get(TEXT) or {}
    return (made.get("parameters") or {}).get(PROMPT)
