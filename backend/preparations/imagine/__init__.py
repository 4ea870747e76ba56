"""imagine: paints the grey shot from words, keeping its depth and the outlines of its objects."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.pipelines.base import Needs, Stage
from backend.pipelines.former import formerly
from backend.pipelines.parameters import (
    Choose,
    Guidance,
    Quality,
    SamplingParameters,
    Steps,
    quality_of,
    steps_of,
)
from backend.preparations.base import PreparationInfo

WEIGHTS: dict[str, Any] = {"sdxl": ["sdxl", "controlnet-depth-sdxl"], "sd15": ["sd15", "controlnet-depth-sd15"]}
"""What each choice of `model` needs; part of the schema, so that it can be told before a job is sent."""

Words = Annotated[str, StringConstraints(max_length=1000)]


class ImagineParameters(SamplingParameters):
    """What an artist can turn."""

    QUALITIES = {"draft": 15, "standard": 30, "final": 50}

    quality: Annotated[Quality, quality_of(QUALITIES)] = "standard"
    steps: Annotated[Steps, steps_of(QUALITIES)] = 0
    guidance: Guidance = 6.0
    prompt: Words = Field(
        "",
        title="Prompt",
        description="What the picture shows: the place, the style, the light. May stay empty.",
        json_schema_extra={"group": "picture", "examples": ["a sunlit attic studio, oil paint"]},
    )
    names: bool = Field(
        True,
        title="Names",
        description="Add what the objects are called; names like Cube.003 are left out.",
        json_schema_extra={"group": "picture"},
    )
    negative_prompt: Words = Field(
        "blurry, deformed, text, watermark",
        title="Not wanted",
        description="What the picture must not show.",
        json_schema_extra={"group": "picture"},
    )
    model: Literal["sdxl", "sd15"] = Field(
        "sdxl",
        title="Model",
        description="SDXL paints better; SD 1.5 needs a third of the memory and of the time.",
        json_schema_extra={"group": "making", "weights": WEIGHTS, "titles": {"sdxl": "SDXL", "sd15": "SD 1.5"}},
    )
    candidates: int = Field(
        4,
        ge=1,
        le=8,
        title="Candidates",
        description="How many pictures are painted.",
        json_schema_extra={"group": "making"},
    )
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
    licence_note=(
        "The models come under CreativeML Open RAIL licences: commercial use is allowed, the uses that their "
        "Attachment A lists are not."
    ),
    learned=True,
    memory_bytes=9_000_000_000,
    needed=lambda chosen: Needs(9_000_000_000 if chosen.model == "sdxl" else 3_000_000_000),
    needs_depth=True,
    needs_instances=True,
)
