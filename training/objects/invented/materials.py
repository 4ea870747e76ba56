"""What furniture is made of: small pictures that repeat, and how they shine."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.objects.invented.chance import Chance

SIDE = 128
"""Pixels of a picture."""

Picture = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Material:
    """picture: `[SIDE, SIDE, 3]` uint8, sRGB, which repeats. span: metres along its side."""

    picture: NDArray[np.uint8]
    span: float
    roughness: float = 0.8
    metallic: float = 0.0


def _hue(
    chance: Chance, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
) -> Picture:
    return np.array(colorsys.hsv_to_rgb(chance.between(*hue) % 1, chance.between(*saturation), chance.between(*value)))


def _clouds(chance: Chance, along: float, across: float) -> Picture:
    """`[SIDE, SIDE]`: noise that repeats, of mean 0 and deviation 1, so many waves to a side."""
    noise = np.fft.fft2(chance.generator.normal(size=(SIDE, SIDE)))
    frequency = np.fft.fftfreq(SIDE) * SIDE
    kept = np.exp(-((frequency[:, None] / across) ** 2) - (frequency[None] / along) ** 2)
    kept[0, 0] = 0
    made = np.fft.ifft2(noise * kept).real
    return np.asarray(made / made.std())


def _material(colours: Picture, span: float, roughness: float, metallic: float = 0.0) -> Material:
    full = np.broadcast_to(colours, (SIDE, SIDE, 3))
    return Material((full.clip(0.015, 0.95) * 255).astype(np.uint8), span, roughness, metallic)


def wood(chance: Chance) -> Material:
    base = _hue(chance, (0.05, 0.11), (0.3, 0.7), (0.18, 0.85))
    grain = _clouds(chance, 1.5, chance.between(8, 25)) + 0.4 * _clouds(chance, 4, 50)
    strength = chance.between(0.02, 0.16)
    return _material(base * (1 + strength * grain[..., None]), chance.between(0.4, 1.2), chance.between(0.35, 0.8))


def paint(chance: Chance) -> Material:
    if chance.odds(0.55):
        base = np.full(3, chance.between(0.06, 0.9)) * (1 + 0.05 * chance.generator.normal(size=3))
    else:
        base = _hue(chance, (0, 1), (0.1, 0.75), (0.25, 0.9))
    uneven = chance.between(0, 0.02) * _clouds(chance, 4, 4)
    return _material(base * (1 + uneven[..., None]), 1.0, chance.between(0.25, 0.8))


def metal(chance: Chance) -> Material:
    if chance.odds(0.2):
        base = _hue(chance, (0.08, 0.13), (0.3, 0.6), (0.5, 0.8))
    else:
        base = np.full(3, chance.pick([0.06, 0.12, 0.5, 0.65, 0.8]))
    brushed = chance.between(0, 0.04) * _clouds(chance, 2, 40)
    return _material(base * (1 + brushed[..., None]), 0.5, chance.between(0.3, 0.7), chance.between(0, 0.4))


def leather(chance: Chance) -> Material:
    base = _hue(chance, (0.02, 0.1), (0.2, 0.75), (0.08, 0.65))
    worn = chance.between(0.02, 0.08) * _clouds(chance, 6, 6) + 0.03 * _clouds(chance, 40, 40)
    return _material(base * (1 + worn[..., None]), 0.5, chance.between(0.35, 0.65))


def ceramic(chance: Chance) -> Material:
    return _material(np.full(3, chance.between(0.75, 0.92)) * (1 + 0.03 * chance.generator.normal(size=3)), 1, 0.3)


def leaves(chance: Chance) -> Material:
    base = _hue(chance, (0.2, 0.4), (0.4, 0.85), (0.2, 0.6))
    return _material(base * (1 + 0.25 * _clouds(chance, 10, 10)[..., None]), 0.4, 0.8)


def stone(chance: Chance) -> Material:
    base = np.full(3, chance.between(0.15, 0.85)) * (1 + 0.04 * chance.generator.normal(size=3))
    veins = -np.exp(-np.abs(_clouds(chance, 4, 4)) * 9) if chance.odds(0.5) else _clouds(chance, 30, 30) * 0.5
    return _material(base * (1 + chance.between(0.1, 0.3) * veins[..., None]), chance.between(0.5, 1), 0.4)


def cloth(chance: Chance, pale: bool = False) -> Material:
    """Plain, woven, striped, chequered or with a print. `pale`: as for a bed."""
    value = (0.6, 0.93) if pale else (0.12, 0.85)
    saturation = (0.0, 0.25) if pale else (0.0, 0.7)
    base, other = _hue(chance, (0, 1), saturation, value), _hue(chance, (0, 1), (0, 0.7), (0.1, 0.9))
    u, v = np.meshgrid(np.arange(SIDE) / SIDE, np.arange(SIDE) / SIDE)
    kind = chance.pick(["plain"] * 6 + ["stripes", "stripes", "checks", "print", "spots"])
    mix: NDArray[np.floating[Any]] = np.zeros((SIDE, SIDE))
    count, share = chance.whole(2, 7), chance.between(0.15, 0.5)
    if kind == "stripes":
        mix = ((u * count) % 1 < share) * 1.0
    elif kind == "checks":
        mix = (((u * count) % 1 < share) * 0.5) + (((v * count) % 1 < share) * 0.5)
    elif kind == "print":
        mix = (_clouds(chance, 5, 5) > chance.between(0.2, 1)) * 1.0
    elif kind == "spots":
        mix = (np.hypot((u * count) % 1 - 0.5, (v * count) % 1 - 0.5) < 0.6 * share) * 1.0
    colours = base + mix[..., None] * (other - base) * chance.between(0.3, 1)
    weave = chance.between(0.01, 0.09) * _clouds(chance, 45, 45) + chance.between(0, 0.04) * _clouds(chance, 3, 3)
    span = chance.between(0.25, 0.5) if kind == "plain" else chance.between(0.3, 0.9)
    return _material(colours * (1 + weave[..., None]), span, 0.95)


def body(chance: Chance) -> Material:
    """Of tables, cupboards and the like: wood, or painted."""
    return wood(chance) if chance.odds(0.65) else paint(chance)


def cover(chance: Chance) -> Material:
    """Of what one sits on."""
    return cloth(chance) if chance.odds(0.75) else leather(chance)


def frame(chance: Chance) -> Material:
    """Of legs and frames."""
    return chance.pick([wood, wood, metal, paint])(chance)
