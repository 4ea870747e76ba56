"""A Blender process that renders: started, asked, ended."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "training" / "blender" / "__main__.py"
START_SECONDS = 300.0


class BlenderError(Exception):
    """There is no Blender, or it does not do; the sentence says what to do."""


class Broken(Exception):
    """A model cannot be rendered; the sentence says why."""


def find_blender() -> str:
    """The program to render with: $SET_DRESSER_BLENDER, this Python if it has Blender's module, the environments that
    `make` has made, or `blender`.

    Raises:
        BlenderError: there is none.
    """
    named = os.environ.get("SET_DRESSER_BLENDER")
    if named:
        return named
    if importlib.util.find_spec("bpy") is not None:
        return sys.executable
    scripts = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    made = sorted(path for path in ROOT.glob(".venv-bpy-*") if (path / scripts).exists())
    if made:
        return str(made[-1] / scripts)
    if (installed := shutil.which("blender")) is not None:
        return installed
    raise BlenderError(
        "There is no Blender. Name one with --blender: Blender's own program (4.2 or newer), or a Python that has its "
        "module (pip install bpy)."
    )


def command(program: str) -> list[str]:
    """How a program is started as a renderer: a Python with Blender's module, or Blender."""
    if Path(program).name.lower().startswith("python"):
        return [program, str(PROGRAM)]
    return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(PROGRAM)]


class Blender:
    """One process. Use it as a context; it ends with it, and by itself when this process dies.

    Args:
        log: what Blender prints goes there.

    Raises:
        BlenderError: it does not start.
    """

    def __init__(self, program: str, log: IO[bytes]) -> None:
        self._log = log.name
        try:
            self._process = subprocess.Popen(
                command(program),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the program that started it, which ends it
            )
        except OSError as error:
            raise BlenderError(f"{program} cannot be started: {error.strerror or error}.") from error
        try:
            self.version = str(self._answer("ready", START_SECONDS)["ready"])
        except Broken as error:
            self.close()
            raise BlenderError(
                f"{program} is no Blender that renders ({error}); its words are in {log.name}."
            ) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Blender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, name: str, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Has something done, as `training/blender/__main__.py` says.

        Raises:
            Broken: the model is no good, or Blender ended over it or took longer than `seconds`; see `alive`.
            BlenderError: this Blender cannot do it.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({name: job}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Broken("Blender has ended.") from error
        answer = self._answer(name, seconds)
        if "broken" in answer:
            raise Broken(str(answer["broken"]))
        if "impossible" in answer:
            raise BlenderError(str(answer["impossible"]))
        return answer

    def _answer(self, name: str, seconds: float) -> dict[str, Any]:
        """The next line that is an answer: before the first, Blender greets."""
        assert self._process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith("{"):
                    return dict(json.loads(line))
        finally:
            timer.cancel()
            timer.join()
        self._process.wait()
        raise Broken(
            f"Blender took longer than {seconds:.0f} s."
            if late.is_set()
            else f"Blender ended over it, with status {self._process.returncode}; {self._log} has its last words."
        )

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was still to be written to it
                    stream.close()
