"""Magic123: one picture of each object, and what two diffusion models know of the world → a prop, step by step."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backend.pipelines.base import PROMINENT, Needs, PipelineInfo, Stage, control, special
from backend.pipelines.parameters import (
    ComputingParameters,
    Faces,
    LongestSide,
    MeshParameters,
    Negative,
    PlacingParameters,
    Quality,
    Steps,
    TextureParameters,
    TextureSize,
    Words,
    steps_of,
)
from backend.pipelines.picture import PictureParameters
from backend.weights.own import LONGEST_NAME, PREFIX, is_name

MOST_INSTANCES = 12

NAME = "<name>"
"""What stands in the text for the object: for its learned token, or for what it is called."""

FORMER_NAME = "<token>"
"""The same in the published commands."""

FROM_CAMERA = -90
"""The value of `elevation` that leaves it to the camera."""

STEEPEST = 80
"""Degrees: beyond that, above and below cannot be told from left and right."""

TEXT_PRIORS: dict[str, Any] = {"sd15": ["sd15"], "none": []}
VIEW_PRIORS: dict[str, Any] = {
    "105000": ["zero123-105000"],
    "xl": ["zero123-xl"],
    "105000-original": ["zero123-105000-original"],
    "105000-mirror": ["zero123-105000-mirror"],
    "xl-mirror": ["zero123-xl-mirror"],
    "none": [],
}
"""Ids of `backend/weights` for each choice."""

VIEW_TITLES: dict[str, Any] = {
    "105000": "Zero123",
    "xl": "Zero123 XL",
    "105000-original": "Zero123, the Authors' File",
    "105000-mirror": "Zero123, Other Mirror",
    "xl-mirror": "Zero123 XL, Other Mirror",
}

NONE = "none"

FINE_SIDES = {"draft": 512, "standard": 768, "final": 1024}
RESOLUTIONS = {"draft": 128, "standard": 192, "final": 256}
"""What each quality stands for beside its steps; final is as published."""

SHRINKS = {"full": 1, "half": 2, "quarter": 4}
"""How many times fewer pixels along a side the priors see, by `encoding`."""

LEAST = 32
"""Of either, where a number of one's own is given."""

Range = Annotated[list[Annotated[float, Field(ge=0.0, le=1.0)]], Field(min_length=2, max_length=2)]
Weight = Annotated[float, Field(ge=0.0, le=1e6)]


class Magic123Parameters(MeshParameters, TextureParameters, PlacingParameters, ComputingParameters, PictureParameters):
    """What an artist can turn; the group "optimising" has what the published command line has, under its names."""

    QUALITIES: ClassVar[dict[str, int]] = {"draft": 500, "standard": 2000, "final": 5000}
    """The published program takes 5000 steps in each stage; the others were not compared."""

    prompt: Words = Field(
        f"A high-resolution DSLR image of {NAME}", title="Text",
        description=(
            f"What the object is, for the 2D prior. {NAME} stands for what it is called, or for its token, so that one "
            "text does for several objects."
        ),
        json_schema_extra={"group": "picture", "examples": [f"{NAME}, oil paint"], **control("sentence"), **PROMINENT},
    )  # fmt: skip
    negative_prompt: Negative = ""
    token: str = Field(
        "", max_length=LONGEST_NAME, title="Token",
        description="A word learned from pictures of it: the name of a folder below 'own' in the folder of models.",
        json_schema_extra={"group": "picture"},
    )  # fmt: skip
    quality: Annotated[
        Quality,
        Field(
            description="Steps of each stage: {draft}, {standard} or {final}; final is as published.".format(
                **QUALITIES
            ),
            json_schema_extra=PROMINENT,
        ),
    ] = "standard"
    steps: Annotated[Steps, Field(le=20_000), steps_of(QUALITIES)] = 0
    likeness: float = Field(
        0.5, ge=0.0, le=1.0, title="Imagination to likeness",
        description=(
            "What is not seen follows the text (0), or how the picture would look from there (1); 0.5 is as published. "
            "Without either prior it says nothing."
        ),
        json_schema_extra={"group": "making", **PROMINENT},
    )  # fmt: skip
    text_prior: Literal["sd15", "none"] = Field(
        "sd15", title="2D prior",
        description="What knows how things that a text tells of look.",
        json_schema_extra={"group": "making", "weights": TEXT_PRIORS, "titles": {"sd15": "Stable Diffusion 1.5"}},
    )  # fmt: skip
    view_prior: Literal["105000", "xl", "105000-original", "105000-mirror", "xl-mirror", "none"] = Field(
        "105000", title="3D prior",
        description=(
            "What knows how the object of a picture looks from elsewhere; XL has seen more objects. The others are the "
            "same from elsewhere, for who has them."
        ),
        json_schema_extra={"group": "making", "weights": VIEW_PRIORS, "titles": VIEW_TITLES},
    )  # fmt: skip
    refine: Literal["on", "off"] = Field(
        "on", title="Refine",
        description="Go on with the surface itself, in larger pictures, after the field; off halves the time.",
        json_schema_extra={"group": "making", **PROMINENT},
    )  # fmt: skip
    checkpoint: str = Field(
        "", max_length=LONGEST_NAME, title="Own checkpoint",
        description=(
            "A run of the published program, or one of here, to go on from in place of the first stage: the name of a "
            "folder below 'own' in the folder of models."
        ),
        json_schema_extra={"group": "making"},
    )  # fmt: skip
    elevation: int = Field(
        FROM_CAMERA, ge=FROM_CAMERA, le=STEEPEST, title="Elevation",
        description=(
            f"Degrees from which the picture's camera looks down at the object, {-STEEPEST} to {STEEPEST}; below 0 it "
            f"looks up. {FROM_CAMERA} leaves it to the camera."
        ),
        json_schema_extra={"group": "views", **special(FROM_CAMERA, "From the Camera", 0)},
    )  # fmt: skip
    side: int = Field(
        128, ge=16, le=512, title="View size",
        description="Pixels along a side of the views of the first stage; the picture itself has half as many again.",
        json_schema_extra={"group": "views"},
    )  # fmt: skip
    fine_side: int = Field(
        0, ge=0, le=2048, title="Fine view size",
        description="The same in the second stage, where the picture has as many; 0 leaves it to quality: {}, {} or {}."
        .format(*FINE_SIDES.values()),
        json_schema_extra={"group": "views", **special(0, "Auto", FINE_SIDES["standard"])},
    )  # fmt: skip
    known_view_interval: int = Field(
        4, ge=1, le=1000, title="Known view every",
        description="After so many steps the picture itself is compared; without the 3D prior twice as often at least.",
        json_schema_extra={"group": "views"},
    )  # fmt: skip
    t_range: Range = Field(
        [0.2, 0.6], title="Noise, first stage",
        description="The least and the most noise that the priors are asked with: much moves shapes, little details.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    fine_t_range: Range = Field(
        [0.02, 0.5], title="Noise, second stage",
        description="The same in the second stage.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    text_guidance: float = Field(
        100.0, ge=0.0, le=200.0, title="2D guidance",
        description="How strictly the 2D prior follows the text.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    view_guidance: float = Field(
        5.0, ge=0.0, le=50.0, title="3D guidance",
        description="How strictly the 3D prior follows the picture.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    encoding: Literal["full", "half", "quarter"] = Field(
        "full", title="Priors see",
        description=(
            "Pictures of 512 pixels (2D) and 256 (3D), as published; or of a half or a quarter of that, which is "
            "several times quicker and not the same."
        ),
        json_schema_extra={"group": "optimising", "titles": {"full": "512 and 256 Pixels"}},
    )  # fmt: skip
    normal_iter_ratio: float = Field(
        0.2, ge=0.0, le=1.0, title="Steps of shape",
        description="Share of the first stage in which the priors are shown normals in place of colours.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_rgb: Weight = Field(
        5.0, title="Weight of the picture",
        description="How much the colours of the picture count.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_mask: Weight = Field(
        0.5, title="Weight of the outline",
        description="How much the outline in the picture counts.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_depth: Weight = Field(
        0.01, title="Weight of the depth",
        description="How much it counts what a network takes for near and far; 0, or without that network, nothing.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_entropy: Weight = Field(
        1e-3, title="Weight against haze",
        description="What is neither full nor empty costs so much.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_orient: Weight = Field(
        1e-2, title="Weight against insides",
        description="What is seen and faces away costs so much.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_normal_smooth: Weight = Field(
        0.5, title="Weight of even normals",
        description="Differences of normals from pixel to pixel cost so much.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_2d_normal_smooth: Weight = Field(
        0.5, title="Weight of smooth normals",
        description="Differences of normals from those around, blurred, cost so much.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_mesh_normal: Weight = Field(
        0.1, title="Weight of flat edges",
        description="In the second stage: edges between triangles of different directions cost so much.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    lambda_mesh_laplacian: Weight = Field(
        0.1, title="Weight of an even surface",
        description="In the second stage: vertices away from the middle of their neighbours cost so much.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    levels: int = Field(
        16, ge=1, le=16, title="Levels",
        description="Of the grid that the field looks its features up in; fewer are coarser and quicker.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    table: int = Field(
        19, ge=8, le=22, title="Entries",
        description="Of each level, as a power of two.",
        json_schema_extra={"group": "optimising"},
    )  # fmt: skip
    resolution: int = Field(
        0, ge=0, le=256, title="Resolution",
        description=(
            "Fineness of each mesh: cells along the longest side of its box; 0 leaves it to quality: {}, {} or {}."
        ).format(*RESOLUTIONS.values()),
        json_schema_extra={"group": "mesh", **special(0, "Auto", RESOLUTIONS["standard"])},
    )  # fmt: skip
    faces: Annotated[Faces, Field(json_schema_extra=PROMINENT | special(0, "All", 50000))] = 50000
    texture_size: TextureSize = 2048
    size: LongestSide = 0.0

    @field_validator("checkpoint", "token")
    @classmethod
    def _a_name_and_no_path(cls, value: str) -> str:
        if value and not is_name(value):
            raise ValueError("it is the plain name of a folder, not a path")
        return value

    @field_validator("elevation")
    @classmethod
    def _not_along_the_vertical(cls, value: int) -> int:
        if FROM_CAMERA < value < -STEEPEST:
            raise ValueError(f"it is {-STEEPEST} to {STEEPEST} degrees, or {FROM_CAMERA} for that of the camera")
        return value

    @field_validator("fine_side", "resolution")
    @classmethod
    def _enough_to_see(cls, value: int) -> int:
        if 0 < value < LEAST:
            raise ValueError(f"it is {LEAST} at least, or 0 to leave it to quality")
        return value

    @field_validator("t_range", "fine_t_range")
    @classmethod
    def _from_less_to_more(cls, value: list[float]) -> list[float]:
        if value[0] >= value[1]:
            raise ValueError(f"it goes from {value[0]:g} to {value[1]:g}; give the smaller one first")
        return value

    @model_validator(mode="after")
    def _something_to_go_by(self) -> Magic123Parameters:
        if not (self.asks_text or self.asks_views):
            raise ValueError("there is neither a 2D prior nor a 3D prior; choose one at least, or the back stays empty")
        if self.asks_text and not self.prompt.split() and not self.token:
            raise ValueError("the 2D prior has no text and no token; write what the object is, or choose no 2D prior")
        return self

    @property
    def chosen_steps(self) -> int:
        """Of each stage."""
        return self.steps or self.QUALITIES[self.quality]

    @property
    def chosen_fine_side(self) -> int:
        """Pixels along a side of the second stage's pictures."""
        return self.fine_side or FINE_SIDES[self.quality]

    @property
    def chosen_resolution(self) -> int:
        """Cells along the longest side of a mesh."""
        return self.resolution or RESOLUTIONS[self.quality]

    @property
    def asks_text(self) -> bool:
        """Whether there is a 2D prior."""
        return self.text_prior != NONE

    @property
    def asks_views(self) -> bool:
        """Whether there is a 3D prior."""
        return self.view_prior != NONE

    @property
    def refines(self) -> bool:
        """Whether there is a second stage."""
        return self.refine == "on"

    def needed_weights(self) -> tuple[str, ...]:
        own = [PREFIX + name for name in (self.token if self.asks_text else "", self.checkpoint) if name]
        return (*TEXT_PRIORS[self.text_prior], *VIEW_PRIORS[self.view_prior], *own)

    def skipped_stages(self) -> tuple[str, ...]:
        wanted = {"coarse": not self.checkpoint, "fine": self.refines, "texture": self.colour != "none"}
        return tuple(stage for stage, is_wanted in wanted.items() if not is_wanted)


COARSE_BYTES = 3_880_000_000
FINE_BYTES = {"draft": 3_130_000_000, "standard": 3_570_000_000, "final": 4_230_000_000}
"""What the most frugal way of each stage takes on the device in 16 bit with both priors; see `plans.py`."""


def needs(parameters: Magic123Parameters) -> Needs:
    """What one run needs: that of its larger stage."""
    return Needs(max(COARSE_BYTES, FINE_BYTES[parameters.quality] if parameters.refines else 0))


MAGIC123 = PipelineInfo(
    id="magic123",
    version="1",
    title="Magic123",
    description=(
        "Complete props, each optimised for minutes to an hour from one picture and a text: for odd shapes and heroes."
    ),
    entry="backend.pipelines.magic123.run:run",
    parameters=Magic123Parameters,
    stages=(
        Stage("preprocess", 2),
        Stage("coarse", 600),
        Stage("fine", 300),
        Stage("clean", 4),
        Stage("texture", 10),
        Stage("place", 3),
        Stage("export", 1),
    ),
    instances=(1, MOST_INSTANCES),
    learned=True,
    memory_bytes=needs(Magic123Parameters.model_validate({})).memory_bytes,
    needed=needs,
    hears_words=True,
    finishes_early=True,
    checkpoints=True,
    licence="GPL-3.0-or-later AND LicenseRef-CreativeML-OpenRAIL-M AND MIT",
    licence_note=(
        "The weights of Stable Diffusion come under CreativeML Open RAIL-M: commercial use is allowed, the uses that "
        "its Attachment A lists are not. Those of Zero123 are MIT by their page, but they continue Stable Diffusion."
    ),
)
