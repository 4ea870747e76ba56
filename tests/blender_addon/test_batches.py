"""Batches: several cameras, frames and seeds as one list of jobs, which outlives Blender and the server."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from tests.backend.waiting import is_gone, until
from tests.blender_addon.processes import drive, listen, start

NAMES = ["Ball", "Box", "Chest", "Cone", "Crate", "Globe", "Heap", "Lamp", "Pouf", "Stool", "Tent", "Tree"]


def killed(python: Path, user: Path, path: Path, when: str) -> dict[str, Any]:
    """kill -9 of a Blender that has come so far; what it told before. Its server has left, too."""
    with start("batch_and_wait_to_be_killed", path, when, python=python, user=user) as blender:
        try:
            told = listen(blender)
        finally:
            blender.kill()
        blender.wait(10)
    until(lambda: is_gone(told["pid"]), "the end of its server", 10.0)
    return told


def test_a_shot_of_twelve_by_five_cameras_is_made_once_though_blender_is_killed_twice(
    python_with_plugin: Path, tmp_path: Path
) -> None:
    """Killed between its pictures, and when the first props have come in, which were not saved."""
    user, path, out = tmp_path / "user", tmp_path / "shots.blend", tmp_path / "out"
    drive("make_shots", path, python=python_with_plugin, user=user)
    first = killed(python_with_plugin, user, path, "pictures")
    assert (first["taken"], first["sent"], first["props"]) == (2, [], 0)
    second = killed(python_with_plugin, user, path, "props")
    assert second["taken"] == 5 and 0 < second["props"] < 12
    third, fourth, saved = drive("go_on_with_the_batch", path, out, python=python_with_plugin, user=user)
    assert third["of"] == NAMES, "twelve props, one each"
    assert third["hidden"] == NAMES
    assert set(third["states"].values()) == {"done"} and third["problems"] == []
    assert len(third["states"]) > 2, "no camera is best for all"
    assert Counter(third["items"]) == Counter(f"{n:04d}" for n in range(len(third["states"]))), "no job twice"
    assert sum(third["only"].values()) == 12
    assert len(third["reasons"]) == 12
    assert third["camera"] == "Camera 1"
    assert fourth == third, "there was nothing left to do"
    assert saved["of"] == NAMES, "they are in the file"
    page = (out / "contact-sheet.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2 * len(third["states"])
    assert (out / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((out / "batch.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert sum(int(row["objects"]) for row in rows) == 12
    assert all(float(row["seconds"]) > 0 and 0.8 < float(row["mask_iou"]) <= 1 for row in rows)
    assert not any("gets no prop" in row["warnings"] for row in rows), "what others make is not missing"
