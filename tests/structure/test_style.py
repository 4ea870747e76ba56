"""House rules that a linter does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import ERRORS
from tests.structure.source import (
    PROGRAMS,
    ROOMS,
    ROOT,
    prints,
    problem_codes,
    slow_drawing,
    sources,
    strings,
    swallowed,
)

LONGEST_MODULE = 500
RESERVED: dict[str, str] = {}
"""Codes of the table that nothing raises yet, each with what will."""

CODE = sources(*ROOMS)
EVERYTHING = CODE + sources(*PROGRAMS, "tests")


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in paths]


@pytest.mark.parametrize("path", named(CODE))
def test_nothing_prints(path: Path) -> None:
    assert prints(path.read_text(encoding="utf-8")) == [], "use backend/cli/output.py or a logger"


@pytest.mark.parametrize("path", named(EVERYTHING))
def test_no_error_is_swallowed(path: Path) -> None:
    assert swallowed(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", named(EVERYTHING))
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", named(sources("backend")))
def test_every_problem_is_in_the_table(path: Path) -> None:
    unknown = {
        code: line for code, line in problem_codes(path.read_text(encoding="utf-8")).items() if code not in ERRORS
    }
    assert unknown == {}


def test_every_row_of_the_error_table_is_used_or_reserved() -> None:
    used: set[str] = set()
    for path in sources("backend"):
        if path != ROOT / "backend" / "errors.py":
            used |= strings(path.read_text(encoding="utf-8"))
    assert set(ERRORS) - used == set(RESERVED), "a row that nothing uses goes, or is reserved with a reason"


@pytest.mark.parametrize("path", named(sources("blender_addon")))
def test_drawing_a_panel_neither_reads_nor_waits(path: Path) -> None:
    assert slow_drawing(path.read_text(encoding="utf-8")) == []


def test_the_checks_can_fail() -> None:
    assert prints("x = 1\nprint(x)\nobject.print(x)\n") == [2]
    assert swallowed("try:\n    x\nexcept Exception:\n    pass\n") == [3]
    assert swallowed("try:\n    x\nexcept:\n    raise\n") == [3]
    assert swallowed("try:\n    x\nexcept (ValueError, BaseException):\n    ...\n") == [3]
    assert swallowed("for i in x:\n    try:\n        y\n    except Exception as error:\n        continue\n") == [4]
    assert swallowed("with contextlib.suppress(Exception):\n    x\n") == [1]
    assert swallowed("def f():\n    try:\n        x\n    except Exception:\n        return None\n") == [4]
    assert swallowed("try:\n    x\nexcept Exception as error:\n    report(error)\nexcept OSError:\n    pass\n") == []
    assert problem_codes("raise Problem('no-such-code', 'x')\nerrors.Problem(code)\n") == {"no-such-code": 1}
    assert strings("a = 'one'\nb = {'two': 2}\n") == {"one", "two"}
    draw = "class P:\n    def draw(self, context):\n        {}\n    def poll(self):\n        open(x)\n"
    for call in ("open(x)", "os.listdir(x)", "socket.socket()", "path.read_text()", "time.sleep(1)"):
        assert slow_drawing(draw.format(call)) == [3], call
    assert slow_drawing(draw.format("self.layout.label(text='x')")) == []
