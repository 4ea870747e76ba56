"""inversion: learns a word that means the very object of a picture, for methods that are told what they make."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from backend.pipelines.base import PROMINENT, Needs, Stage, control, special
from backend.pipelines.parameters import ComputingParameters, Quality, quality_of
from backend.preparations.base import PreparationInfo
from backend.preparations.painting import LICENCE_NOTE

QUALITIES = {"draft": 300, "standard": 1000, "final": 3000}
"""Steps; the last is published."""

MOST_STEPS = 10_000
LONGEST_WORD = 40
WEIGHTS = "sd15"
GIGABYTES = 1_000_000_000
NEEDS = 5 * GIGABYTES
"""Of a card in 16 bit, with a picture at a time; see `run.py`. Less will do where the middle is computed twice."""


class InversionParameters(ComputingParameters):
    """What an artist can turn."""

    initial: str = Field(
        "object",
        max_length=100,
        title="Begins as",
        description="What the object is, in a word or two: what the new word means before anything is learned.",
        json_schema_extra={"group": "picture", "examples": ["teapot"], **control("sentence"), **PROMINENT},
    )
    word: str = Field(
        "<this>",
        min_length=2,
        max_length=LONGEST_WORD,
        title="Word",
        description="The new word, as it stands in a text; none that exists.",
        json_schema_extra={"group": "picture"},
    )
    quality: Annotated[Quality, quality_of(QUALITIES)] = "standard"
    steps: int = Field(
        0,
        ge=0,
        le=MOST_STEPS,
        title="Steps",
        description="A number of steps of your own; 0 leaves it to quality.",
        json_schema_extra={"group": "making", **special(0, "Auto", QUALITIES["standard"])},
    )

    @field_validator("initial")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.split():
            raise ValueError("it is empty; say in a word or two what the object is")
        return value

    @field_validator("word")
    @classmethod
    def _is_a_word(cls, value: str) -> str:
        if not value.isprintable() or value.split() != [value]:
            raise ValueError("it is no word: letters and signs without spaces are, as in <this>")
        return value

    @property
    def chosen_steps(self) -> int:
        return self.steps or QUALITIES[self.quality]


INVERSION = PreparationInfo(
    id="inversion",
    version="1",
    title="Learn a Word",
    description="Learns a word for the very object of the picture (textual inversion), for methods that are told what "
    "they make. Learned once it is kept.",
    entry="backend.preparations.inversion.run:prepare",
    parameters=InversionParameters,
    stages=(Stage("learn", 60),),
    weights=(WEIGHTS,),
    licence_note=LICENCE_NOTE,
    learned=True,
    memory_bytes=NEEDS,
    needed=lambda chosen: Needs(NEEDS),
    checkpoints=True,
    chance=True,
    learns_words=True,
)
