"""Locks: who lives, who is dead."""

import subprocess
import sys
from pathlib import Path

from backend.jobs.owners import Ownership

ROOT = Path(__file__).parents[3]
HOLD = """
import sys; from pathlib import Path; from backend.jobs.owners import Ownership
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
