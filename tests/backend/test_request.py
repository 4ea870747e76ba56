"""What a request may say: everything that is accepted is usable, everything else is refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.contract import GenerateRequest, InstanceLabel

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@given(st.dictionaries(st.sampled_from(list(GenerateRequest.model_fields)), JSON))
def test_whatever_is_accepted_survives_the_way_through_json(values: dict[str, Any]) -> None:
    try:
        request = GenerateRequest.model_validate(values)
    except ValidationError as error:
        assert all(item["loc"] and item["msg"] for item in error.errors())
        return
    text = request.model_dump_json()
    assert GenerateRequest.model_validate_json(text) == request
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@given(st.text(min_size=1, max_size=300))
def test_names_hold_no_control_characters_and_no_novels(name: str) -> None:
    usable = len(name) <= 200 and not any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
    try:
        InstanceLabel(id=1, name=name)
    except ValidationError:
        assert not usable
    else:
        assert usable


@given(st.lists(st.floats(0.01, 50), min_size=3, max_size=3), st.lists(st.floats(-100, 100), min_size=4, max_size=4))
def test_a_box_with_any_turn_is_a_box(size: list[float], place: list[float]) -> None:
    cos, sin = np.cos(place[3]), np.sin(place[3])
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * size
    matrix[:3, 3] = place[:3]
    assert InstanceLabel(id=1, world_from_box=matrix.tolist()).world_from_box is not None


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [(3, 0, 1.0), (0, 1, 0.5), (1, 1, 0.0), (0, 3, 1e9), (2, 2, float("nan")), (0, 0, float("inf"))],
)
def test_a_matrix_that_is_no_box_is_refused(row: int, column: int, value: float) -> None:
    matrix = [list(map(float, line)) for line in IDENTITY]
    matrix[row][column] = value
    with pytest.raises(ValidationError):
        InstanceLabel(id=1, world_from_box=matrix)
