"""Picture files judged by their headers, and decoded; trusting nothing.

The header is judged before anything is decoded, so a file of a few kilobytes that claims 20000 x 20000 pixels
costs nothing. Whatever a codec raises on hostile bytes becomes a `Problem` with a sentence.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from PIL import Image

from backend.errors import Problem

MAXIMUM_PIXELS = 64_000_000
MAXIMUM_WEBP_PIXELS = 48_000_000
"""Their decoder keeps two canvases beside the picture."""

MAXIMUM_SIDE = 65_536
BLOCK = 64 * 1024 * 1024
"""Bytes of the blocks of which Pillow makes large pictures. From 32 MB on the C library has each from the system and
gives it back at once; smaller ones stay with the thread that had them, so that every thread would keep a picture."""

Image.core.set_block_size(BLOCK)  # type: ignore[attr-defined]

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")


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

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    def decode(self, raw_mode: str | None = None, least: tuple[int, int] | None = None) -> Image.Image:
        """Decode the first frame, `raw_mode` in place of the file's own if given.

        least: a JPEG may come at half, a quarter or an eighth of its size, but not smaller than this (width, height);
            its every byte is read all the same.

        Raises:
            Problem: a code of `blame`.
        """
        try:
            image = Image.open(io.BytesIO(self.data), formats=FORMATS)
            if least is not None:
                image.draft(None, least)
            if raw_mode is not None:
                image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
            image.load()
            if self.format == "WEBP":
                vars(image).pop("_decoder", None)  # with its canvases, which Pillow keeps as long as the picture
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
    canvas = _webp_size(data)
    _check_size(canvas, called)
    if canvas is not None and canvas[0] * canvas[1] > MAXIMUM_WEBP_PIXELS:
        megapixels = canvas[0] * canvas[1] / 1e6
        most = MAXIMUM_WEBP_PIXELS // 10**6
        detail = f"{called} is a WebP of {megapixels:.0f} megapixels; {most} are the limit of this format."
        raise Problem("image-too-large", detail, "Save it as PNG or JPEG, or scale it down.")
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
    if max(size) > MAXIMUM_SIDE:
        detail = f"{called} is {width} × {height} pixels; no side may have more than {MAXIMUM_SIDE}."
        raise Problem("image-too-large", detail, "Cut it into pieces, or scale it down.")
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
