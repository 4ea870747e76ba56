"""The measurement of a long list and of many jobs at once, at its smallest."""

from __future__ import annotations

import re

import pytest

from bench import jobs
from tests import documented


@pytest.mark.parametrize("who", [[], ["--users"]])
def test_long_lists_and_many_jobs_at_once_are_measured(who: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    jobs.main(["--jobs", "30", "--repeats", "2", "--slots", "2", "--each", "2", "--seconds", "0.1", *who])
    said = capsys.readouterr().out
    assert said.startswith("30 jobs in the list, 4 queued; load "), "two of three that queue, and two that were sent"
    answers, slots = said.split("\n\n")[1], said.split("\n\n")[-1]
    rows = documented.table(answers)
    assert [row[0] for row in rows] == ["ready: process start to handshake", *jobs.ANSWERS]
    told = documented.rows("benchmarks.md", "Many jobs")
    assert [row[0] for row in told][: len(rows)] == [row[0] for row in rows]
    assert all(re.fullmatch(r"\d+ ms", cell) for row in rows[1:] for cell in row[1:4])
    ((slot, done, share),) = documented.table(slots)
    assert slot == "2" and 0 < float(done) <= 2.2 and float(share) == pytest.approx(float(done) / 2, abs=0.02)
