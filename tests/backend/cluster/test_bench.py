"""The measurement of a cluster, at its smallest."""

from __future__ import annotations

import re

import pytest

from bench import cluster as bench
from bench.local_cluster import LocalCluster
from tests import documented

pytestmark = pytest.mark.timeout(600)


def test_a_farm_is_measured_as_the_document_tells(capsys: pytest.CaptureFixture[str], cluster: LocalCluster) -> None:
    few = ["--minutes", "0.1", "--every", "60", "--jobs", "2", "--inflate", "1", "--users", "2", "--seconds", "0.1"]
    bench.main([*few, "--most-slots", "2", "--slots", "1", "--each", "2", "--repeats", "2"], cluster)
    disturbed, checks, users, slots, beyond = capsys.readouterr().out.split("\n\n")
    assert re.match(r"3 jobs of 2 users in \d+ s on 2 slots; killed: nothing", disturbed)
    rows = documented.table(checks)
    assert [row[0] for row in rows] == list(bench.CHECKS)
    assert [row[1] for row in rows][:3] == ["yes"] * 3 and rows[4][1] == "yes"
    assert len(documented.table(users)) == 2
    ((count, done, share),) = documented.table(slots)
    assert count == "1" and 0 < float(done) <= 1.1 and float(share) == pytest.approx(float(done), abs=0.02)
    assert [row[0] for row in documented.table(beyond)] == ["worker of this machine", "on the cluster", "beyond"]
    told = [row[0] for row in documented.rows("benchmarks.md", "A farm")]
    assert told[: len(rows)] == [row[0] for row in rows]
