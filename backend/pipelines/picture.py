"""How the object of a picture is told from its background: of every method that takes pictures as they are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.pipelines.base import Parameters


class PictureParameters(Parameters):
    """Of a picture without transparency and without an instance map."""

    background: Literal["auto", "network", "plain", "none"] = Field(
        "auto",
        title="Background",
        description=(
            "How one object is cut out of a picture: by the best network on this computer, by what stands out from a "
            "plain ground, automatically by either, or not at all."
        ),
        json_schema_extra={"group": "picture"},
    )
