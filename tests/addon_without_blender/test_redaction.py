"""What a report for a bug does not tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_addon.ground.redaction import Redaction


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at /people/ann/x and /people/anna/x", "at ~/x and /people/anna/x"),
        ("C:\\\\Users\\\\Ann\\\\x", "C:\\\\Users\\\\<user>\\\\x"),
        ("file:///people/ann/a%20b", "file://~/a%20b"),
        ("Ann's planner, annotated by ANN", "<user>'s planner, annotated by <user>"),
        ("https://ann:pw@host/x?token=abc&y=1", "https://<removed>@host/x?token=<removed>&y=1"),
        ("Bearer abc.def-123_x", "Bearer <removed>"),
        ("the word s3cret is one", "the word <removed> is one"),
        ("ann_backup", "<user>_backup"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert Redaction(["s3cret"], [Path("/people/ann")], user="ann")(text) == shown


def test_names_that_are_everybodys_are_removed_from_paths_only() -> None:
    redact = Redaction(user="admin")
    assert redact("/srv/admin/x: the admin user") == "/srv/<user>/x: the admin user"
