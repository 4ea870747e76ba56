"""Painting with Stable Diffusion: what `imagine` and `text` have in common, up to the parameters that artists turn.

Importing this imports nothing heavy; the networks are in the modules beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

QUALITIES: Mapping[str, int] = {"draft": 15, "standard": 30, "final": 50}
"""Steps of each quality."""

TITLES = {"sdxl": "SDXL", "sd15": "SD 1.5"}
LICENCE_NOTE = (
    "The models come under CreativeML Open RAIL licences: commercial use is allowed, the uses that their Attachment A "
    "lists are not."
)

Model = Annotated[
    Literal["sdxl", "sd15"],
    Field(
        title="Model",
        description="SDXL paints better; SD 1.5 needs a third of the memory and of the time.",
        json_schema_extra={"group": "making", "titles": TITLES},
    ),
]
Candidates = Annotated[
    int,
    Field(
        ge=1, title="Candidates", description="How many pictures are painted.", json_schema_extra={"group": "making"}
    ),
]


def models_of(weights: dict[str, Any]) -> Any:
    """What is said of `model`: which ids of `backend/weights` each choice needs, told before a job is sent."""
    return Field(json_schema_extra={"weights": weights})
