"""What the network sees of each object: cut out, on white, in the middle of a square.

As in OpenLRM's own preparation: what is not transparent, its longer side `FILL` of the square, the rest white. There
it goes to 512 pixels first and from there to the size of the network; here it is resampled once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.pipelines.cut_outs import Pixels

FILL = 0.8
"""Share of the square that the object's longer side takes."""


@dataclass(frozen=True, eq=False)
class Source:
    """One object.

    picture: SxSx3, the object on white.
    cover: SxS, 0 to 1, how much of each pixel the object covers.
    """

    instance: int
    title: str
    picture: Pixels
    cover: NDArray[np.float32]
