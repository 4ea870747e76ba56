"""imagine: paints the grey shot from words, keeping its depth and the outlines of its objects."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from backend.pipelines.base import Needs, Stage, control
from backend.pipelines.former import formerly
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

WEIGHTS: dict[str, Any] = {"sdxl": ["sdxl", "controlnet-depth-sdxl"], "sd15": ["sd15", "controlnet-depth-sd15"]}
"""What each choice of `model` needs."""


class ImagineParameters(SamplingParameters):
    """What an artist can turn."""

    QUALITIES = painting.QUALITIES

    quality: Annotated[Quality, quality_of(painting.QUALITIES)] = "standard"
    steps: Annotated[Steps, steps_of(painting.QUALITIES)] = 0
    guidance: Guidance = 6.0
    prompt: Words = Field(
        "",
        title="Prompt",
        description="What the picture shows: the place, the style, the light. May stay empty.",
        json_schema_extra={
            "group": "picture",
            "examples": ["a sunlit attic studio, oil paint"],
            **control("sentence"),
        },
    )
    names: bool = Field(
        True,
        title="Names",
        description="Add what the objects are called; names like Cube.003 are left out.",
        json_schema_extra={"group": "picture"},
    )
    negative_prompt: Negative = "blurry, deformed, text, watermark"
    model: Annotated[Model, painting.models_of(WEIGHTS)] = "sdxl"
    candidates: Annotated[Candidates, Field(le=8)] = 4
    choose: Annotated[Choose, Field(json_schema_extra=formerly(values=((True, "several"), (False, "never"))))] = (
        "several"
    )
    strength: float = Field(
        0.8,
        ge=0.0,
        le=2.0,
        title="Depth strength",
        description="How strictly the shapes are kept; 0 ignores them.",
        json_schema_extra={"group": "making"},
    )

    def needed_weights(self) -> tuple[str, ...]:
        return tuple(WEIGHTS[self.model])


IMAGINE = PreparationInfo(
    id="imagine",
    version="1",
    title="Imagine",
    description="Paints the grey boxes from words, in their shapes and places.",
    entry="backend.preparations.imagine.run:prepare",
    parameters=ImagineParameters,
    # One stage, though it loads and then paints: which takes longer depends on the disk and the card.
    stages=(Stage("paint", 60),),
    licence_note=painting.LICENCE_NOTE,
    learned=True,
    memory_bytes=9_000_000_000,
    needed=lambda chosen: Needs(9_000_000_000 if chosen.model == "sdxl" else 3_000_000_000),
    needs_depth=True,
    needs_instances=True,
    chance=True,
)
