"""A backend that does not start says why, and what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from blender_addon.backend_process.server_process import ServerState
from tests.blender_addon.test_server_process import clock, pretending, reaches, server  # noqa: F401 - fixtures


def test_the_backends_own_words_are_passed_on(server: Any, tmp_path: Path, python_with_plugin: Path) -> None:  # noqa: F811
    """The real backend, with a data folder that it cannot write to: a file where its jobs should be."""
    from blender_addon.backend_process.environment import Environment
    from tests.blender_addon.conftest import ROOT

    data = tmp_path / "data"
    data.mkdir()
    (data / "owners").write_text("a file")
    server.start(Environment(python_with_plugin, ROOT, data, tmp_path / "user"))
    reaches(server, ServerState.CRASHED)
    assert server.problem.code == "start-refused"
    assert server.problem.message.startswith("The data folder cannot be used")
    assert server.problem.hint


def test_an_old_python_is_recognised_by_what_it_says_itself(server: Any, pretending: Any) -> None:  # noqa: F811
    server.start(pretending("print('Unknown option: -P', file=sys.stderr); sys.exit(2)"))
    reaches(server, ServerState.CRASHED)
    assert server.problem.code == "python-too-old"
    assert "3.11" in server.problem.hint


def test_a_missing_library_of_the_system_is_named(server: Any, pretending: Any) -> None:  # noqa: F811
    """Python's own words, from a library that is really not there."""
    program = "import ctypes; ctypes.CDLL('libnotthere.so.7')"
    server.start(pretending(program))
    reaches(server, ServerState.CRASHED)
    if sys.platform.startswith("linux"):
        assert (server.problem.code, "libnotthere.so.7" in server.problem.message) == ("library-missing", True)


def test_once_it_was_ready_its_last_words_count_as_they_are(server: Any, pretending: Any) -> None:  # noqa: F811
    hands = 'print(json.dumps(dict(port=1, protocol=1, version="1")), flush=True)'
    server.start(pretending(f"{hands}\ntime.sleep(0.3)\nsys.exit(\"No module named 'fastapi'\")"))
    reaches(server, ServerState.READY)
    reaches(server, ServerState.CRASHED)
    assert server.problem.code == "backend-ended"
