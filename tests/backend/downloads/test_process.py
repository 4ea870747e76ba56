"""What a download tells of itself."""

import io
import json
import time
from typing import Any

from backend.downloads.fetch import Progress
from backend.downloads.process import PACE_SECONDS, Teller
from tests.backend.waiting import until


def told(replies: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_the_last_bytes_before_a_stall_are_told_though_nothing_follows() -> None:
    replies = io.BytesIO()
    teller, progress = Teller(replies), Progress(stage="fetching", file="a")
    for size in range(1, 1001):
        progress.bytes = size
        teller.progress(progress)
    until(lambda: told(replies)[-1]["bytes"] == 1000, "the last of them")
    assert len(told(replies)) < 100, "and not each of them"


def test_nothing_older_comes_after_the_end() -> None:
    replies = io.BytesIO()
    teller, progress = Teller(replies), Progress(stage="fetching", file="a")
    for progress.bytes in (1, 2):
        teller.progress(progress)
    teller.send({"type": "done"})
    time.sleep(3 * PACE_SECONDS)
    assert told(replies)[-1] == {"type": "done"}
