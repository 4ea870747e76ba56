"""Bytes of a picture file to an array, trusting nothing.

The header is judged before anything is decoded, so a file of a few kilobytes that claims 20000 x 20000 pixels
costs nothing. Whatever a codec raises on hostile bytes becomes a `Problem` with a sentence.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.errors import Problem

Pixels = NDArray[np.uint8]

MAXIMUM_PIXELS = 64_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
ORIENTATION_TAG = 0x0112
PHOTOMETRIC_TAG = 262


@dataclass(frozen=True)
class Blame:
    """The codes for a file that is damaged and one that is cut off: pictures and maps have their own."""

    unreadable: str = "image-unreadable"
    truncated: str = "image-truncated"


PICTURE = Blame()


@dataclass(frozen=True)
class ImageFile:
    """A picture file whose header has been read and found acceptable; nothing is decoded yet.

    called: the user's name for it, fit to stand in a sentence.
    format: "PNG", "JPEG", "MPO", ...
    size: (width, height) as stored, before any EXIF rotation.
    raw_mode: how the samples lie in the file as Pillow says it ("RGB;16B", "L;4", ...); "" where it does not say.
    """

    data: bytes
    called: str
    blame: Blame
    format: str
    size: tuple[int, int]
    raw_mode: str

    def decode(self, raw_mode: str | None = None) -> Image.Image:
        """Decode the first frame, `raw_mode` in place of the file's own if given.

        Raises:
            Problem: a code of `blame`.
        """
        try:
            image = Image.open(io.BytesIO(self.data), formats=FORMATS)
            if raw_mode is not None:
                image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
            image.load()
        except Exception as error:
            raise unreadable(self.data, self.called, self.blame) from error
        return image


def clean_name(name: str, length: int = 60) -> str:
    """A user's file name fit to stand in a sentence: last path part, printable characters only, cut."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(character for character in last if character.isprintable()).strip()
    if len(printable) > length:
        printable = printable[: length - 1] + "…"
    return printable or "The file"


def open_header(data: bytes, name: str, blame: Blame = PICTURE) -> ImageFile:
    """Judge a picture file by its header; nothing of its size is allocated.

    Args:
        data: the file.
        name: what the user calls it; used in sentences only, never as a path.
        blame: codes for a damaged and for a truncated file.

    Raises:
        Problem: image-too-large, image-animated, or a code of `blame`.
    """
    called = clean_name(name)
    if not data:
        raise Problem(blame.truncated, f"{called} is empty (0 bytes).")
    # Pillow's WebP decoder allocates the whole canvas when it opens a file, so its size is read here.
    _check_size(_webp_size(data), called)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        size, form = image.size, image.format or ""
        # Telephones append further pictures to a JPEG (format MPO); the first one is the photograph.
        animated = bool(getattr(image, "is_animated", False)) and form != "MPO"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(f"{called} has far more than {MAXIMUM_PIXELS // 10**6} megapixels.") from error
    except Exception as error:
        raise unreadable(data, called, blame) from error
    _check_size(size, called)
    if animated:
        raise Problem("image-animated", f"{called} is an animation or has several pages ({form}).")
    arguments = image.tile[0].args if image.tile else ""
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return ImageFile(data, called, blame, form, size, raw_mode if isinstance(raw_mode, str) else "")


def read_image(data: bytes, name: str) -> Pixels:
    """Read a picture of any allowed format as sRGB with straight alpha, upright.

    Embedded colour profiles are converted to sRGB, CMYK to RGB, 16 bits are scaled to 8 (rounded, not clipped),
    and the EXIF orientation is applied.

    Returns:
        HxWx4 uint8.

    Raises:
        Problem: image-too-large, image-truncated, image-unreadable, image-animated.
    """
    file = open_header(data, name)
    image = file.decode()
    try:
        colour, alpha = _colour_and_alpha(file, image)
        pixels = np.empty((*reversed(colour.size), 4), dtype=np.uint8)
        pixels[..., :3] = _to_srgb(colour, image.info.get("icc_profile"))
        pixels[..., 3] = 255 if alpha is None else alpha
    except Problem:
        raise
    except Exception as error:
        # A file can decode and still carry tables (palette, transparency) that make no sense.
        raise unreadable(data, file.called, file.blame) from error
    return np.ascontiguousarray(upright(pixels, image))


def sixteen_bit_colours(file: ImageFile) -> NDArray[np.uint16]:
    """The full samples of a 16-bit colour PNG, HxWx3 or HxWx4 uint16.

    Pillow keeps only the upper byte of each sample. Telling it that the samples are little-endian makes it keep the
    lower one instead; both together are the file.
    """
    upper = np.asarray(file.decode(), dtype=np.uint16)
    lower = np.asarray(file.decode(raw_mode=file.raw_mode.replace(";16B", ";16L")), dtype=np.uint16)
    return upper << np.uint16(8) | lower


def has_sixteen_bit_colours(file: ImageFile) -> bool:
    """Whether `sixteen_bit_colours` applies."""
    return file.format == "PNG" and file.raw_mode in ("RGB;16B", "RGBA;16B")


def upright(pixels: NDArray[Any], image: Image.Image) -> NDArray[Any]:
    """The array (HxW or HxWxC) turned as the EXIF orientation of `image` asks; a view where possible."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a damaged EXIF block is no reason to refuse the picture
        orientation = 1
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def unreadable(data: bytes, called: str, blame: Blame) -> Problem:
    """The problem of a file that a codec gave up on: cut off, damaged, or no picture at all."""
    kind = _kind(data)
    if kind is None:
        names = ", ".join(FORMATS[:-1])
        return Problem(blame.unreadable, f"{called} is not a picture that can be read ({names} and {FORMATS[-1]} can).")
    if _is_cut_off(data, kind):
        return Problem(blame.truncated, f"{called} ends in the middle: it is an incomplete {kind} file.")
    return Problem(blame.unreadable, f"{called} is a damaged {kind} file.")


def _check_size(size: tuple[int, int] | None, called: str) -> None:
    if size is None:
        return
    width, height = size
    if width * height > MAXIMUM_PIXELS:
        megapixels = width * height / 1e6
        raise _too_large(f"{called} is {width} × {height} pixels, {megapixels:.0f} megapixels.")


def _too_large(detail: str) -> Problem:
    return Problem("image-too-large", detail)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Canvas of a WebP file from its first chunk (RFC 9649, sections 2.5 to 2.7); None if it is no WebP."""
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _kind(data: bytes) -> str | None:
    """The format that the first bytes promise."""
    if data[:4] == b"RIFF":
        return "WebP" if b"WEBP".startswith(data[8:12]) else None
    signatures = {
        b"\x89PNG\r\n\x1a\n": "PNG",
        b"\xff\xd8": "JPEG",
        b"II*\0": "TIFF",
        b"MM\0*": "TIFF",
        b"BM": "BMP",
        b"GIF8": "GIF",
    }
    return next((kind for signature, kind in signatures.items() if data.startswith(signature)), None)


def _is_cut_off(data: bytes, kind: str) -> bool:
    """Whether the end that the format demands is missing."""
    if kind == "PNG":
        return b"IEND" not in data[-64:]
    if kind == "JPEG":
        return b"\xff\xd9" not in data[-64:]
    if kind == "GIF":
        return not data.rstrip(b"\0").endswith(b";")
    if kind == "WebP":
        return len(data) < 12 or len(data) < 8 + int.from_bytes(data[4:8], "little")
    if kind == "BMP":
        return len(data) < int.from_bytes(data[2:6], "little")
    # A TIFF has no end mark: its directory usually comes last, and pixels that are missing are missing at the end.
    return True


def _colour_and_alpha(file: ImageFile, image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Colour as an 8-bit image in L, RGB or CMYK, and alpha as HxW or None."""
    transparent = image.info.get("transparency")
    if has_sixteen_bit_colours(file):
        samples = sixteen_bit_colours(file)
        alpha = _to_eight_bits(samples[..., 3]) if samples.shape[2] == 4 else None
        if alpha is None and transparent is not None:
            alpha = np.where((samples == np.array(transparent)).all(axis=2), 0, 255).astype(np.uint8)
        return Image.fromarray(_to_eight_bits(samples[..., :3])), alpha
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
