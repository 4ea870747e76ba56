"""Pictures: every allowed kind comes in right, everything else gets a sentence."""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from backend.errors import Problem
from backend.imaging.reading import clean_name, read_image
from tests.backend.imaging.pictures import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, chunk, png, saved

GRADIENT = np.dstack([*np.meshgrid(np.arange(0, 256, 8), np.arange(0, 256, 16)), np.full((16, 32), 77)]).astype(
    np.uint8
)


def code_of(data: bytes, name: str = "chair.png") -> str:
    with pytest.raises(Problem) as caught:
        read_image(data, name)
    return caught.value.code


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_every_allowed_format_is_read_upright_and_opaque(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {"quality": 95} if form == "JPEG" else {}
    pixels = read_image(saved(Image.fromarray(GRADIENT), form, **options), "picture")
    assert pixels.shape == (16, 32, 4) and pixels.dtype == np.uint8
    assert (pixels[..., 3] == 255).all()
    tolerance = {"JPEG": 40, "GIF": 40}.get(form, 0)  # GIF has 256 colours
    assert np.abs(pixels[..., :3].astype(int) - GRADIENT).max() <= tolerance


@pytest.mark.parametrize("form", ["PPM", "TGA", "ICO", "PCX", "DDS"])
def test_formats_that_are_not_allowed_are_refused_although_pillow_knows_them(form: str) -> None:
    assert code_of(saved(Image.fromarray(GRADIENT), form)) == "image-unreadable"


@pytest.mark.parametrize("data", [b"hello", b"\0" * 1000, b"%!PS-Adobe-3.0 EPSF-3.0\n", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_picture_is_unreadable(data: bytes) -> None:
    assert code_of(data) == "image-unreadable"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_a_cut_off_file_is_called_so(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), form)
    assert code_of(data[: int(len(data) * share)]) == "image-truncated"


def test_an_empty_file_is_cut_off() -> None:
    assert code_of(b"") == "image-truncated"


def test_a_damaged_but_complete_file_is_unreadable() -> None:
    data = bytearray(saved(Image.fromarray(GRADIENT)))
    middle = len(data) // 2
    data[middle : middle + 20] = b"\xff" * 20
    assert code_of(bytes(data)) == "image-unreadable"


def vp8x_webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8l_webp(width: int, height: int) -> bytes:
    body = b"WEBPVP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + b"\0" * 5
    return b"RIFF" + struct.pack("<I", len(body)) + body


def giant_bmp() -> bytes:
    data = bytearray(saved(Image.fromarray(GRADIENT), "BMP"))
    data[18:26] = struct.pack("<ii", 20000, 20000)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        png(np.zeros((1, 1)), size=(20000, 20000)),
        png(np.zeros((1, 1)), size=(10000, 8000)),
        png(np.zeros((1, 1)), size=(12000, 8000)),
        vp8x_webp(16000, 16000),
        vp8l_webp(16000, 16000),
        giant_bmp(),
    ],
    ids=["400 MP", "80 MP", "96 MP", "WebP VP8X", "WebP VP8L", "BMP"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_by_its_header_without_allocating(data: bytes) -> None:
    tracemalloc.start()
    try:
        assert code_of(data) == "image-too-large"
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_the_largest_allowed_picture_is_not_refused_for_its_size() -> None:
    assert code_of(png(np.zeros((1, 1)), size=(8000, 8000))) != "image-too-large"


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused(form: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 128, 255)]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:])
    assert code_of(data) == "image-animated"


def test_a_photograph_with_a_second_picture_inside_is_the_photograph() -> None:
    photograph, preview = Image.fromarray(GRADIENT), Image.fromarray(GRADIENT[::4, ::4])
    data = saved(photograph, "MPO", save_all=True, append_images=[preview])
    assert read_image(data, "phone.jpg").shape == (16, 32, 4)


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    samples = np.array([[0, 128, 257, 32896, 65280, 65535]])
    expected = np.rint(samples / 257).astype(int)
    assert read_image(png(samples, GREY, 16), "grey")[0, :, 0].tolist() == expected[0].tolist()
    tiff = saved(Image.fromarray(samples.astype(np.uint16)), "TIFF")
    assert read_image(tiff, "grey")[0, :, 0].tolist() == expected[0].tolist()


def test_sixteen_bit_tiff_in_which_white_is_zero_is_not_a_negative() -> None:
    samples = np.array([[0, 65535, 1000]], dtype=np.uint16)
    data = saved(Image.fromarray(samples), "TIFF", tiffinfo={262: 0})
    expected = (255 - samples // 257).tolist()
    assert np.abs(read_image(data, "scan")[..., 0] - np.array(expected)).max() <= 1


@pytest.mark.parametrize(("kind", "channels"), [(RGB, 3), (RGBA, 4), (GREY_ALPHA, 2)])
def test_sixteen_bit_colours_are_scaled(kind: int, channels: int) -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (5, 7, channels))
    pixels = read_image(png(samples, kind, 16), "deep").astype(int)
    colours = pixels[..., [0, 3]] if kind == GREY_ALPHA else pixels[..., :channels]
    assert np.abs(colours - samples / 257).max() <= 1


def test_a_transparent_colour_of_a_sixteen_bit_picture_is_that_colour_only() -> None:
    samples = np.array([[[1000, 2000, 3000], [1001, 2000, 3000]]])
    pixels = read_image(png(samples, RGB, 16, chunk(b"tRNS", struct.pack(">HHH", 1000, 2000, 3000))), "key")
    assert pixels[0, :, 3].tolist() == [0, 255]
    grey = read_image(png(samples[..., 0], GREY, 16, chunk(b"tRNS", struct.pack(">H", 1000))), "key")
    assert grey[0, :, 3].tolist() == [0, 255]


def test_palette_transparency_becomes_alpha() -> None:
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])) + chunk(b"tRNS", bytes([0, 128]))
    pixels = read_image(png([[0, 1, 2]], PALETTE, 8, palette), "palette")
    assert pixels[0].tolist() == [[255, 0, 0, 0], [0, 255, 0, 128], [0, 0, 255, 255]]


def test_one_bit_and_grey_with_alpha() -> None:
    assert read_image(png([[0, 1]], GREY, 1), "bitmap")[0].tolist() == [[0, 0, 0, 255], [255, 255, 255, 255]]
    pixels = read_image(png([[[10, 20], [30, 40]]], GREY_ALPHA), "LA")
    assert pixels[0].tolist() == [[10, 10, 10, 20], [30, 30, 30, 40]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_that_are_no_colours_are_refused(mode: str) -> None:
    assert code_of(saved(Image.new(mode, (4, 4), 7), "TIFF")) == "image-unreadable"


def test_cmyk_is_converted_and_not_inverted() -> None:
    orange = Image.new("CMYK", (16, 16), (0, 128, 255, 0))
    pixels = read_image(saved(orange, "JPEG", quality=95), "print.jpg")
    red, green, blue = pixels[8, 8, :3].astype(int)
    assert red > 230 and 90 < green < 170 and blue < 40


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int, form: str) -> None:
    upright = np.zeros((2, 3, 3), np.uint8)
    upright[0, 0] = (255, 0, 0)
    upright[1, 2] = (0, 255, 0)
    # What a camera stores so that a viewer that obeys `orientation` shows `upright`.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read_image(saved(Image.fromarray(np.ascontiguousarray(stored)), form, exif=exif), "phone")
    assert pixels.shape == (2, 3, 4)
    assert (pixels[..., :3] == upright).all()


def test_a_colour_profile_is_converted_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.new("RGB", (4, 4), (200, 100, 50))
    unchanged = read_image(saved(grey, icc_profile=srgb), "srgb.png")
    assert np.abs(unchanged[0, 0, :3].astype(int) - (200, 100, 50)).max() <= 1
    # A profile of another colour space than the picture's is of no use and is ignored.
    ignored = read_image(saved(grey, icc_profile=lab.tobytes()), "lab.png")
    assert ignored[0, 0, :3].tolist() == [200, 100, 50]
    assert read_image(saved(grey, icc_profile=b"nonsense"), "odd.png")[0, 0, :3].tolist() == [200, 100, 50]
    # sRGB's profile with a linear curve: the same numbers mean lighter colours.
    linear = read_image(saved(grey, icc_profile=with_linear_curves(srgb)), "linear.png")
    expected = [encoded(channel / 255) for channel in (200, 100, 50)]
    assert np.abs(linear[0, 0, :3].astype(int) - expected).max() <= 2


def encoded(linear: float) -> float:
    """sRGB's curve, IEC 61966-2-1."""
    return 255 * (1.055 * linear ** (1 / 2.4) - 0.055)


def with_linear_curves(profile: bytes) -> bytes:
    """An ICC profile with its tone curves replaced by straight lines (ICC.1, 10.6: a curve of no entries)."""
    data = bytearray(profile)
    (count,) = struct.unpack(">I", data[128:132])
    for index in range(count):
        name, offset, size = struct.unpack(">4sII", data[132 + 12 * index : 144 + 12 * index])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + size] = (b"curv" + b"\0" * 8).ljust(size, b"\0")
    return bytes(data)


@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]), st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_are_the_answer_is_a_picture_or_a_problem(junk: bytes, form: str, position: int) -> None:
    data = bytearray(saved(Image.fromarray(GRADIENT), form))
    position = min(position, len(data))
    data[position : position + len(junk)] = junk
    try:
        pixels = read_image(bytes(data), "junk")
    except Problem as problem:
        assert problem.code.startswith("image-")
    else:
        assert pixels.ndim == 3 and pixels.shape[2] == 4


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\chair.png", "chair.png"),
        ("a\nb\x00c\u202e.png", "abc.png"),
        ("", "The file"),
        ("x" * 300, "x" * 59 + "…"),
    ],
)
def test_names_are_cut_and_cleaned_before_they_stand_in_a_sentence(name: str, shown: str) -> None:
    assert clean_name(name) == shown
    with pytest.raises(Problem) as caught:
        read_image(b"nothing", name)
    assert caught.value.detail.startswith(shown)


def test_reading_leaves_the_limits_of_pillow_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    read_image(saved(Image.fromarray(GRADIENT)), "picture")
    assert before == Image.MAX_IMAGE_PIXELS
    with Image.open(io.BytesIO(saved(Image.fromarray(GRADIENT), "PPM"))) as image:
        assert image.format == "PPM"
