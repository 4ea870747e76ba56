"""imagine: paints the grey shot from words, keeping its depth and the outlines of its objects."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.pipelines.base import Parameters, Stage
from backend.preparations.base import PreparationInfo

WEIGHTS: dict[str, Any] = {"sdxl": ["sdxl", "controlnet-depth-sdxl"], "sd15": ["sd15", "controlnet-depth-sd15"]}
"""What each choice of `model` needs; part of the schema, so that it can be told before a job is sent."""

Words = Annotated[str, StringConstraints(max_length=1000)]


class ImagineParameters(Parameters):
    """What an artist can turn."""

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
    choose: bool = Field(
        True,
        title="Choose",
        description="Ask which candidate to use; otherwise the one that keeps the outlines best is taken.",
        json_schema_extra={"group": "making"},
    )
    steps: int = Field(
        30,
        ge=1,
        le=100,
        title="Steps",
        description="More steps are slower and a little finer.",
        json_schema_extra={"group": "making"},
    )
    guidance: float = Field(
        6.0,
        ge=1.0,
        le=20.0,
        title="Guidance",
        description="How closely the words are followed; 1 follows them loosely.",
        json_schema_extra={"group": "making"},
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
    memory_bytes=9_000_000_000,
    needs_depth=True,
    needs_instances=True,
)
