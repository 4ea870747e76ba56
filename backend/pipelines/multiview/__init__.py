"""multiview: several renders or photos of one object, each with its camera, become one mesh that stands where they see
it. No download; nothing is made up but what no picture shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, Needs, PipelineInfo, Stage, special
from backend.pipelines.former import formerly
from backend.pipelines.parameters import (
    Faces,
    MeshParameters,
    Resolution,
    TextureParameters,
    TextureSize,
)
from backend.pipelines.picture import PictureParameters

FEWEST, MOST = 2, 64
"""Pictures."""

WEIGHTS: dict[str, Any] = {"draft": [], "standard": ["hull-prior"]}


class MultiviewParameters(MeshParameters, TextureParameters, PictureParameters):
    """What an artist can turn."""

    quality: Literal["draft", "standard"] = Field(
        "standard",
        title="Quality",
        description="How the surface is found: draft from the outlines alone; standard takes away what a network that "
        "has seen furniture holds for unlikely.",
        json_schema_extra={
            "group": "making", "weights": WEIGHTS, **PROMINENT, **formerly(values=(("final", "standard"),)),
        },
    )  # fmt: skip
    resolution: Annotated[Resolution, Field(le=320, json_schema_extra=PROMINENT)] = 144
    side: int = Field(
        512,
        ge=64,
        le=1024,
        title="View size",
        description="Pixels along a side of the square around the object that is looked at in each picture.",
        json_schema_extra={"group": "views", **PROMINENT},
    )
    level: bool = Field(
        True,
        title="Level exposures",
        description="Make pictures that are lighter or darker than the others agree with them.",
        json_schema_extra={"group": "texture"},
    )
    faces: Annotated[Faces, Field(json_schema_extra=PROMINENT | special(0, "All", 40000))] = 40000
    texture_size: Annotated[TextureSize, Field(json_schema_extra=PROMINENT)] = 2048

    def needed_weights(self) -> tuple[str, ...]:
        return tuple(WEIGHTS[self.quality])

    def picture_side(self, objects: bool) -> int:
        return max(2048, 2 * self.side)

    def skipped_stages(self) -> tuple[str, ...]:
        return () if self.colour != "none" else ("texture",)


MULTIVIEW = PipelineInfo(
    id="multiview",
    version="2",
    title="From Views",
    description="One prop from several pictures with known cameras: what they show, where they see it.",
    entry="backend.pipelines.multiview.run:run",
    chance=False,
    parameters=MultiviewParameters,
    stages=(
        Stage("views", 5),
        Stage("surface", 70),
        Stage("clean", 5),
        Stage("texture", 15),
        Stage("place", 1),
        Stage("export", 4),
    ),
    images=(FEWEST, MOST),
    instances=(1, 1),
    learned=True,
    needed=lambda chosen: Needs(),
    checkpoints=True,
    needs_cameras=True,
)
