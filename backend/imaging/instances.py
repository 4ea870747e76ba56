"""The instance map: which pixel belongs to which object.

What counts is exact equality, never brightness. How a file's values become instance ids:

* **grey** (1, 2, 4, 8 or 16 bits): the stored value is the id, 0 is the background. In a 1-bit map white is 1.
* **palette**: the index is the id, 0 is the background. Only where index 0 has another colour than black while an
  index that is pure black occurs, the palette was sorted by a paint program: then the black indices are the
  background, and index 0 is an object with the id 256, which no other index can have.
* **colours** (8 or 16 bits per channel): black is the background. A colour of the label table has that row's id; the
  others are numbered by ascending (red, green, blue), with the smallest ids from 1 on that no coloured row has.
  A row without a colour names the id that its object gets that way.
* whatever is fully transparent is background.

Labels that the table does not name are looked at: blends along soft edges go to the labels that they mix
(`soft_edges.py`), and a label that surrounds everything is ground, not an object. Both is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.contract import MAXIMUM_INSTANCES, InstanceLabel, Warning
from backend.errors import Problem
from backend.imaging.budget import SMALL
from backend.imaging.headers import Blame, ImageFile, open_header
from backend.imaging.reading import (
    DECODING,
    STRIP,
    has_sixteen_bit_colours,
    orientation_of,
    sixteen_bit_strips,
    upright,
)
from backend.imaging.soft_edges import filled, fold_blends, occurring
from backend.shot import InstanceMap

MAXIMUM_ID = 65535
SMOOTHED_INSTANCES = 16
"""More unnamed instances than this without any solid spot, and in the majority, are the blur of smoothed edges."""

FIRST_INDEX_AS_OBJECT = 256
CALLED = "The instance map"
MAP = Blame(unreadable="instances-unreadable", truncated="instances-unreadable")

NEARLY_BLACK = 8
"""Levels of 255: a colour this dark that surrounds everything is meant to be the background."""

Labels = NDArray[np.uint16]
Colours = dict[int, tuple[float, float, float]]


@dataclass(frozen=True)
class _Found:
    """A map as the file has it.

    labels: HxW uint16, 0 = background; colours: of every label, 0 included, in levels of 0 to 255.
    named: labels that the table has.
    values: packed colour of each label, where labels are colours and still have to get their ids.
    """

    labels: Labels
    colours: Colours
    named: set[int]
    values: Mapping[int, int] | None = None


def read_instances(
    data: bytes, labels: Sequence[InstanceLabel], size: tuple[int, int], picture_orientation: int = 1
) -> InstanceMap:
    """Read an instance map from PNG, TIFF, BMP, GIF or lossless WebP.

    Args:
        data: the file.
        labels: the label table; rows that do not occur in the map are no error, see `unseen`.
        size: (width, height) of the upright picture it belongs to.
        picture_orientation: how the picture's file asks to be turned.

    Returns:
        The map, its ids as described above, with a name for each id that occurs ("" if the table has none), and what
        is to be told of it.

    Raises:
        Problem: instances-unreadable, instances-mismatch, instances-empty, instances-too-many, image-too-large,
            image-animated, request-invalid (a label table that contradicts itself).
    """
    _check_table(labels)
    file = open_header(data, CALLED, MAP)
    _refuse_inexact(file)
    if file.pixels >= SMALL and sorted(file.size) != sorted(size):  # no turning makes it fit, nor need it be decoded
        raise _mismatch(file.size, 1, size, picture_orientation)
    with DECODING.hold(file.pixels):
        return _read(file, labels, size, picture_orientation)


def _read(
    file: ImageFile, labels: Sequence[InstanceLabel], size: tuple[int, int], picture_orientation: int
) -> InstanceMap:
    found, turned = _decoded(file, labels)
    ids = found.labels
    height, width = ids.shape
    if (width, height) != tuple(size):
        raise _mismatch((width, height), turned, size, picture_orientation)
    remarks = _remarks_on_turning(turned, picture_orientation)
    return _named(ids, found, labels, remarks)


def _decoded(file: ImageFile, labels: Sequence[InstanceLabel]) -> tuple[_Found, int]:
    """The map as the file has it, upright, and how the file asks to be turned."""
    image = file.decode()
    if has_sixteen_bit_colours(file) or image.mode in ("RGB", "RGBA"):
        found = _from_colours(file, image, labels)
    elif image.mode in ("P", "PA"):
        found = _from_palette(image, labels)
    else:
        found = _from_grey(file, image, labels)
    return replace(found, labels=np.ascontiguousarray(upright(found.labels, image))), orientation_of(image)


def _mismatch(size: tuple[int, int], turned: int, wanted: tuple[int, int], picture_orientation: int) -> Problem:
    detail = f"{CALLED} is {size[0]} × {size[1]} pixels and the picture {wanted[0]} × {wanted[1]}."
    if size != tuple(reversed(wanted)) or turned == picture_orientation:
        return Problem("instances-mismatch", detail)
    which, number = ("picture", picture_orientation) if picture_orientation != 1 else ("instance map", turned)
    detail += f" The {which} is stored turned (Exif orientation {number}) and counts upright; the other is not turned."
    return Problem("instances-mismatch", detail, "Save both upright in a picture editor, then make the map anew.")


def _remarks_on_turning(turned: int, picture_orientation: int) -> tuple[Warning, ...]:
    if turned == picture_orientation or picture_orientation == 1:
        return ()
    message = (
        f"The picture is stored turned (Exif orientation {picture_orientation}) and counts upright; the instance map "
        "is not turned."
    )
    hint = "If the objects are taken from wrong places, save the picture upright and make the map of that."
    return (Warning(code="instances-turned", message=message, hint=hint),)


def unseen(labels: Sequence[InstanceLabel], instances: InstanceMap) -> list[InstanceLabel]:
    """The rows of the label table that no pixel of the map belongs to: objects hidden or outside the picture."""
    return [label for label in labels if label.id not in instances.names]


def _refuse_inexact(file: ImageFile) -> None:
    """Refuse the kinds of file in which two objects could merge without a word."""
    if file.format in ("JPEG", "MPO"):
        raise Problem("instances-unreadable", f"{CALLED} is a JPEG, which mixes the colours along every edge.")
    wide_tiff = file.format == "TIFF" and file.raw_mode.startswith(("RGB", "CMYK")) and ";16" in file.raw_mode
    if wide_tiff or file.raw_mode.startswith("LA;16"):
        # Of these Pillow keeps the upper byte only.
        detail = f"{CALLED} is a {file.format} of a 16-bit kind that cannot be read exactly."
        hint = "Save it as PNG without transparency, or with 8 bits per channel."
        raise Problem("instances-unreadable", detail, hint)


def _check_table(labels: Sequence[InstanceLabel]) -> None:
    ids = Counter(label.id for label in labels)
    colours = Counter(label.color for label in labels if label.color is not None)
    for what, counts in (("id", ids), ("colour", colours)):
        for value, count in counts.items():
            if count > 1:
                detail = f"The label table has the {what} {value} {count} times."
                raise Problem("request-invalid", detail, f"Give each object its own {what}.")


def _from_grey(file: ImageFile, image: Image.Image, labels: Sequence[InstanceLabel]) -> _Found:
    """A map whose pixels are single numbers, which are the ids."""
    ids = _grey_ids(file, image)
    colours: Colours = {number: (float(number),) * 3 for number in occurring(ids)}
    return _Found(ids, {0: (0.0, 0.0, 0.0)} | colours, {label.id for label in labels})


def _grey_ids(file: ImageFile, image: Image.Image) -> Labels:
    if image.mode == "1":
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("L", "LA"):
        grey = np.asarray(image.getchannel("L")).astype(np.uint16)
        # Pillow stretches 2 and 4 bits to the range of 8; the stored number is the id.
        for raw_mode, step in (("L;2", 85), ("L;4", 17)):
            if file.raw_mode.startswith(raw_mode):
                grey //= np.uint16(step)
        if image.mode == "LA":
            grey[np.asarray(image.getchannel("A")) == 0] = 0
        return grey
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        numbers = np.asarray(image)
        if numbers.min() < 0 or numbers.max() > MAXIMUM_ID:
            detail = f"{CALLED} has values from {numbers.min()} to {numbers.max()}; ids go from 0 to {MAXIMUM_ID}."
            raise Problem("instances-unreadable", detail)
        return numbers.astype(np.uint16)
    raise Problem("instances-unreadable", f"{CALLED} has pixels of the kind {image.mode}, neither ids nor RGB.")


def _from_palette(image: Image.Image, labels: Sequence[InstanceLabel]) -> _Found:
    """A palette map: its indices are the ids, never its colours."""
    if image.mode == "PA":
        raise Problem("instances-unreadable", f"{CALLED} has a palette with a transparency of its own per pixel.")
    indices = np.asarray(image)
    used = np.unique(indices)
    colours = np.full((256, 3), 255, dtype=np.uint8)  # an index beyond the palette is no black
    palette = np.frombuffer(bytes(image.getpalette("RGB") or []), dtype=np.uint8).reshape(-1, 3)
    colours[: len(palette)] = palette[:256]
    black: NDArray[np.bool_] = np.logical_not(colours.any(axis=1))

    ids = np.arange(256, dtype=np.uint16)
    if not black[0] and black[used].any():
        ids[black] = 0
        ids[0] = FIRST_INDEX_AS_OBJECT
    transparency = image.info.get("transparency")
    if isinstance(transparency, int):
        ids[transparency] = 0
    elif isinstance(transparency, bytes):
        ids[: len(transparency)][np.frombuffer(transparency[:256], dtype=np.uint8) == 0] = 0
    background = [index for index in used if ids[index] == 0]
    shown: Colours = {0: _levels(colours[background[0]]) if background else (0.0, 0.0, 0.0)}
    shown |= {int(ids[index]): _levels(colours[index]) for index in used if ids[index] != 0}
    found: Labels = ids[indices]
    return _Found(found, shown, {label.id for label in labels})


def _levels(colour: NDArray[np.uint8]) -> tuple[float, float, float]:
    red, green, blue = (float(channel) for channel in colour)
    return red, green, blue


def _packed_strips(file: ImageFile, image: Image.Image) -> Iterator[tuple[slice, NDArray[np.uint64]]]:
    """A few rows at a time: the rows, and each pixel's colour as one number: red, green and blue of 16 bits each; 0
    where fully transparent.

    8-bit channels are multiplied by 257, as a program does that saves 8 bits as 16.
    """
    for rows, samples in sixteen_bit_strips(file, image) if has_sixteen_bit_colours(file) else _eight_bit_strips(image):
        wide = samples.astype(np.uint64)
        packed = wide[..., 0] << np.uint64(32) | wide[..., 1] << np.uint64(16) | wide[..., 2]
        if wide.shape[2] == 4:
            packed[wide[..., 3] == 0] = 0
        yield rows, packed


def _eight_bit_strips(image: Image.Image) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    width, height = image.size
    for top in range(0, height, STRIP):
        rows = slice(top, min(top + STRIP, height))
        yield rows, np.asarray(image.crop((0, rows.start, width, rows.stop)), dtype=np.uint16) * np.uint16(257)


def _from_colours(file: ImageFile, image: Image.Image, labels: Sequence[InstanceLabel]) -> _Found:
    """A map of colours; its labels count the colours in ascending order, and are no ids yet."""
    values = np.zeros(1, np.uint64)
    for _, packed in _packed_strips(file, image):
        values = np.union1d(values, packed.ravel()[_run_starts(packed.ravel())])
        _check_count(len(values) - 1)
    counted = np.empty(image.size[::-1], np.uint16)
    for rows, packed in _packed_strips(file, image):
        flat = packed.ravel()
        starts = _run_starts(flat)
        numbers = np.searchsorted(values, flat[starts]).astype(np.uint16)
        counted[rows] = np.repeat(numbers, np.diff(starts, append=flat.size)).reshape(packed.shape)
    by_label = {number: int(value) for number, value in enumerate(values)}
    colours = {
        number: ((value >> 32) / 257, (value >> 16 & 0xFFFF) / 257, (value & 0xFFFF) / 257)
        for number, value in by_label.items()
    }
    listed = _listed_colours(list(by_label.values())[1:], labels)
    named = {number for number, value in by_label.items() if value in listed}
    if len(_numbers(by_label, labels).keys() & {label.id for label in labels}) == len(by_label) - 1:
        named = set(by_label)  # every one has a row, be it by its colour or by the id that it gets
    return _Found(counted, colours, named, by_label)


def _run_starts(flat: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Where runs of one colour begin: few, where pixels are many."""
    return np.flatnonzero(np.diff(flat, prepend=~flat[:1]))


def _numbers(values: Mapping[int, int], labels: Sequence[InstanceLabel]) -> dict[int, int]:
    """Id -> label, of labels that are colours (label -> packed colour)."""
    coloured = {value: number for number, value in sorted(values.items()) if value != 0}
    listed = _listed_colours(list(coloured), labels)
    taken = {label.id for label in labels if label.color is not None}
    if len(taken) + len(coloured) - len(listed) > MAXIMUM_ID:
        raise Problem("instances-too-many", f"The label table leaves no id free for {len(coloured)} colours.")
    free = (number for number in range(1, MAXIMUM_ID + 1) if number not in taken)
    return {listed[value] if value in listed else next(free): label for value, label in coloured.items()}


def _listed_colours(coloured: Sequence[int], labels: Sequence[InstanceLabel]) -> dict[int, int]:
    """Packed colour -> id of the table's row, for those that have one.

    A row's colour has 8 bits per channel; of several 16-bit colours that round to it the nearest one is meant.
    """
    by_rounded: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for value in coloured:
        channels = [value >> shift & 0xFFFF for shift in (32, 16, 0)]
        rounded = tuple(round(channel / 257) for channel in channels)
        distance = sum(abs(channel - 257 * eight) for channel, eight in zip(channels, rounded, strict=True))
        by_rounded[rounded].append((distance, value))
    return {
        min(by_rounded[label.color])[1]: label.id
        for label in labels
        if label.color is not None and label.color in by_rounded
    }


def _named(ids: Labels, found: _Found, labels: Sequence[InstanceLabel], remarks: tuple[Warning, ...]) -> InstanceMap:
    """Number and name the labels that occur, after checking that they can be objects."""
    seen = occurring(ids) - {0}
    if not seen:
        raise Problem("instances-empty", f"{CALLED} has nothing but background.")
    _check_count(len(seen))
    _check_not_smoothed(ids, seen - found.named)
    colours = {number: colour for number, colour in found.colours.items() if number in seen | {0}}
    blends = fold_blends(ids, colours, found.named)
    remarks = (*remarks, *_remarks_on_blends(blends, found))
    remarks += _take_ground(ids, found, seen - set(blends))
    seen = occurring(ids) - {0}
    if found.values is not None:
        given = _numbers({label: found.values[label] for label in seen}, labels)
        table = np.zeros(max(seen) + 1, np.uint16)
        table[list(given.values())] = list(given)
        ids, seen = table[ids], set(given)
    names = {label.id: label.name for label in labels}
    return InstanceMap(ids, {number: names.get(number, "") for number in sorted(seen)}, remarks)


def _check_count(count: int) -> None:
    if count > MAXIMUM_INSTANCES:
        detail = f"{CALLED} has {count} different colours or values; {MAXIMUM_INSTANCES} objects are the limit."
        raise Problem("instances-too-many", detail)


def _check_not_smoothed(ids: Labels, unnamed: set[int]) -> None:
    """Refuse a map of which most labels are thin lines: there are too many blends to tell what they are blends of.

    A blend occurs along edges only, so it never fills 3 x 3 pixels. A few such objects may be real; a majority of
    many is not.
    """
    if len(unnamed) <= SMOOTHED_INSTANCES or min(ids.shape) < 3:
        return
    blends = unnamed - occurring(ids[1:-1, 1:-1], filled(ids))
    if len(blends) > SMOOTHED_INSTANCES and 2 * len(blends) > len(unnamed):
        detail = (
            f"{CALLED} has {len(unnamed)} different colours or values, and {len(blends)} of them occur in thin "
            "lines only: its edges are smoothed."
        )
        raise Problem("instances-too-many", detail)


def _remarks_on_blends(blends: Sequence[int], found: _Found) -> tuple[Warning, ...]:
    if not blends:
        return ()
    shown = ", ".join(_shown(number, found) for number in blends[:3]) + (", …" if len(blends) > 3 else "")
    what = f"{len(blends)} colours or values" if len(blends) > 1 else "One colour or value"
    message = f"{what} ({shown}) of the instance map lie between objects only, as smoothed edges do: no props of those."
    hint = "Save the map without smoothing; if one of them is an object, name it in the label table."
    return (Warning(code="instances-smoothed", message=message, hint=hint),)


def _take_ground(ids: Labels, found: _Found, seen: set[int]) -> tuple[Warning, ...]:
    """Unnamed labels that touch all four borders: background where there is no other, else a warning each."""
    borders = [set(np.unique(edge).tolist()) for edge in (ids[0], ids[-1], ids[:, 0], ids[:, -1])]
    around = sorted(set.intersection(*borders) & seen - found.named, key=lambda one: -int((ids == one).sum()))
    if min(ids.shape) < 3:
        return ()  # a line touches its own ends
    remarks = []
    has_ground = any(0 in border for border in borders)
    for number in around:
        shown = _shown(number, found)
        dark = found.values is not None and max(found.colours[number]) <= NEARLY_BLACK
        if seen != {number} and (dark or not has_ground):
            ids[ids == number] = 0
            seen, has_ground = seen - {number}, True
            message = f"{shown} of the instance map touches all four borders and counts as background."
            hint = "If it is an object, name it in the label table; paint the background black."
        else:
            message = f"{shown} of the instance map touches all four borders and counts as an object."
            hint = "If it is the background, paint it black."
        remarks.append(Warning(code="instances-ground", message=message, hint=hint))
    return tuple(remarks)


def _shown(number: int, found: _Found) -> str:
    """How a label is called in a sentence."""
    if found.values is None:
        return f"value {number}"
    return f"colour {', '.join(str(round(channel)) for channel in found.colours[number])}"
