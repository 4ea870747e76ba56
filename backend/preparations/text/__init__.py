"""text: paints the picture that a request without pictures starts from, out of a sentence."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from backend.pipelines.base import Needs, Stage, control
from backend.pipelines.parameters import (
    Choose,
    Guidance,
    Negative,
    Quality,
    SamplingParameters,
    Steps,
    Words,
    quality_of,
    steps_of,
)
from backend.preparations import painting
from backend.preparations.base import PreparationInfo
from backend.preparations.painting import Candidates, Model

WEIGHTS: dict[str, Any] = {"sdxl": ["sdxl"], "sd15": ["sd15"]}
"""What each choice of `model` needs."""

ALONE = "a single object, whole, centred, on a plain white background, even studio light"
NOT_ALONE = "several objects, cropped, busy background, room, floor, cast shadow"
"""What `alone` adds to the sentence and to what is not wanted."""

LONGEST_TITLE = 60
"""Letters; Blender cuts names off at 63 bytes."""


class TextParameters(SamplingParameters):
    """What an artist can turn."""

    QUALITIES = painting.QUALITIES

    quality: Annotated[Quality, quality_of(painting.QUALITIES)] = "standard"
    steps: Annotated[Steps, steps_of(painting.QUALITIES)] = 0
    guidance: Guidance = 7.0
    prompt: Words = Field(
        "",
        title="Text",
        description="What is to be made, in a sentence or a few words.",
        json_schema_extra={
            "group": "picture",
            "examples": ["a red armchair with wooden legs"],
            **control("sentence", wanted=True),
        },
    )
    alone: bool = Field(
        True,
        title="Stands alone",
        description=f"Add the words that make one whole object of it, before a plain white ground: “{ALONE}”.",
        json_schema_extra={"group": "picture"},
    )
    negative_prompt: Negative = "blurry, deformed, text, watermark"
    model: Annotated[Model, painting.models_of(WEIGHTS)] = "sdxl"
    candidates: Annotated[Candidates, Field(le=4)] = 4
    choose: Choose = "several"

    @model_validator(mode="after")
    def _say_what_to_make(self) -> TextParameters:
        if not self.prompt.split():
            raise ValueError("the sentence is empty; write what is to be made")
        return self

    def needed_weights(self) -> tuple[str, ...]:
        return tuple(WEIGHTS[self.model])


def full_prompt(parameters: TextParameters) -> tuple[str, str]:
    """What the painter is told: the wanted words, the user's first, and those that are not wanted."""
    given = " ".join(parameters.prompt.split()).rstrip(" ,.")
    unwanted = " ".join(parameters.negative_prompt.split()).rstrip(" ,.")
    if not parameters.alone:
        return given, unwanted
    return f"{given}, {ALONE}", ", ".join(filter(None, (unwanted, NOT_ALONE)))


def title(sentence: str) -> str:
    """What a prop is called that is made of this: the sentence, its first words if it is long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in sentence)
    words = " ".join(printable.split()).rstrip(" ,.")
    if len(words) <= LONGEST_TITLE:
        return words
    return words[:LONGEST_TITLE].rpartition(" ")[0] or words[:LONGEST_TITLE]


TEXT = PreparationInfo(
    id="text",
    version="1",
    title="Text",
    description="Paints a picture of one object from a sentence, in place of pictures.",
    entry="backend.preparations.text.run:prepare",
    parameters=TextParameters,
    stages=(Stage("paint", 40),),
    licence_note=painting.LICENCE_NOTE,
    learned=True,
    memory_bytes=6_500_000_000,
    needed=lambda chosen: Needs(6_500_000_000 if chosen.model == "sdxl" else 2_300_000_000),
    makes_picture=True,
    chance=True,
)
