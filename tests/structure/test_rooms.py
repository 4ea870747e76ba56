"""The add-on's rooms, floor above floor: a file imports from its own room and lower ones, and nowhere in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.structure.source import ROOT, imports, imports_of, module_name, sources

FLOORS = (
    *("ground", "installer", "wire", "capture", "answers", "backend_process", "state", "props", "settings", "work"),
    *("session", "api", "ui"),
)
"""From low to high; `blender_addon/__init__.py` stands on top."""

MOST_ENTRIES = 16
"""At the top of the add-on's folder."""


def room(module: str) -> str:
    """`blender_addon.wire.client` -> `wire`; "" of the add-on itself."""
    return module.partition(".")[2].partition(".")[0]


def floor(module: str) -> int:
    return FLOORS.index(room(module)) if room(module) else len(FLOORS)


def inside(path: Path) -> set[str]:
    """The modules of the add-on that a file imports, wherever in it, also for types alone."""
    modules = {module_name(each) for each in sources("blender_addon")}
    return {item.module for item in imports_of(path) if item.module in modules and item.module != "blender_addon"}


@pytest.mark.parametrize("path", [pytest.param(path, id=module_name(path)) for path in sources("blender_addon")])
def test_imports_lead_down(path: Path) -> None:
    name = module_name(path)
    assert room(name) in ("", *FLOORS), "a new room has its floor in FLOORS"
    up = sorted(module for module in inside(path) if floor(module) > floor(name))
    assert up == [], f"{name} stands below what it imports"


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import each other, in order; none if there are none."""
    done: set[str] = set()
    for start in arrows:
        trail, ways = [start], [iter(sorted(arrows[start] - done))]
        while ways:
            other = next(ways[-1], None)
            if other is None:
                done.add(trail.pop())  # no circle goes through it: each module is looked at once
                ways.pop()
            elif other in trail:
                return [*trail[trail.index(other) :], other]
            elif other not in done:
                trail.append(other)
                ways.append(iter(sorted(arrows.get(other, set()) - done)))
    return []


def test_nothing_is_imported_in_a_circle() -> None:
    # A package of a room that only lists what is in it is imported with each of its modules: that is no circle.
    arrows = {module_name(path): inside(path) - {module_name(path)} for path in sources("blender_addon")}
    packages = {module_name(path) for path in sources("blender_addon") if path.name == "__init__.py"}
    arrows = {
        module: {other for other in found if not (other in packages and module.startswith(f"{other}."))}
        for module, found in arrows.items()
    }
    assert circle(arrows) == []


def test_a_circle_and_a_way_up_are_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    found = [item.module for item in imports("def late():\n    from ..ui import panels\n", "blender_addon.work.line")]
    assert "blender_addon.ui.panels" in found and floor("blender_addon.ui.panels") > floor("blender_addon.work.line")


def test_who_opens_the_folder_sees_few_things() -> None:
    entries = [path.name for path in (ROOT / "blender_addon").iterdir() if path.name not in ("__pycache__",)]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)
