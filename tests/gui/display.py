"""An X display in a machine: its mouse, its keys, and pictures of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.gui.machine import Machine

WIDTH, HEIGHT = 1280, 800


class Display:
    """Points are counted as Blender does: pixels from the lower left corner, y up."""

    def __init__(self, machine: Machine, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        self._machine = machine
        self.width, self.height = size
        screen = ["-screen", "0", f"{self.width}x{self.height}x24", "-nolisten", "tcp", "-noreset", "+extension", "GLX"]
        self._server = machine.start(
            ["Xvfb", "-displayfd", "1", *screen], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._server.stdout is not None
        number = self._server.stdout.readline().strip()  # empty if it has ended
        assert number.isdigit(), "Xvfb does not start"
        machine.variables["DISPLAY"] = f":{int(number)}"

    def move(self, x: float, y: float) -> None:
        self._do("mousemove", str(int(x)), str(self.height - 1 - int(y)))

    def click(self, x: float, y: float) -> None:
        """Come from beside, as a hand does: a button is pressed only once it knows of the mouse."""
        self.move(x - 2, y)
        self._do("mousemove", str(int(x)), str(self.height - 1 - int(y)), "sleep", "0.2", "click", "1")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the left button, go there, let go."""
        self.move(start[0] - 2, start[1])
        self.move(*start)
        self._do("sleep", "0.3", "mousedown", "1", "sleep", "0.2")
        for step in range(1, 6):
            self.move(*(a + (b - a) * step / 5 for a, b in zip(start, end, strict=True)))
        self._do("sleep", "0.2", "mouseup", "1", "sleep", "0.2")

    def scroll(self, x: float, y: float, notches: int) -> None:
        """Positive is down."""
        self.move(x, y)
        self._do("click", "--repeat", str(abs(notches)), "--delay", "30", "5" if notches > 0 else "4")

    def press(self, *keys: str) -> None:
        self._do("key", *keys)

    def place(self, title: str, left: int, upper: int, width: int, height: int) -> None:
        """Move and size a window, as a window manager would; counted from the upper left corner here, as X does."""
        window = ["search", "--sync", "--onlyvisible", "--name", title]
        self._do(*window, "windowsize", str(width), str(height), "windowmove", str(left), str(upper))

    def shot(self, path: Path, box: tuple[int, int, int, int] | None = None) -> None:
        """The screen, or `box` of it (x, y, width, height), as PNG. Blender's own screenshot is black with software
        OpenGL."""
        x, y, width, height = box or (0, 0, self.width, self.height)
        part = f"{width}x{height}+{x}+{self.height - y - height}"
        path.write_bytes(self._machine.run(["import", "-window", "root", "-crop", part, "+repage", "png:-"], 60.0))

    def _do(self, *arguments: str) -> None:
        self._machine.run(["xdotool", *arguments])
