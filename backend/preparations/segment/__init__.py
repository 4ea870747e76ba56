"""segment: finds the objects of a picture by their names, or by boxes drawn around them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from backend.contract import Name, Strict
from backend.pipelines.base import Parameters, Stage, control
from backend.preparations.base import PreparationInfo

MOST_OBJECTS = 60
"""Objects of one picture: more than a pipeline can place, and as many as an overlay has distinct colours for."""

LARGEST_PICTURE_SIDE = 1_000_000
LONGEST_LABEL = 60
DETECTORS: dict[str, Any] = {"base": ["grounding-dino"], "tiny": ["grounding-dino-tiny"]}
"""What each choice of `detector` needs; part of the schema, so that it can be told before a job is sent."""


class Box(Strict):
    """A box drawn around an object, in pixels of the picture: (0, 0) is its upper left corner, y goes down.

    It may reach beyond the picture. `name` is what the object is to be called.
    """

    left: float = Field(ge=-LARGEST_PICTURE_SIDE, le=LARGEST_PICTURE_SIDE)
    top: float = Field(ge=-LARGEST_PICTURE_SIDE, le=LARGEST_PICTURE_SIDE)
    right: float = Field(ge=-LARGEST_PICTURE_SIDE, le=LARGEST_PICTURE_SIDE)
    bottom: float = Field(ge=-LARGEST_PICTURE_SIDE, le=LARGEST_PICTURE_SIDE)
    name: Name = ""

    @model_validator(mode="after")
    def _has_an_inside(self) -> Box:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("the right side must lie right of the left one, and the bottom below the top")
        return self


class SegmentParameters(Parameters):
    """What an artist can turn."""

    labels: str = Field(
        "",
        max_length=1000,
        title="Objects",
        description="What to look for, separated by commas: chair, table lamp, rug.",
        json_schema_extra={
            "group": "picture",
            "examples": ["chair, table lamp, rug"],
            **control("words", wanted=True),
        },
    )
    boxes: list[Box] = Field(
        default_factory=list,
        max_length=MOST_OBJECTS,
        title="Boxes",
        description="Boxes drawn around objects; each becomes one object, whatever else is found there.",
        json_schema_extra={"group": "picture", **control("boxes", wanted=True)},
    )
    detector: Literal["base", "tiny"] = Field(
        "base",
        title="Detector",
        description="The network that looks for names: the better one, or the smaller one.",
        json_schema_extra={"group": "making", "weights": DETECTORS, "weights_with": "labels"},
    )
    score_threshold: float = Field(
        0.3,
        ge=0.05,
        le=0.95,
        title="Threshold",
        description="Leave out finds that are less certain than this.",
        json_schema_extra={"group": "making"},
    )
    duplicates: float = Field(
        0.75,
        ge=0.3,
        le=0.99,
        title="Same object",
        description="Two finds that share more than this part of their area are one object.",
        json_schema_extra={"group": "making"},
    )
    largest_component: bool = Field(
        False,
        title="Largest part only",
        description="Of an object in several pieces keep the largest. Leave it off where things stand before others.",
        json_schema_extra={"group": "picture"},
    )
    fill_holes: bool = Field(
        True,
        title="Close pin-holes",
        description="Close holes below a hundredth of the object; handles stay open.",
        json_schema_extra={"group": "picture"},
    )
    smallest: float = Field(
        0.1,
        ge=0.0,
        le=20.0,
        title="Smallest (%)",
        description="Leave out what covers less of the picture, in percent.",
        json_schema_extra={"group": "picture"},
    )
    review: bool = Field(
        True,
        title="Review",
        description="Show what was found, to rename, merge or leave out, before going on.",
        json_schema_extra={"group": "making"},
    )

    @field_validator("labels")
    @classmethod
    def _are_short_enough(cls, value: str) -> str:
        for label in split_labels(value):
            if len(label) > LONGEST_LABEL:
                raise ValueError(f"'{label[:20]}…' is too long for a name; put commas between the objects")
        return value

    @model_validator(mode="after")
    def _say_what_to_find(self) -> SegmentParameters:
        if not self.boxes and not split_labels(self.labels):
            raise ValueError("name the objects to look for, or draw a box around each")
        return self

    @property
    def detector_weights(self) -> str:
        """Id of the detector in `backend/weights`."""
        identifier: str = DETECTORS[self.detector][0]
        return identifier

    def needed_weights(self) -> tuple[str, ...]:
        return (self.detector_weights,) if split_labels(self.labels) else ()


def split_labels(labels: str) -> list[str]:
    """The labels of a comma-separated list as they were written, each once, without regard to case.

    Line breaks and semicolons separate too. Full stops and question marks, which the detector takes for the end of a
    label, and control characters become spaces.
    """
    for separator in ";\n\r":
        labels = labels.replace(separator, ",")
    readable = "".join(character if character.isprintable() and character not in ".?" else " " for character in labels)
    found: dict[str, str] = {}
    for label in (" ".join(part.split()) for part in readable.split(",")):
        if label:
            found.setdefault(label.casefold(), label)
    return list(found.values())


SEGMENT = PreparationInfo(
    id="segment",
    version="1",
    title="Find objects",
    description="Finds the objects of a picture by their names, or by boxes drawn around them.",
    entry="backend.preparations.segment.run:prepare",
    parameters=SegmentParameters,
    stages=(Stage("detect", 5), Stage("outline", 4), Stage("review", 1)),
    weights=("sam",),
    learned=True,
    memory_bytes=3_000_000_000,
    licence="GPL-3.0-or-later AND Apache-2.0",
    finds_instances=True,
)
