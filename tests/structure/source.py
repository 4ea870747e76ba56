"""Reads Python source and finds what the walls forbid. Nothing is imported or run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("backend", "models", "training", "blender_addon")
PROGRAMS = ("demo", "bench", "build_addon.py", "build_docs.py", "build_offline.py")

FILES = {"open", "listdir", "scandir", "iterdir", "glob", "rglob", "stat", "mkdir"} | {
    f"{verb}_{kind}" for verb in ("read", "write") for kind in ("text", "bytes")
}
SOCKETS = {"socket", "create_connection", "connect", "send", "sendall", "recv", "select", "urlopen"}
PROCESSES = {"Popen", "run", "check_output", "check_call", "system", "sleep"}


@dataclass(frozen=True)
class Import:
    """One imported module. `eager`: it happens when the importing module is imported."""

    module: str
    line: int
    eager: bool

    def within(self, package: str) -> bool:
        return self.module == package or self.module.startswith(package + ".")


def sources(*rooms: str) -> list[Path]:
    """Every Python file of rooms (folders below the root) or of single files, sorted."""
    found: list[Path] = []
    for room in rooms:
        path = ROOT / room
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [path for path in found if "__pycache__" not in path.parts]


def module_name(path: Path) -> str:
    """`backend/geometry/__init__.py` -> `backend.geometry`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, name: str, is_package: bool = False) -> list[Import]:
    """All imports of a module, relative ones resolved. `from a import b` counts as both `a` and `a.b`."""
    found: list[Import] = []
    for node, eager in _statements(ast.parse(source).body, True):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, eager) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                above = parts[: len(parts) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            found.append(Import(base, node.lineno, eager))
            found += [Import(f"{base}.{alias.name}", node.lineno, eager) for alias in node.names]
        elif isinstance(node, ast.Call) and _name(node.func) in ("__import__", "import_module") and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                found.append(Import(argument.value, node.lineno, eager))
    return found


@cache
def imports_of(path: Path) -> list[Import]:
    return imports(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")


def eager_closure(start: Path) -> dict[str, str]:
    """Everything that importing a module of this project imports, and through which module, by static reading."""
    found: dict[str, str] = {}
    waiting = [module_name(start)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file_of(name)
        if path is None:
            continue
        for item in imports_of(path):
            if item.eager:
                found.setdefault(item.module, name)
                parts = item.module.split(".")
                waiting += [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return found


def prints(source: str) -> list[int]:
    """Lines that call `print`."""
    return [node.lineno for node in _calls(source) if isinstance(node.func, ast.Name) and node.func.id == "print"]


def swallowed(source: str) -> list[int]:
    """Lines where any exception whatever is caught and nothing is done about it; a bare `except:` always counts."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            anything = any(kind is not None and _name(kind) in ("Exception", "BaseException") for kind in kinds)
            if node.type is None or (anything and all(map(_does_nothing, node.body))):
                found.append(node.lineno)
        elif isinstance(node, ast.Call) and _name(node.func) == "suppress":
            anything = any(_name(argument) in ("Exception", "BaseException") for argument in node.args)
            found += [node.lineno] * anything
    return found


def problem_codes(source: str) -> dict[str, int]:
    """The codes that `Problem("code", …)` is called with literally, with their lines."""
    return {
        node.args[0].value: node.lineno
        for node in _calls(source)
        if _name(node.func) == "Problem" and node.args and isinstance(node.args[0], ast.Constant)
    }


def gradient_stops(source: str) -> list[tuple[str, int]]:
    """Where gradients are switched off or cut, by name and line; `inference_mode(False)` switches them on."""
    calls = _calls(source)
    on = [call.func for call in calls if _name(call.func) == "inference_mode" and _is_false(call)]
    stops = ("no_grad", "inference_mode", "set_grad_enabled", "detach", "detach_")
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute | ast.Name)]
    lines_on = [(node.lineno, node.col_offset) for node in on]
    named = [node for node in found if _name(node) in stops and (node.lineno, node.col_offset) not in lines_on]
    frozen = [call.func for call in calls if _name(call.func) == "requires_grad_" and _is_false(call)]
    return sorted((_name(node), node.lineno) for node in [*named, *frozen])


def _is_false(call: ast.Call) -> bool:
    given = [*call.args, *(each.value for each in call.keywords)]
    return [value.value for value in given if isinstance(value, ast.Constant)] == [False]


def strings(source: str) -> set[str]:
    """Every string constant."""
    nodes = ast.walk(ast.parse(source))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def slow_drawing(source: str) -> list[int]:
    """Lines in functions named `draw…` that touch files, sockets or processes, or wait."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.lstrip("_").startswith("draw"):
            calls = (part for part in ast.walk(node) if isinstance(part, ast.Call))
            found += [call.lineno for call in calls if _name(call.func) in FILES | SOCKETS | PROCESSES]
    return found


def _statements(body: Iterable[ast.AST], eager: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below, with whether it runs when the module is imported."""
    for node in body:
        yield node, eager
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            yield from _statements(node.body, False)
            yield from _statements(node.orelse, eager)
        else:
            inside = eager and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _statements(ast.iter_child_nodes(node), inside)


def _calls(source: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def _name(node: ast.AST) -> str:
    """`open` of `open` and of `path.open`; "" of anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass | ast.Continue | ast.Break) or (
        isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant))
    )


def _file_of(name: str) -> Path | None:
    if name.split(".")[0] not in ROOMS:
        return None
    path = ROOT.joinpath(*name.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)
