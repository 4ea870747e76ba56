"""Locks: who lives, who is dead."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from backend.jobs.owners import Ownership
from backend.jobs.processes import may_live, signature

SIGN = "import sys; from backend.jobs.processes import signature; print(signature(), flush=True)"
PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
ROOT = Path(__file__).parents[3]
HOLD = """
import sys; from pathlib import Path; from backend.jobs.owners import Ownership
from backend.jobs.processes import may_live, signature
owner = Ownership(Path(sys.argv[1])); print(owner.id, flush=True); sys.stdin.read()
"""


def test_a_living_owner_is_left_alone_and_a_killed_one_is_buried(tmp_path: Path) -> None:
    me = Ownership(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        other = process.stdout.readline().strip()
        assert me.candidates(set()) == {other}
        with me.buried(other) as dead:
            assert not dead
        process.kill()
        process.wait()
    (tmp_path / f"{other}.log").write_text("its worker's last words")
    with me.buried(other) as dead:
        assert dead
    assert [path.name for path in tmp_path.iterdir()] == [f"{me.id}.lock"]
    me.release()


def test_nobody_else_can_bury_meanwhile(tmp_path: Path) -> None:
    dead = Ownership(tmp_path)
    dead.release()
    first, second = Ownership(tmp_path), Ownership(tmp_path)
    with first.buried(dead.id) as mine:
        assert mine
        with second.buried(dead.id) as yours:
            assert not yours
    first.release()
    second.release()


def test_owners_of_open_jobs_count_even_without_a_file(tmp_path: Path) -> None:
    me = Ownership(tmp_path)
    assert me.candidates({"0" * 16, me.id, "../escape"}) == {"0" * 16}
    me.release()


def test_a_lock_that_was_removed_is_made_again_and_holds(tmp_path: Path) -> None:
    me, other = Ownership(tmp_path), Ownership(tmp_path)
    lock = tmp_path / f"{me.id}.lock"
    me.hold()
    lock.unlink()
    with other.buried(me.id, lambda owner: owner == me.id) as dead:
        assert not dead
    assert not lock.exists(), "who looks makes no file that the living one would take for its own"
    me.hold()
    with other.buried(me.id) as dead:
        assert not dead
    me.release()
    other.release()


def test_a_process_is_told_from_a_dead_one_and_from_one_with_its_number() -> None:
    assert may_live(signature())
    with subprocess.Popen([sys.executable, "-c", f"{SIGN}; sys.stdin.read()"], cwd=ROOT, **PIPES) as process:
        theirs = process.stdout.readline()
        assert may_live(theirs)
        process.kill()
        process.wait()
        assert not may_live(theirs)
    assert not may_live(json.dumps({**json.loads(signature()), "began": "long ago"}))
    assert may_live(json.dumps({**json.loads(theirs), "host": "another machine"}))
