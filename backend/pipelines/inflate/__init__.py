"""inflate: every instance's silhouette becomes a closed, smooth, textured mesh. No download, no GPU."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, PipelineInfo, Stage
from backend.pipelines.picture import PictureParameters


class InflateParameters(PictureParameters):
    """What an artist can turn."""

    thickness: float = Field(
        1.0,
        ge=0.05,
        le=3.0,
        title="Thickness",
        description="Depth of the shapes; 1 makes a disc a ball.",
        json_schema_extra={"group": "mesh", **PROMINENT},
    )
    detail: int = Field(
        256,
        ge=32,
        le=1024,
        title="Detail",
        description="Outline resolution: cells along an object's longer side.",
        json_schema_extra={"group": "mesh", **PROMINENT},
    )
    texture_size: int = Field(
        1024,
        ge=64,
        le=4096,
        title="Texture size",
        description="Longest side of each object's texture in pixels.",
        json_schema_extra={"group": "texture"},
    )
    back: Literal["soft", "mirror"] = Field(
        "soft",
        title="Back side",
        description="Soft colours of the front on the back, or the picture mirrored.",
        json_schema_extra={"group": "texture", **PROMINENT},
    )
    speck: int = Field(
        32,
        ge=0,
        le=100000,
        title="Ignore specks",
        description="Drop separate parts of a mask with fewer pixels than this; an object's largest part stays.",
        json_schema_extra={"group": "picture"},
    )

    def picture_side(self, objects: bool) -> int:
        return max(super().picture_side(objects), self.texture_size)


INFLATE = PipelineInfo(
    id="inflate",
    version="3",
    title="Inflate",
    description="Quick props from silhouettes. Needs no download and no GPU.",
    entry="backend.pipelines.inflate.run:run",
    parameters=InflateParameters,
    chance=False,
    stages=(Stage("surface", 5), Stage("texture", 2), Stage("place", 1), Stage("export", 2)),
)
