"""inflate: every instance's silhouette becomes a closed, smooth, textured mesh. No download, no GPU."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.pipelines.base import PROMINENT, Needs, PipelineInfo, Stage
from backend.pipelines.former import formerly
from backend.pipelines.parameters import Resolution, TextureParameters, TextureSize
from backend.pipelines.picture import PictureParameters


class InflateParameters(TextureParameters, PictureParameters):
    """What an artist can turn."""

    thickness: float = Field(
        1.0,
        ge=0.05,
        le=3.0,
        title="Thickness",
        description="Depth of the shapes; 1 makes a disc a ball.",
        json_schema_extra={"group": "mesh", **PROMINENT},
    )
    resolution: Annotated[Resolution, Field(json_schema_extra=PROMINENT | formerly("detail"))] = 256
    texture_size: Annotated[TextureSize, Field(json_schema_extra=PROMINENT)] = 1024
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


INFLATE = PipelineInfo(
    id="inflate",
    version="3",
    title="Inflate",
    description="Quick props from silhouettes. Needs no download and no GPU.",
    entry="backend.pipelines.inflate.run:run",
    parameters=InflateParameters,
    chance=False,
    elevations=(-20, 45),
    needed=lambda chosen: Needs(minutes=0.02, on="one core of a CPU, five objects"),
    stages=(Stage("surface", 5), Stage("texture", 2), Stage("place", 1), Stage("export", 2)),
)
