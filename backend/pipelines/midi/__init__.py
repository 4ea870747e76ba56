"""MIDI: all objects of one picture generated together, each a complete mesh of its own, standing in place."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, PipelineInfo, Stage, special
from backend.pipelines.picture import PictureParameters

MOST_INSTANCES = 48

STEPS = {"draft": 15, "standard": 30, "final": 50}
"""Steps of each quality."""


class MidiParameters(PictureParameters):
    """What an artist can turn."""

    quality: Literal["draft", "standard", "final"] = Field(
        "standard", title="Quality", description="Steps from noise to shape: 15, 30 or 50.",
        json_schema_extra={"group": "making", **PROMINENT},
    )  # fmt: skip
    steps: int = Field(
        0, ge=0, le=200, title="Steps", description="A number of steps of your own; 0 leaves it to quality.",
        json_schema_extra={"group": "making", **special(0, "Auto", STEPS["standard"])},
    )  # fmt: skip
    resolution: Literal["65", "129", "257", "513"] = Field(
        "257",
        title="Resolution",
        description="Fineness of each mesh before it is simplified: points along its box.",
        json_schema_extra={"group": "mesh"},
    )
    faces: int = Field(
        20000, ge=0, le=2_000_000, title="Target faces", description="Triangles of each mesh; 0 keeps all of them.",
        json_schema_extra={"group": "mesh", **PROMINENT, **special(0, "All", 20000)},
    )  # fmt: skip
    colour: bool = Field(
        True,
        title="Colour",
        description="Paint the picture onto what the camera sees, and fill the rest to match.",
        json_schema_extra={"group": "texture"},
    )
    texture_size: int = Field(
        1024,
        ge=64,
        le=4096,
        title="Texture size",
        description="Longest side of each object's texture in pixels.",
        json_schema_extra={"group": "texture"},
    )
    guidance: float = Field(
        7.0,
        ge=1.0,
        le=20.0,
        title="Guidance",
        description="How strictly shapes follow the picture; 1 switches it off.",
        json_schema_extra={"group": "making"},
    )
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
    floaters: float = Field(
        0.02, ge=0.0, le=1.0, title="Remove floaters",
        description="Drop loose pieces smaller than this share of an object's largest piece.",
        json_schema_extra={"group": "mesh"},
    )  # fmt: skip
    snap: Literal["none", "bounds", "axes"] = Field(
        "none", title="Fit to block-out",
        description="Leave each prop as generated, scale it into its block-out's box, or stretch it along the box.",
        json_schema_extra={"group": "placing", **PROMINENT},
    )  # fmt: skip
    to_ground: bool = Field(
        False,
        title="To the ground",
        description="Stand every prop on the ground.",
        json_schema_extra={"group": "placing"},
    )
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
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", title="Precision", description="Number format of the networks; auto takes what the device is good at.",
        json_schema_extra={"group": "computing", "titles": {"bfloat16": "BFloat16"}},
    )  # fmt: skip

    def picture_side(self, objects: bool) -> int:
        return max(super().picture_side(objects), self.texture_size)


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
    memory_bytes=8_000_000_000,
    licence="GPL-3.0-or-later AND Apache-2.0",
    licence_note="The weights are Apache-2.0 by their listing; see the model card of VAST-AI/MIDI-3D.",
)
