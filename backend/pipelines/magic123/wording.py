"""What the 2D prior is told of each object: the text, with what the object is called, or its token, in its place."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from backend import weights
from backend.errors import Problem
from backend.pipelines.magic123 import FORMER_NAME, NAME, Magic123Parameters
from backend.pipelines.running import checkpoints
from backend.preparations.imagine.prompt import spoken_name
from backend.shot import Shot
from backend.weights.own import PREFIX, WORDS
from backend.weights.telling import OWN_LAYOUTS
from models.guidance.text import read_words
from models.headers import CheckpointForeign

Embeddings = Mapping[str, Tensor]
"""Words, and what each means to the text encoder, [width]."""

HINT = f"Write what it is in place of {NAME}, give the object a name that says it, or choose no 2D prior."


def texts(
    names: Mapping[int, str], parameters: Magic123Parameters, words: Mapping[int, Embeddings] | None = None
) -> dict[int, str]:
    """The text for each object; `FORMER_NAME` in it is where a learned word goes. Empty without a 2D prior.

    Args:
        names: what the objects are called, by instance. words: see `learned_words`.

    Raises:
        Problem: "parameters-invalid" where a name is wanted and says nothing.
    """
    if not parameters.asks_text:
        return {}
    known = words or {}
    said = {number: wording(parameters.prompt, name, bool(known.get(number))) for number, name in names.items()}
    if nameless := [names[number] or f"object {number}" for number, text in said.items() if text is None]:
        which = ", ".join(f"'{name}'" for name in nameless)
        tell = "says nothing of what it is" if len(nameless) == 1 else "say nothing of what they are"
        detail = f"The text speaks of {NAME}, but {which} {tell}, and the 2D prior goes by words."
        raise Problem("parameters-invalid", detail, HINT)
    return {number: text for number, text in said.items() if text is not None}


def wording(prompt: str, name: str, has_token: bool) -> str | None:
    """One text. None where it has a place for a name, and the name says nothing."""
    words = " ".join(prompt.split()).replace(FORMER_NAME, NAME)
    if has_token:
        if not words:
            return FORMER_NAME
        return words.replace(NAME, FORMER_NAME) if NAME in words else f"{FORMER_NAME}, {words}"
    if NAME not in words:
        return words
    spoken = spoken_name(name)
    return words.replace(NAME, spoken) if spoken else None


def learned_words(shot: Shot, parameters: Magic123Parameters) -> dict[int, Embeddings]:
    """The learned word of each object that has one, with its embedding: that of the token, or what a preparation has
    learned from this very picture.

    Raises:
        Problem: "weights-missing" where there is no file of the token; "weights-damaged", "weights-foreign".
    """
    if not parameters.asks_text:
        return {}
    if parameters.token:
        return dict.fromkeys(shot.instances.names, _of_the_token(PREFIX + parameters.token))
    return {number: {word.text: torch.tensor(word.embedding)} for number, word in shot.words.items()}


def _of_the_token(identifier: str) -> Embeddings:
    folder = weights.locate(identifier)
    file = next((folder / name for name in WORDS if (folder / name).is_file()), None)
    if file is None:
        raise Problem("weights-missing", f"The folder {folder} holds no learned word.", OWN_LAYOUTS, weights=identifier)
    with checkpoints(identifier):
        found = read_words(file)
        if len(found) != 1:
            raise CheckpointForeign(f"{file} has {len(found)} words; a token is one.")
    return found
