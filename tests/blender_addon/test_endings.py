"""However Blender ends, the backend ends with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.backend.waiting import is_gone, until
from tests.blender_addon.processes import descendants, drive, listen, start


@pytest.mark.parametrize("stage", ["starting", "queued", "running"])
def test_a_killed_blender_leaves_nobody_behind(
    stage: str, picture: Path, python_with_plugin: Path, tmp_path: Path
) -> None:
    """kill -9: no atexit, no unregister. Server and worker are gone within five seconds."""
    with start("wait_to_be_killed", stage, picture, python=python_with_plugin, user=tmp_path / "user") as blender:
        try:
            server = listen(blender)["pid"]
            if stage == "running":
                until(lambda: len(descendants(server)) >= 2, "the worker", 20.0)
            family = descendants(server)
            assert not is_gone(server)
        finally:
            blender.kill()
        blender.wait(10)
        killed = time.monotonic()
        until(lambda: all(is_gone(pid) for pid in family), "the end of server and worker", 5.0)
        assert time.monotonic() - killed < 5.0


def test_a_script_may_end_in_the_middle_of_a_job(picture: Path, python_with_plugin: Path, tmp_path: Path) -> None:
    """With a job running, the add-on registered and a timer set, the process ends well, and the server with it."""
    (told,) = drive("leave_without_a_word", picture, python=python_with_plugin, user=tmp_path / "user")
    assert is_gone(told["pid"])
