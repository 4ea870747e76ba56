"""InstantMesh V2: one prop from one photo or several, through generated views of which the user chooses the best."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, PipelineInfo, Stage, special
from backend.pipelines.former import as_numbers, formerly
from backend.pipelines.parameters import (
    Choose,
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

MOST_PHOTOS = 12
MOST_INSTANCES = 24

SLOTS = {"6": (0, 1, 2, 3, 4, 5), "4": (0, 2, 4, 5)}
"""Places on the sheet that are reconstructed; those of four are the published ones."""


WEIGHTS: dict[str, Any] = {name: [f"instantmesh-{name}"] for name in ("large", "base", "nerf-large", "nerf-base")}
"""Ids of `backend/weights` for each model."""


class InstantMeshParameters(
    SamplingParameters, MeshParameters, TextureParameters, PlacingParameters, ComputingParameters, PictureParameters
):
    """What an artist can turn."""

    QUALITIES = {"draft": 28, "standard": 36, "final": 75}
    """The published program takes 75 steps; the page of Zero123++ says that 28 to 36 do."""

    model: Literal["large", "base", "nerf-large", "nerf-base"] = Field(
        "large", title="Model",
        description="Large is a little finer, base needs less memory; the NeRF variants make softer surfaces.",
        json_schema_extra={"group": "making", "weights": WEIGHTS,
                           "titles": {"nerf-large": "NeRF, Large", "nerf-base": "NeRF, Base"}, **PROMINENT},
    )  # fmt: skip
    quality: Annotated[Quality, quality_of(QUALITIES), Field(json_schema_extra=PROMINENT)] = "standard"
    steps: Annotated[Steps, steps_of(QUALITIES)] = 0
    guidance: Guidance = 4.0
    choose: Annotated[Choose, Field(json_schema_extra=PROMINENT)] = "several"
    resolution: Annotated[
        Resolution,
        Field(
            ge=64,
            le=256,
            description="Fineness of each mesh: cells along its box. NeRF variants are drawn twice as fine.",
            json_schema_extra=formerly(values=as_numbers("64", "96", "128", "192", "256")),
        ),
    ] = 128
    faces: Annotated[Faces, Field(json_schema_extra=PROMINENT | special(0, "All", 40000))] = 40000
    texture_size: Annotated[
        TextureSize, Field(json_schema_extra=PROMINENT | formerly(values=as_numbers("1024", "2048", "4096")))
    ] = 2048
    views: Literal["6", "4"] = Field(
        "6",
        title="Views",
        description="How many views the prop is reconstructed from.",
        json_schema_extra={"group": "views"},
    )
    cameras: Literal["auto", "true", "slots"] = Field(
        "auto", title="View cameras",
        description=(
            "Where each view was seen from: from its photo's azimuth, from its place on the sheet as published, or "
            "from azimuths wherever they are known."
        ), json_schema_extra={"group": "views"},
    )  # fmt: skip
    scale: float = Field(
        1.0, ge=0.5, le=2.0, title="Camera distance",
        description="Multiplies the distance of the cameras; less if the prop comes out cut off by its box.",
        json_schema_extra={"group": "views"},
    )  # fmt: skip
    size: LongestSide = 0.0
    turntable: bool = Field(
        False,
        title="Turntable",
        description="Render a short video all round each prop.",
        json_schema_extra={"group": "views"},
    )

    def needed_weights(self) -> tuple[str, ...]:
        return tuple(WEIGHTS[self.model])

    def skipped_stages(self) -> tuple[str, ...]:
        wanted = {"choose": self.choose != "never", "texture": self.colour != "none", "turntable": self.turntable}
        return tuple(stage for stage, is_wanted in wanted.items() if not is_wanted)


INSTANTMESH = PipelineInfo(
    id="instantmesh",
    version="2",
    title="InstantMesh",
    description="One textured prop from one photo or several: choose the best of the generated views.",
    entry="backend.pipelines.instantmesh.run:run",
    parameters=InstantMeshParameters,
    stages=(
        Stage("background", 2),
        Stage("views", 60),
        Stage("choose", 0.01),
        Stage("reconstruct", 12),
        Stage("clean", 4),
        Stage("texture", 8),
        Stage("place", 2),
        Stage("turntable", 4),
        Stage("export", 1),
    ),
    images=(1, MOST_PHOTOS),
    instances=(1, MOST_INSTANCES),
    elevations=(-10, 30),
    weights=("zero123plus", "instantmesh-views"),
    learned=True,
    memory_bytes=5_000_000_000,
    licence="GPL-3.0-or-later AND Apache-2.0 AND CC-BY-NC-4.0",
    licence_note=(
        "The weights of Zero123++ v1.2, which InstantMesh continues, are CC-BY-NC-4.0: not for commercial purposes; "
        "what they make may be used freely."
    ),
)
