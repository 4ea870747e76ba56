"""What the backend writes is for its user alone."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.privacy import close_to_others
from tests.backend.server.running_server import RunningServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the user's profile sees to it on Windows")
NOBODY = 65534


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture(autouse=True)
def open_handed() -> Iterator[None]:
    """A user whose files everybody may read, and whose group may write."""
    before = os.umask(0o002)
    yield
    os.umask(before)


def open_to_others(root: Path) -> list[str]:
    found = [root, *root.rglob("*")]
    return [str(path) for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_all_that_a_server_and_its_worker_write_is_closed_to_others(public: Path) -> None:
    data = public / "data"
    with RunningServer(data) as server:
        job = server.wait(server.submit("inflate")["id"], "done")["id"]
        server.client.post(f"/jobs/{job}/again", json={"seed": 2})
        server.client.post("/models/rmbg", json={"accept_licence": True})
        assert {"jobs", "owners", "jobs.sqlite3", "jobs.sqlite3-wal"} <= {path.name for path in data.iterdir()}
        assert (data / "jobs" / job / "log.txt").exists()
        assert list((data / "owners").glob("*.lock"))
        assert list((data / "owners").glob("*.log"))
        assert open_to_others(data) == []
    assert open_to_others(data) == []


def test_what_an_earlier_version_left_open_is_closed_at_the_start(public: Path) -> None:
    data = public / "data"
    with RunningServer(data) as server:
        job = server.wait(server.submit("inflate")["id"], "done")["id"]
    for path in (data, *data.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with RunningServer(data) as server:
        assert open_to_others(data) == []
        assert server.job(job)["state"] == "done"


def test_a_folder_with_other_things_in_it_stays_open_and_ours_are_closed(public: Path) -> None:
    outside = public / "outside"
    outside.write_text("somebody's")
    data = public / "data"
    (data / "jobs" / "one").mkdir(parents=True)
    (data / "jobs" / "link").symlink_to(outside)
    (data / "jobs.sqlite3-wal").touch()
    (data / "letter.txt").touch()
    close_to_others(data)
    closed = [path.name for path in sorted(data.rglob("*")) if not stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert closed == ["jobs", "one", "jobs.sqlite3-wal"]
    assert outside.stat().st_mode & 0o044
    (data / "letter.txt").unlink()
    close_to_others(data)
    assert not stat.S_IMODE(data.stat().st_mode) & 0o077


def test_what_the_command_line_was_asked_for_is_as_open_as_its_user_wants(public: Path) -> None:
    from tests.backend.small_pictures import cut_out

    picture = public / "picture.png"
    picture.write_bytes(cut_out())
    command = [sys.executable, "-m", "backend", "generate", "--pipeline", "inflate", "--image", str(picture)]
    command += ["--out", str(public / "out"), "--data", str(public / "data"), "--quiet"]
    subprocess.run(command, check=True, timeout=120, cwd=Path(__file__).parents[2])
    assert stat.S_IMODE((public / "out" / "scene.glb").stat().st_mode) == 0o664
    assert open_to_others(public / "data") == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_can_neither_read_nor_hold_the_lock(public: Path) -> None:
    def other(program: str, *arguments: object) -> int:
        command = ["/bin/sh", "-c", program, "sh", *map(str, arguments)]
        done = subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", timeout=20, capture_output=True
        )
        return done.returncode

    shown = public / "shown"
    shown.write_text("for everybody")
    assert other('cat "$1"', shown) == 0, "the other user gets as far as this folder"
    with RunningServer(public / "data") as server:
        job = server.wait(server.submit("inflate")["id"], "done")["id"]
        lock = next((public / "data" / "owners").glob("*.lock"))
        files = [lock, public / "data" / "jobs.sqlite3", public / "data" / "jobs" / job / "output" / "scene.glb"]
        for path in files:
            assert path.exists()
            assert other('cat "$1"', path) != 0, path
            assert other('exec 9>>"$1"', path) != 0, path
        assert other('ls "$1"', public / "data") != 0
        assert server.wait(server.submit()["id"])["state"] == "done"
