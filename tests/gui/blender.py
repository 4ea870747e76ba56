"""A Blender with a window, in a machine: asked through its driver, moved by mouse and keys."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.gui.display import Display
from tests.gui.machine import STAGE, Machine, Process, unhurried, until

DRIVER = Path(__file__).resolve().with_name("driver.py")
START_SECONDS = 90.0
ANSWER_SECONDS = 60.0
STEP_PIXELS = 9
"""Between two looks for a button; a button is about 20 pixels high."""

MIDDLE, RIGHT, NEXT_TO_RIGHT = 0.5, 0.82, 0.75
"""Where to look for a button: how far to the right in the sidebar, whose tabs take the last tenth. Buttons that are
icons stand at the right end."""

TO_THE_TOP, DOWN = -30, 4
"""Notches of the mouse wheel."""


class BlenderError(AssertionError):
    """Code that the test had Blender run has raised there."""


class Blender:
    """One run of Blender, from its start to its end."""

    def __init__(self, machine: Machine, display: Display, *arguments: str, **variables: str) -> None:
        self.display, self.machine = display, machine
        self._before = {process.pid for process in machine.processes()}
        self._numbers = itertools.count()
        self._read = 0
        for name in ("questions.jsonl", "answers.jsonl"):
            (machine.stage / name).write_text("")
        shutil.copyfile(DRIVER, machine.stage / "driver.py")
        self._log = (machine.stage / "blender.log").open("ab")
        window = ["--window-geometry", "0", "0", str(display.width), str(display.height)]
        settings = [f"{name}={value}" for name, value in variables.items()]
        command = ["env", *settings, "blender", *window, "--python", str(STAGE / "driver.py"), *arguments]
        self._process = machine.start(command, stdout=self._log, stderr=subprocess.STDOUT)
        self.pid = int(self._await("ready", START_SECONDS))

    # what it says

    def ask(self, code: str, seconds: float = ANSWER_SECONDS) -> Any:
        """Run code in Blender's main thread; the value of its last expression. Raises BlenderError, Late."""
        number = next(self._numbers)
        with (self.machine.stage / "questions.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"id": number, "code": code}) + "\n")
        return self._await(number, seconds)

    def wait(self, code: str, what: str, seconds: float, pause: float = 0.1) -> Any:
        """Ask until the answer is true."""
        return until(lambda: self.ask(code), what, unhurried(seconds), pause)

    def _await(self, number: int | str, seconds: float) -> Any:
        answers: dict[int | str, dict[str, Any]] = {}

        def answered() -> bool:
            with (self.machine.stage / "answers.jsonl").open(encoding="utf-8") as stream:
                stream.seek(self._read)
                text = stream.read()
            whole, _, _ = text.rpartition("\n")
            for line in whole.splitlines():
                answer = json.loads(line)
                answers[answer["id"]] = answer
            self._read += len(whole.encode()) + (1 if whole else 0)
            if number not in answers and self._process.poll() is not None:
                raise AssertionError(f"Blender has ended with {self._process.returncode}: {self.last_words()}")
            return number in answers

        until(answered, "an answer of Blender's", seconds, 0.01)
        if "error" in answers[number]:
            raise BlenderError(answers[number]["error"])
        return answers[number]["value"]

    def last_words(self, lines: int = 15) -> str:
        text = (self.machine.stage / "blender.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    # what is done to it

    def find(self, command: str, place: float = MIDDLE, scrolling: bool = True) -> tuple[int, int]:
        """Where in the sidebar the button is whose Python command begins like this: moves the mouse down the sidebar
        and asks Blender what it is on, and scrolls if need be and allowed. Raises AssertionError."""
        for scrolled in (0, TO_THE_TOP, *[DOWN] * 4) if scrolling else (0,):
            if scrolled:
                x, y, width, height = self.ask("region()")
                self.display.scroll(x + width / 2, y + height / 2, scrolled)
            x, y, width, height = self.ask("region()")
            across = x + int(width * place)
            for up in range(y + height - 4, y + 4, -STEP_PIXELS):
                self.display.move(across, up)
                if self.ask("under_mouse()").startswith(command):
                    return across, up
        raise AssertionError(f"there is no button {command} in the panel")

    def click(self, command: str, place: float = MIDDLE) -> None:
        """Press a button of the sidebar with the mouse."""
        self.display.click(*self.find(command, place))
        self.rest()

    def rest(self) -> None:
        """Take the mouse out of the sidebar: no button lit, no tooltip in the picture; key strokes go to the view."""
        x, y, width, height = self.ask("region('WINDOW')")
        self.display.move(x + width * 0.3, y + height * 0.25)
        self.draw()

    def draw(self) -> None:
        """Have the window drawn as things stand now."""
        self.ask("draw_window()")

    def press(self, *keys: str) -> None:
        """Strokes of keys in the 3D viewport."""
        self.rest()
        self.display.press(*keys)

    # its end

    def family(self) -> list[Process]:
        """It and all that it has started, whoever that belongs to by now."""
        return [process for process in self.machine.processes() if process.pid not in self._before]

    def kill(self) -> None:
        """As a crash does: no handler runs."""
        (me,) = [process for process in self.family() if process.inner == self.pid]
        os.kill(me.pid, signal.SIGKILL)
        self._process.wait(unhurried(10))

    def ended(self) -> bool:
        return self._process.poll() is not None

    def nobody_left(self, seconds: float = 5.0) -> float:
        """Wait until it and all that it has started are gone; how long that took. Raises Late."""
        began = time.monotonic()
        names = "; ".join(process.command[:80] for process in self.family())
        until(lambda: not self.family(), f"the end of all processes ({names})", seconds)
        return time.monotonic() - began

    def close(self) -> None:
        """End it however it stands."""
        for process in self.family():
            os.kill(process.pid, signal.SIGKILL)
        self._process.wait(unhurried(10))
        self._log.close()
