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
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.contract import MAXIMUM_INSTANCES, InstanceLabel
from backend.errors import Problem
from backend.imaging.reading import (
    Blame,
    ImageFile,
    has_sixteen_bit_colours,
    open_header,
    sixteen_bit_colours,
    upright,
)
from backend.shot import InstanceMap

MAXIMUM_ID = 65535
SMOOTHED_INSTANCES = 16
"""More unnamed instances than this without any solid spot, and in the majority, are the blur of smoothed edges."""

FIRST_INDEX_AS_OBJECT = 256
CALLED = "The instance map"
MAP = Blame(unreadable="instances-unreadable", truncated="instances-unreadable")

Labels = NDArray[np.uint16]


def read_instances(data: bytes, labels: Sequence[InstanceLabel], size: tuple[int, int]) -> InstanceMap:
    """Read an instance map from PNG, TIFF, BMP, GIF or lossless WebP.

    Args:
        data: the file.
        labels: the label table; rows that do not occur in the map are no error, see `unseen`.
        size: (width, height) of the picture it belongs to.

    Returns:
        The map, its ids as described above, with a name for each id that occurs ("" if the table has none).

    Raises:
        Problem: instances-unreadable, instances-mismatch, instances-empty, instances-too-many, image-too-large,
            image-animated, request-invalid (a label table that contradicts itself).
    """
    _check_table(labels)
    file = open_header(data, CALLED, MAP)
    _refuse_inexact(file)
    image = file.decode()
    if has_sixteen_bit_colours(file) or image.mode in ("RGB", "RGBA"):
        ids = _from_colours(_packed_colours(file, image), labels)
    elif image.mode in ("P", "PA"):
        ids = _from_palette(image)
    else:
        ids = _from_grey(file, image)
    ids = np.ascontiguousarray(upright(ids, image))
    height, width = ids.shape
    if (width, height) != tuple(size):
        detail = f"{CALLED} is {width} × {height} pixels and the picture {size[0]} × {size[1]}."
        raise Problem("instances-mismatch", detail)
    return _named(ids, labels)


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


def _from_grey(file: ImageFile, image: Image.Image) -> Labels:
    """Ids of a map whose pixels are single numbers."""
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


def _from_palette(image: Image.Image) -> Labels:
    """Ids of a palette map: its indices, never its colours."""
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
    labels: Labels = ids[indices]
    return labels


def _packed_colours(file: ImageFile, image: Image.Image) -> NDArray[np.uint64]:
    """Each pixel's colour as one number: red, green and blue of 16 bits each; 0 where fully transparent.

    8-bit channels are multiplied by 257, as a program does that saves 8 bits as 16.
    """
    if has_sixteen_bit_colours(file):
        samples = sixteen_bit_colours(file).astype(np.uint64)
    else:
        samples = np.asarray(image).astype(np.uint64) * np.uint64(257)
    packed = samples[..., 0] << np.uint64(32) | samples[..., 1] << np.uint64(16) | samples[..., 2]
    if samples.shape[2] == 4:
        packed[samples[..., 3] == 0] = 0
    return packed


def _from_colours(packed: NDArray[np.uint64], labels: Sequence[InstanceLabel]) -> Labels:
    """Ids of packed colours."""
    flat = packed.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))  # runs of one colour: few, where pixels are many
    values, inverse = np.unique(flat[starts], return_inverse=True)
    coloured = [int(value) for value in values if value != 0]
    _check_count(len(coloured))
    listed = _listed_colours(coloured, labels)
    taken = {label.id for label in labels if label.color is not None}
    if len(taken) + len(coloured) - len(listed) > MAXIMUM_ID:
        raise Problem("instances-too-many", f"The label table leaves no id free for {len(coloured)} colours.")
    free = (number for number in range(1, MAXIMUM_ID + 1) if number not in taken)
    numbers = {0: 0} | {value: listed[value] if value in listed else next(free) for value in coloured}
    ids = np.array([numbers[int(value)] for value in values], dtype=np.uint16)
    return np.repeat(ids[inverse], np.diff(starts, append=flat.size)).reshape(packed.shape)


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


def _named(ids: Labels, labels: Sequence[InstanceLabel]) -> InstanceMap:
    """Name the ids that occur, after checking that they can be objects."""
    occurring = [int(number) for number in np.flatnonzero(np.bincount(ids.ravel())) if number > 0]
    if not occurring:
        raise Problem("instances-empty", f"{CALLED} has nothing but background.")
    _check_count(len(occurring))
    names = {label.id: label.name for label in labels}
    _check_not_smoothed(ids, set(occurring) - set(names))
    return InstanceMap(ids, {number: names.get(number, "") for number in occurring})


def _check_count(count: int) -> None:
    if count > MAXIMUM_INSTANCES:
        detail = f"{CALLED} has {count} different colours or values; {MAXIMUM_INSTANCES} objects are the limit."
        raise Problem("instances-too-many", detail)


def _check_not_smoothed(ids: Labels, unnamed: set[int]) -> None:
    """Refuse a map with smoothed edges, whose blends would each become an object.

    A blend occurs along edges only, so it never fills 3 x 3 pixels. A few such objects may be real; a majority of
    many is not.
    """
    if len(unnamed) <= SMOOTHED_INSTANCES or min(ids.shape) < 3:
        return
    across: NDArray[np.bool_] = (ids[:, 1:-1] == ids[:, :-2]) & (ids[:, 1:-1] == ids[:, 2:])
    solid: NDArray[np.bool_] = across[1:-1] & across[:-2] & across[2:]
    solid &= (ids[1:-1, 1:-1] == ids[:-2, 1:-1]) & (ids[1:-1, 1:-1] == ids[2:, 1:-1])
    blends = unnamed - {int(number) for number in np.unique(ids[1:-1, 1:-1][solid])}
    if len(blends) > SMOOTHED_INSTANCES and 2 * len(blends) > len(unnamed):
        detail = (
            f"{CALLED} has {len(unnamed)} different colours or values, and {len(blends)} of them occur in thin "
            "lines only: its edges are smoothed."
        )
        raise Problem("instances-too-many", detail)
