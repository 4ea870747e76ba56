"""Depth: metres where something is, NaN elsewhere; hostile files get a sentence."""

from __future__ import annotations

import io
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import Problem
from backend.imaging.depth import read_depth


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def code_of(data: bytes, size: tuple[int, int] = (3, 2)) -> str:
    with pytest.raises(Problem) as caught:
        read_depth(data, size)
    return caught.value.code


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_float_and_both_orders_are_read(dtype: str, order: Any) -> None:
    values = np.array([[1, 2, 3.5], [0.25, 64, 1000]])
    depth = read_depth(npy(np.array(values, dtype=dtype, order=order)), (3, 2))
    assert depth.dtype == np.float32 and (depth == values).all()


def test_what_is_not_seen_is_nan() -> None:
    values = np.array([[0, -1, np.inf], [1e9, 1e10, 2]], dtype=np.float64)
    assert np.isnan(read_depth(npy(values), (3, 2))).tolist() == [[True, True, True], [True, True, False]]
    tiny = np.array([[1e-300, 1.0, np.nan]])
    assert np.isnan(read_depth(npy(tiny), (3, 1))).tolist() == [[True, False, True]]
    half = np.array([[np.inf, 65504, 5]], dtype=np.float16)
    assert np.isnan(read_depth(npy(half), (3, 1))).tolist() == [[True, True, False]]


def test_another_size_names_both_sizes() -> None:
    with pytest.raises(Problem) as caught:
        read_depth(npy(np.ones((2, 3))), (30, 20))
    assert caught.value.code == "depth-mismatch"
    assert "3 × 2" in caught.value.detail and "30 × 20" in caught.value.detail


class Bomb:
    """Its unpickling would be noticed."""

    went_off = False

    def __reduce__(self) -> Any:
        return setattr, (Bomb, "went_off", True)


def test_pickles_are_never_opened() -> None:
    objects = np.empty((2, 3), dtype=object)
    objects[:] = Bomb()
    assert code_of(npy(objects, allow_pickle=True)) == "depth-unreadable"
    assert code_of(pickle.dumps(Bomb())) == "depth-unreadable"
    assert not Bomb.went_off


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        npy(np.ones((2, 3)))[:-1],
        npy(np.ones((2, 3), dtype=np.int32)),
        npy(np.ones((2, 3), dtype=np.complex64)),
        npy(np.ones((2, 3, 1))),
        npy(np.float32(3)),
        npy(np.zeros((2, 3))),
        npy(np.ones((2, 3))).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
    ],
    ids=["empty", "magic only", "cut off", "integers", "complex", "3-D", "scalar", "no distance", "version 9"],
)
def test_what_is_no_depth_is_unreadable(data: bytes) -> None:
    assert code_of(data) == "depth-unreadable"


def test_a_header_that_claims_too_much_allocates_nothing() -> None:
    honest = npy(np.ones((2, 3)))
    claim = honest.replace(b"(2, 3), }" + b" " * 10, b"(99999, 99999), }" + b" " * 2)
    assert claim != honest
    tracemalloc.start()
    try:
        assert code_of(claim, (99999, 99999)) == "depth-unreadable"
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=60), st.integers(0, 140))
@settings(max_examples=100, deadline=None)
def test_whatever_the_bytes_are_the_answer_is_a_depth_or_a_problem(junk: bytes, position: int) -> None:
    data = bytearray(npy(np.ones((2, 3))))
    data[position : position + len(junk)] = junk
    try:
        assert read_depth(bytes(data), (3, 2)).shape == (2, 3)
    except Problem as problem:
        assert problem.code.startswith("depth-")
