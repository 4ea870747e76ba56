"""Instance maps: exact values become ids, in every kind of file; never brightness."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from backend.contract import InstanceLabel
from backend.errors import Problem
from backend.imaging.instances import read_instances, unseen
from backend.imaging.reading import read_image
from backend.shot import InstanceMap
from tests.backend.imaging.pictures import DATA, GREY, GREY_ALPHA, PALETTE, RGB, RGBA, chunk, png, saved

SCENES = sorted((DATA / "scenes").glob("*_seg.png"))


def read(data: bytes, *labels: InstanceLabel, size: tuple[int, int] | None = None) -> InstanceMap:
    with Image.open(io.BytesIO(data)) as image:
        size = size or image.size
    return read_instances(data, labels, size)


def code_of(data: bytes, *labels: InstanceLabel, size: tuple[int, int] | None = None) -> str:
    with pytest.raises(Problem) as caught:
        read(data, *labels, size=size)
    return caught.value.code


def palette(*colours: tuple[int, int, int], alpha: bytes = b"") -> bytes:
    table = chunk(b"PLTE", bytes(channel for colour in colours for channel in colour))
    return table + (chunk(b"tRNS", alpha) if alpha else b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_grey_value_is_the_id_at_every_bit_depth(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (9, 11))
    values[0, :2] = 0, 2**bits - 1
    if bits > 4:
        values = values // 2 ** (bits - 3) * 2 ** (bits - 3) + values % 2 * (values > 0)
    result = read(png(values, GREY, bits))
    assert result.labels.dtype == np.uint16
    assert (result.labels == values).all()
    assert list(result.names) == sorted(set(values.ravel().tolist()) - {0})


def test_sixteen_bit_grey_tiff_keeps_its_ids() -> None:
    values = np.array([[0, 1, 300, 65535]], dtype=np.uint16)
    assert read(saved(Image.fromarray(values), "TIFF")).labels.tolist() == values.tolist()


def test_grey_with_alpha_is_background_where_transparent() -> None:
    assert read(png([[[5, 0], [5, 255], [0, 255], [7, 1]]], GREY_ALPHA)).labels.tolist() == [[0, 5, 0, 7]]


def test_a_palette_map_is_read_by_index_even_if_all_its_colours_are_equally_bright() -> None:
    table = palette((0, 0, 0), (90, 90, 90), (0, 153, 0), (90, 90, 90))
    assert read(png([[0, 1, 2, 3]], PALETTE, 8, table)).labels.tolist() == [[0, 1, 2, 3]]
    assert read(png([[0, 1, 2, 3]], PALETTE, 2, table)).labels.tolist() == [[0, 1, 2, 3]]


def test_a_palette_of_nothing_but_black_still_counts_by_index() -> None:
    assert read(png([[0, 1, 2]], PALETTE, 8, palette(*[(0, 0, 0)] * 3))).labels.tolist() == [[0, 1, 2]]


def test_in_a_sorted_palette_black_is_background_and_index_0_is_not_lost() -> None:
    table = palette((255, 0, 0), (0, 0, 0), (0, 255, 0))
    assert read(png([[0, 1, 2]], PALETTE, 8, table)).labels.tolist() == [[256, 0, 2]]


def test_index_0_is_background_whatever_its_colour_as_long_as_no_black_occurs() -> None:
    table = palette((120, 120, 120), (0, 0, 0), (0, 255, 0))
    assert read(png([[0, 0, 2]], PALETTE, 8, table)).labels.tolist() == [[0, 0, 2]]


def test_a_transparent_index_is_background() -> None:
    table = palette((0, 0, 0), (9, 9, 9), (8, 8, 8), alpha=bytes([255, 0]))
    assert read(png([[0, 1, 2]], PALETTE, 8, table)).labels.tolist() == [[0, 0, 2]]
    gif = Image.new("P", (2, 1))
    gif.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    gif.putpixel((0, 0), 1)
    gif.putpixel((1, 0), 2)
    assert read(saved(gif, "GIF", transparency=1, optimize=False)).labels.tolist() == [[0, 2]]


def test_an_index_beyond_the_palette_is_not_taken_for_black() -> None:
    assert read(png([[0, 5, 1]], PALETTE, 8, palette((1, 2, 3), (4, 5, 6)))).labels.tolist() == [[0, 5, 1]]


def test_colours_of_equal_brightness_stay_apart_and_are_numbered_by_value() -> None:
    # All three have the luma 76 (ITU-R 601), so a conversion to grey would merge them.
    row = [[0, 0, 0], [255, 0, 0], [76, 76, 76], [0, 130, 0], [255, 0, 0]]
    grey = np.asarray(Image.fromarray(np.array([row], np.uint8)).convert("L"))
    assert len(np.unique(grey)) == 2
    result = read(png([row], RGB))
    assert result.labels.tolist() == [[0, 3, 2, 1, 3]]
    assert result.names == {1: "", 2: "", 3: ""}


def test_the_label_table_gives_colours_their_ids_and_names() -> None:
    row = [[0, 0, 0], [255, 0, 0], [0, 0, 255], [0, 255, 0]]
    labels = (
        InstanceLabel(id=1, name="chair", color=(255, 0, 0)),
        InstanceLabel(id=900, name="lamp", color=(0, 0, 255)),
        InstanceLabel(id=2, name="the first colour without a row"),
        InstanceLabel(id=40, name="hidden", color=(1, 2, 3)),
    )
    result = read(png([row], RGB), *labels)
    assert result.labels.tolist() == [[0, 1, 900, 2]]
    assert result.names == {1: "chair", 2: "the first colour without a row", 900: "lamp"}
    assert [label.name for label in unseen(labels, result)] == ["hidden"]


def test_names_of_grey_and_palette_maps_go_by_id() -> None:
    labels = (InstanceLabel(id=7, name="chair"), InstanceLabel(id=9, name="out of sight"))
    result = read(png([[0, 7, 8]]), *labels)
    assert result.names == {7: "chair", 8: ""}
    assert [label.id for label in unseen(labels, result)] == [9]


def test_sixteen_bit_colours_that_share_their_upper_bytes_stay_apart() -> None:
    row = [[0, 0, 0], [4096, 0, 0], [4097, 0, 0], [1, 0, 0]]
    data = png([row], RGB, 16)
    with Image.open(io.BytesIO(data)) as image:
        assert len(np.unique(np.asarray(image))) == 2  # what Pillow alone would have made of it
    assert read(data).labels.tolist() == [[0, 2, 3, 1]]
    transparent = png([[[*colour, 65535 * (colour[0] != 1)] for colour in row]], RGBA, 16)
    assert read(transparent).labels.tolist() == [[0, 1, 2, 0]]


def test_the_nearest_sixteen_bit_colour_gets_the_row_of_the_table() -> None:
    row = [[0, 0, 0], [65535, 0, 0], [65530, 0, 0]]
    result = read(png([row], RGB, 16), InstanceLabel(id=5, name="red", color=(255, 0, 0)))
    assert result.labels.tolist() == [[0, 5, 1]]


def test_transparent_pixels_are_background() -> None:
    row = [[255, 0, 0, 0], [255, 0, 0, 255], [0, 9, 0, 255]]
    assert read(png([row], RGBA)).labels.tolist() == [[0, 2, 1]]


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.new("RGB", (8, 8), (255, 0, 0)), "JPEG"),
        saved(Image.new("F", (8, 8), 1.0), "TIFF"),
        saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF"),
        saved(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"),
        png(np.full((4, 4, 2), 257), GREY_ALPHA, 16),
        png(np.arange(10000).reshape(100, 100), GREY, 16)[:100],
        b"",
        b"no picture",
    ],
    ids=["JPEG", "float", "CMYK", "id too large", "16-bit grey with alpha", "cut off", "no bytes", "no picture"],
)
def test_maps_that_cannot_be_read_exactly_are_refused(data: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read_instances(data, [], (8, 8))
    assert caught.value.code == "instances-unreadable"
    assert caught.value.hint


def test_a_map_of_nothing_but_background_is_empty() -> None:
    assert code_of(png(np.zeros((4, 4)))) == "instances-empty"
    assert code_of(png(np.zeros((4, 4, 3)), RGB)) == "instances-empty"


def test_a_map_of_another_size_names_both_sizes() -> None:
    with pytest.raises(Problem) as caught:
        read_instances(png(np.ones((4, 6))), [], (60, 40))
    assert caught.value.code == "instances-mismatch"
    assert "6 × 4" in caught.value.detail and "60 × 40" in caught.value.detail


@pytest.mark.parametrize("kind", [GREY, RGB])
def test_more_than_a_thousand_objects_are_too_many(kind: int) -> None:
    values = np.arange(1001 + 7).reshape(-1, 1)
    if kind == RGB:
        values = np.stack([values // 256, values % 256, 0 * values], axis=-1)
    assert code_of(png(values, kind, 16 if kind == GREY else 8)) == "instances-too-many"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_map_with_smoothed_edges_is_refused_instead_of_making_an_object_of_every_blend(mode: str) -> None:
    image = Image.new(mode, (400, 400))
    ImageDraw.Draw(image).ellipse((40, 40, 360, 340), fill="white")
    assert len(read(saved(image)).names) == 1
    smoothed = image.resize((100, 100), Image.Resampling.LANCZOS)
    assert 17 < len(np.unique(np.asarray(smoothed.convert("L")))) < 1000
    with pytest.raises(Problem) as caught:
        read(saved(smoothed))
    assert caught.value.code == "instances-too-many" and "smoothed" in caught.value.detail


def test_many_thin_objects_are_fine_when_the_label_table_lists_them() -> None:
    values = np.repeat(np.arange(40)[:, None], 50, axis=1)
    labels = [InstanceLabel(id=number, name=f"rod {number}") for number in range(1, 40)]
    assert len(read(png(values), *labels).names) == 39
    assert code_of(png(values)) == "instances-too-many"


def test_a_table_that_contradicts_itself_is_refused() -> None:
    data = png([[0, 1]])
    assert code_of(data, InstanceLabel(id=1), InstanceLabel(id=1)) == "request-invalid"
    same = [InstanceLabel(id=number, color=(9, 9, 9)) for number in (1, 2)]
    assert code_of(data, *same) == "request-invalid"


def test_a_huge_table_takes_no_time() -> None:
    labels = [InstanceLabel(id=number, color=(number >> 8, number & 255, 1)) for number in range(1, 65536)]
    with pytest.raises(Problem) as caught:
        read(png([[[200, 200, 200]]], RGB), *labels)
    assert caught.value.code == "instances-too-many"


@given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 15)))
@settings(max_examples=60, deadline=None)
def test_the_same_map_is_the_same_in_every_kind_of_file(ids: np.ndarray) -> None:
    colours = np.random.default_rng(3).choice(2**24, 16, replace=False)
    colours[0] = 0
    table = np.stack([colours >> 16 & 255, colours >> 8 & 255, colours & 255], axis=-1)
    labels = [InstanceLabel(id=number, color=tuple(table[number].tolist())) for number in range(1, 16)]
    files = [
        png(ids, GREY, 4),
        png(ids, GREY, 8),
        png(ids, GREY, 16),
        png(ids, PALETTE, 4, palette(*map(tuple, table.tolist()))),
        png(table[ids], RGB),
        png(table[ids] * 257, RGB, 16),
    ]
    for data in files:
        if ids.any():
            assert (read(data, *labels).labels == ids).all()
        else:
            assert code_of(data, *labels) == "instances-empty"


@pytest.mark.skipif(not SCENES, reason="the scene pictures are not there")
@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_real_maps_have_one_instance_for_every_colour(path: Path) -> None:
    picture = read_image(path.with_name(path.name.replace("_seg", "_rgb")).read_bytes(), path.name)
    with Image.open(path) as image:
        colours = image.convert("RGB").getcolors()
    result = read_instances(path.read_bytes(), [], (picture.shape[1], picture.shape[0]))
    assert len(result.names) == len([colour for _, colour in colours if colour != (0, 0, 0)]) >= 2
    counts = sorted(int(result.mask(number).sum()) for number in result.names)
    assert counts == sorted(count for count, colour in colours if colour != (0, 0, 0))
