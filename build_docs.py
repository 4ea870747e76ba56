"""Writes what is told twice: the tables of errors in docs/troubleshooting.md, those of parameters on the pages of the
methods, and blender_addon/shipped, which is what the add-on shows before its backend has run.
`python build_docs.py`, or `make docs`.

Rows of the backend come from `backend.errors.ERRORS`. The add-on has its sentences where things go wrong; they are read
from its source, which Blender alone could import, with "…" for what is filled in.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.cli.listing import properties, values_of
from backend.errors import ERRORS
from backend.pipelines import PIPELINES
from backend.pipelines.base import MethodInfo
from backend.preparations import OURS, preparations
from backend.server.views import PipelineView, PreparationView

ROOT = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "troubleshooting.md"
PARAMETERS = "parameters of "
PAGES: Mapping[Path, tuple[str, ...]] = {
    PAGE: ("backend", "addon"),
    ROOT / "docs" / "inflate.md": (f"{PARAMETERS}inflate",),
    ROOT / "docs" / "midi.md": (f"{PARAMETERS}midi",),
    ROOT / "docs" / "instantmesh.md": (f"{PARAMETERS}instantmesh",),
    ROOT / "docs" / "mira.md": (f"{PARAMETERS}mira",),
    ROOT / "docs" / "hi3d.md": (f"{PARAMETERS}hi3d",),
    ROOT / "docs" / "multiview.md": (f"{PARAMETERS}multiview",),
    ROOT / "docs" / "magic123.md": (f"{PARAMETERS}magic123", f"{PARAMETERS}inversion"),
    ROOT / "docs" / "api.md": (f"{PARAMETERS}text", f"{PARAMETERS}imagine", f"{PARAMETERS}segment"),
}
"""The tables of each page."""

SHIPPED = ROOT / "blender_addon" / "shipped"
BEGIN, END = "<!-- {}: written by build_docs.py -->", "<!-- /{} -->"

RAISED: Mapping[str, tuple[str, ...]] = {
    "SetDresserError": ("message", "hint", "code"),
    "NotSetUp": ("message", "hint", "code"),
    "ConnectionProblem": ("message", "hint", "code"),
    "Failure": ("code", "message", "hint"),
    "Kind": ("code", "", "message", "hint"),
}
"""What carries a code in the add-on, and the order of its arguments."""

FILLED_IN = "…"
ERROR_COLUMNS = ("code", "what it says", "what to do")
PARAMETER_COLUMNS = ("parameter", "group", "values", "default", "what it does")


@dataclass(frozen=True)
class Sentence:
    """One thing that the add-on may say."""

    code: str
    message: str
    hint: str


def render(page: str, names: tuple[str, ...] = PAGES[PAGE]) -> str:
    """The page with its tables as the code has them now. Raises ValueError: if a place for a table is missing."""
    for name in names:
        table, begin, end = _table_of(name), BEGIN.format(name), END.format(name)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"The page has no place for the table '{name}'.")
        page = f"{before}{begin}\n{table}{end}{after}"
    return page


def _table_of(name: str) -> str:
    if name == "backend":
        return _table(ERROR_COLUMNS, ((code, kind.title + ".", kind.hint) for code, kind in sorted(ERRORS.items())))
    if name == "addon":
        return _table(ERROR_COLUMNS, _grouped(said_in(sorted((ROOT / "blender_addon").glob("**/*.py")))))
    method = name.removeprefix(PARAMETERS)
    return _table(PARAMETER_COLUMNS, _parameter_rows(PIPELINES.get(method) or preparations()[method]))


def _parameter_rows(info: MethodInfo) -> Iterator[tuple[str, ...]]:
    for name, field in properties(info).items():
        default = field.get("default")
        shown = "" if default in (None, "") else f"`{json.dumps(default)}`"
        former = "".join(f" Formerly `{each}`." for each in field.get("formerly", {}).get("names", ()))
        yield name, str(field.get("group", "")), values_of(field), shown, f"{field['description']}{former}"


def said_in(paths: list[Path]) -> list[Sentence]:
    """What modules of the add-on may say, in the order of the source."""
    return [sentence for path in paths for sentence in sentences(path.read_text(encoding="utf-8"))]


def sentences(source: str) -> list[Sentence]:
    """What one module may say. A code that is handed on from elsewhere is said where it comes from."""
    tree = ast.parse(source)
    found = []
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        for node in _within(scope):
            named = _arguments(node)
            code = _words(named.get("code"), tree, scope) if named else ""
            if code and FILLED_IN not in code:
                message, hint = (_words(named.get(part), tree, scope) for part in ("message", "hint"))
                found.append(Sentence(code, message, hint))
    return found


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """What belongs to a module or function itself, not to a function in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _within(child)


def _arguments(node: ast.AST) -> dict[str, ast.expr]:
    """The arguments of a call that carries a code, by name; {} for anything else."""
    if isinstance(node, ast.Tuple) and len(node.elts) == 4 and _is_sentence(node.elts[2]):
        return dict(zip(RAISED["Kind"], node.elts, strict=True))  # a row of the installer's table
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and _is_sentence(node.elts[1]):
        shared = ast.Name("CODE_HINT", lineno=sys.maxsize)  # of all exit codes
        return {**dict(zip(("code", "message"), node.elts, strict=True)), "hint": shared}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in RAISED:
        return {}
    named = dict(zip(RAISED[node.func.id], node.args, strict=False))
    return {**named, **{word.arg: word.value for word in node.keywords if word.arg}}


def _is_sentence(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".")


def _words(node: ast.expr | None, tree: ast.Module, scope: ast.AST) -> str:
    """A text as far as the source tells it; what is filled in when it is said becomes "…"."""
    if isinstance(node, ast.Constant):
        return re.sub(r"\{\d\}", FILLED_IN, str(node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part, tree, scope) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _words(node.value, tree, scope).removesuffix(".0") if isinstance(node.value, ast.Name) else FILLED_IN
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left, tree, scope) + _words(node.right, tree, scope)
    if isinstance(node, ast.Name):
        for place in (scope, tree):
            values = [
                each.value
                for each in _within(place)
                if isinstance(each, ast.Assign)
                and each.lineno <= node.lineno
                and any(isinstance(target, ast.Name) and target.id == node.id for target in each.targets)
            ]
            if values and isinstance(values[-1], ast.Constant | ast.JoinedStr):
                return _words(values[-1], tree, place)
    return "" if node is None else FILLED_IN


def _grouped(said: list[Sentence]) -> Iterator[tuple[str, str, str]]:
    """A row for every code, with all that is said under it."""
    for code in sorted({sentence.code for sentence in said}):
        under = [sentence for sentence in said if sentence.code == code]
        columns = ((sentence.message for sentence in under), (sentence.hint for sentence in under))
        message, hint = ("<br>".join(dict.fromkeys(_shown(text) for text in texts if text)) for texts in columns)
        yield code, message, hint


def _shown(text: str) -> str:
    return "*as it comes from the backend*" if text.strip(f"{FILLED_IN}. ") == "" else text


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of one kind of thing, whose name is the first cell."""
    lines = [columns, ("---",) * len(columns), *((f"`{name}`", *cells) for name, *cells in rows)]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines
    )


def shipped_pipelines() -> list[dict[str, Any]]:
    """The pipelines that run on every machine, as GET /pipelines tells of them."""
    anywhere = [info for info in PIPELINES.values() if not info.learned and not info.weights]
    return [PipelineView.of(info).model_dump(mode="json") for info in anywhere]


def shipped_preparations() -> list[dict[str, Any]]:
    """Our preparations, as GET /preparations tells of them, but for whether they are `ready`: that is known of a
    machine only."""
    described = [PreparationView.of(info).model_dump(mode="json") for info in OURS]
    return [{name: value for name, value in each.items() if name != "ready"} for each in described]


def shipped() -> dict[Path, str]:
    """What the add-on brings along, by file."""
    lists = {"pipelines": shipped_pipelines(), "preparations": shipped_preparations()}
    return {
        SHIPPED / f"{kind}.json": json.dumps(each, indent=1, ensure_ascii=False) + "\n" for kind, each in lists.items()
    }


def main() -> int:
    SHIPPED.mkdir(exist_ok=True)
    for path, text in shipped().items():
        path.write_text(text, encoding="utf-8")
    for page, names in PAGES.items():
        page.write_text(render(page.read_text(encoding="utf-8"), names), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
