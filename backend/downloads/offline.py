"""Whether the user lets us go online."""

from __future__ import annotations

import os

from backend.errors import Problem

BLENDER = "SET_DRESSER_OFFLINE"
"""Set by the add-on while Blender's "Allow Online Access" is off."""

HUB = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE = ("1", "ON", "YES", "TRUE")


def demand_online() -> None:
    """Raises Problem("offline") if a variable of the environment forbids going online."""
    if os.environ.get(BLENDER, "").upper() in TRUE:
        raise Problem("offline", "Blender does not allow going online.")
    for name in HUB:
        if os.environ.get(name, "").upper() in TRUE:
            raise Problem("offline", f"The environment variable {name} forbids going online.", f"Unset {name}.")
