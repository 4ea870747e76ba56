"""InstantMesh V2: one prop from one photo or several, through generated views of which the user chooses the best."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, PipelineInfo, Stage, special
from backend.pipelines.picture import PictureParameters

MOST_PHOTOS = 12
MOST_INSTANCES = 24

STEPS = {"draft": 28, "standard": 36, "final": 75}
"""Denoising steps of each quality; the published program takes 75, the page of Zero123++ says that 28 to 36 do."""

SLOTS = {"6": (0, 1, 2, 3, 4, 5), "4": (0, 2, 4, 5)}
"""Places on the sheet that are reconstructed; those of four are the published ones."""


WEIGHTS: dict[str, Any] = {name: [f"instantmesh-{name}"] for name in ("large", "base", "nerf-large", "nerf-base")}
"""Ids of `backend/weights` for each model."""


class InstantMeshParameters(PictureParameters):
    """What an artist can turn."""

    model: Literal["large", "base", "nerf-large", "nerf-base"] = Field(
        "large", title="Model",
        description="Large is a little finer, base needs less memory; the NeRF variants make softer surfaces.",
        json_schema_extra={"group": "making", "weights": WEIGHTS,
                           "titles": {"nerf-large": "NeRF, Large", "nerf-base": "NeRF, Base"}},
    )  # fmt: skip
    quality: Literal["draft", "standard", "final"] = Field(
        "standard", title="Quality", description="Steps from noise to views: 28, 36 or 75.",
        json_schema_extra={"group": "making", **PROMINENT},
    )  # fmt: skip
    steps: int = Field(
        0, ge=0, le=200, title="Steps", description="A number of steps of your own; 0 leaves it to quality.",
        json_schema_extra={"group": "making", **special(0, "Auto", STEPS["standard"])},
    )  # fmt: skip
    choose: Literal["several", "always", "never"] = Field(
        "several", title="Choose views",
        description="Stop to let you choose among the generated views: with several photos, always, or never.",
        json_schema_extra={"group": "views", **PROMINENT},
    )  # fmt: skip
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
    guidance: float = Field(
        4.0,
        ge=1.0,
        le=10.0,
        title="Guidance",
        description="How strictly views follow the photo; 1 switches it off.",
        json_schema_extra={"group": "making"},
    )
    resolution: Literal["64", "96", "128", "192", "256"] = Field(
        "128",
        title="Resolution",
        description="Cells along the box of the surface; 128 is the published number.",
        json_schema_extra={"group": "mesh"},
    )
    faces: int = Field(
        40000, ge=0, le=2_000_000, title="Target faces", description="Triangles of each mesh; 0 keeps all of them.",
        json_schema_extra={"group": "mesh", **PROMINENT, **special(0, "All", 40000)},
    )  # fmt: skip
    colour: Literal["texture", "vertices", "none"] = Field(
        "texture",
        title="Colour",
        description="Bake a texture, or keep one colour for each vertex.",
        json_schema_extra={"group": "texture"},
    )
    texture_size: Literal["1024", "2048", "4096"] = Field(
        "2048",
        title="Texture size",
        description="Side of each prop's texture in pixels.",
        json_schema_extra={"group": "texture"},
    )
    floaters: float = Field(
        0.02, ge=0.0, le=1.0, title="Remove floaters",
        description="Drop loose pieces smaller than this share of the prop's largest piece.",
        json_schema_extra={"group": "mesh"},
    )  # fmt: skip
    size: float = Field(
        0.0, ge=0.0, le=1000.0, title="Longest side",
        description="Metres; 0 takes the size from the block-out, the depth or the ground.",
        json_schema_extra={"group": "placing", **special(0, "Auto", 1.0)},
    )  # fmt: skip
    snap: Literal["none", "bounds", "axes"] = Field(
        "none", title="Fit to block-out",
        description="Leave each prop as generated, scale it into its block-out's box, or stretch it along the box.",
        json_schema_extra={"group": "placing"},
    )  # fmt: skip
    to_ground: bool = Field(
        False,
        title="To the ground",
        description="Stand every prop on the ground.",
        json_schema_extra={"group": "placing"},
    )
    turntable: bool = Field(
        False,
        title="Turntable",
        description="Render a short video all round each prop.",
        json_schema_extra={"group": "views"},
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", title="Precision", description="Number format of the diffusion networks; auto is 16-bit on a GPU.",
        json_schema_extra={"group": "computing", "titles": {"bfloat16": "BFloat16"}},
    )  # fmt: skip

    def needed_weights(self) -> tuple[str, ...]:
        return tuple(WEIGHTS[self.model])

    def skipped_stages(self) -> tuple[str, ...]:
        wanted = {"choose": self.choose != "never", "turntable": self.turntable}
        return tuple(stage for stage, is_wanted in wanted.items() if not is_wanted)

    def picture_side(self, objects: bool) -> int:
        return max(super().picture_side(objects), int(self.texture_size))


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
    weights=("zero123plus", "instantmesh-views"),
    memory_bytes=5_000_000_000,
    licence="GPL-3.0-or-later AND Apache-2.0 AND CC-BY-NC-4.0",
    licence_note=(
        "The weights of Zero123++ v1.2, which InstantMesh continues, are CC-BY-NC-4.0: not for commercial purposes; "
        "what they make may be used freely."
    ),
)
