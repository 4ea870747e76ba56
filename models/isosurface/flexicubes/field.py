"""What a shape has to answer for FlexiCubes."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

WEIGHTS = 21
"""Numbers per cell: 12 for its edges (beta), 8 for its corners (alpha), 1 for its quads (gamma)."""


class DeformableField(Protocol):
    """A shape in the grid's frame. All points are float32, on the device of the grid, and are not deformed.

    Answers may have any float type and lie on any device.
    """

    def signed_distance(self, points: Tensor) -> Tensor:
        """Points `[P, 3]` -> `[P]` or `[P, 1]`, negative inside. Not necessarily a distance."""
        ...

    def deformation(self, points: Tensor) -> Tensor:
        """Grid points `[P, 3]` -> their raw shifts `[P, 3]`, before the tanh that bounds them."""
        ...

    def weights(self, corners: Tensor) -> Tensor:
        """Corners of cells `[C, 8, 3]` (corner j is at (j & 1, j >> 1 & 1, j >> 2)) -> `[C, 21]`, before tanh."""
        ...
