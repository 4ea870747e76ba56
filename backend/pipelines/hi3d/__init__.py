"""Hi3D: one picture of each object → sixteen sharp views all round it → one textured mesh of what they show."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from backend.pipelines.base import PROMINENT, Needs, PipelineInfo, Stage, special
from backend.pipelines.former import formerly
from backend.pipelines.parameters import (
    ComputingParameters,
    Faces,
    Guidance,
    LongestSide,
    MeshParameters,
    PlacingParameters,
    Quality,
    Resolution,
    SamplingParameters,
    Steps,
    TextureParameters,
    TextureSize,
    quality_of,
    steps_of,
)
from backend.pipelines.picture import PictureParameters

MOST_INSTANCES = 24

TRAINED = (-10, 0, 10, 20, 30, 40)
"""Elevations that the networks were trained with, degrees above the horizontal."""

WEIGHTS: dict[str, Any] = {"on": ["hi3d-refine"], "off": []}
"""Ids of `backend/weights` that each choice of `refine` needs beside the first stage's."""

SURFACES: dict[str, Any] = {"learned": ["hull-prior"], "outlines": []}
"""The same of `surface`."""

FROM_CAMERA = -90
"""The value of `elevation` that leaves it to the camera."""

ORBIT_BYTES, REFINE_BYTES = 3_610_000_000, 5_300_000_000
"""What the most frugal way of each stage takes on the device in 16 bit; see `plans.py`."""


class Hi3DParameters(
    SamplingParameters, MeshParameters, TextureParameters, PlacingParameters, ComputingParameters, PictureParameters
):
    """What an artist can turn."""

    QUALITIES = {"draft": 15, "standard": 25, "final": 50}
    """The published program takes 25 steps; the others were not compared."""

    quality: Annotated[Quality, quality_of(QUALITIES), Field(json_schema_extra=PROMINENT)] = "standard"
    steps: Annotated[Steps, steps_of(QUALITIES)] = 0
    guidance: Annotated[Guidance, Field(le=5.0)] = 2.5
    guidance_shape: Literal["linear", "triangular"] = Field(
        "linear", title="Guidance over the orbit",
        description=(
            "Which views are guided most: the last ones, as published, whose colours may grow too strong; or those of "
            "the back, so that both neighbours of the first view are alike."
        ),
        json_schema_extra={"group": "making"},
    )  # fmt: skip
    guided_steps: Literal["all", "middle"] = Field(
        "all",
        title="Guided steps",
        description="All of them, as published, or half of them, those that matter most: a quarter less time.",
        json_schema_extra={"group": "making"},
    )
    refine: Literal["on", "off"] = Field(
        "on", title="Refine",
        description="Paint the views again at twice their size; off is several times quicker, for a draft.",
        json_schema_extra={"group": "making", "weights": WEIGHTS, **PROMINENT},
    )  # fmt: skip
    elevation: int = Field(
        FROM_CAMERA, ge=FROM_CAMERA, le=TRAINED[-1], title="Elevation",
        description=(
            "Degrees from which the picture's camera looks down at the object, -10 to 40; the nearest of -10, 0, 10, "
            "20, 30 and 40 is taken. -90 leaves it to the camera."
        ),
        json_schema_extra={"group": "views", **special(FROM_CAMERA, "From the Camera", 10)},
    )  # fmt: skip
    review: bool = Field(
        False, title="Review the views",
        description="Stop to let you look at the views, have others painted, or leave out those that are bad.",
        json_schema_extra={"group": "views", **PROMINENT},
    )  # fmt: skip
    side: int = Field(
        512, ge=64, le=1024, title="View size",
        description="Pixels along a side of the views as the surface is made of them; the texture has all of them.",
        json_schema_extra={"group": "views"},
    )  # fmt: skip
    orbit_video: bool = Field(
        False, title="Video",
        description="Keep a video of the views. It is for looking: the surface is made of the pictures themselves.",
        json_schema_extra={"group": "views"},
    )  # fmt: skip
    resolution: Annotated[Resolution, Field(le=320)] = 144
    surface: Literal["learned", "outlines"] = Field(
        "learned", title="Surface",
        description="From the outlines of the views alone, or without what a network that has seen furniture holds for "
        "unlikely there.",
        json_schema_extra={
            "group": "mesh", "weights": SURFACES, **formerly("fitting", values=((0, "outlines"), (420, "learned"))),
        },
    )  # fmt: skip
    faces: Annotated[Faces, Field(json_schema_extra=PROMINENT | special(0, "All", 40000))] = 40000
    texture_size: Annotated[TextureSize, Field(json_schema_extra=PROMINENT)] = 2048
    size: LongestSide = 0.0

    @field_validator("elevation")
    @classmethod
    def _of_a_known_orbit(cls, value: int) -> int:
        if FROM_CAMERA < value < TRAINED[0]:
            raise ValueError(f"it is {TRAINED[0]} to {TRAINED[-1]} degrees, or {FROM_CAMERA} for that of the camera")
        return value

    def needed_weights(self) -> tuple[str, ...]:
        return (*WEIGHTS[self.refine], *SURFACES[self.surface])

    @property
    def refines(self) -> bool:
        """Whether there is a second stage."""
        return self.refine == "on"

    def skipped_stages(self) -> tuple[str, ...]:
        wanted = {
            "review": self.review, "refine": self.refines, "texture": self.colour != "none", "video": self.orbit_video,
        }  # fmt: skip
        return tuple(stage for stage, is_wanted in wanted.items() if not is_wanted)


def needs(parameters: Hi3DParameters) -> Needs:
    """What one run needs: that of its larger stage."""
    return Needs(REFINE_BYTES if parameters.refines else ORBIT_BYTES)


HI3D = PipelineInfo(
    id="hi3d",
    version="2",
    title="Hi3D",
    description="Complete props from one picture of each: sixteen views all round, painted twice, become one mesh.",
    entry="backend.pipelines.hi3d.run:run",
    parameters=Hi3DParameters,
    stages=(
        Stage("frame", 1),
        Stage("orbit", 40),
        Stage("review", 0.01),
        Stage("refine", 200),
        Stage("surface", 60),
        Stage("clean", 3),
        Stage("texture", 12),
        Stage("place", 2),
        Stage("video", 2),
        Stage("export", 1),
    ),
    instances=(1, MOST_INSTANCES),
    elevations=(TRAINED[0], TRAINED[-1]),
    weights=("hi3d-orbit",),
    learned=True,
    memory_bytes=needs(Hi3DParameters.model_validate({})).memory_bytes,
    needed=needs,
    checkpoints=True,
    licence="GPL-3.0-or-later AND MIT AND LicenseRef-Stable-Video-Diffusion-Community",
    licence_note=(
        "The page of the weights says MIT, but they continue Stable Video Diffusion XT, whose licence restricts "
        "commercial use: read both."
    ),
)
