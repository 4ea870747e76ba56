"""Pictures and solids come into the cache as they are, whatever their depth, and leave it when they change."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.optimisation.processes import ALONE
from tests.training.mira.shapes import shape, write_openlrm
from training.config import DataError
from training.mira.bank import Shown, keep, sources_of
from training.mira.config import Data
from training.mira.objects import objects_of
from training.pixels import premultiplied, resampled
from training.split import divided
from training.views import open_views


def test_sixteen_bits_and_alpha_give_what_eight_bits_give() -> None:
    made = shape(2, views=1, size=24)
    eight = made.picture(0)
    made.bits = 16
    sixteen = made.picture(0)
    assert sixteen.dtype == np.uint16
    difference = premultiplied(sixteen, 24).astype(int) - premultiplied(eight, 24)
    assert np.abs(difference).max() <= 1
    half = np.full((4, 4, 4), (200, 100, 50, 128), np.uint8)
    assert premultiplied(half, 4)[0, 0].tolist() == [100, 50, 25, 128]
    plain = premultiplied(np.full((4, 4, 3), 70, np.uint8), 4)
    assert (plain[..., 3] == 255).all() and (plain[..., :3] == 70).all(), "without alpha all of it is the picture"
    with pytest.raises(DataError, match="RGB or RGBA with 8 or 16 bits is expected"):
        premultiplied(np.zeros((4, 4), np.uint8), 4)


def test_a_part_is_resampled_as_the_whole_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 4), np.uint8)
    same = resampled(picture, (0, 0, 30, 20), (30, 20))
    assert np.allclose(same * 255, picture, atol=1e-3)
    part = resampled(picture, (5, 4, 15, 12), (10, 8))
    assert np.allclose(part, same[4:12, 5:15], atol=1e-5)
    beyond = resampled(picture, (-10, -10, 10, 10), (20, 20))
    assert np.allclose(beyond[10:, 10:], same[:10, :10], atol=1e-5) and not beyond[:10].any()
    assert not resampled(picture, (40, 40, 50, 50), (4, 4)).any()
    opaque = np.full((16, 16, 4), 255, np.uint8)
    assert np.allclose(resampled(opaque, (0, 0, 16, 16), (5, 5)), 1.0), "nothing is mixed in at the border"


def test_the_solid_is_asked_as_it_was_given(shown: Shown) -> None:
    solid = shape(1, views=1, voxels=48).solid()
    place = (np.arange(48) + 0.5) / 24 - 1
    points = np.stack(np.meshgrid(place, place, place, indexing="ij"), axis=-1).reshape(-1, 3)
    assert solid.any() and np.array_equal(shown.inside(points).reshape(solid.shape), solid)
    assert not shown.inside(np.array([[1.2, 0, 0], [0, 0, -1.01]])).any()
    inner = points[solid.ravel()]
    assert (shown.extent[0] <= inner.min(0)).all() and (shown.extent[1] >= inner.max(0)).all()


def test_the_cache_maps_what_is_there_and_follows_changes(tmp_path: Path) -> None:
    made = shape(3, views=2, size=24, voxels=8)
    source = write_openlrm(made, tmp_path)
    first = keep(made, source, tmp_path / "cache", 24)
    assert isinstance(first.pictures, np.memmap)
    before = first.place.stat().st_mtime_ns
    assert keep(made, source, tmp_path / "cache", 24).place.stat().st_mtime_ns == before, "it is not made again"
    assert keep(made, source, tmp_path / "cache", 12).pictures.shape[1] == 12
    os.utime(source / "intrinsics.npy", ns=(1, 1))
    assert keep(made, source, tmp_path / "cache", 24).place != first.place
    again = pickle.loads(pickle.dumps(first))
    assert isinstance(again.pictures, np.memmap) and np.array_equal(again.pictures, first.pictures)
    assert len(pickle.dumps(first)) < 1000, "another process maps the files; pictures are not sent"
    assert not list((tmp_path / "cache").glob(".*"))


def test_views_from_other_elevations_and_empty_ones_are_no_sources(shown: Shown) -> None:
    every = sources_of([shown], (-90, 90))
    middle = float(np.median(shown.elevations))
    some = sources_of([shown], (middle, 90))
    assert 0 < len(some) < len(every) == shown.count
    assert all(shown.elevations[view] >= middle for _, view in some)


def test_broken_objects_are_told_of_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in (1, 2, 3, 4):
        write_openlrm(shape(seed, views=2, size=16, voxels=8), tmp_path / "data")
    picture = tmp_path / "data" / "object-002" / "rgba" / "001.png"
    picture.write_bytes(picture.read_bytes()[:60])
    (tmp_path / "data" / "object-003" / "pose" / "000.npy").write_bytes(b"no numbers")
    settings = Data(folder=tmp_path / "data", held_out=0.0)
    found = objects_of(settings, tmp_path / "cache", 0, open_views, ALONE)
    assert [each.name for each in found.trained] == ["object-001", "object-004"]
    assert "object-002 is left out: " in caplog.text and "001.png" in caplog.text
    assert caplog.text.count("object-003 is left out: ") == 1 and "not a file of numbers" in caplog.text


def test_a_folder_without_objects_and_a_broken_split_get_a_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match=r"no object|no folder|not a folder"):
            objects_of(Data(folder=folder), tmp_path / "cache", 0, open_views, ALONE)
    (tmp_path / "split.json").write_text("{}")
    with pytest.raises(DataError, match="is not a split"):
        divided(["a"], tmp_path / "split.json", 0)


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    names = [f"object-{number}" for number in range(40)]
    trained, groups = divided(names, 0.25, seed=1)
    assert len(groups["held_out"]) == 10 and not set(trained) & set(groups["held_out"]) and len(trained) == 30
    assert divided(names, 0.25, seed=1) == (trained, groups) and divided(names, 0.25, seed=2)[0] != trained
    file = tmp_path / "split.json"
    file.write_text(
        '{"train": ["object-0", "gone"], "hard": ["object-1"], "near": ["object-2"], "left_out": ["object-3"]}'
    )
    assert divided(names, file, 0) == (["object-0"], {"hard": ["object-1"], "near": ["object-2"]})
