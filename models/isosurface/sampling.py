"""A field on a regular lattice: where its points lie, how they are asked for, what is said meanwhile.

A field is any function from points to values: negative or zero inside, positive outside. Nothing else is
asked of it; in particular its values need not be distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]
"""`[P, 3]` float32 points -> P values, as `[P]` or `[P, 1]`, of any float type and on any device."""

Report = Callable[[float], None]
"""Is told the fraction done, 0 to 1, never falling. An exception it raises ends the work and reaches the caller."""


class EmptySurface(Exception):
    """The field has no zero crossing where it was looked at: it is positive, or not positive, everywhere.

    Args:
        inside: True when every point is inside, False when every point is outside (the usual empty instance).
    """

    def __init__(self, inside: bool) -> None:
        self.inside = inside
        super().__init__("The field is inside everywhere." if inside else "The field is outside everywhere.")

    def __reduce__(self) -> tuple[type[EmptySurface], tuple[bool]]:
        return EmptySurface, (self.inside,)


class FieldError(ValueError):
    """The field did not return one finite number per point."""


@dataclass(frozen=True)
class Bounds:
    """An axis-aligned box in the units of the field; its six faces carry lattice points."""

    minimum: tuple[float, float, float]
    maximum: tuple[float, float, float]

    def __post_init__(self) -> None:
        corners = np.array([self.minimum, self.maximum], dtype=np.float64)
        if corners.shape != (2, 3) or not np.isfinite(corners).all() or not (corners[0] < corners[1]).all():
            raise ValueError(f"Not a box: from {self.minimum} to {self.maximum}.")

    @classmethod
    def of(cls, minimum: float | Sequence[float], maximum: float | Sequence[float]) -> Bounds:
        """A box from two corners, or from two numbers for a cube."""
        low, high = (np.broadcast_to(np.asarray(corner, dtype=np.float64), 3) for corner in (minimum, maximum))
        return cls((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2])))

    @property
    def size(self) -> npt.NDArray[np.float64]:
        """Edge lengths, `[3]`."""
        return np.subtract(self.maximum, self.minimum)

    def axes(self, resolution: int) -> npt.NDArray[np.float32]:
        """Coordinates of the lattice planes, `[3, resolution]`: `numpy.linspace` rounded to float32."""
        return np.linspace(self.minimum, self.maximum, resolution, dtype=np.float32, axis=1)


def part(report: Report | None, start: float, end: float) -> Report | None:
    """What to tell a part of the work that lasts from one fraction of it to another."""
    if report is None:
        return None
    whole = report
    return lambda fraction: whole(start + fraction * (end - start))


class Progress:
    """Spreads the fraction done over stages whose length shows only as they go."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._done = self._stage_end = 0.0

    def stage(self, end: float) -> None:
        """The previous stage is over; the next one lasts until the fraction `end`."""
        self._done, self._stage_end = self._stage_end, end

    def batch(self, size: int) -> Callable[[int], None]:
        """A batch of `size` steps begins. It takes nine tenths of what is left of the stage: another may follow."""
        start, span = self._done, 0.9 * (self._stage_end - self._done)

        def done(steps: int) -> None:
            self._done = start + span * steps / size
            if self._report is not None:
                self._report(self._done)

        return done

    def finish(self) -> None:
        """All stages are over."""
        self.stage(1.0)
        if self._report is not None:
            self._report(1.0)


class Sampler:
    """Asks a field for values at lattice points, in chunks, and counts how many it asked for.

    The coordinates are those of `Bounds.axes`, always float32, whatever the field computes in. A point therefore
    gets exactly the coordinates that a dense evaluation of the same lattice gives it. Its value is the same bit for
    bit wherever the field treats each point independently of its batch; matrix products may round differently with
    the batch size.

    Values are numbers without a history: what is made of them, by marching cubes, has no gradients.

    Args:
        field: points -> values.
        bounds: the box.
        resolution: lattice points along each axis.
        chunk: largest number of points handed to the field at once.
        device: where points are made; None for the CPU.
    """

    def __init__(
        self, field: Field, bounds: Bounds, resolution: int, chunk: int, device: torch.device | None = None
    ) -> None:
        if resolution < 2:
            raise ValueError(f"A lattice needs 2 points along each axis, not {resolution}.")
        if chunk < 1:
            raise ValueError(f"A chunk needs one point, not {chunk}.")
        self.field = field
        self.bounds = bounds
        self.resolution = resolution
        self.chunk = chunk
        self.device = device or torch.device("cpu")
        self.queries = 0
        self._axes = torch.from_numpy(bounds.axes(resolution)).to(self.device)

    def __call__(self, points: Tensor, progress: Progress) -> Tensor:
        """Values `[P]`, float32, at lattice points `[P, 3]` given as int64 indices along x, y, z.

        Indices beyond the last lattice point mean the last one.

        Raises:
            FieldError: the field returned another number of values, or a value that is not finite.
        """
        values = torch.empty(len(points), dtype=torch.float32, device=self.device)
        done = progress.batch(max(len(points), 1))
        for start in range(0, len(points), self.chunk):
            piece = points[start : start + self.chunk].clamp(max=self.resolution - 1)
            coordinates = torch.stack([self._axes[axis, piece[:, axis]] for axis in range(3)], dim=1)
            answer = self.field(coordinates)
            if answer.numel() != len(piece):
                raise FieldError(f"The field returned {tuple(answer.shape)} values for {len(piece)} points.")
            part = answer.detach().reshape(-1).to(self.device, torch.float32)
            if not bool(torch.isfinite(part).all()):
                raise FieldError("The field returned a value that is not a finite number.")
            values[start : start + len(piece)] = part
            self.queries += len(piece)
            done(start + len(piece))
        return values


def lattice(count: int, stride: int = 1, device: torch.device | None = None) -> Tensor:
    """Indices `[count**3, 3]` (int64) of every point of a cubic lattice, x slowest, multiplied by `stride`."""
    return planes(range(count), count, device) * stride


def planes(which: range, count: int, device: torch.device | None = None) -> Tensor:
    """Indices `[len(which) * count**2, 3]` (int64) of the points of some planes along x, x slowest."""
    x, axis = torch.tensor(which, device=device), torch.arange(count, device=device)
    return torch.cartesian_prod(x, axis, axis)
