"""MIRA / OpenLRM: one picture of each object → a mesh with its back, in one pass of a network and without any steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from backend.pipelines.base import PROMINENT, Needs, PipelineInfo, Stage, special
from backend.pipelines.parameters import (
    ComputingParameters,
    Faces,
    LongestSide,
    MeshParameters,
    PlacingParameters,
    Resolution,
    TextureParameters,
    TextureSize,
)
from backend.pipelines.picture import PictureParameters
from backend.weights.catalogue import row_of
from backend.weights.own import LONGEST_NAME, PREFIX, is_name, names

MOST_INSTANCES = 48

OWN = "own"
"""The value of `model` that stands for a checkpoint of the user's."""

SIZES = ("small", "base", "large")

WEIGHTS: dict[str, Any] = {
    "mira-small": ["mira-small"],
    **{f"mix-{size}": [f"openlrm-mix-{size}-1.1"] for size in SIZES},
    **{f"obj-{size}": [f"openlrm-obj-{size}-1.1"] for size in SIZES},
    **{f"obj-{size}-1.0": [f"openlrm-{size}-obj-1.0"] for size in SIZES},
    OWN: [],
}
"""Ids of `backend/weights` for each model."""

TITLES: dict[str, Any] = {
    "mira-small": "Draft, Comes Along",
    **{f"mix-{size}": f"Mix, {size.capitalize()}" for size in SIZES},
    **{f"obj-{size}": f"Obj, {size.capitalize()}" for size in SIZES},
    **{f"obj-{size}-1.0": f"Obj, {size.capitalize()} (1.0)" for size in SIZES},
    OWN: "My Own",
}

WORK_BYTES = 500_000_000
"""What the work takes on the device beside the weights, with everything at its default; see `plans.py`."""

NEAREST, FARTHEST = 1.0, 3.5
"""Distances of the source camera that can be asked for; the object fills the box from -1 to 1."""


class MiraParameters(MeshParameters, TextureParameters, PlacingParameters, ComputingParameters, PictureParameters):
    """What an artist can turn."""

    model: Literal[
        "mira-small",
        "mix-small", "mix-base", "mix-large",
        "obj-small", "obj-base", "obj-large",
        "obj-small-1.0", "obj-base-1.0", "obj-large-1.0",
        "own",
    ] = Field(
        "mix-base", title="Model",
        description=(
            "Larger ones are finer and need more memory. Mix has seen photographs beside rendered objects, Obj "
            "rendered objects alone; 1.0 is the first version. The draft needs no download and gives rough shapes. My "
            "Own takes the checkpoint that is named below."
        ),
        json_schema_extra={"group": "making", "weights": WEIGHTS, "titles": TITLES, **PROMINENT},
    )  # fmt: skip
    checkpoint: str = Field(
        "", max_length=LONGEST_NAME, title="Own checkpoint",
        description="For the model My Own: the name of a folder below 'own' in the folder of models.",
        json_schema_extra={"group": "making"},
    )  # fmt: skip
    distance: float = Field(
        2.0, ge=0.0, le=FARTHEST, title="Source distance",
        description=(
            "How far the picture was taken from, 1 to 3.5; half the object's box is 1. 0 tries several and keeps the "
            "one whose outline fits best."
        ),
        json_schema_extra={"group": "making", **special(0, "Search", 2.0)},
    )  # fmt: skip
    resolution: Annotated[Resolution, Field(le=512, json_schema_extra=PROMINENT)] = 256
    level: float = Field(
        3.0, gt=0.0, le=100.0, title="Level",
        description="Density at which the surface is drawn; a higher one gives a thinner object and drops haze.",
        json_schema_extra={"group": "mesh"},
    )  # fmt: skip
    faces: Annotated[Faces, Field(json_schema_extra=PROMINENT | special(0, "All", 40000))] = 40000
    texture_size: Annotated[TextureSize, Field(json_schema_extra=PROMINENT)] = 1024
    upright: Literal["auto", "camera", "never"] = Field(
        "auto", title="Turn upright",
        description=(
            "The object is made as if seen from its own height. Camera turns it by how much the camera really looks up "
            "or down at it, Never leaves it, Auto does the first where the camera is known."
        ),
        json_schema_extra={"group": "placing"},
    )  # fmt: skip
    size: LongestSide = 0.0
    video: Literal["none", "mira", "openlrm"] = Field(
        "none", title="Video",
        description=(
            "Keep a video of the field itself from an orbit of 160 cameras: as MIRA takes them, the last one short of "
            "the first, or as OpenLRM 1.1, where both are the same."
        ),
        json_schema_extra={"group": "views", "titles": {"mira": "MIRA", "openlrm": "OpenLRM"}},
    )  # fmt: skip
    ply: bool = Field(
        False, title="Keep .ply",
        description=(
            "Keep each mesh as a .ply too, as the published programs write it: all triangles, a colour for each "
            "vertex, in the frame of the network."
        ),
        json_schema_extra={"group": "mesh"},
    )  # fmt: skip

    @field_validator("checkpoint")
    @classmethod
    def _a_name_and_no_path(cls, value: str) -> str:
        if value and not is_name(value):
            raise ValueError("it is the plain name of a folder, not a path")
        return value

    @field_validator("distance")
    @classmethod
    def _outside_the_object(cls, value: float) -> float:
        if 0.0 < value < NEAREST:
            raise ValueError(f"it is {NEAREST} to {FARTHEST}, or 0 to search")
        return value

    @model_validator(mode="after")
    def _an_own_one_has_a_name(self) -> MiraParameters:
        if self.model == OWN and not self.checkpoint:
            there = ", ".join(names()) or "there is none yet"
            raise ValueError(f"the model 'own' needs the name of its folder in 'checkpoint' ({there})")
        return self

    def needed_weights(self) -> tuple[str, ...]:
        return (PREFIX + self.checkpoint,) if self.model == OWN else tuple(WEIGHTS[self.model])

    def skipped_stages(self) -> tuple[str, ...]:
        wanted = {"texture": self.colour != "none", "ply": self.ply, "video": self.video != "none"}
        return tuple(stage for stage, is_wanted in wanted.items() if not is_wanted)


def needs(parameters: MiraParameters) -> Needs:
    """What one object needs in 32 bit; a model of one's own is taken for the default one, as its size is not known."""
    chosen = MiraParameters.model_validate({}) if parameters.model == OWN else parameters
    (identifier,) = chosen.needed_weights()
    return Needs(row_of(identifier).memory_bytes + WORK_BYTES)


MIRA = PipelineInfo(
    id="mira",
    version="1",
    title="MIRA / OpenLRM",
    description="Complete props from one picture of each, in seconds: every object by itself, its back made up.",
    entry="backend.pipelines.mira.run:run",
    parameters=MiraParameters,
    stages=(
        Stage("frame", 1),
        Stage("planes", 20),
        Stage("surface", 20),
        Stage("clean", 10),
        Stage("texture", 15),
        Stage("place", 8),
        Stage("ply", 5),
        Stage("video", 120),
        Stage("export", 2),
    ),
    instances=(1, MOST_INSTANCES),
    learned=True,
    memory_bytes=needs(MiraParameters.model_validate({})).memory_bytes,
    needed=needs,
    chance=False,
    licence="GPL-3.0-or-later AND CC-BY-NC-4.0",
    licence_note=(
        "The weights of OpenLRM are CC-BY-NC-4.0: not for commercial purposes, and neither is a model that was trained "
        "on from them."
    ),
)
