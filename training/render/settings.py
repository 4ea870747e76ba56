"""How a data set is rendered: what is chosen on the command line, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from training.layouts import HI3D_AZIMUTHS, HI3D_ELEVATIONS, Layout

Way = Literal["sphere", "rings", "orbit"]


class SettingsError(ValueError):
    """A choice is not possible; the sentence says why."""


@dataclass(frozen=True)
class Settings:
    """All that decides what is in a data set. The same settings, Blender and models give the same cameras and lights.

    Attributes:
        layout: how the files are named and laid out.
        span: length of the longest side of an object's box, centred on the origin.
        path: where cameras stand: anywhere between the elevations, on rings (`elevations` × `azimuths`), or on an
            orbit of the height `height`.
        views: how many; on rings as many as there are elevations and azimuths.
        front: the first view looks straight at the front: from (0, −distance, 0) along +y.
        distance: from the origin, drawn between the two.
        focal: in units of the picture's width, drawn between the two for each view.
        elevation: degrees, drawn between the two so that areas are equal.
        whole: a camera moves back along its axis until all of the object is in its picture, with this margin (in
            units of the picture's width). None: it stays, and may cut things off.
        size: of a picture, pixels.
        depth: bits per channel, 8 or 16.
        engine, samples, denoise: of Blender.
        opaque: glass is made a plain surface.
        light: drawn for each object, with Blender's own worlds (random) or plain ones that need few samples (soft); or
            the same for all (even).
        solid: cells along a side of the solid; 0: none is written.
    """

    layout: Layout = "openlrm"
    span: float = 2.0
    path: Way = "sphere"
    views: int = 32
    front: bool = True
    distance: tuple[float, float] = (1.9, 2.6)
    focal: tuple[float, float] = (0.75, 0.75)
    elevation: tuple[float, float] = (-20.0, 60.0)
    elevations: tuple[float, ...] = ()
    azimuths: int = HI3D_AZIMUTHS
    height: float = 0.8
    whole: float | None = None
    size: int = 512
    depth: int = 8
    engine: Literal["cycles", "eevee"] = "cycles"
    samples: int = 64
    denoise: bool = True
    opaque: bool = True
    light: Literal["random", "soft", "even"] = "random"
    solid: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("distance", 1e-3), ("focal", 1e-3), ("elevation", -90.0)):
            low, high = getattr(self, name)
            if not least <= low <= high < math.inf:
                raise SettingsError(f"The {name} range {low} … {high} is not one.")
        if not self.elevation[1] <= 90.0:
            raise SettingsError(f"An elevation of {self.elevation[1]}° is above the zenith.")
        if not math.isfinite(self.height):
            raise SettingsError(f"An orbit cannot be at a height of {self.height}.")
        if self.depth not in (8, 16):
            raise SettingsError(f"Pictures have 8 or 16 bits, not {self.depth}.")
        for name, least in (("views", 1), ("size", 8), ("samples", 1), ("solid", 0), ("seed", 0), ("azimuths", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; the least is {least}.")
        if self.whole is not None and not 0 <= self.whole < 0.5:
            raise SettingsError(f"A margin of {self.whole} leaves no room in the picture.")
        if self.path == "rings" and not self.elevations:
            raise SettingsError("Rings need their elevations.")
        if not all(-90 <= each <= 90 for each in self.elevations):
            raise SettingsError("The elevation of a ring is not between −90° and 90°.")
        if self.layout == "hi3d" and self.path != "rings":
            raise SettingsError("The layout hi3d has no poses; its cameras are on rings.")

    @property
    def count(self) -> int:
        """How many views an object gets."""
        return len(self.elevations) * self.azimuths if self.path == "rings" else self.views


DEFAULTS: dict[Layout, Settings] = {
    "mira": Settings(layout="mira"),
    "openlrm": Settings(layout="openlrm"),
    "hi3d": Settings(
        layout="hi3d",
        span=1.0,
        path="rings",
        front=False,
        distance=(1.5, 1.5),
        focal=(35 / 32, 35 / 32),
        elevations=HI3D_ELEVATIONS,
        size=1024,
    ),
}
"""Lens and distances of OpenLRM, which MIRA's training assumes too; those of Hi3D's renderer."""
