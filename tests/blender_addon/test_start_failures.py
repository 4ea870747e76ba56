"""A backend that does not start says why, and what to do."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from blender_addon.server_process import ServerState
from blender_addon.start_failures import explain, explain_refusal
from tests.blender_addon.test_server_process import clock, pretending, reaches, server  # noqa: F401 - fixtures

TRACE = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>']

SEEN = [
    (1, ["/usr/bin/python3: No module named backend"], "backend-incomplete", "not complete"),
    (1, [*TRACE, "ModuleNotFoundError: No module named 'fastapi'"], "package-missing", "'fastapi'"),
    (1, [*TRACE, "ModuleNotFoundError: No module named 'backend.jobs'"], "backend-incomplete", "not complete"),
    (2, ["Unknown option: -P", "usage: python3 [option] ..."], "python-too-old", "too old"),
    (2, ["unknown option -P"], "python-too-old", "too old"),
    (1, [*TRACE, "ImportError: cannot import name 'UTC' from 'datetime' (datetime.py)"], "python-too-old", "too old"),
    (
        1,
        [*TRACE, "ImportError: DLL load failed while importing _multiarray_umath: The specified module could not be."],
        "library-missing",
        "_multiarray_umath",
    ),
    (
        127,
        ["python: error while loading shared libraries: libffi.so.8: cannot open shared object file: No such file"],
        "library-missing",
        "libffi.so.8",
    ),
    (
        1,
        [*TRACE, "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"],
        "library-missing",
        "libGL.so.1",
    ),
    (
        1,
        ["python: /lib/libc.so.6: version `GLIBC_2.38' not found (required by python)"],
        "library-missing",
        "GLIBC_2.38",
    ),
    (134, ["dyld[1]: Library not loaded: @rpath/libpython3.11.dylib"], "library-missing", "libpython3.11.dylib"),
    (1, [*TRACE, "ImportError: cannot import name 'thing' from 'pydantic' (x.py)"], "package-damaged", "thing"),
    (1, ["No port can be opened: [WinError 10013] An attempt was made to"], "port-forbidden", "10013"),
    (1, [*TRACE, "OSError: [Errno 28] No space left on device"], "disk-full", "disk is full"),
    (1, [*TRACE, "PermissionError: [Errno 13] Permission denied: '/data/x'"], "permission", "/data/x"),
    (3221225781, [], "library-missing", "DLL"),
    (-1073741515, [], "library-missing", "DLL"),
    (0xC0000022, [], "permission", "refused"),
    (1, ["The data folder cannot be used: it is a file.", "Choose another one."], "start-refused", "it is a file."),
]


@pytest.mark.parametrize(("code", "lines", "expected", "part"), SEEN)
def test_what_is_known_is_a_sentence_with_a_next_step(code: int, lines: list[str], expected: str, part: str) -> None:
    problem = explain(code, ["an earlier line", *lines])
    assert problem is not None
    assert (problem.code, part in problem.message) == (expected, True), problem.message
    assert problem.message.endswith(".") and problem.hint.endswith(".")
    assert all(line in problem.details for line in lines), "the log is kept for a report"


@pytest.mark.parametrize(("code", "lines"), [(3, []), (1, [*TRACE, "KeyError: 'x'"]), (-9, ["something", "else"])])
def test_what_is_not_known_is_left_to_the_general_words(code: int, lines: list[str]) -> None:
    assert explain(code, lines) is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOEXEC, errno.ENOSPC, errno.ENOENT])
def test_a_program_that_the_system_refuses_has_a_hint_of_its_own(number: int) -> None:
    problems = {explain_refusal(OSError(each, "no")).hint for each in (errno.EACCES, errno.ENOEXEC, errno.ENOSPC, 2)}
    assert len(problems) == 4
    assert explain_refusal(OSError(number, "no")).code == "start-failed"


def test_the_backends_own_words_are_passed_on(server: Any, tmp_path: Path, python_with_plugin: Path) -> None:  # noqa: F811
    """The real backend, with a data folder that it cannot write to: a file where its jobs should be."""
    from blender_addon.environment import Environment
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
