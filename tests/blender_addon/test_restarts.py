"""Blender ends in the middle of a job; another one opens the file, and it is as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

from tests.backend.waiting import is_gone, until
from tests.blender_addon.processes import drive, listen, start


def test_the_props_of_a_killed_blender_stand_on_their_block_outs_in_the_next(
    python_with_plugin: Path, tmp_path: Path
) -> None:
    """kill -9 while a job of three block-outs runs; the next Blender compares with an unbroken session of its own."""
    user, path = tmp_path / "user", tmp_path / "set.blend"
    with start("generate_and_wait_to_be_killed", path, python=python_with_plugin, user=user) as blender:
        try:
            begun = listen(blender)
        finally:
            blender.kill()
        blender.wait(10)
    until(lambda: is_gone(begun["pid"]), "the end of its server", 5.0)
    assert begun["objects"] == 0
    job, came, unbroken = drive(
        "open_and_let_come_in", path, tmp_path / "other.blend", python=python_with_plugin, user=user
    )
    assert job == {"id": begun["id"], "state": job["state"], "warnings": [], "pressed": begun["id"]}
    assert job["state"] in ("queued", "running"), "it was cut off, and goes on"
    assert came == unbroken, "as if nothing had happened"
    stands = came["stands"]
    for name in ("Box", "Ball", "Cone"):
        assert stands[f"{name}_prop"]["block_out"] == name
        assert stands[name]["hidden"] == [True, False, True], "in renders, and in the layer that was worked in"
        assert stands[f"{name}_prop"]["hidden"] == [False, False, False]
        assert stands[f"{name}_prop"]["size"][2] > 0.5
    assert len(stands) == 9
