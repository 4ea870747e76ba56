"""A full disk, on a small file system of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import ERRORS
from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\1" * size)
            except OSError:
                continue
    return ballast


def test_on_a_full_disk_jobs_are_refused_and_finished_ones_are_safe(small_disk: Path, gate: Path) -> None:
    with RunningServer(small_disk / "data") as server:
        finished = server.wait(server.submit()["id"], "done")
        running = server.submit(gate=str(gate))["id"]
        server.worker_of(running)
        ballast = fill(small_disk)
        folders = set((small_disk / "data" / "jobs").iterdir())
        request = {"request": '{"pipeline": "steady"}'}
        refused = server.client.post("/jobs", data=request, files={"image": ("a.png", cut_out(256, 128))})
        assert (refused.status_code, refused.json()["code"]) == (507, "disk-full"), refused.text
        assert set((small_disk / "data" / "jobs").iterdir()) == folders, "nothing is left of the refused job"
        assert server.client.get("/health").status_code == 200
        assert server.job(finished["id"]) == finished
        assert server.client.get(f"/jobs/{finished['id']}/files/scene.glb").content.startswith(b"glTF")

        gate.touch()  # the running job cannot write its result
        until(lambda: server.client.get("/health").json()["running"] is None, "the job's end, stored or not")
        ballast.unlink()
        ended = server.wait(running)
        assert (ended["state"], ended["problem"]["code"]) == ("failed", "disk-full")
        assert server.wait(server.submit()["id"])["state"] == "done"


def test_an_upload_that_fits_nowhere_is_refused(small_disk: Path, tmp_path: Path) -> None:
    """Large parts wait in a temporary file until all have come."""
    with RunningServer(tmp_path / "data", TMPDIR=str(small_disk)) as server:
        files = {"image": ("a.png", b"\1" * 6_000_000)}
        refused = server.client.post("/jobs", data={"request": '{"pipeline": "steady"}'}, files=files)
        assert (refused.status_code, refused.json()["code"]) == (507, "disk-full"), refused.text
        assert server.wait(server.submit()["id"])["state"] == "done"


def test_the_server_says_so_if_it_cannot_even_start(small_disk: Path, tmp_path: Path) -> None:
    fill(small_disk)
    log = tmp_path / "log"
    with pytest.raises(AssertionError):
        RunningServer(small_disk / "data", log=log)
    what, hint = log.read_text().splitlines()
    assert "no space" in what
    assert hint == ERRORS["disk-full"].hint
