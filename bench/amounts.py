"""How much `make bench` measures. Standard library only: Blender's Python and the backend's both read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Amount:
    """starts: of the server. jobs: small ones. sizes: sides of the pictures that become props, in pixels. props,
    triangles: of the files that Blender imports. side: of the picture of the jobs that hold Blender's main thread.
    repeats: of what a median is taken of."""

    starts: int
    jobs: int
    sizes: tuple[int, ...]
    props: tuple[int, ...]
    triangles: int
    side: int
    repeats: int


INSTANCES = 5
"""Objects in a picture."""

AMOUNTS = {
    "full": Amount(7, 15, (256, 512, 1024, 2048), (1, 10, 100), 20_000, 1024, 3),
    "least": Amount(1, 1, (256,), (1,), 200, 128, 1),
}
