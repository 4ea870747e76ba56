"""How the panel looks: `python -m tests.gui.looks --to FOLDER` photographs it for MIDI and InstantMesh, at 300 and 180
pixels of width, at UI scales of 1 and 1.5, in Blender's dark and light theme, in a window of 1440 by 900.

No backend runs: the add-on is told what this checkout's backend would tell it. `looks.json` beside the pictures says
for each whether Generate could be seen without scrolling.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

import build_addon
from backend.pipelines import PIPELINES
from backend.preparations import preparations as all_preparations
from backend.server.views import PipelineView, PreparationView
from tests.gui import root
from tests.gui.display import Display
from tests.gui.machine import STAGE, Late, Machine, clear, until
from tests.gui.trip import Trip

SCREEN = (1440, 900)
WIDTHS, SCALES, THEMES, METHODS = (300, 180), (1.0, 1.5), ("dark", "light"), ("midi", "instantmesh")
INJECT = Path(__file__).with_name("injected.py")
EDGE_PIXELS = (6, 4, 8, 2)
"""How far inside its left side the sidebar's edge may be taken hold of."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gui.looks", description=__doc__)
    parser.add_argument("--to", type=Path, default=root.PROJECT / "build" / "gui" / "looks")
    parser.add_argument("--zip", type=Path, help="the add-on to look at; packed from this checkout if left out")
    parser.add_argument("--root", type=Path, help="a root that was built elsewhere; trixie's is built if left out")
    parser.add_argument("--sheet", type=Path, help="a JPEG with all of them, half as large, for the guide")
    chosen = parser.parse_args()
    if reason := root.hindrance():
        print(f"skipped: tests/gui/looks: {reason}")
        return 0
    folder = clear(chosen.to.resolve())
    stage = folder / "stage"
    (stage / "home").mkdir(parents=True)
    archive = chosen.zip or build_addon.build(destination=folder)
    place = root.Root(chosen.root, chosen.root.name, "") if chosen.root else root.find_or_build(root.SUITES[0])
    with Machine(place, stage) as machine:
        trip = Trip(machine, Display(machine, SCREEN), folder, archive)
        try:
            seen = look(trip)
        finally:
            trip.close()
    shutil.rmtree(stage)
    (folder / "looks.json").write_text(json.dumps(seen, indent=1) + "\n")
    if chosen.sheet:
        _sheet(folder, chosen.sheet)
    hidden = [name for name, facts in seen.items() if not facts["generate"]]
    print(f"{len(seen)} pictures in {folder}; Generate is out of sight in: {', '.join(hidden) or 'none'}")
    return 0


def look(trip: Trip) -> dict[str, dict[str, Any]]:
    """Take all pictures; what is known of each."""
    trip.start(plugins=False)
    blender, stage = trip.blender, trip.machine.stage
    shutil.copyfile(trip.archive, stage / trip.archive.name)
    for source in (INJECT, Path(__file__).with_name("room.py")):
        shutil.copyfile(source, stage / source.name)
    (stage / "views.json").write_text(json.dumps(_views()))
    blender.ask(
        "bpy.ops.extensions.package_install_files("
        f"repo='user_default', filepath={str(STAGE / trip.archive.name)!r}, enable_on_install=True)"
    )
    program = stage / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    trip.set_preference("python_path", str(STAGE / "python"))
    blender.ask(f"sys.path.insert(0, {str(STAGE)!r}); import room; room.build(); room.look(view_3d())")
    blender.ask("import injected; injected.inject(ADDON)")
    trip.show_panel()
    seen: dict[str, dict[str, Any]] = {}
    for width in WIDTHS:
        blender.ask("injected.scale(1.0)")
        blender.draw()
        _pull(trip, width)
        for scale, theme, method in itertools.product(SCALES, THEMES, METHODS):
            blender.ask(f"injected.scale({scale}); injected.theme({theme!r}); injected.choose({method!r})")
            blender.draw()
            trip.display.scroll(*_middle(trip), -30)
            blender.rest()
            name = f"{method}-{width}-{scale:g}-{theme}"
            x, y, wide, high = blender.ask("region()")
            trip.display.shot(trip.folder / f"{name}.png", (x, y, wide, high))
            seen[name] = {"region": [wide, high], "generate": _in_sight(trip)}
    return seen


def _sheet(folder: Path, path: Path) -> None:
    """A row for each pipeline: widths, scales and themes beside each other."""
    rows = [
        [Image.open(folder / f"{method}-{width}-{scale:g}-{theme}.png").convert("RGB").reduce(2)
         for width, scale, theme in
         itertools.product(WIDTHS, SCALES, THEMES)] for method in METHODS
    ]  # fmt: skip
    width = max(sum(each.width + 6 for each in row) for row in rows)
    height = max(each.height for row in rows for each in row) + 6
    sheet = Image.new("RGB", (width, height * len(rows)), "white")
    for number, row in enumerate(rows):
        left = 0
        for each in row:
            sheet.paste(each, (left, number * height))
            left += each.width + 6
    sheet.save(path, quality=72, optimize=True)


def _views() -> dict[str, Any]:
    """What the backend tells, as if everything were there."""
    pipelines = [PipelineView.of(info).model_dump() for info in PIPELINES.values()]
    preparations = [PreparationView.of(info).model_dump() for info in all_preparations().values()]
    return {name: [{**view, "ready": True} for view in views] for name, views in
            (("pipelines", pipelines), ("preparations", preparations))}  # fmt: skip


def _middle(trip: Trip) -> tuple[float, float]:
    x, y, wide, high = trip.blender.ask("region()")
    return x + wide / 2, y + high / 2


def _pull(trip: Trip, width: int) -> None:
    """Have the sidebar as wide as that, by its edge: Blender lets nobody else change it."""

    offsets = itertools.cycle(EDGE_PIXELS)

    def close() -> bool:
        x, y, wide, high = trip.blender.ask("region()")
        if abs(wide - width) <= 1:
            return True
        edge = x + next(offsets)
        trip.display.drag((edge, y + high / 2), (edge + wide - width, y + high / 2))
        trip.blender.draw()
        return False

    until(close, f"a sidebar of {width} pixels", 20.0, 0.2)


def _in_sight(trip: Trip) -> bool:
    """Whether the button is there without scrolling."""
    try:
        trip.blender.find("bpy.ops.set_dresser.generate(", scrolling=False)
    except (AssertionError, Late):
        return False
    finally:
        trip.blender.rest()
    return True


if __name__ == "__main__":
    raise SystemExit(main())
