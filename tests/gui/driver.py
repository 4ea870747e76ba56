"""Inside the Blender under test: answers the test's questions, and writes down what happens to the jobs.

Blender runs this file in its window. A timer reads /stage/questions.jsonl, one {"id", "code"} a line, and answers in
/stage/answers.jsonl with {"id", "value"} or {"id", "error"}: the value of the code's last expression, as JSON. Whatever
becomes of the jobs goes to /stage/events.jsonl. No socket, no thread: nothing that the add-on could be mistaken for.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import bpy

STAGE = Path("/stage")
ADDON = "bl_ext.user_default.set_dresser"
INTERVAL = 0.02


def addon() -> Any:
    """The add-on's module; None before it is installed."""
    return sys.modules.get(ADDON) if ADDON in bpy.context.preferences.addons else None


def session() -> Any:
    return sys.modules[f"{ADDON}.session"].current


def desk() -> Any:
    """What the add-on knows."""
    return session().desk


def view_3d() -> Any:
    areas = bpy.context.window_manager.windows[0].screen.areas
    return max((area for area in areas if area.type == "VIEW_3D"), key=lambda area: area.width * area.height)


def region(kind: str = "UI") -> list[int]:
    """x, y, width, height in the window."""
    found = next(each for each in view_3d().regions if each.type == kind)
    return [found.x, found.y, found.width, found.height]


def override(kind: str = "WINDOW", window: int = 0) -> Any:
    """A context in the 3D viewport, or of another window."""
    if window:  # its screen may be a temporary one, which cannot be named
        return bpy.context.temp_override(window=bpy.context.window_manager.windows[window])
    area = view_3d()
    found = next(each for each in area.regions if each.type == kind)
    first = bpy.context.window_manager.windows[0]
    return bpy.context.temp_override(window=first, screen=first.screen, area=area, region=found)


def show_tab(name: str) -> bool:
    """Open the sidebar at a tab; whether it is open there."""
    area = view_3d()
    if not area.spaces.active.show_region_ui:
        area.spaces.active.show_region_ui = True
        return False
    found = next(each for each in area.regions if each.type == "UI")
    if found.active_panel_category != name:
        try:
            found.active_panel_category = name
        except (TypeError, AttributeError):  # not drawn with this tab, or with any, yet
            area.tag_redraw()
            return False
    area.tag_redraw()
    return True


def draw_window() -> None:
    """Now, all of it, and to the screen."""
    for number, window in enumerate(bpy.context.window_manager.windows):
        for area in window.screen.areas:
            area.tag_redraw()
        with override(window=number):
            bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=2)


def under_mouse() -> str:
    """The command of the button that the mouse is on, as "Copy Python Command" gives it; "" if there is none."""
    manager = bpy.context.window_manager
    manager.clipboard = ""
    with override("UI"):
        try:
            bpy.ops.ui.copy_python_command_button()
        except RuntimeError:  # its poll: the mouse is on no button
            return ""
    return str(manager.clipboard)


def jobs() -> list[dict[str, Any]]:
    found = []
    for record in desk().jobs.values() if addon() else ():
        found.append(
            {
                "id": record.id,
                "state": record.state,
                "stage": record.stage,
                "fraction": round(record.fraction, 3),
                "arrival": record.arrival,
                "imported": record.imported,
                "problem": record.problem.message if record.problem else "",
            }
        )
    return found


def objects() -> dict[str, Any]:
    """All that an undo step must bring back, exactly."""
    names = {}
    for each in bpy.data.objects:
        names[each.name] = {
            "matrix": [value for row in each.matrix_world for value in row],
            "hidden": [each.hide_render, each.hide_viewport, each.hide_get()],
            "data": each.data.name if each.data else "",
            "collections": sorted(collection.name for collection in each.users_collection),
            "parent": each.parent.name if each.parent else "",
            "vertices": len(each.data.vertices) if each.type == "MESH" else 0,
        }
    return names


class Frames:
    """How long the add-on holds Blender: its ticks, and what the panels take to be drawn."""

    def __init__(self) -> None:
        self.panels: list[float] = []
        self.redraws: list[float] = []
        self._handle: Any = None

    def watch(self) -> None:
        """From now on; the panels' `draw` is looked up anew for every frame."""
        self.panels.clear()
        self.redraws.clear()
        session().line.slices.seconds.clear()
        session().line.imports.seconds.clear()
        session().previews.slices.seconds.clear()
        if self._handle is None:
            self._handle = bpy.types.SpaceView3D.draw_handler_add(self._drawn, (), "WINDOW", "POST_PIXEL")
            for panel in (bpy.types.SET_DRESSER_PT_main, bpy.types.SET_DRESSER_PT_jobs):
                panel.draw = self._timed(panel.draw)

    def seen(self) -> dict[str, Any]:
        """Seconds: of every tick, import, picture of a running job, drawing of a panel; when the view was drawn."""
        return {
            "slices": list(session().line.slices.seconds),
            "imports": list(session().line.imports.seconds),
            "previews": list(session().previews.slices.seconds),
            "panels": self.panels,
            "redraws": self.redraws,
        }

    def _drawn(self) -> None:
        self.redraws.append(time.perf_counter())

    def _timed(self, draw: Any) -> Any:
        def timed(panel: Any, context: Any) -> None:
            began = time.perf_counter()
            draw(panel, context)
            self.panels.append(time.perf_counter() - began)

        return timed


frames = Frames()


class Driver:
    """Reads and answers. One for each Blender, told apart by its process number."""

    def __init__(self) -> None:
        self._questions = (STAGE / "questions.jsonl").open(encoding="utf-8")
        self._questions.seek(0, os.SEEK_END)
        self._rest = ""
        self._told: list[dict[str, Any]] = []

    def tick(self) -> float:
        self._rest += self._questions.read()
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            self._answer(json.loads(line))
        self._watch_jobs()
        return INTERVAL

    def _answer(self, question: dict[str, Any]) -> None:
        try:
            reply = {"id": question["id"], "value": evaluate(question["code"])}
            text = json.dumps(reply, default=sorted)  # operators return sets
        except Exception:  # noqa: BLE001 - the test is told and fails
            text = json.dumps({"id": question["id"], "error": traceback.format_exc()})
        write("answers.jsonl", text)

    def _watch_jobs(self) -> None:
        now = jobs()
        if now != self._told:
            self._told = now
            write("events.jsonl", json.dumps({"time": time.time(), "pid": os.getpid(), "jobs": now}))


def evaluate(code: str) -> Any:
    """Run some statements; the value of the last one, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<question>", "exec"), globals())
    return eval(compile(ast.Expression(last.value), "<question>", "eval"), globals()) if last else None


def write(name: str, line: str) -> None:
    with (STAGE / name).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def begin() -> None:
    preferences = bpy.context.preferences
    preferences.view.show_splash = False
    preferences.use_preferences_save = False
    bpy.app.timers.register(Driver().tick, first_interval=0.5, persistent=True)
    write("answers.jsonl", json.dumps({"id": "ready", "value": os.getpid()}))


begin()
