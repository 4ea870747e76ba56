"""What a backend says that does not start, as a sentence with a next step."""

from __future__ import annotations

import errno

import pytest

from blender_addon.backend_process.start_failures import explain, explain_refusal

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
