"""Writes what is told twice: the tables of docs/troubleshooting.md, docs/parameters.md, and
blender_addon/pipelines.json, which is what the add-on shows before its backend has run. `python build_docs.py`, or
`make docs`.

Rows of the backend come from `backend.errors.ERRORS`. The add-on has its sentences where things go wrong; they are read
from its source, which Blender alone could import, with "…" for what is filled in.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import ERRORS
from backend.pipelines import PIPELINES
from backend.pipelines.base import MethodInfo
from backend.preparations import preparations
from backend.server.views import PipelineView

ROOT = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "troubleshooting.md"
PARAMETERS = ROOT / "docs" / "parameters.md"
SHIPPED = ROOT / "blender_addon" / "pipelines.json"
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


@dataclass(frozen=True)
class Sentence:
    """One thing that the add-on may say."""

    code: str
    message: str
    hint: str


def render(page: str) -> str:
    """The page with its tables as the code has them now. Raises ValueError: if a place for a table is missing."""
    tables = {
        "backend": _table((code, kind.title + ".", kind.hint) for code, kind in sorted(ERRORS.items())),
        "addon": _table(_grouped(said_in(sorted((ROOT / "blender_addon").glob("**/*.py"))))),
    }
    for name, table in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{PAGE.name} has no place for the table '{name}'.")
        page = f"{before}{begin}\n{table}{end}{after}"
    return page


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


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    lines = ["| code | what it says | what to do |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(_row(f"`{code}`", message, hint) for code, message, hint in rows)]) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def parameters_page() -> str:
    """docs/parameters.md: what can be turned of each method that comes with the project."""
    methods = [each for each in (*PIPELINES.values(), *preparations().values()) if each.entry.startswith("backend.")]
    lines = ["# Parameters", "", "As the API, the command line and the panel know them. Written by build_docs.py."]
    for info in methods:
        lines += ["", f"## `{info.id}`", "", info.description, ""]
        lines += ["| name | in the panel | values | by itself | what it does |", "| --- | --- | --- | --- | --- |"]
        lines += _parameters(info)
    return "\n".join(lines) + "\n"


def _parameters(info: MethodInfo) -> Iterator[str]:
    for name, field in info.parameters.model_json_schema()["properties"].items():
        given = json.dumps(field["default"]) if "default" in field else "none"
        yield _row(f"`{name}`", field.get("title", ""), _values(field), given, field.get("description", ""))


def _values(field: Mapping[str, Any]) -> str:
    """What a field of a schema may be."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    kinds = [str(each.get("type", "object")) for each in field.get("anyOf", [field])]
    kind = " or ".join("nothing" if each == "null" else each for each in kinds)
    least, most = field.get("minimum"), field.get("maximum")
    return kind if least is None or most is None else f"{least:,} to {most:,}"


def shipped_pipelines() -> list[dict[str, Any]]:
    """The pipelines that run on every machine, as GET /pipelines tells of them."""
    anywhere = [info for info in PIPELINES.values() if not info.learned and not info.weights]
    return [PipelineView.of(info).model_dump(mode="json") for info in anywhere]


def main() -> int:
    SHIPPED.write_text(json.dumps(shipped_pipelines(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PARAMETERS.write_text(parameters_page(), encoding="utf-8")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
