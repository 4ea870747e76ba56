"""Pictures: every allowed kind comes in right, everything else gets a sentence."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from backend.errors import Problem
from backend.imaging.budget import PixelBudget
from backend.imaging.headers import clean_name
from backend.imaging.reading import check_picture, read_image, read_picture
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


@pytest.mark.parametrize("size", [(1, 64_000_000), (65_537, 2), (2, 65_537)])
def test_a_side_that_no_camera_can_have_is_refused_by_the_header(size: tuple[int, int]) -> None:
    data = png(np.zeros((1, 1)), size=size)
    began = time.process_time()
    with pytest.raises(Problem, match="no side may have more than 65536") as caught:
        check_picture(data, "strip.png")
    assert time.process_time() - began < 0.05
    assert caught.value.code == "image-too-large" and str(max(size)) in caught.value.detail


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


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_large_picture_is_reduced_to_what_it_would_be_if_it_were_reduced_afterwards(
    form: str, orientation: int
) -> None:
    rows, columns = np.mgrid[0:600, 0:800]
    pixels = np.dstack([columns // 4, rows // 3, 128 + 100 * np.sin(columns / 40)]).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(pixels), form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    whole = read_picture(data, "large")
    small = read_picture(data, "large", 200)
    assert small.size == whole.size == ((600, 800) if orientation == 6 else (800, 600))
    assert small.pixels.shape == ((200, 150, 4) if orientation == 6 else (150, 200, 4))
    height, width = small.pixels.shape[:2]
    mean = whole.pixels.reshape(height, 4, width, 4, 4).mean(axis=(1, 3))
    assert np.abs(small.pixels - mean).max() < 12 and np.abs(small.pixels - mean).mean() < 1.5
    seen = check_picture(data, "large")
    assert (seen.size, seen.orientation, seen.empty) == (small.size, small.orientation, False)
    assert read_picture(data, "large", 800).pixels.shape == whole.pixels.shape


def test_reducing_leaves_no_fringe_of_what_lies_under_transparency() -> None:
    pixels = np.zeros((400, 400, 4), np.uint8)
    pixels[..., :3] = (0, 255, 0)  # a green screen that was keyed out
    pixels[101:299, 101:299] = (200, 100, 50, 255)
    small = read_picture(saved(Image.fromarray(pixels)), "cut-out", 100).pixels
    seen = small[..., 3] > 20
    assert (small[..., 3] == 255).sum() >= 48 * 48 and (small[seen][:, 3] < 255).any()
    assert np.abs(small[seen][:, :3].astype(int) - (200, 100, 50)).max() <= 4


def test_sixteen_bits_are_reduced_from_all_of_them() -> None:
    random = np.random.default_rng(1)
    samples = random.integers(0, 65536, (512, 300, 4))
    samples[..., 3] = 65535
    data = png(samples, RGBA, 16)
    small = read_picture(data, "deep", 128).pixels
    assert small.shape == (128, 75, 4)
    mean = samples.reshape(128, 4, 75, 4, 4).mean(axis=(1, 3)) / 257
    assert np.abs(small[..., :3] - mean[..., :3]).mean() < 10 and (small[..., 3] == 255).all()
    whole = read_picture(data, "deep").pixels
    assert (whole == (samples * 255 + 32767) // 65535).all()


def test_several_large_pictures_wait_for_each_other() -> None:
    budget, together, most = PixelBudget(10_000_000), [0], [0]
    lock = threading.Lock()

    def decode(pixels: int) -> None:
        with budget.hold(pixels):
            with lock:
                together[0] += pixels
                most[0] = max(most[0], together[0])
            time.sleep(0.02)
            with lock:
                together[0] -= pixels

    sizes = [6_000_000, 5_000_000, 64_000_000, 3_000_000, 4_000_000, 6_000_000]
    threads = [threading.Thread(target=decode, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert most[0] == 64_000_000, "what is larger than all there is comes in alone"
    with budget.hold(10_000_000), budget.hold(1_000_000):
        pass  # a small one waits for nobody


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory it was")
def test_six_large_pictures_at_once_need_the_memory_of_one() -> None:
    program = (
        "import re, sys, threading\n"
        "from backend.imaging.reading import check_picture\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024\n"
        "data = sys.stdin.buffer.read()\n"
        "before = peak()\n"
        "threads = [threading.Thread(target=check_picture, args=(data, 'large')) for _ in range(6)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "print(peak() - before)"
    )
    data = saved(Image.new("RGB", (7000, 7000), (200, 30, 20)), compress_level=1)
    run = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, timeout=60, cwd=Path(__file__).parents[3]
    )
    assert run.returncode == 0, run.stderr.decode()
    assert 150 < int(run.stdout) < 300, "49 megapixels are 196 MB once, and 1.2 GB six times"
