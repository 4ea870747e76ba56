"""The picture with its objects coloured, outlined and named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from backend.preparations.segment import MOST_OBJECTS

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]
Labels = NDArray[np.uint16]

TINT = 0.45
"""Share of its colour in an object."""

DIMMED = 0.5
"""Brightness of what is no object, which also loses most of its own colour."""

FADED = 0.75
STRONG = 12
"""So many colours come from the strongest alone; with more objects there is no being choosy."""

STRIP = 64
"""Rows that are blended at a time, so that the work fits into the processor's cache."""

SMALL = 320
"""Pixels along the longer side of the map in which places for names are looked for."""

TAG = (24, 24, 28)
TAG_OPACITY = 0.82
TEXT = (255, 255, 255)


@cache
def palette(count: int = MOST_OBJECTS) -> tuple[Colour, ...]:
    """Vivid colours (sRGB), each as far as can be from all before it.

    Picked greedily in Oklab (B. Ottosson, 2020, "A perceptual color space for image processing"), in which distance is
    how different two colours look, among those that are neither dark, nor pale, nor grey. The first are the strongest.
    """
    lightness, chroma, hue = np.meshgrid(
        np.linspace(0.52, 0.88, 8), np.linspace(0.10, 0.26, 6), np.linspace(0, 2 * np.pi, 72, endpoint=False)
    )
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1).reshape(-1, 3)
    linear = _linear_from_oklab(lab)
    shown = ((linear >= 0) & (linear <= 1)).all(axis=1)
    lab, linear = lab[shown], linear[shown]
    strong = (np.hypot(lab[:, 1], lab[:, 2]) >= 0.15) & (np.abs(lab[:, 0] - 0.72) < 0.12)
    distance = np.linalg.norm(lab - (0.70, -0.09, -0.12), axis=1)
    chosen = [int(distance.argmin())]  # an azure first; it stands out on most pictures
    distance = np.linalg.norm(lab - lab[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int((distance * strong if len(chosen) < STRONG else distance).argmax()))
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055)
    return tuple((int(red), int(green), int(blue)) for red, green, blue in np.rint(encoded[chosen] * 255))


def colour_of(instance: int) -> Colour:
    """The colour of an instance id, the same in every overlay."""
    colours = palette()
    return colours[(instance - 1) % len(colours)]


def overlay(picture: Picture, labels: Labels, names: Mapping[int, str]) -> Picture:
    """The picture with each object in its colour, and its name on it.

    Args:
        picture: HxWx3, sRGB.
        labels: HxW, 0 = background.
        names: of every id that occurs in `labels`.

    Returns:
        HxWx3.
    """
    drawn = _tinted(picture, labels, list(names))
    image = Image.fromarray(drawn)
    _write_names(image, labels, names)
    return np.asarray(image)


def _tinted(picture: Picture, labels: Labels, ids: list[int]) -> Picture:
    """Objects tinted and outlined, the rest dimmed.

    The outline is drawn within each object, so two that touch keep a line each; around it, in the background, goes a
    dark one, which parts the colour from a picture of the same colour.
    """
    shape = (max([0, *ids]) + 1, 3)
    line = np.zeros(shape, dtype=np.uint8)
    own, tint = np.full(shape, round(256 * (1 - TINT)), dtype=np.uint16), np.zeros(shape, dtype=np.uint16)
    grey = np.zeros(shape[0], dtype=np.uint16)
    own[0], grey[0] = round(256 * DIMMED * (1 - FADED)), round(256 * DIMMED * FADED)
    for number in ids:
        line[number] = colour_of(number)
        tint[number] = np.rint(256 * TINT * line[number].astype(float))
    width = max(1, round(max(labels.shape) / 560))
    result = np.empty_like(picture)
    for top in range(0, len(labels), STRIP):
        rows = slice(top, min(top + STRIP, len(labels)))
        strip, pixels = labels[rows], picture[rows].astype(np.uint16)
        faded = (54 * pixels[..., 0] + 183 * pixels[..., 1] + 19 * pixels[..., 2]) >> 8  # luma of Rec. 709
        faded *= grey[strip]
        pixels *= own[strip]
        pixels += tint[strip]
        pixels += faded[..., None]
        pixels >>= 8
        # With the rows of its neighbours that a line can come from, so that lines go on across the seams.
        above = min(top, width)
        edge = _edges(labels[top - above : rows.stop + width], width)[above : above + len(strip)]
        pixels[edge] = line[strip[edge]]
        result[rows] = pixels
    return result


def _edges(labels: Labels, width: int) -> NDArray[np.bool_]:
    """Where another label is within `width` pixels along the row or the column."""
    edges = np.zeros(labels.shape, dtype=bool)
    for along, found in ((labels, edges), (labels.T, edges.T)):
        change = along[:, 1:] != along[:, :-1]
        count = change.shape[1]
        for shift in range(min(width, count)):
            found[:, 1 + shift :] |= change[:, : count - shift]
            found[:, : count - shift] |= change[:, shift:]
    return edges


def _write_names(image: Image.Image, labels: Labels, names: Mapping[int, str]) -> None:
    """A tag with each name, in the middle of the widest place of its object, where no other tag is."""
    size = max(11, round(max(image.size) / 60))
    font = ImageFont.load_default(size)
    canvas = ImageDraw.Draw(image)
    taken: list[tuple[int, int, int, int]] = []
    named = {number: name for number, name in names.items() if name}
    for number, (across, down) in _middles(labels, named).items():
        text = _legible(names[number], number)
        left, _, right, _ = canvas.textbbox((0, 0), text, font=font)
        padding, dot = round(size * 0.4), round(size * 0.55)
        wide = round(right - left) + dot + 3 * padding
        high = round(size * 1.5)
        box = _free_place(across - wide // 2, down - high // 2, wide, high, image.size, taken)
        if box is None:
            continue
        taken.append(box)
        _fill_rounded(image, box)
        middle = (box[1] + box[3]) / 2
        corner = (box[0] + padding, middle - dot / 2)
        canvas.ellipse((*corner, corner[0] + dot, corner[1] + dot), fill=colour_of(number))
        canvas.text((box[0] + 2 * padding + dot - left, middle), text, fill=TEXT, font=font, anchor="lm")


def _middles(labels: Labels, names: Mapping[int, str]) -> dict[int, tuple[int, int]]:
    """For each object, largest first, the pixel (x, y) for its name, found in a reduced map.

    Of the pixels about as far from the edge as any, the one nearest to the middle of the object.
    """
    step = max(1, -(-max(labels.shape) // SMALL))
    small = labels[step // 2 :: step, step // 2 :: step]
    found: dict[int, tuple[int, tuple[int, int]]] = {}
    for index, place in enumerate(ndimage.find_objects(small), start=1):
        if place is None or index not in names:
            continue
        mask = small[place] == index
        inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        rows, columns = np.nonzero(mask)
        deep_rows, deep_columns = np.nonzero(inside >= 0.8 * inside.max())
        away = np.hypot(deep_rows - rows.mean(), deep_columns - columns.mean())
        x = int(place[1].start + deep_columns[away.argmin()])
        y = int(place[0].start + deep_rows[away.argmin()])
        found[index] = (int(mask.sum()), (x * step + step // 2, y * step + step // 2))
    ordered = sorted(found.items(), key=lambda item: item[1][0], reverse=True)
    return {index: middle for index, (_, middle) in ordered}


def _free_place(
    left: int, top: int, wide: int, high: int, size: tuple[int, int], taken: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int] | None:
    """The tag's box, moved up or down by up to two heights if need be; None if that place is full."""
    left = min(max(left, 0), max(size[0] - wide, 0))
    for shift in (0, 1, -1, 2, -2):
        upper = min(max(top + shift * (high + 2), 0), max(size[1] - high, 0))
        box = (left, upper, left + wide, upper + high)
        if all(box[0] >= old[2] or box[2] <= old[0] or box[1] >= old[3] or box[3] <= old[1] for old in taken):
            return box
    return None


def _fill_rounded(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A translucent dark tag. Its shape is drawn four times as large, for smooth corners."""
    wide, high = box[2] - box[0], box[3] - box[1]
    shape = Image.new("L", (4 * wide, 4 * high))
    ImageDraw.Draw(shape).rounded_rectangle(
        (0, 0, 4 * wide - 1, 4 * high - 1), radius=1.4 * high, fill=round(255 * TAG_OPACITY)
    )
    image.paste(TAG, box[:2], shape.resize((wide, high), Image.Resampling.BOX))


def _legible(name: str, number: int) -> str:
    """The name, cut if long; its number where the font, which knows Western European letters, cannot write it."""
    try:
        name.encode("cp1252")
    except UnicodeEncodeError:
        return f"#{number}"
    return name if len(name) <= 24 else name[:23] + "…"


def _linear_from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear sRGB (N, 3) of Oklab (N, 3), by the matrices that its author published."""
    cube_roots = lab @ np.array(
        [[1.0, 1.0, 1.0], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.2914855480]]
    )
    linear: NDArray[np.float64] = cube_roots**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    return linear
