"""MIDI: all objects of one picture generated together, each a complete mesh of its own, standing in place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, PipelineInfo, Stage
from backend.pipelines.former import formerly
from backend.pipelines.parameters import (
    Colour,
    ComputingParameters,
    Faces,
    MeshParameters,
    PlacingParameters,
    Quality,
    Resolution,
    SamplingParameters,
    Snap,
    Steps,
    TextureParameters,
    TextureSize,
    quality_of,
    steps_of,
)
from backend.pipelines.picture import PictureParameters

MOST_INSTANCES = 48

FORMER_RESOLUTIONS = (("65", 64), ("129", 128), ("257", 256), ("513", 512))
"""Points along the box, as text, and the cells between them."""


class MidiParameters(
    SamplingParameters, MeshParameters, TextureParameters, PlacingParameters, ComputingParameters, PictureParameters
):
    """What an artist can turn."""

    QUALITIES = {"draft": 15, "standard": 30, "final": 50}

    quality: Annotated[Quality, quality_of(QUALITIES), Field(json_schema_extra=PROMINENT)] = "standard"
    steps: Annotated[Steps, steps_of(QUALITIES)] = 0
    resolution: Annotated[
        Resolution, Field(ge=64, le=512, json_schema_extra=PROMINENT | formerly(values=FORMER_RESOLUTIONS))
    ] = 256
    faces: Annotated[Faces, Field(json_schema_extra=PROMINENT)] = 20000
    colour: Annotated[Colour, Field(json_schema_extra=formerly(values=((True, "texture"), (False, "none"))))] = (
        "texture"
    )
    texture_size: Annotated[TextureSize, Field(json_schema_extra=PROMINENT)] = 1024
    snap: Annotated[Snap, Field(json_schema_extra=PROMINENT)] = "none"
    guidance_start: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        title="Guidance from",
        description="Share of the steps after which guidance begins.",
        json_schema_extra={"group": "making"},
    )
    guidance_end: float = Field(
        1.0, ge=0.0, le=1.0, title="Guidance until",
        description="Share of the steps after which guidance ends; ending earlier saves time.",
        json_schema_extra={"group": "making"},
    )  # fmt: skip
    instances_per_pass: int = Field(
        7, ge=2, le=24, title="Objects per pass",
        description="Objects generated together; a larger set is done in overlapping groups.",
        json_schema_extra={"group": "computing"},
    )  # fmt: skip
    smallest_mask: int = Field(
        64, ge=1, le=100000, title="Smallest mask",
        description="Objects with fewer visible pixels than this are left out.", json_schema_extra={"group": "picture"},
    )  # fmt: skip
    tilt: bool = Field(
        False,
        title="Allow tilt",
        description="Let the whole scene lean when it is fitted to the picture.",
        json_schema_extra={"group": "placing"},
    )
    padding: Literal["square", "reference", "none"] = Field(
        "square", title="Padding",
        description="How the picture becomes a square: with room around the objects, as published, or not at all.",
        json_schema_extra={"group": "picture"},
    )  # fmt: skip

    def skipped_stages(self) -> tuple[str, ...]:
        return ("texture",) if self.colour == "none" else ()


MIDI = PipelineInfo(
    id="midi",
    version="2",
    title="MIDI",
    description="Complete props, back sides included: all objects of a picture generated together.",
    entry="backend.pipelines.midi.run:run",
    parameters=MidiParameters,
    stages=(
        Stage("encode", 4),
        Stage("denoise", 60),
        Stage("decode", 25),
        Stage("clean", 4),
        Stage("place", 3),
        Stage("texture", 3),
        Stage("export", 1),
    ),
    instances=(1, MOST_INSTANCES),
    weights=("midi",),
    learned=True,
    memory_bytes=8_000_000_000,
    licence="GPL-3.0-or-later AND Apache-2.0",
    licence_note="The weights are Apache-2.0 by their listing; see the model card of VAST-AI/MIDI-3D.",
)
