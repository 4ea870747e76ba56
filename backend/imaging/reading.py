"""A picture file to an array: sRGB, straight alpha, upright, and no larger than it is used."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.errors import Problem
from backend.imaging.budget import PixelBudget
from backend.imaging.headers import MAXIMUM_PIXELS, ImageFile, open_header, unreadable
from backend.imaging.reducing import fitting, reduce_colours

Pixels = NDArray[np.uint8]

DECODING = PixelBudget(MAXIMUM_PIXELS)
"""What this process decodes at once."""

GLANCE = 256
"""Longer side at which a picture is looked at that is only checked."""

STRIP = 256
"""Rows that are worked on at once where a whole picture in wider numbers would be too much."""

VISIBLE = 13
"""Alpha from which on, 5 %, there is something to be seen; below it is what is left of an eraser."""

ORIENTATION_TAG = 0x0112
ON_ITS_SIDE = (5, 6, 7, 8)
"""Orientations that make rows columns."""

PHOTOMETRIC_TAG = 262


@dataclass(frozen=True)
class Seen:
    """What a picture file is, found out by decoding it.

    size: (width, height) of the upright picture, as the file has it.
    orientation: how the file asks to be turned, 1 to 8 of Exif; 1 for a TIFF, which its codec turns.
    empty: whether it is transparent everywhere.
    """

    size: tuple[int, int]
    orientation: int
    empty: bool


@dataclass(frozen=True)
class Picture(Seen):
    """A picture that was read.

    pixels: HxWx4 uint8, sRGB, straight alpha, upright; smaller than `size` where that was asked for.
    """

    pixels: Pixels


def read_image(data: bytes, name: str) -> Pixels:
    """The pixels of `read_picture`, HxWx4 uint8, at the file's own size."""
    return read_picture(data, name).pixels


def read_picture(data: bytes, name: str, side: int | None = None) -> Picture:
    """Read a picture of any allowed format as sRGB with straight alpha, upright.

    Embedded colour profiles are converted to sRGB, CMYK to RGB, 16 bits are scaled to 8 (rounded, not clipped),
    and the orientation that Exif or XMP tells of is applied.

    Args:
        side: pixels that the longer side may have; a larger picture is reduced while it is read. None: any number.

    Raises:
        Problem: image-too-large, image-truncated, image-unreadable, image-animated.
    """
    file = open_header(data, name)
    with DECODING.hold(file.pixels):
        return _read(file, side)


def _read(file: ImageFile, side: int | None) -> Picture:
    """What is decoded is gone when this returns, before another picture has its turn."""
    target = fitting(file.size, side)
    image = file.decode(least=None if target == file.size else target)
    try:
        colour, alpha = _colour_and_alpha(file, image)
        if colour.size != target:
            colour, alpha = reduce_colours(colour, alpha, target)
        pixels = np.empty((*reversed(colour.size), 4), dtype=np.uint8)
        pixels[..., :3] = _to_srgb(colour, image.info.get("icc_profile"))
        pixels[..., 3] = 255 if alpha is None else alpha
    except Problem:
        raise
    except Exception as error:
        # A file can decode and still carry tables (palette, transparency) that make no sense.
        raise unreadable(file.data, file.called, file.blame) from error
    turned = orientation_of(image)
    empty = alpha is not None and int(pixels[..., 3].max()) < VISIBLE
    return Picture(_upright_size(file, turned), turned, empty, np.ascontiguousarray(_turned(pixels, turned)))


def check_picture(data: bytes, name: str) -> Seen:
    """What `read_picture` would find, without its pixels: every byte is decoded, and a small copy looked at.

    Raises:
        Problem: as `read_picture`.
    """
    file = open_header(data, name)
    with DECODING.hold(file.pixels):
        return _check(file)


def _check(file: ImageFile) -> Seen:
    image = file.decode(least=fitting(file.size, GLANCE))
    try:
        highest = _highest_alpha(image)
        small = image.resize(fitting(image.size, GLANCE), Image.Resampling.NEAREST)
        small.info = image.info
        if not has_sixteen_bit_colours(file):
            _colour_and_alpha(file, small)
    except Problem:
        raise
    except Exception as error:
        raise unreadable(file.data, file.called, file.blame) from error
    turned = orientation_of(image)
    return Seen(_upright_size(file, turned), turned, highest < VISIBLE)


def _upright_size(file: ImageFile, orientation: int) -> tuple[int, int]:
    return (file.size[1], file.size[0]) if orientation in ON_ITS_SIDE else file.size


def _highest_alpha(image: Image.Image) -> int:
    """The highest alpha of a decoded picture, 0 to 255; 255 where none is kept per pixel or palette entry."""
    if image.mode in ("LA", "RGBA"):
        return int(np.asarray(image.getchannel("A").getextrema())[1])
    if image.mode in ("P", "PA") and image.has_transparency_data:
        return int(np.asarray(image.convert("RGBA").getchannel("A").getextrema())[1])
    return 255


def sixteen_bit_strips(file: ImageFile, upper: Image.Image) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """The full samples of a 16-bit colour PNG, a few rows at a time: the rows, and RxWx3 or RxWx4 uint16.

    Pillow keeps only the upper byte of each sample, in `upper`. Telling it that the samples are little-endian makes it
    keep the lower one instead; both together are the file.
    """
    lower = file.decode(raw_mode=file.raw_mode.replace(";16B", ";16L"))
    width, height = file.size
    for top in range(0, height, STRIP):
        rows = slice(top, min(top + STRIP, height))
        box = (0, rows.start, width, rows.stop)
        high = np.asarray(upper.crop(box), dtype=np.uint16)
        yield rows, high << np.uint16(8) | np.asarray(lower.crop(box), dtype=np.uint16)


def has_sixteen_bit_colours(file: ImageFile) -> bool:
    """Whether `sixteen_bit_strips` applies."""
    return file.format == "PNG" and file.raw_mode in ("RGB;16B", "RGBA;16B")


def orientation_of(image: Image.Image) -> int:
    """The orientation, 1 to 8, that Exif, or else XMP, asks for; 1 if none does."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a damaged EXIF block is no reason to refuse the picture
        orientation = 1
    return orientation if orientation in range(1, 9) else 1


def upright(pixels: NDArray[Any], image: Image.Image) -> NDArray[Any]:
    """The array (HxW or HxWxC) turned as `image` asks; a view where possible."""
    return _turned(pixels, orientation_of(image))


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    if orientation in ON_ITS_SIDE:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _colour_and_alpha(file: ImageFile, image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Colour as an 8-bit image in L, RGB or CMYK, and alpha as HxW or None."""
    transparent = image.info.get("transparency")
    if has_sixteen_bit_colours(file):
        return _from_sixteen_bits(file, image, transparent)
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16)
        alpha = None if transparent is None else np.where(grey == transparent, 0, 255).astype(np.uint8)
        white = 4095 if file.raw_mode.startswith("I;12") else 65535
        if file.format == "TIFF" and getattr(image, "tag_v2", {}).get(PHOTOMETRIC_TAG) == 0:
            grey = white - grey  # "white is zero", which Pillow heeds for 8 bits but not for 16
        return Image.fromarray(_to_eight_bits(grey, white)), alpha
    if image.mode in ("I", "F"):
        detail = f"{file.called} stores 32-bit numbers, not colours."
        raise Problem(file.blame.unreadable, detail, "Save it with 8 or 16 bits per channel.")
    if image.mode == "LA":
        return image.getchannel("L"), np.asarray(image.getchannel("A"))
    if image.has_transparency_data:
        straight = image.convert("RGBA")
        return straight.convert("RGB"), np.asarray(straight.getchannel("A"))
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB"), None


def _from_sixteen_bits(
    file: ImageFile, image: Image.Image, transparent: Any
) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Colour and alpha of a 16-bit colour PNG, of which `image` has the upper bytes."""
    width, height = file.size
    pixels = np.empty((height, width, 4), np.uint8)
    has_alpha = image.mode == "RGBA"
    for rows, samples in sixteen_bit_strips(file, image):
        pixels[rows, :, : samples.shape[2]] = _to_eight_bits(samples)
        if not has_alpha and transparent is not None:
            pixels[rows, :, 3] = np.where((samples == np.array(transparent)).all(axis=2), 0, 255)
    alpha = pixels[..., 3] if has_alpha or transparent is not None else None
    return Image.fromarray(np.ascontiguousarray(pixels[..., :3])), alpha


def _to_eight_bits(samples: NDArray[np.uint16], white: int = 65535) -> Pixels:
    """Scale 0..white to 0..255, rounded."""
    scaled = (samples.astype(np.uint32) * 255 + white // 2) // white
    return np.minimum(scaled, 255).astype(np.uint8)


def _to_srgb(colour: Image.Image, profile: Any) -> Pixels:
    """HxWx3 uint8 sRGB of an image in L, RGB or CMYK, through its embedded profile if there is a usable one.

    A profile that is damaged or made for another kind of image is ignored, as viewers do.
    """
    if isinstance(profile, bytes) and profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                colour,
                source,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if converted is not None:
                return np.asarray(converted)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            return np.asarray(colour.convert("RGB"))
    return np.asarray(colour.convert("RGB"))
