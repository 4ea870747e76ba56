"""Whole outlines: what they tell of objects behind others, and what does not fit is named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.contract import GenerateRequest, InstanceLabel, OutlineFiles
from backend.errors import Problem
from backend.imaging.intake import check_inputs, make_shot, read_job_folder
from backend.imaging.outlines import MAXIMUM_LAYERS, pair_outlines, read_outlines
from backend.jobs.folders import JobFolders
from backend.shot import InstanceMap, Shot
from tests.backend.imaging.pictures import RGB, png

WIDTH, HEIGHT = 40, 30
SIZE = (HEIGHT, WIDTH)
REQUEST = GenerateRequest(pipeline="inflate", instances=[InstanceLabel(id=9, name="Under")])
PICTURE = png(np.full((*SIZE, 3), 200), RGB)


def block(number: int, rows: slice, columns: slice) -> NDArray[np.uint16]:
    labels = np.zeros(SIZE, np.uint16)
    labels[rows, columns] = number
    return labels


FRONT = block(300, np.s_[10:20], np.s_[5:25])
BEHIND = block(2, np.s_[5:25], np.s_[15:35])
SEEN = np.where(FRONT > 0, FRONT, BEHIND)
MAP = png(SEEN, bits=16)


def npy(depth: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(depth, np.float32))
    return stream.getvalue()


def layer(labels: NDArray[np.uint16], metres: float | None = None) -> OutlineFiles:
    depth = None if metres is None else npy(np.where(labels > 0, metres, np.nan))
    return OutlineFiles(png(labels, bits=16), depth)


def test_what_is_hidden_is_known_too() -> None:
    depth = np.where(FRONT > 0, 2.0, np.where(BEHIND > 0, 3.0, np.nan))
    layers = [layer(BEHIND, 3.0)]
    check_inputs(REQUEST, [PICTURE], MAP, npy(depth), layers)
    shot = make_shot(REQUEST, [PICTURE], MAP, npy(depth), layers)
    assert (shot.whole_mask(2) == (BEHIND == 2)).all() and (shot.whole_mask(300) == (FRONT == 300)).all()
    assert shot.seen(2) == pytest.approx(0.75) and shot.seen(300) == 1.0, "what is in no layer is wholly seen"
    behind, front = shot.whole_depth(2), shot.whole_depth(300)
    assert behind is not None and front is not None
    assert (behind[BEHIND > 0] == 3.0).all() and np.isnan(behind[BEHIND == 0]).all()
    assert (front[FRONT > 0] == 2.0).all() and np.isnan(front[FRONT == 0]).all()
    assert {"outlines-0", "outline_depths-0"} < shot.hashes.keys()


def test_a_photograph_knows_nothing_of_what_is_hidden() -> None:
    shot = make_shot(REQUEST, [PICTURE], MAP, None)
    assert shot.seen(2) is None and shot.whole_depth(2) is None
    assert (shot.whole_mask(2) == (SEEN == 2)).all()


def test_an_outline_without_depth_leaves_the_depth_of_what_is_seen() -> None:
    depth = np.full(SIZE, 2.5)
    shot = make_shot(REQUEST, [PICTURE], MAP, npy(depth), [layer(BEHIND)])
    known = shot.whole_depth(2)
    assert known is not None and (np.isfinite(known) == (SEEN == 2)).all()
    alone = make_shot(REQUEST, [PICTURE], MAP, None, [layer(BEHIND, 3.0)]).whole_depth(2)
    assert alone is not None and (np.isfinite(alone) == (BEHIND == 2)).all()


def test_stray_pixels_belong_to_the_whole() -> None:
    smaller = block(2, np.s_[6:25], np.s_[15:35])
    shot = make_shot(REQUEST, [PICTURE], MAP, None, [layer(smaller)])
    assert (shot.whole_mask(2) == (BEHIND == 2)).all()


def test_an_object_of_which_nothing_is_seen_may_have_an_outline() -> None:
    under = block(9, np.s_[12:18], np.s_[8:20])
    shot = make_shot(REQUEST, [PICTURE], MAP, None, [layer(BEHIND), layer(under)])
    assert shot.outlines.keys() == {2}


def test_only_the_chosen_objects_have_outlines_to_speak_of() -> None:
    only = REQUEST.model_copy(update={"only": [300]})
    shot = make_shot(only, [PICTURE], MAP, None, [layer(BEHIND)])
    assert list(shot.instances.names) == [300] and shot.seen(300) == 1.0


@pytest.mark.parametrize(
    ("code", "instances", "layers", "said"),
    [
        ("request-invalid", None, [layer(BEHIND)], "without the instance map"),
        ("request-invalid", MAP, [layer(BEHIND)] * (MAXIMUM_LAYERS + 1), "65 layers"),
        ("instances-mismatch", MAP, [OutlineFiles(png(np.ones((3, 4))))], "4 × 3 pixels"),
        ("instances-unreadable", MAP, [OutlineFiles(b"no picture")], "The outlines"),
        ("instances-unreadable", MAP, [OutlineFiles(PICTURE)], "RGB"),
        ("instances-unreadable", MAP, [OutlineFiles(png(BEHIND > 0, bits=1))], "not a grey PNG"),
        ("instances-empty", MAP, [OutlineFiles(png(np.zeros(SIZE)))], "nothing but background"),
        ("outlines-mismatch", MAP, [layer(block(7, np.s_[5:9], np.s_[5:9]))], "object 7 is not in"),
        ("outlines-mismatch", MAP, [layer(BEHIND), layer(BEHIND)], "Layer 2 of the outlines: object 2"),
        ("outlines-mismatch", MAP, [layer(block(2, np.s_[0:5], np.s_[0:9]))], "does not lie where"),
        ("depth-mismatch", MAP, [layer(BEHIND)._replace(depth=npy(np.ones((3, 4))))], "The outlines: The depth is 4"),
        ("depth-unreadable", MAP, [layer(BEHIND)._replace(depth=b"no depth")], ".npy"),
        ("depth-unreadable", MAP, [layer(BEHIND)._replace(depth=npy(np.full(SIZE, np.nan)))], "no distance"),
    ],
)
def test_outlines_that_do_not_fit_are_named(
    code: str, instances: bytes | None, layers: list[OutlineFiles], said: str
) -> None:
    with pytest.raises(Problem) as caught:
        check_inputs(REQUEST, [PICTURE], instances, None, layers)
    assert caught.value.code == code
    assert said in caught.value.detail and caught.value.hint


def test_all_layers_together_have_a_limit_that_is_told_before_any_is_decoded() -> None:
    with pytest.raises(Problem) as caught:
        read_outlines([OutlineFiles(b"")] * 40, InstanceMap(SEEN, {2: "", 300: ""}), set(), (4000, 2000))
    assert caught.value.code == "request-too-large" and "320 megapixels" in caught.value.detail


@pytest.mark.parametrize(("outlines", "depths"), [(0, 1), (2, 1), (1, 2)])
def test_there_is_one_depth_for_each_layer_or_none(outlines: int, depths: int) -> None:
    with pytest.raises(Problem) as caught:
        pair_outlines([b"map"] * outlines, [b"depth"] * depths)
    assert caught.value.code == "request-invalid"
    assert pair_outlines([b"a", b"b"], [b"c", b"d"]) == [(b"a", b"c"), (b"b", b"d")]
    assert pair_outlines([b"a"], []) == [(b"a", None)]


def test_a_jobs_folder_keeps_them_in_order(tmp_path: Path) -> None:
    layers = [layer(block(number, np.s_[0:30], np.s_[number : number + 1]), 1.0 + number) for number in range(1, 13)]
    layers[4] = layers[4]._replace(depth=None)
    request = REQUEST.model_copy(update={"instances": [InstanceLabel(id=number) for number in range(1, 13)]})
    labels = np.tile(np.clip(np.arange(WIDTH), 0, 13) % 13, (HEIGHT, 1)).astype(np.uint16)
    folders = JobFolders(tmp_path)
    job = folders.create(request, [PICTURE], png(labels, bits=16), None, layers)
    again = folders.create_like(request, job)
    for made in (job, again):
        shot: Shot = read_job_folder(folders.path(made))[1]
        assert isinstance(shot.instances, InstanceMap) and sorted(shot.outlines) == list(range(1, 13))
        for number, found in shot.outlines.items():
            assert (found.depth is None) == (number == 5)
            assert found.depth is None or np.nanmax(found.depth) == 1.0 + number
