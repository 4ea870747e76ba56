"""Lines between server and worker, and the pace of progress."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.jobs.channel import LONGEST_LINE, encode, messages
from backend.jobs.executor import Report
from backend.jobs.pace import Pace

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5))
def test_what_is_sent_arrives(sent: list[dict[str, Any]]) -> None:
    assert list(messages(io.BytesIO(b"".join(map(encode, sent))))) == sent


@given(st.binary(max_size=200))
def test_strange_lines_are_skipped(noise: bytes) -> None:
    stream = noise.replace(b"\n", b"") + b"\n" + encode({"type": "ready"})
    assert list(messages(io.BytesIO(stream)))[-1] == {"type": "ready"}


def test_a_huge_line_is_skipped_whole() -> None:
    huge = b'"' + b"x" * (2 * LONGEST_LINE + 10) + b'"\n'
    assert list(messages(io.BytesIO(huge + encode({"n": 1}) + b'{"cut": '))) == [{"n": 1}]


def test_a_huge_message_is_not_sent() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode({"text": "x" * LONGEST_LINE})


def progress(stage: int, fraction: float) -> Report:
    return Report("progress", {"stage_index": stage, "fraction": fraction})


def test_progress_is_thinned_and_the_latest_always_comes() -> None:
    told: list[Report] = []
    pace = Pace(told.append, seconds=1000.0)
    for step in range(100):
        pace.take(progress(0, step / 100))
    assert told == [progress(0, 0.0)]
    assert pace.due is not None
    pace.take(progress(1, 0.5))
    assert told == [progress(0, 0.0), progress(0, 0.99), progress(1, 0.5)], "a new stage is told at once, in order"
    pace.take(progress(1, 0.6))
    pace.take(Report("warning", {}))
    assert told[-2:] == [progress(1, 0.6), Report("warning", {})], "nothing overtakes"
    assert pace.due is None


def test_held_progress_comes_when_its_time_has_come() -> None:
    told: list[Report] = []
    pace = Pace(told.append, seconds=0.0)
    pace.take(progress(0, 0.1))
    pace.take(progress(0, 0.2))
    pace.look()
    assert told == [progress(0, 0.1), progress(0, 0.2)]


def test_messages_are_plain_json() -> None:
    assert json.loads(encode({"a": "é\n"})) == {"a": "é\n"}
    assert encode({"a": "é\n"}).count(b"\n") == 1
