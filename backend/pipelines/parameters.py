"""Parameters that several methods have. A name has one type, one meaning and one place in the panel, whichever method
it stands in; defaults and limits are the method's own.

A method takes the mixins that fit and says where it differs: `faces: Faces = 20000`, or
`resolution: Annotated[Resolution, Field(le=256)] = 128`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from backend.pipelines.base import Parameters, special

LONGEST_PROMPT = 1000

Words = Annotated[str, StringConstraints(max_length=LONGEST_PROMPT)]
Negative = Annotated[
    Words,
    Field(title="Not wanted", description="What the picture must not show.", json_schema_extra={"group": "picture"}),
]
Quality = Annotated[
    Literal["draft", "standard", "final"],
    Field(title="Quality", description="Steps from noise to result.", json_schema_extra={"group": "making"}),
]
Steps = Annotated[
    int,
    Field(
        ge=0,
        le=200,
        title="Steps",
        description="A number of steps of your own; 0 leaves it to quality.",
        json_schema_extra={"group": "making"},
    ),
]
Guidance = Annotated[
    float,
    Field(
        ge=1.0,
        le=20.0,
        title="Guidance",
        description="How strictly the result follows the picture or the words that it is made from; 1 switches it off.",
        json_schema_extra={"group": "making"},
    ),
]
Choose = Annotated[
    Literal["several", "always", "never"],
    Field(
        title="Choose",
        description="Stop to let you choose: where there are several photos or candidates, always, or never.",
        json_schema_extra={"group": "making"},
    ),
]
Resolution = Annotated[
    int,
    Field(
        ge=32,
        le=1024,
        title="Resolution",
        description="Fineness of each mesh: cells along the longest side of its box.",
        json_schema_extra={"group": "mesh"},
    ),
]
Faces = Annotated[
    int,
    Field(
        ge=0,
        le=2_000_000,
        title="Target faces",
        description="Triangles of each mesh; 0 keeps all of them.",
        json_schema_extra={"group": "mesh", **special(0, "All", 20000)},
    ),
]
Floaters = Annotated[
    float,
    Field(
        ge=0.0,
        le=1.0,
        title="Remove floaters",
        description="Drop loose pieces smaller than this share of an object's largest piece.",
        json_schema_extra={"group": "mesh"},
    ),
]
Colour = Annotated[
    Literal["texture", "vertices", "none"],
    Field(
        title="Colour",
        description="What carries the colours: a texture, one colour for each vertex, or nothing.",
        json_schema_extra={"group": "texture"},
    ),
]
TextureSize = Annotated[
    int,
    Field(
        ge=64,
        le=4096,
        title="Texture size",
        description="Longest side of each object's texture in pixels.",
        json_schema_extra={"group": "texture"},
    ),
]
Snap = Annotated[
    Literal["none", "bounds", "axes"],
    Field(
        title="Fit to block-out",
        description="Leave each prop as generated, scale it into its block-out's box, or stretch it along the box.",
        json_schema_extra={"group": "placing"},
    ),
]
ToGround = Annotated[
    bool,
    Field(title="To the ground", description="Stand every prop on the ground.", json_schema_extra={"group": "placing"}),
]
LongestSide = Annotated[
    float,
    Field(
        ge=0.0,
        le=1000.0,
        title="Longest side",
        description="Metres; 0 takes the size from the block-out, the depth or the ground.",
        json_schema_extra={"group": "placing", **special(0, "Auto", 1.0)},
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    Field(
        title="Precision",
        description="Number format of the networks; auto takes what the device is good at.",
        json_schema_extra={"group": "computing", "titles": {"bfloat16": "BFloat16"}},
    ),
]


def quality_of(steps: Mapping[str, int]) -> Any:
    """What is said of a method's `quality`: how many steps each choice takes."""
    draft, standard, final = (steps[choice] for choice in ("draft", "standard", "final"))
    return Field(description=f"Steps from noise to result: {draft}, {standard} or {final}.")


def steps_of(steps: Mapping[str, int]) -> Any:
    """What is said of a method's `steps`: with how many a number of one's own begins."""
    return Field(json_schema_extra=special(0, "Auto", steps["standard"]))


class SamplingParameters(Parameters):
    """Of a network that goes from noise to a result in steps."""

    QUALITIES: ClassVar[Mapping[str, int]]
    """Steps of each quality."""

    quality: Quality = "standard"
    steps: Steps = 0
    guidance: Guidance = 7.0

    @property
    def chosen_steps(self) -> int:
        return self.steps or self.QUALITIES[self.quality]


class MeshParameters(Parameters):
    """Of a surface that is drawn from a field and simplified."""

    resolution: Resolution = 256
    faces: Faces = 20000
    floaters: Floaters = 0.02


class TextureParameters(Parameters):
    """Of what carries the colours of a mesh; see `backend/geometry/vertex_colours.py`."""

    colour: Colour = "texture"
    texture_size: TextureSize = 1024

    def picture_side(self, objects: bool) -> int:
        return max(super().picture_side(objects), self.texture_size)


class PlacingParameters(Parameters):
    """Of where a finished prop stands; see `backend/registration/props.py`."""

    snap: Snap = "none"
    to_ground: ToGround = False


class ComputingParameters(Parameters):
    """Of how networks are run."""

    precision: Precision = "auto"
