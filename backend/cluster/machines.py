"""The machines of a cluster as they were a moment ago."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CPU, GPU = "CPU", "GPU"
GRAPHICS_MEMORY = "graphics_memory"
"""A resource of our own that `ray start --resources` may declare: gigabytes of a machine's smallest graphics card."""

RESOURCES = (CPU, GPU, GRAPHICS_MEMORY)


@dataclass(frozen=True)
class Machine:
    """One that is alive. total, free: of `RESOURCES`."""

    id: str
    host: str
    total: Mapping[str, float]
    free: Mapping[str, float]

    def has_room(self, wanted: Mapping[str, float], freed: Mapping[str, float] | None = None) -> bool:
        """Whether so much is free; freed: what would be given back before."""
        back = freed or {}
        return all(self.free.get(name, 0.0) + back.get(name, 0.0) >= amount for name, amount in wanted.items())

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"id": self.id, "host": self.host, "total": dict(self.total), "free": dict(self.free)}
