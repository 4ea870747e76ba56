"""`make test` runs its parts at the same time: the output of each stays in one piece, and the failure of any fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import together

MAKE = """#!/bin/sh
for word in "$@"; do target=$word; done
touch "$target.begun"
case $target in
first) other=second ;;
*) other=first ;;
esac
while [ ! -e $other.begun ]; do sleep 0.01; done
echo "$target says one"
echo "$target says two" >&2
[ $target != bad ]
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A make whose targets wait for each other."""
    path = tmp_path / "make"
    path.write_text(MAKE)
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(together, "LOGS", tmp_path / "build")
    return str(path)


def test_parts_run_at_the_same_time_and_are_told_one_after_the_other(make: str, capfd: pytest.CaptureFixture) -> None:
    assert together.main([make, "first", "second"]) == 0
    told = capfd.readouterr()
    assert told.out.startswith("first says one\n") and told.err == "first says two\n"
    assert "===== second\nsecond says one\nsecond says two\n" in told.out
    assert told.out.splitlines()[-2].startswith("first passed after ")


def test_any_part_that_fails_fails_the_whole(make: str, capfd: pytest.CaptureFixture) -> None:
    assert together.main([make, "first", "second", "bad"]) == 1
    ends = capfd.readouterr().out.splitlines()[-3:]
    assert [line.split(" after ")[0] for line in ends] == ["first passed", "second passed", "bad FAILED"]


def test_nothing_is_left_running_when_one_cannot_be_started(make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[together.Target] = []

    def start(make: str, name: str, *others: object) -> together.Target:
        if name == "second":
            raise OSError("no more processes")
        started.append(real(make, name, *others))
        return started[-1]

    real = together.start
    monkeypatch.setattr(together, "start", start)
    with pytest.raises(OSError, match="no more processes"):
        together.main([make, "first", "second"])
    assert started[0].process.poll() is not None
