"""What is drawn for a piece of furniture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Chance:
    """Draws from one generator, so that a seed and a number say all of a piece."""

    def __init__(self, *seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def between(self, least: float, most: float) -> float:
        return float(self.generator.uniform(least, most))

    def whole(self, least: int, most: int) -> int:
        """Both ends may come."""
        return int(self.generator.integers(least, most + 1))

    def odds(self, share: float) -> bool:
        return float(self.generator.random()) < share

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.generator.integers(len(options)))]
