"""How a photograph file asks to be turned, read as the backend reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blender_addon.capture import orientation
from tests.blender_addon.turned_photos import BOX, SIZE, write_turned_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_turned_photos(tmp_path_factory.mktemp("photos"))


def test_every_file_is_turned_as_the_backend_turns_it(photos: Path) -> None:
    told = json.loads((photos / "told.json").read_text())
    assert len(told) == 64
    for name, seen in told.items():
        turned = orientation.of_file(photos / name)
        assert turned == int(name[0]), name
        assert list(orientation.upright_size(turned, *SIZE)) == seen.pop("size"), name
        assert orientation.upright_box(turned, SIZE, BOX) == pytest.approx(seen, abs=1), name


@pytest.mark.parametrize("cut", [3, 20, 30, 60, 200])
@pytest.mark.parametrize("name", ["6.jpg", "6.xmp.jpg", "6.png", "6.xmp.png", "6.webp", "6.tif"])
def test_a_damaged_file_counts_as_upright_or_as_what_it_says(photos: Path, tmp_path: Path, name: str, cut: int) -> None:
    data = (photos / name).read_bytes()
    for damaged in (data[:cut], data[:cut] + bytes(8) + data[cut + 8 :], data[:cut] + b"\xff" * 64):
        (tmp_path / name).write_bytes(damaged)
        assert orientation.of_file(tmp_path / name) in (1, 6)
    assert orientation.of_file(tmp_path / "missing.jpg") == 1
