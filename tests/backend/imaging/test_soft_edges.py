"""Label maps with soft edges: the right number of objects, or a refusal, and never another number without a word."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from backend.contract import InstanceLabel
from backend.errors import Problem
from backend.imaging.instances import read_instances
from backend.shot import InstanceMap
from tests.backend.imaging.pictures import PALETTE, RGB, chunk, png, saved

RED, BLUE = (255, 0, 0), (0, 0, 255)


def read(image: Image.Image, *labels: InstanceLabel) -> InstanceMap:
    return read_instances(saved(image), labels, image.size)


def codes(found: InstanceMap) -> list[str]:
    return [remark.code for remark in found.remarks]


def two(scale: int = 1, ground: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """Two flat rectangles, of 141 x 161 and 141 x 141 pixels at scale 1."""
    made = Image.new("RGB", (480 // scale, 320 // scale), ground)
    for (left, top, right, bottom), colour in (((60, 120, 200, 280), RED), ((280, 140, 420, 280), BLUE)):
        box = (left // scale, top // scale, right // scale, bottom // scale)
        ImageDraw.Draw(made).rectangle(box, fill=colour)
    return made


def softened(kind: str) -> Image.Image:
    if kind == "one soft pixel":
        made = Image.new("RGB", (480, 320))
        for (left, top, right, bottom), colour in (((60, 120, 200, 280), RED), ((280, 140, 420, 280), BLUE)):
            outer, half = (left - 1, top - 1, right + 1, bottom + 1), tuple(channel // 2 for channel in colour)
            ImageDraw.Draw(made).rectangle(outer, fill=half)
            ImageDraw.Draw(made).rectangle((left, top, right, bottom), fill=colour)
        return made
    return two(2).resize((480, 320), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("kind", ["one soft pixel", "scaled up"])
@pytest.mark.parametrize("form", ["colours", "16 bits", "palette", "grey"])
def test_soft_edges_with_few_blends_become_no_objects_in_any_kind_of_file(kind: str, form: str) -> None:
    image = softened(kind)
    pixels = np.asarray(image)
    if form == "16 bits":
        data = png(pixels.astype(np.uint16) * 257, RGB, 16)
    elif form == "palette":
        table, indices = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
        data = png(indices.reshape(pixels.shape[:2]), PALETTE, 8, chunk(b"PLTE", table.astype(np.uint8).tobytes()))
    elif form == "grey":
        data = png(pixels[..., 0] // 2 + pixels[..., 2])
    else:
        data = saved(image)
    found = read_instances(data, [], image.size)
    assert len(found.names) == 2 and codes(found) == ["instances-smoothed"]
    areas = sorted(int(found.mask(number).sum()) for number in found.names)
    assert areas == pytest.approx([141 * 141, 161 * 141], rel=0.03)


def test_blends_take_no_ids_from_objects() -> None:
    exact, soft = read(two()), read(softened("one soft pixel"))
    assert exact.names == soft.names == {1: "", 2: ""}
    assert (exact.labels == soft.labels).mean() > 0.99


def test_named_labels_are_kept_however_much_they_look_like_blends() -> None:
    image = softened("one soft pixel")
    named = [InstanceLabel(id=7, name="rim", color=(127, 0, 0)), InstanceLabel(id=8, name="box", color=RED)]
    assert set(read(image, *named).names.values()) == {"rim", "box", ""}
    by_id = [InstanceLabel(id=number, name=f"part {number}") for number in (1, 2, 3, 4)]
    found = read(image, *by_id)
    assert list(found.names) == [1, 2, 3, 4] and not found.remarks, "each has a row, if only by its number"


def test_a_thin_object_with_one_neighbour_or_a_colour_of_its_own_is_no_blend() -> None:
    image = two()
    ImageDraw.Draw(image).line((20, 10, 460, 10), fill=(127, 0, 0), width=2)  # a rod before the ground
    ImageDraw.Draw(image).line((60, 119, 200, 119), fill=(0, 200, 90), width=1)  # a sheet on the red box
    found = read(image)
    assert len(found.names) == 4 and not found.remarks


def scene(seed: int) -> tuple[bytes, tuple[int, int], int] | None:
    """A map of flat rectangles with soft edges, its size, and how many rectangles can be seen; None where what is left
    of one is too small for anybody to tell."""
    random = np.random.default_rng(seed)
    width, height, times = int(random.integers(80, 200)), int(random.integers(60, 160)), int(random.integers(2, 5))
    way = ["drawn larger", "BILINEAR", "BICUBIC", "exact"][random.integers(4)]
    grey = random.random() < 0.3
    count = int(random.integers(1, 6))
    if grey:
        values = random.choice(np.arange(1, 256 if random.random() < 0.5 else 12), count, replace=False)
        colours = [(int(value),) * 3 for value in values]
    else:
        steps = np.arange(256) if random.random() < 0.5 else np.array([0, 128, 255])
        drawn = [tuple(random.choice(steps, 3).tolist()) for _ in range(count)]
        colours = [colour for colour in dict.fromkeys(drawn) if max(colour) > 20]
    if way == "drawn larger":
        columns, rows, least = width * times, height * times, 8 * times
    elif way == "exact":
        columns, rows, least = width, height, 8
    else:
        columns, rows, least = max(width // times, 30), max(height // times, 30), 5
    picture, truth = np.zeros((rows, columns, 3), np.uint8), np.zeros((rows, columns), int)
    for number, colour in enumerate(colours, 1):
        across, down = (int(random.integers(least, max(side // 2, least + 1))) for side in (columns, rows))
        left, top = int(random.integers(columns - across + 1)), int(random.integers(rows - down + 1))
        picture[top : top + down, left : left + across] = colour
        truth[top : top + down, left : left + across] = number
    wide = max(least // 2, 3) | 1
    for number in np.unique(truth):
        padded = np.pad((truth == number).astype(np.uint8), least, mode="edge")
        opened = ndimage.maximum_filter(ndimage.minimum_filter(padded, wide), wide)
        if not (opened == padded)[least:-least, least:-least].all():
            return None
    image = Image.fromarray(picture)
    if way == "drawn larger":
        image = image.resize((width, height), Image.Resampling.BOX)
    elif way != "exact":
        image = image.resize((columns * times, rows * times), Image.Resampling[way])
    seen = len(set(np.unique(truth)) - {0})
    return (saved(image.getchannel(0) if grey else image), image.size, seen) if seen else None


def test_random_rectangles_come_in_the_right_number_or_are_refused() -> None:
    right = refused = 0
    for seed in range(200, 290):
        made = scene(seed)
        if made is None:
            continue
        data, size, seen = made
        try:
            found = read_instances(data, [], size)
        except Problem as problem:
            assert problem.code == "instances-too-many" and "smoothed" in problem.detail, seed
            refused += 1
        else:
            assert len(found.names) == seen, seed
            right += 1
    assert right > 30 and refused > 8


@pytest.mark.parametrize("ground", [(255, 255, 255), (90, 120, 200), (3, 2, 4)])
def test_an_unnamed_ground_is_told_and_becomes_no_object(ground: tuple[int, int, int]) -> None:
    found = read(two(ground=ground))
    assert len(found.names) == 2 and codes(found) == ["instances-ground"]
    assert ", ".join(map(str, ground)) in found.remarks[0].message and "background" in found.remarks[0].message
    values = np.full((40, 60), 255)
    values[5:20, 5:20], values[5:20, 30:50] = 1, 2
    grey = read_instances(png(values), [], (60, 40))
    assert list(grey.names) == [1, 2] and codes(grey) == ["instances-ground"]


def test_a_named_ground_is_an_object_and_one_beside_black_is_told_only() -> None:
    named = read(two(ground=(255, 255, 255)), InstanceLabel(id=9, name="Room", color=(255, 255, 255)))
    assert named.names[9] == "Room" and not named.remarks
    walls = np.full((40, 60), 5)
    walls[25:, 10:50] = 0
    walls[5:20, 5:20] = 7
    walls[39, 20] = 5
    found = read_instances(png(walls), [], (60, 40))
    assert list(found.names) == [5, 7] and codes(found) == ["instances-ground"]
    assert "counts as an object" in found.remarks[0].message


def test_a_picture_that_is_one_object_all_over_stays_one() -> None:
    found = read_instances(png(np.full((40, 60), 255)), [], (60, 40))
    assert list(found.names) == [255] and codes(found) == ["instances-ground"]


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_map_that_is_not_turned_with_its_picture_says_so(orientation: int) -> None:
    data = saved(two())
    if orientation == 6:
        with pytest.raises(Problem) as caught:
            read_instances(data, [], (320, 480), orientation)
        assert caught.value.code == "instances-mismatch"
        assert "orientation 6" in caught.value.detail and "upright" in caught.value.hint
        with pytest.raises(Problem, match="480 × 320 pixels and the picture 320 × 480") as plain:
            read_instances(data, [], (320, 480))
        assert "orientation" not in plain.value.detail
    else:
        assert codes(read_instances(data, [], (480, 320), orientation)) == ["instances-turned"]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    two().save(stream, "PNG", exif=exif)
    size = (320, 480) if orientation == 6 else (480, 320)
    assert not read_instances(stream.getvalue(), [], size, orientation).remarks, "both are turned"
